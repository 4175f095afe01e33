"""Reading the service's metrics, and requests that go on where a history ends."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from api.metrics import Meters
from api.wire import read_transaction
from bench.deployment import Requests, noop
from bench.ingest import state, unaccounted
from bench.service import WRITES, Samples, _round, samples, stage_means, write_times
from bench.setup import Finished, Workspace
from etl.loading import load
from etl.mapping import read_mapping
from graph.store import open_store

MAPPING = """
name: small
source: {files: "tx.csv"}
transaction: {transaction_id: id, occurred_at: at, user_id: user, amount: amount, restaurant_id: place}
label: {is_fraud: {column: fraud, fraud: [1], genuine: [0]}, known_at: {delay: 7d}}
"""


def loaded(folder: Path, *, fraud: int = 1) -> str:
    folder.mkdir()
    rows = [f"{i},2024-03-01T{i % 24:02}:00:00Z,u{i % 7},{i}.50,r{i % 3},{int(i == 5) * fraud}" for i in range(100)]
    (folder / "tx.csv").write_text("\n".join(["id,at,user,amount,place,fraud", *rows]))
    (folder / "mapping.yaml").write_text(MAPPING)
    url = f"sqlite:///{folder}/q.db"
    store = open_store(url)
    report = load(read_mapping(folder / "mapping.yaml"), store).as_dict()
    store.close()
    assert unaccounted(report) == 0
    assert unaccounted({**report, "loaded": 98}) == 2
    return url


def test_new_transactions_go_on_where_the_history_ends(tmp_path: Path) -> None:
    requests = Requests(loaded(tmp_path / "a"))
    bodies = [*requests.take(20), *requests.take(30)]
    read = [json.loads(body) for body in bodies]
    assert len({body["transaction_id"] for body in read}) == 50
    times = [datetime.fromisoformat(body["occurred_at"]) for body in read]
    assert times == sorted(times)
    assert times[0] > datetime.fromisoformat("2024-03-01T23:00:00Z")
    assert {body["user_id"] for body in read} <= {f"u{i}" for i in range(7)}
    assert {body["restaurant_id"] for body in read} <= {f"r{i}" for i in range(3)}
    for body in bodies:
        read_transaction(body)


def test_stores_are_compared_in_full(tmp_path: Path) -> None:
    one, same, other = loaded(tmp_path / "a"), loaded(tmp_path / "b"), loaded(tmp_path / "c", fraud=0)
    assert state(one) == state(same)
    assert state(one) != state(other)
    assert {**state(one), "digest": ""} == {**state(other), "digest": ""}


def test_times_by_stage_come_from_what_the_service_exposes(tmp_path: Path) -> None:
    meters = Meters()

    def read() -> Samples:
        lines = [line.rsplit(" ", 1) for line in meters.exposition().decode().splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in lines}

    def step(lookup: float, score: float, spool: float, request: float, batch: int) -> None:
        meters.lookup.observe(lookup)
        meters.score.observe(score)
        meters.spool.observe(spool)
        meters.batch.observe(batch)
        for _ in range(batch):
            meters.request("/v1/score", "POST", 200, request)

    step(1.0, 1.0, 1.0, 9.0, 1)
    before = read()
    step(0.1, 0.4, 0.2, 1.0, 2)
    step(0.3, 0.6, 0.4, 3.0, 2)
    means = stage_means(before, read())
    assert means == pytest.approx({"lookup": 0.2, "score": 0.5, "spool": 0.3, "other": 1.0, "batch": 2.0})
    assert set(stage_means(before, before).values()) == {0.0}


def test_a_round_of_load_on_the_yardstick() -> None:
    with noop() as idle:
        idle.answered("/noop", b"{}")
        result = _round(idle, "/noop", [b'{"n": 1}'] * 300, 4)
        assert samples(idle) == {}
        memory = idle.memory()
        assert 0 < memory.own <= memory.resident
        assert "numpy" in idle.libraries()
    assert idle.process.poll() is not None
    assert (result.requests, result.statuses) == (300, {200: 300})


def test_a_run_of_the_program_tells_time_and_memory(tmp_path: Path) -> None:
    url = loaded(tmp_path / "a")
    work = Workspace(tmp_path, tmp_path / "work")
    finished = work.quipu("graph", "status", "--store", url, "--json")
    assert isinstance(finished, Finished)
    assert finished.result["transactions"] == 100
    assert finished.peak_bytes > 10_000_000
    assert finished.cpu_seconds > 0
    assert finished.seconds > 0


def test_durable_writes_are_timed_and_cleared_away(tmp_path: Path) -> None:
    times = write_times(tmp_path / "writes")
    assert times.shape == (WRITES,)
    assert (times > 0).all()
    assert not list(tmp_path.iterdir())
