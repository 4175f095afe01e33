"""Loads from a database: each reads on from where the last one ended, and a kill or a stop moves nothing too far."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etl.ledger import Ledger, sidecar
from etl.ledger.watermarks import reached
from etl.loading import load
from etl.loading.retry import retry
from graph.errors import LimitExceeded
from graph.records import DAY
from graph.sqlite_store import SqliteStore
from graph.store import Store
from tests.etl.shop import DAY_1, Content, Shop, killed_while_loading

QUERY = "SELECT id, at, user, amount, device, changed FROM payments"


class Payments:
    """A database of payments, each changed at a second of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE payments (id, at TEXT, user TEXT, amount TEXT, device TEXT, changed INTEGER)"
            )
            connection.execute("CREATE TABLE reports (tx, fraud, known TEXT, number INTEGER)")

    def add(self, first: int, count: int, **changes: Any) -> None:
        rows = [
            {"id": i, "at": f"2024-03-{1 + i % 28:02}", "user": f"u{i % 7}", "amount": str(i), "device": "d",
             "changed": 1000 + i} | changes
            for i in range(first, first + count)
        ]  # fmt: skip
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany("INSERT INTO payments VALUES (:id, :at, :user, :amount, :device, :changed)", rows)

    def report(self, *rows: tuple[str, str, str, int]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany("INSERT INTO reports VALUES (?, ?, ?, ?)", rows)


@pytest.fixture
def payments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Payments]:
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{tmp_path}/shop.db")
    yield Payments(tmp_path / "shop.db")


def sql(**more: Any) -> dict[str, Any]:
    return {"sql": {"url_env": "SHOP_DB", "query": QUERY, "watermark": "changed"} | more}


def test_a_load_reads_on_from_the_last_one(store: Store, shop: Shop, payments: Payments, now: int) -> None:
    payments.add(0, 10)
    mapping = shop(source=sql())
    first = load(mapping, store, now=now, batch_rows=3)
    assert (first.transactions.read, first.transactions.loaded) == (10, 10)
    assert first.as_dict()["files"] == ["sql:SHOP_DB"]
    payments.add(10, 5)
    second = load(mapping, store, now=now, batch_rows=3).transactions
    assert (second.read, second.loaded, second.duplicates) == (6, 5, 1), "the last one is read again: it may have ties"
    third = load(mapping, store, now=now).transactions
    assert (third.read, third.duplicates) == (1, 1)


def test_what_changes_the_question_reads_from_the_beginning(
    store: Store, shop: Shop, payments: Payments, now: int, tmp_path: Path
) -> None:
    payments.add(0, 10)
    load(shop(source=sql()), store, now=now)
    path = sidecar(store.url)
    assert reached(path, shop(source=sql(query=QUERY.replace(" FROM", "\n  FROM"))), store)
    assert not reached(path, shop(source=sql(query=QUERY + " WHERE TRUE")), store)
    assert not reached(path, shop(source=sql(), name="other"), store)
    assert not reached(path, shop(source={"sql": {"url_env": "SHOP_DB", "query": QUERY}}), store)
    emptied = SqliteStore(f"sqlite:///{tmp_path}/emptied.db")
    assert not reached(path, shop(source=sql()), emptied), "a store that lost its rows gets them again"
    emptied.close()


def test_what_moves_no_watermark(store: Store, shop: Shop, payments: Payments, now: int) -> None:
    payments.add(0, 10)
    payments.add(10, 1, amount="x")
    load(shop(source=sql()), store, dry_run=True, now=now)
    assert not sidecar(store.url).exists()
    with pytest.raises(LimitExceeded, match=r"1 of 11 transactions \(9\.1%\).*sql:SHOP_DB row 11"):
        load(shop(source=sql(), quarantine={"limit": "9%"}), store, now=now, batch_rows=3)
    assert not sidecar(store.url).exists()
    assert store.status()["transactions"] == 0

    load(shop(source=sql()), store, now=now)
    payments.add(11, 10, amount="x")
    before = reached(sidecar(store.url), shop(source=sql()), store)
    with pytest.raises(LimitExceeded):
        load(shop(source=sql(), quarantine={"limit": 0.5}), store, now=now)
    load(shop(source=sql()), store, dry_run=True, now=now)
    assert reached(sidecar(store.url), shop(source=sql()), store) == before


def test_a_window_of_times_leaves_the_rest_for_later(store: Store, shop: Shop, payments: Payments, now: int) -> None:
    payments.add(0, 28)
    mapping = shop(source=sql())
    part = load(mapping, store, now=now, until=DAY_1 + 10 * DAY, batch_rows=4).transactions
    assert (part.loaded, part.outside) == (10, 18)
    rest = load(mapping, store, now=now, batch_rows=4).transactions
    assert rest.loaded == 18
    assert rest.read < 28, "what was whole before the window's end is not read again"
    assert store.status()["transactions"] == 28


def test_labels_and_attributes_have_watermarks_of_their_own(
    store: Store, shop: Shop, payments: Payments, now: int
) -> None:
    payments.add(0, 3)
    payments.report(("1", "1", "2024-04-01", 1))
    reports = {"url_env": "SHOP_DB", "query": "SELECT * FROM reports", "watermark": "number"}
    people = {"url_env": "SHOP_DB", "query": "SELECT DISTINCT user, 'Lima' AS city, changed FROM payments",
              "watermark": "changed"}  # fmt: skip
    mapping = shop(
        source=sql(),
        labels={"sql": reports, "transaction_id": "tx", "is_fraud": "fraud", "known_at": "known"},
        attributes={"user": {"sql": people, "key": "user"}},
    )
    first = load(mapping, store, now=now)
    assert (first.label_files.loaded, first.attributes["user"].loaded) == (1, 3)
    assert set(reached(sidecar(store.url), mapping, store)) == {"transaction", "label", "attributes:user"}
    payments.report(("2", "1", "2024-04-02", 2))
    second = load(mapping, store, now=now)
    assert (second.label_files.read, second.label_files.loaded, second.attributes["user"].read) == (2, 1, 1)


def test_rows_of_a_database_are_retried_from_quarantine(store: Store, shop: Shop, payments: Payments, now: int) -> None:
    payments.add(0, 3, at=None)
    load(shop(source=sql()), store, now=now)
    report = retry(shop({"occurred_at": {"column": "changed", "epoch": "s", "origin": "2024-03-01"}}, source=sql()),
                   store, now=now)  # fmt: skip
    assert (report.tried, report.loaded) == (3, 3)
    with Ledger(sidecar(store.url)) as ledger:
        assert ledger.counts() == {}


@pytest.mark.parametrize("batches", [1, 9, 20])
def test_kill_nine_and_run_again(tmp_path: Path, payments: Payments, now: int, content: Content, batches: int) -> None:
    for i in range(0, 2_000, 50):
        payments.add(i, 49)
        payments.add(i + 49, 1, amount="x")
    path = tmp_path / "mapping.yaml"
    path.write_text(
        "{name: shop, source: {sql: {url_env: SHOP_DB, watermark: changed, query: SELECT * FROM payments}},"
        " transaction: {transaction_id: id, occurred_at: at, user_id: user, amount: amount, device_id: device},"
        " labels: {sql: {url_env: SHOP_DB, watermark: number, query: SELECT * FROM reports},"
        " transaction_id: tx, is_fraud: fraud, known_at: known}, label: {genuine_after: 14d}}"
    )
    payments.report(*((str(i), "1", "2024-03-29", i) for i in range(0, 2_000, 40)))
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("killed", "whole")]
    assert killed_while_loading(path, urls[0], now, batches) == -9

    from etl.mapping import read_mapping

    stores = [SqliteStore(url) for url in urls]
    reports = [load(read_mapping(path), opened, now=now, batch_rows=100) for opened in stores]
    assert reports[0].transactions.read + reports[0].label_files.read < 2_050 or batches == 1
    assert content(stores[0]) == content(stores[1])
    with Ledger(sidecar(urls[0])) as one, Ledger(sidecar(urls[1])) as other:
        # A query's rows are numbered as they were read: the rest of them from 1 again.
        kept = [[row.as_dict() | {"row": 0} for row in ledger.rows()] for ledger in (one, other)]
        assert kept[0] == kept[1]
        for table in ("ripening", "newest", "outliers", "outlier_groups", "outlier_positions"):
            rows = [
                ledger.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for ledger in (one, other)
            ]
            assert rows[0] == rows[1], table
    for opened in stores:
        opened.close()


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE quarantine (id TEXT PRIMARY KEY, mapping TEXT NOT NULL, kind TEXT NOT NULL,"
            ' file TEXT NOT NULL, row INTEGER NOT NULL, reason TEXT NOT NULL, "column" TEXT NOT NULL,'
            " value TEXT NOT NULL, raw TEXT NOT NULL, first_seen REAL NOT NULL) WITHOUT ROWID"
        )
        old.execute("CREATE INDEX quarantine_by_reason ON quarantine (reason)")
        old.execute(
            "CREATE TABLE loads (id INTEGER PRIMARY KEY, mapping TEXT NOT NULL, started_at REAL NOT NULL,"
            " finished_at REAL, outcome TEXT NOT NULL, report TEXT)"
        )
        old.execute(
            "INSERT INTO quarantine VALUES ('a', 'shop', 'transaction', 'x.csv', 1, 'bad_time', 'at', 'x', '{}', 0)"
        )
        old.execute("PRAGMA user_version = 1")
    for _ in range(2):
        with Ledger(path) as ledger:
            assert ledger.counts() == {"bad_time": 1}
            assert ledger.connection.execute("PRAGMA user_version").fetchone() == (2,)
            assert ledger.connection.execute("SELECT count(*) FROM watermarks").fetchone() == (0,)
