"""What is particular to the SQLite store: URLs, files that are none of its own, locks, crash safety settings."""

import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from graph import sqlite_database
from graph.errors import InputError, StoreError, StoreUnavailable
from graph.records import TIMESTAMP, Decision, GraphSchema
from graph.sqlite_database import path_of
from graph.sqlite_layout import KeyIds
from graph.store import open_store

FULL = 2
"""`PRAGMA synchronous` of a commit that waits for its log."""
DECISION = Decision("t", b"x", 1, 0.5, "review", "m", b"{}")


def test_urls(tmp_path, monkeypatch):
    assert path_of("sqlite:///var/a.db") == Path("var/a.db")
    assert path_of("sqlite:////var/a b.db") == Path("/var/a b.db")
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///deep/er/a?#%41.db").close()
    assert (tmp_path / "deep" / "er" / "a?#%41.db").exists()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite:a.db", "sqlite://a.db", "sqlite:///", "sqlite:///:memory:"])
def test_other_urls_are_refused(url):
    with pytest.raises(InputError, match="names no SQLite file") as raised:
        open_store(url)
    assert "sqlite:///relative" in raised.value.hint


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to be one\n" * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        open_store(f"sqlite:///{tmp_path / 'text'}")
    assert (tmp_path / "text").read_text().startswith("not a database")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}")
    with pytest.raises(StoreError, match="folder of the store"):
        open_store(f"sqlite:///{tmp_path / 'text' / 'a.db'}")
    with pytest.raises(StoreError):
        open_store("sqlite:////proc/quipu.db")


def test_damaged_file(tmp_path):
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}")
    store.extend_schema(GraphSchema(("user", "device")))
    store.close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        open_store(f"sqlite:///{path}")


def test_locked_by_another_process_for_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 0.1)
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another writer") as raised:
        store.write_decisions([DECISION])
    assert raised.value.retryable
    assert store.status()["decisions"] == 0  # reads go on
    another = open_store(f"sqlite:///{tmp_path / 'a.db'}")  # and so does opening
    another.close()
    other.execute("COMMIT")
    store.write_decisions([DECISION])
    assert store.status()["decisions"] == 1
    other.close()
    store.close()


def test_disk_is_full(tmp_path):
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}")
    pages = store._database._writer.execute("PRAGMA page_count").fetchone()[0]
    store._database._writer.execute(f"PRAGMA max_page_count = {pages}")
    big = Decision("big", b"x", 1, 0.5, "review", "m", b"x" * 100_000)
    with pytest.raises(StoreUnavailable, match="full"):
        store.write_decisions([DECISION, big])
    assert store.status()["decisions"] == 0
    store._database._writer.execute("PRAGMA max_page_count = 100000")
    store.write_decisions([DECISION, big])
    assert store.status()["decisions"] == 2
    store.close()


def test_failed_load_takes_back_the_ids_it_gave(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    at = pa.array([1, 2], TIMESTAMP)
    columns = {"transaction_id": ["a", "b"], "occurred_at": at, "arrived_at": at, "amount": [1, 2]}
    big = pa.table({**columns, "entity:user": ["u", "x" * 100_000]})
    writer = store._database._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreUnavailable):
        store.upsert_transactions(big)
    assert store.entity_ids("user", ["u"]) == {}
    writer.execute("PRAGMA max_page_count = 100000")
    other = pa.table({**columns, "entity:user": ["first", "u"]})
    assert store.upsert_transactions(other).tolist() == [0, 0]
    assert store.entity_ids("user", ["first", "u"]) == {"first": 0, "u": 1}
    assert [part.ids.tolist() for part in store.transaction_changes()] == [[[0], [1]]]
    store.close()


def test_commits_are_durable(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    writer = store._database._writer
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_reads_from_many_threads_need_few_connections(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    for _ in range(20):
        thread = threading.Thread(target=store.status)
        thread.start()
        thread.join()
    assert len(store._database._idle) == 1
    store.close()


def test_remembered_ids_are_bounded_and_right(tmp_path, monkeypatch):
    monkeypatch.setattr("graph.sqlite_layout._CACHED_KEYS", 5)
    store = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    known = KeyIds()
    with store._database.writing() as connection:
        assert known.create(connection, 0, [f"u{i}" for i in range(12)]).tolist() == list(range(12))
    with store._database.writing() as connection:
        for first in range(0, 12, 3):
            found = known.look_up(connection, 0, [f"u{i}" for i in range(first, first + 3)] + ["u0", "nobody"])
            assert found.tolist() == [first, first + 1, first + 2, 0, -2] if first else [0, 1, 2, 0, -2]
            assert len(known._known[0]) <= 5
    store.close()


def test_a_commit_waits_for_the_disk_unless_told_otherwise(tmp_path):
    database = sqlite_database.Database(tmp_path / "a.db")

    def waits(**asked: bool) -> bool:
        with database.writing(**asked) as connection:
            return connection.execute("PRAGMA synchronous").fetchone()[0] >= FULL

    assert [waits(), waits(durable=False), waits(), waits(durable=True)] == [True, False, True, True]
    database.close()


def test_a_disk_that_cannot_be_waited_for_is_told(tmp_path, monkeypatch):
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(open_store(f"sqlite:///{tmp_path / 'a.db'}")) as store:
        store.write_decisions([DECISION], durable=False)
        monkeypatch.setattr(os, "fdatasync", broken)
        with pytest.raises(StoreUnavailable, match="could not be brought to disk"):
            store.settle()
