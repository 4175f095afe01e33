"""Migrations: one after the other, all or nothing each, and a ledger that is true."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from graph.errors import StoreError
from graph.migrations import MIGRATIONS, Migration, migrate
from graph.store import open_store

ONE = Migration(1, "one", ("CREATE TABLE a (x)", "INSERT INTO a VALUES (1)"))
TWO = Migration(2, "two", ("CREATE TABLE b (x)",))
BROKEN = Migration(2, "two", ("CREATE TABLE b (x)", "INSERT INTO nowhere VALUES (1)"))


@pytest.fixture
def connection(tmp_path):
    opened = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    yield opened
    opened.close()


def tables(connection):
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def ledger(connection):
    return connection.execute("SELECT id, name, checksum FROM migrations ORDER BY id").fetchall()


def test_each_is_applied_once(connection):
    assert migrate(connection, "here", (ONE,)) == [1]
    assert migrate(connection, "here", (ONE, TWO)) == [2]
    assert migrate(connection, "here", (ONE, TWO)) == []
    assert connection.execute("SELECT count(*) FROM a").fetchone() == (1,)
    assert ledger(connection) == [(1, "one", ONE.checksum), (2, "two", TWO.checksum)]


def test_failure_leaves_nothing_of_it_and_can_be_continued(connection):
    with pytest.raises(StoreError, match=r"migration 2 \(two\) failed"):
        migrate(connection, "here", (ONE, BROKEN))
    assert tables(connection) == {"migrations", "a"}
    assert ledger(connection) == [(1, "one", ONE.checksum)]
    assert not connection.in_transaction
    assert migrate(connection, "here", (ONE, TWO)) == [2]
    assert tables(connection) == {"migrations", "a", "b"}


def test_failure_of_the_first_leaves_an_empty_database(connection):
    with pytest.raises(StoreError):
        migrate(connection, "here", (Migration(1, "one", BROKEN.statements),))
    assert tables(connection) == set()


def test_newer_version_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_store(url).close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("INSERT INTO migrations VALUES (99, 'from the future', 0, '')")
    connection.close()
    with pytest.raises(StoreError, match="newer version") as raised:
        open_store(url)
    assert "upgrade" in raised.value.hint


def test_edited_migration_is_noticed(connection):
    migrate(connection, "here", (ONE,))
    with pytest.raises(StoreError, match="other statements"):
        migrate(connection, "here", (Migration(1, "one", ("CREATE TABLE c (x)",)),))


def test_foreign_database_is_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("CREATE TABLE customers (x)")
    with pytest.raises(StoreError, match="customers"):
        open_store(f"sqlite:///{tmp_path / 'a.db'}")
    assert tables(connection) == {"customers"}
    connection.close()


def test_ids_are_dense():
    assert [migration.id for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def _open(url: str, start: object) -> None:
    start.wait(30)  # type: ignore[attr-defined]
    open_store(url).close()


def test_processes_that_open_a_new_store_at_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'new' / 'a.db'}"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [context.Process(target=_open, args=(url, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    connection = sqlite3.connect(tmp_path / "new" / "a.db")
    assert len(ledger(connection)) == len(MIGRATIONS)
    connection.close()
