"""Every row that is read is loaded, a duplicate or in quarantine: in any order, in any batches, after any end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.ledger import Ledger, sidecar
from etl.loading import load
from etl.mapping import Mapping, parse_mapping
from etl.reporting.report import LoadReport
from etl.simulator.mess import DAMAGE, break_lines, damage
from graph.progress import Advance
from graph.records import TIMESTAMP
from graph.sqlite_store import SqliteStore
from graph.store import Store

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("csv", "parquet", "jsonl")
POLICIES: list[dict[str, Any]] = [
    {},
    {"device_id": "quarantine", "city": "quarantine"},
    {
        "city": {"impute": "most_frequent"},
        "payment_method": {"impute": "most_frequent", "by": ["restaurant_id"]},
        "amount": {"impute": "median", "by": ["restaurant_id", "payment_method"]},
    },
]
DEADLINE = 120.0
Content = Callable[[Store], dict[str, Any]]


def transactions(count: int, seed: int, *, refunds: bool) -> pa.Table:
    """Clean transactions of a few users, devices and addresses."""
    rng = np.random.default_rng(seed)
    number = np.arange(count)
    devices = [f"{rng.integers(1 << 60):016x}" for _ in range(7)] + ["3F2A9C1E-4B5D-4C6E-8F70-A1B2C3D4E5F6"]
    addresses = ["190.40.1.23", "181.64.200.7", "100.64.3.9", "2001:db8::8a2e:370:7334"]
    amount = rng.integers(0, 300_000, count) / 100
    back = (number % 11 == 5) & refunds
    created = np.where(rng.random(count) < 0.1, None, rng.integers(1_600_000_000, 1_700_000_000, count) * 1_000_000)
    return pa.table(
        {
            "transaction_id": pa.array([f"t{i}" for i in number.tolist()], pa.string()),
            "occurred_at": pa.array(1_736_175_845_000_000 + number * 61_000_000).view(TIMESTAMP),
            "user_id": pa.array([f"u{i}" for i in rng.integers(0, 500, count).tolist()], pa.string()),
            "restaurant_id": pa.array([f"r{i}" for i in rng.integers(0, 9, count).tolist()], pa.string()),
            "device_id": pa.array(rng.choice([*devices, None], count), pa.string()),
            "ip": pa.array(rng.choice([*addresses, None], count), pa.string()),
            "amount": np.where(back, -amount, amount),
            "currency": pa.array(rng.choice(["PEN", "USD"], count), pa.string()),
            "payment_method": pa.array(rng.choice(["yape", "visa_credit"], count), pa.string()),
            "transaction_type": pa.array(np.where(back, "refund", "dine_in"), pa.string()),
            "city": pa.array(rng.choice(["Lima", "Cusco"], count), pa.string()),
            "account_created_at": pa.array(created.tolist(), pa.int64()).view(TIMESTAMP),
            "fraud": pa.array(rng.choice(["1", "0", ""], count), pa.string()),
        }
    )


def document(folder: Path, *, refunds: bool, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """The mapping of these transactions, with policies for missing values."""
    names = ("restaurant_id", "device_id", "ip", "currency", "payment_method", "transaction_type", "city")
    return {
        "name": "messy",
        "source": {"files": [str(folder / f"*.{suffix}") for suffix in FORMATS]},
        "transaction": {
            "transaction_id": "transaction_id", "occurred_at": "occurred_at", "user_id": "user_id",
            **{name: name for name in names}, "times": ["account_created_at"],
            "amount": {"column": "amount", "negative": "refund" if refunds else "refuse"},
        },
        "label": {"is_fraud": "fraud", "known_at": {"delay": "7d"}},
        "missing": missing or {},
        "quarantine": {"limit": "100%"},
    }  # fmt: skip


def write_table(table: pa.Table, path: Path) -> Path:
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    elif path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    return path


def end_state(store: Store, content: Content) -> dict[str, Any]:
    """What the store holds, and what is in quarantine, in values that do not depend on the order of loading."""
    with Ledger(sidecar(store.url)) as ledger:
        quarantine = {entry.id: (entry.row.reason, entry.row.column) for entry in ledger.rows()}
    return content(store) | {"quarantine": quarantine}


def balanced(report: LoadReport, rows: int) -> bool:
    tally = report.transactions
    return tally.read == rows == tally.loaded + tally.duplicates + tally.quarantined


class Interrupted(Exception):
    """Somebody stops a load."""


class Impatient:
    """Progress during which the load is stopped after some batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    @contextmanager
    def stage(self, _name: str, total: int | None = None) -> Iterator[Advance]:
        def advance(_rows: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise Interrupted

        yield advance


@st.composite
def messes(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, bool]:
    """A damaged table, its damage, and whether amounts below zero are refunds."""
    refunds = draw(st.booleans())
    clean = transactions(draw(st.integers(0, 40)), draw(st.integers(0, 1_000)), refunds=refunds)
    messy, damaged = damage(clean, draw(st.sampled_from([0.1, 0.5, 1.0])), draw(st.integers(0, 1_000_000)))
    return messy, damaged, refunds


@given(mess=messes(), data=st.data())
@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_order_any_batches_any_interruption(
    mess: tuple[pa.Table, pa.Table, bool],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    content: Content,
) -> None:
    messy, damaged, refunds = mess
    folder = tmp_path_factory.mktemp("mess")
    # Which of two rows that contradict each other comes first decides which one is loaded: the one thing where order
    # matters. Half of the examples have none, and must end alike in every order.
    ordered = data.draw(st.booleans(), label="with conflicts")
    if not ordered:
        conflicts = damaged.filter(pc.equal(damaged["kind"], "conflicting_duplicate"))["row"].to_pylist()
        messy = messy.take(pa.array(sorted(set(range(messy.num_rows)) - set(conflicts)), pa.int64()))
    part = data.draw(st.lists(st.integers(0, 3), min_size=messy.num_rows, max_size=messy.num_rows), label="parts")
    files = []
    for number in range(4):
        here = pa.array([row for row, of in enumerate(part) if of == number], pa.int64())
        suffix = data.draw(st.sampled_from(FORMATS), label="format")
        if len(here) or suffix != "jsonl":  # JSON Lines without any line have no columns
            files.append(write_table(messy.take(here), folder / f"{number}.{suffix}"))
    if data.draw(st.booleans(), label="broken lines"):
        for file in files:
            if file.suffix == ".csv":
                break_lines(file, DAMAGE.empty_table(), 0.2, 1)
    if not files:
        return
    policies = data.draw(st.sampled_from(POLICIES), label="missing values")
    mapping = parse_mapping(document(folder, refunds=refunds, missing=policies))

    states = []
    for turn in range(2):
        store = SqliteStore(f"sqlite:///{folder}/{turn}.db")
        try:
            size = data.draw(st.integers(1 + messy.num_rows // 8, 1 + messy.num_rows), label="batch")
            turned = data.draw(st.permutations(files), label="order")
            stop = data.draw(st.none() | st.integers(0, 12), label="stop after")
            if stop is not None:
                interrupt(mapping, store, turned, size, stop)
            done = store.status()["transactions"]
            report = load(mapping, store, files=turned, batch_rows=size)
            assert balanced(report, messy.num_rows)
            assert report.transactions.loaded == store.status()["transactions"] - done
            states.append(end_state(store, content))
            again = load(mapping, store, files=data.draw(st.permutations(files)), batch_rows=size)
            assert balanced(again, messy.num_rows)
            assert again.transactions.loaded == 0
            if not ordered:
                assert again.transactions.newly_quarantined == 0
                assert end_state(store, content) == states[-1]
        finally:
            store.close()
    if not ordered:
        assert states[0] == states[1]


def interrupt(mapping: Mapping, store: Store, files: Sequence[Path], size: int, batches: int) -> None:
    """A load that is stopped after so many batches, or ends before."""
    try:
        load(mapping, store, files=files, batch_rows=size, progress=Impatient(batches))
    except Interrupted:
        with Ledger(sidecar(store.url)) as ledger:
            assert [entry["outcome"] for entry in ledger.loads()] in ([], ["failed"])


@pytest.mark.parametrize("rows", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_rows_and_a_kill(tmp_path: Path, content: Content, rows: int) -> None:
    messy, _ = damage(transactions(rows, 1, refunds=True), 1.0, 1)
    broken = 0
    for number, start in enumerate(range(0, messy.num_rows, rows // 14)):
        suffix = FORMATS[number % len(FORMATS)]
        file = write_table(messy.slice(start, rows // 14), tmp_path / f"{number:02d}.{suffix}")
        if suffix == "csv":
            broken += break_lines(file, DAMAGE.empty_table(), 0.02, number).num_rows
    described = document(tmp_path, refunds=True)
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(described))
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("killed", "whole")]

    command = [sys.executable, "-m", "cli.main", "ingest", "mapping.yaml", "--json", "--store", urls[0]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed, whole = (SqliteStore(url) for url in urls)
    try:
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            ends = time.monotonic() + DEADLINE
            while not killed.status()["transactions"] and time.monotonic() < ends:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.005)
            process.kill()
        before = killed.status()["transactions"]
        assert process.returncode == -9
        assert 0 < before < rows // 2, "it was killed before its half"

        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        report = json.loads(run.stdout)
        assert report["read"] == messy.num_rows == report["loaded"] + report["duplicates"] + report["quarantined"]
        assert report["loaded"] == killed.status()["transactions"] - before
        assert sum(report["reasons"].values()) == report["quarantined"]
        assert report["reasons"]["broken_row"] == broken > 0

        uninterrupted = load(parse_mapping(described), whole)
        assert balanced(uninterrupted, messy.num_rows)
        assert report["quarantined"] == uninterrupted.transactions.quarantined
        assert report["reasons"] == dict(uninterrupted.transactions.reasons)
        assert end_state(killed, content) == end_state(whole, content)
    finally:
        killed.close()
        whole.close()
