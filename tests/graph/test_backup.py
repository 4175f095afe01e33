"""A backup taken while the service's way of writing goes on: restored, it has all that was acknowledged before it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.spool import Record, Spool
from graph.backup import back_up, read_backup, restore
from graph.errors import StoreError
from graph.store import open_store
from tests.graph.store_facts import SCHEMA, decision, label, labels, row, table
from tests.graph.test_bulk_import import fill
from tests.graph.test_copying import content, fill_rings
from tests.neo4j import Neo4j

PATIENCE = 60.0
BATCH = 5


@pytest.fixture(params=["sqlite", "neo4j"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/quipu.db"
    database: Neo4j = request.getfixturevalue("neo4j_database")
    return database.empty()


class Writer:
    """Decides as the service does: durable in the spool first, then moved on to the store, then forgotten."""

    def __init__(self, url: str, var: Path) -> None:
        self.decided = 0
        self.labelled = 0
        self._stop = threading.Event()
        self._url, self._var = url, var
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def reaches(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.labelled < count:
            assert self._thread.is_alive() and time.monotonic() < deadline, "the writer stands still"
            time.sleep(0.005)

    def _run(self) -> None:
        store = open_store(self._url)
        with Spool(self._var / "spool.db") as spool:
            while not self._stop.is_set():
                new = [f"s{i}" for i in range(self.decided, self.decided + BATCH)]
                spool.append([Record(decision(name), b"fact") for name in new])
                self.decided += BATCH
                store.upsert_transactions(table([row(name, f"u{name[-1]}", self.decided) for name in new]))
                store.write_decisions([decision(name) for name in new])
                spool.drained(spool.last())
                spool.forget(older_than=0, limit=1_000)
                store.upsert_labels(labels([label(name) for name in new]))
                self.labelled += BATCH
        store.close()


def names(count: int) -> set[str]:
    return {f"s{i}" for i in range(count)}


def test_what_was_acknowledged_before_is_in_it(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    store.extend_schema(SCHEMA)
    store.close()
    var = tmp_path / "var"
    with Writer(url, var) as writer:
        writer.reaches(100)
        decided, labelled = writer.decided, writer.labelled
        back_up(url, var, tmp_path / "kept", ledger=tmp_path / "none.db")
        writer.reaches(labelled + 2 * BATCH)
    written = writer.decided
    assert written > decided

    new = f"sqlite:///{tmp_path}/new/quipu.db"
    restore(tmp_path / "kept", new, tmp_path / "new", ledger=tmp_path / "new.etl.db")
    again = open_store(new)
    with Spool(tmp_path / "new" / "spool.db") as spool:
        waiting = {record.decision.transaction_id for record in spool.undrained(100_000)}
    stored = {name for part in again.transaction_changes(with_ids=True) for name in part.transaction_ids}
    judged = {name for name, found in again.labels_of(sorted(names(written))).items() if found}
    kept = set(again.decisions(sorted(names(written))))
    assert names(decided) <= stored | waiting <= names(written)
    assert names(decided) <= kept | waiting
    assert names(labelled) <= judged <= names(written)
    assert stored == names(len(stored)), "as of one moment: nothing later without what was before it"
    again.close()


@pytest.mark.parametrize("filled", [fill, fill_rings], ids=["facts", "rings"])
def test_facts_decisions_labels_rings_and_embeddings_are_equal(
    url: str, tmp_path: Path, filled: Callable[..., None]
) -> None:
    store = open_store(url)
    filled(store)
    before = content(store)
    back_up(url, tmp_path / "var", tmp_path / "kept", ledger=tmp_path / "none.db")
    store.close()
    backup = read_backup(tmp_path / "kept")
    assert backup.counts["transactions"] == len(before["order"][0])
    new = f"sqlite:///{tmp_path}/new/quipu.db"
    restore(tmp_path / "kept", new, tmp_path / "new", ledger=tmp_path / "new.etl.db")
    again = open_store(new)
    assert content(again) == before
    again.close()


def test_a_backup_of_sqlite_can_be_restored_into_neo4j(tmp_path: Path, neo4j_database: Neo4j) -> None:
    here = f"sqlite:///{tmp_path}/quipu.db"
    store = open_store(here)
    fill_rings(store)
    back_up(here, tmp_path / "var", tmp_path / "kept", ledger=tmp_path / "none.db")
    restore(tmp_path / "kept", neo4j_database.empty(), tmp_path / "new", ledger=tmp_path / "new.etl.db")
    again = open_store(neo4j_database.url)
    assert content(again) == content(store)
    again.close()
    store.close()


def test_a_damaged_store_makes_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "quipu.db"
    store = open_store(f"sqlite:///{path}")
    fill(store)
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + bytes(4096) + whole[12288:])
    with pytest.raises(StoreError):
        back_up(f"sqlite:///{path}", tmp_path / "var", tmp_path / "kept", ledger=tmp_path / "none.db")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"quipu.db", "quipu.db-wal", "quipu.db-shm"}
