"""The ledger beside the store, and rows that are tried again."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from etl.ledger import Ledger, QuarantinedRow, sidecar
from etl.loading import load
from etl.loading.retry import retry
from etl.mapping import Mapping
from graph.errors import MappingError, NotFound, StoreError
from graph.settings import settings
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
GOOD = {"id": "1", "at": "2024-03-01", "user": "u", "amount": "1.50", "device": "d"}


def bad(number: int, reason: str = "bad_time") -> QuarantinedRow:
    return QuarantinedRow("transaction", "x.csv", number, reason, "at", "x", json.dumps({"at": "x", "n": number}))


def test_the_ledger_lies_beside_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sidecar("sqlite:///a/b.db") == Path("a/b.etl.db")
    assert sidecar("sqlite:////a/b.db") == Path("/a/b.etl.db")
    monkeypatch.setenv("QUIPU_VAR", "/elsewhere")
    settings.cache_clear()
    try:
        assert sidecar("neo4j://host").parent == Path("/elsewhere")
        assert sidecar("neo4j://host") != sidecar("neo4j://other")
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_rows_are_kept_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        assert ledger.keep("shop", [bad(1), bad(2), bad(1)]) == 2
        assert ledger.keep("shop", [bad(2), bad(3)]) == 1
        assert ledger.keep("other", [bad(1)]) == 1, "what another mapping refuses is another matter"
        assert ledger.counts() == {"bad_time": 4}
    with Ledger(tmp_path / "l.db") as ledger:
        assert ledger.keep("shop", [bad(1, "future_time")]) == 0
        assert ledger.counts() == {"bad_time": 3, "future_time": 1}, "the latest reason holds"
        (row,) = ledger.rows(reason="future_time")
        assert ledger.row(row.id[:8]) == row
        assert ledger.row(row.id).row.row == 1
        for missing in ("zz", ""):
            with pytest.raises(NotFound):
                ledger.row(missing)
        ledger.release([row.id])
        assert "future_time" not in ledger.counts()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.db") as ledger:
        ledger.keep("shop", [bad(1)])
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "l.db").write_text("something else entirely, and long enough to be read as a header" * 20)
    with pytest.raises(StoreError, match="is not a SQLite database"):
        Ledger(tmp_path / "l.db")
    with Ledger(tmp_path / "n.db") as ledger:
        ledger.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        Ledger(tmp_path / "n.db")


def test_retry_loads_what_passes_now_and_keeps_the_rest(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    rows = [
        {**GOOD, "at": ""},
        {**GOOD, "id": "2", "paid": "2024-03-02", "at": "", "amount": "x"},
        {**GOOD, "id": "3", "at": "", "paid": "2024-03-02"},
        {**GOOD, "id": "4", "at": "", "paid": "2024-03-02"},
        {**GOOD, "id": "5", "at": "2024-03-01", "amount": "-1"},
        {**GOOD, "id": "6", "at": "2024-03-01", "paid": "2024-03-01"},
        {**GOOD, "id": "6", "at": "2024-03-01", "paid": "2024-03-01", "amount": "7"},
    ]
    path = write_csv("tx.csv", rows)
    with path.open("a") as file:
        file.write("broken\n")
    assert load(shop(), store, now=now).transactions.quarantined == 7
    corrected = shop({"occurred_at": "paid"})
    load(corrected, store, files=[write_csv("again.csv", [rows[3]])], now=now)

    report = retry(corrected, store, reason="missing_time", now=now, batch_rows=2)
    assert report.as_dict() == {
        "tried": 4, "loaded": 1, "duplicates": 1, "kept": 2, "reasons": {"missing_time": 1, "bad_amount": 1},
    }  # fmt: skip
    report = retry(corrected, store, now=now, batch_rows=2)
    assert (report.tried, report.loaded, report.duplicates) == (5, 0, 0)
    assert store.status()["transactions"] == 3
    with Ledger(sidecar(store.url)) as ledger:
        assert ledger.counts() == {
            "missing_time": 2, "bad_amount": 1, "broken_row": 1, "conflicting_duplicate": 1,
        }  # fmt: skip
        (kept,) = ledger.rows(reason="bad_amount")
    assert (kept.row.row, kept.row.column, kept.row.value) == (2, "amount", "x")


def test_retry_of_labels_and_attributes(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD])
    write_csv("labels.csv", [{"tx": "1", "f": "chargeback", "k": "2024-03-05"}])
    write_csv("users.csv", [{"key": "", "name": "u"}])
    files = {"files": "labels.csv", "transaction_id": "tx", "is_fraud": "f", "known_at": "k"}
    load(shop(labels=files, attributes={"user": {"files": "users.csv", "key": "key"}}), store, now=now)
    named = files | {"is_fraud": {"column": "f", "fraud": ["chargeback"]}}
    corrected = shop(labels=named, attributes={"user": {"files": "users.csv", "key": "name"}})
    report = retry(corrected, store, now=now)
    assert (report.tried, report.loaded) == (2, 2)
    assert [label[1:] for label in store.labels_of(["1"])["1"]] == [(True, "shop")]
    with Ledger(sidecar(store.url)) as ledger:
        assert ledger.counts() == {}


def test_retry_with_a_mapping_that_does_not_fit(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "amount": "x"}])
    load(shop(), store, now=now)
    with pytest.raises(MappingError, match="the quarantine has no column 'total'"):
        retry(shop({"amount": "total"}), store, now=now)
