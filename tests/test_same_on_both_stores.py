"""The same world in SQLite and in Neo4j gives identical features, scores and rings, by the program and the service."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from etl.loading import load
from etl.mapping import read_mapping
from gnn.champion import current_bundle
from gnn.replay import Replay, read_history
from graph.records import DAY
from graph.ring_records import RingStatus
from graph.rings import Evidence, find, identify
from graph.store import Store, open_store, rings_of
from tests.api.conftest import Running, copied
from tests.cli.conftest import Quipu, quipu  # noqa: F401 (a fixture)
from tests.neo4j import Neo4j

SCORED = 300


@dataclass(frozen=True, slots=True)
class Both:
    """URLs of two stores with one world in them, and rings found as of two moments."""

    sqlite: str
    neo4j: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.sqlite, self.neo4j))


@pytest.fixture(scope="module")
def both(small_world: Path, neo4j_database: Neo4j, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    path = tmp_path_factory.mktemp("both") / "store.db"
    shutil.copy(small_world / "store.db", path)
    urls = Both(f"sqlite:///{path}", neo4j_database.empty())
    store = open_store(urls.neo4j)
    load(read_mapping(small_world / "world" / "mapping.yaml"), store)
    store.close()
    for url in urls:
        store = open_store(url)
        last = max(int(part.arrived_at.max()) for part in store.transaction_changes())
        look(store, last - 20 * DAY)
        look(store, last + 1)
        store.close()
    yield urls
    neo4j_database.empty()


def look(store: Store, at: int) -> None:
    kept = rings_of(store)
    assert kept.write_refresh(identify(find(Evidence.read(store, at)), kept.rings(limit=None), at))


def facts(url: str) -> dict[str, Any]:
    """All that the feeds of a store tell."""
    store = open_store(url)
    found = {
        "watermark": store.watermark(),
        "labels": [part.transaction_seq.tolist() for part in store.label_changes()],
        "keys": [part.keys for part in store.entity_keys()],
        "counts": store.status(),
    }
    store.close()
    return found


def rings(url: str) -> dict[str, Any]:
    """All that a store tells of rings."""
    store = open_store(url)
    kept = rings_of(store)
    found = kept.rings(limit=None)
    told = {
        "rings": found,
        "events": [kept.ring_events(ring.ring_id) for ring in found],
        "memberships": list(kept.memberships()),
        "marks": list(kept.ring_marks()),
        "watermark": kept.ring_watermark(),
    }
    store.close()
    return told


def features(url: str) -> NDArray[np.float32]:
    """The features of all history, each transaction's as of its own time."""
    store = open_store(url)
    history = read_history(store)
    store.close()
    return np.concatenate([part.copy() for _, _, part, _ in Replay(history).run(len(history))])


def test_the_same_facts(both: Both) -> None:
    one, other = map(facts, both)
    assert one == other
    assert one["watermark"].label > 1_000


def test_the_same_rings(both: Both) -> None:
    one, other = map(rings, both)
    assert one == other
    assert sum(ring.active for ring in one["rings"]) >= 3
    assert any(not change.joined for change in one["memberships"])
    assert all(ring.reasons and ring.links for ring in one["rings"])


def test_the_same_features(both: Both) -> None:
    one, other = map(features, both)
    assert len(one) > 10_000
    assert one.tobytes() == other.tobytes()


def test_the_same_scores(both: Both, small_world: Path, tmp_path: Path, quipu: Quipu) -> None:  # noqa: F811
    table = pq.read_table(small_world / "world" / "transactions.parquet")
    file = tmp_path / "last.parquet"
    pq.write_table(table.slice(table.num_rows - SCORED), file)
    mapping, bundle = small_world / "world" / "mapping.yaml", current_bundle(small_world / "models")
    scores = []
    for number, url in enumerate(both):
        out = tmp_path / f"scores-{number}.parquet"
        own = {"QUIPU_VAR": str(tmp_path / f"var-{number}")}
        options = ("--mapping", mapping, "--bundle", bundle, "--out", out, "--store", url, "--json")
        assert quipu("score", file, *options, **own).json()["scored"] == SCORED
        scores.append(pq.read_table(out))
    assert scores[0].equals(scores[1])
    assert len(set(scores[0]["probability"].to_pylist())) > SCORED / 4


def test_the_program_says_the_same_of_rings(both: Both, tmp_path: Path, quipu: Quipu) -> None:  # noqa: F811
    def told(url: str) -> list[Any]:
        def run(*arguments: str) -> Any:
            return quipu("rings", *arguments, "--store", url, "--json").json()

        again = run("find")
        assert not again["written"]  # as of the newest transaction they are there already
        listed = run("list", "--limit", "1000")["rings"]
        first, second = (ring["ring_id"] for ring in listed[:2])
        page = tmp_path / f"{url.partition(':')[0]}.html"
        shown = run("show", first, "--html", str(page))
        assert shown.pop("html") == str(page)
        assert (shown.pop("browser", None) is not None) == url.startswith("neo4j")
        confirmed = run("verdict", first, "confirmed", "--by", "Ana", "--note", "one phone")
        assert confirmed["labels"] > 0
        assert not run("verdict", first, "confirmed")["changed"]
        dismissed = run("verdict", second, "dismissed")
        history = run("history", first)
        assert history["events"][-1]["text"] == "confirmed by Ana: one phone"
        history["events"][-1].pop("at")  # now, whenever that was
        by_status = [run("list", "--status", status) for status in ("confirmed", "dismissed")]
        return [again, listed, shown, page.read_text(), confirmed, dismissed, history, by_status, run("list", "--over")]

    one, other = map(told, both)
    assert one == other


def test_the_service_over_neo4j_tells_of_rings(both: Both, small_world: Path, tmp_path: Path) -> None:
    store = open_store(both.neo4j)
    kept = next(ring for ring in rings_of(store).rings(active=True) if ring.status not in ("confirmed", "dismissed"))
    user = next(member.key for member in kept.members if member.entity == "user")
    service = copied(small_world, tmp_path / "service")
    service.environment["QUIPU_STORE"] = both.neo4j
    try:
        service.start()
        walk(service, kept.ring_id, user)
        service.until(lambda: f"ring:{kept.ring_id}" in sources(store, user))
        found = rings_of(store).ring(kept.ring_id)
        assert found is not None
        assert found.status is RingStatus.DISMISSED
    finally:
        if service.process is not None:
            service.end()
        store.close()


def sources(store: Store, user: str) -> set[str]:
    """Who has said something of a user's transactions."""
    ids = [transaction["transaction_id"] for transaction in store.recent_transactions("user", user, limit=1000)]
    return {source for history in store.labels_of(ids).values() for _, _, source in history}


def walk(service: Running, ring_id: str, user: str) -> None:
    """From the list to the ring, its picture, a decision that names it, and verdicts."""
    listed = service.get("/v1/rings?limit=1000").json()["rings"]
    assert ring_id in {ring["ring_id"] for ring in listed}
    whole = service.get(f"/v1/rings/{ring_id}").json()
    picture = service.get(f"/v1/rings/{ring_id}/graph").json()
    assert len(picture["nodes"]) == len(whole["members"])
    assert service.get(f"/v1/rings/{ring_id}/graph?format=html").headers["content-type"].startswith("text/html")

    def decision(name: str) -> Any:
        body = {"transaction_id": name, "occurred_at": "2026-05-01T12:30:00Z", "user_id": user, "amount": 10.0}
        answer = service.post("/v1/score", body)
        assert answer.status == 200, answer.body
        return answer.json()

    touched = decision(f"{ring_id}-before")["ring"]
    assert (touched["ring_id"], touched["through"]) == (ring_id, ["user"])
    said = service.post(f"/v1/rings/{ring_id}/verdict", {"verdict": "confirmed", "by": "Ana"}).json()
    # Kept in the spool, to be written in a moment, where the store does not answer in time on a busy machine.
    assert said["labels"]["loaded"] + said["labels"]["kept"] == whole["transactions"]
    assert said["ring"]["history"][-1]["text"] == "confirmed by Ana"
    confirmed = service.get("/v1/rings?status=confirmed&limit=1000").json()["rings"]
    assert ring_id in {ring["ring_id"] for ring in confirmed}
    assert service.post(f"/v1/rings/{ring_id}/verdict", {"verdict": "dismissed"}).status == 200
    assert decision(f"{ring_id}-after")["ring"] is None
    assert service.get("/v1/rings/nope").status == 404
