"""Loading: what comes in from files, typed or not, and what stands in the store then."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.ledger import Ledger, sidecar
from etl.loading import load, read_transactions
from etl.mapping import parse_mapping
from etl.reporting.report import LoadReport
from graph.errors import InputError, MappingError
from graph.records import DAY, GraphSchema, transaction_columns
from graph.sqlite_store import SqliteStore
from graph.store import Store
from tests.etl.shop import DAY_1, GOOD, Content, Shop, Write
from tests.progress import Watcher

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT.parent / "shared" / "data" / "handbook"


def test_types_of_parquet(store: Store, tmp_path: Path, now: int, content: Content, shop: Shop) -> None:
    table = pa.table(
        {
            "id": pa.array([0, 1, 2, 3], pa.int32()),
            "at": pa.array([DAY_1 // 1000] * 3 + [None], pa.int64()).view(pa.timestamp("ms")),
            "user": pa.array([7.0, 7.0, None, 8.0]),
            "amount": pa.array([1.005, float("nan"), 1.0, 1.0]),
            "device": pa.array(["a", "a", "a", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "tx.parquet")
    report = load(shop(source={"files": "tx.parquet"}), store, now=now)
    assert report.transactions.reasons == {"bad_amount": 1, "missing_user": 1, "missing_time": 1}
    assert content(store)["transactions"] == {"0": (DAY_1, DAY_1, 100, ("7", "a"), ())}
    with Ledger(sidecar(store.url)) as ledger:
        raw = {row.row.reason: json.loads(row.row.raw) for row in ledger.rows()}
    assert raw["bad_amount"] == {
        "id": 1,
        "at": "2024-03-01 00:00:00.000",
        "user": 7.0,
        "amount": "nan",
        "device": "a",
    }


def test_extra_columns_and_arrival(store: Store, shop: Shop, write_csv: Write, now: int, content: Content) -> None:
    extra = {"V1": "1.5", "V2": "x", "born": "2024-02-29", "kind": " Dine ", "card": "c", "seen": "2024-03-02"}
    write_csv("tx.csv", [{**GOOD, **extra}, {**GOOD, "id": "2", "seen": "2024-02-01"}])
    mapping = shop(
        {"numeric": "V*", "times": ["born"], "categorical": "kind", "entities": {"card": "card"}, "arrived_at": "seen"}
    )
    report = load(mapping, store, now=now)
    found = content(store)["transactions"]
    assert found["1"] == (DAY_1, DAY_1 + DAY, 150, ("u", "d", "c", "Dine"), ("1.5", "nan", "86400.0"))
    assert found["2"][1] == DAY_1, "nothing arrives before it occurred"
    assert report.as_dict()["unreadable"] == {"V2": 1}
    assert report.new_entities == {"user": 1, "device": 1, "card": 1}


def test_attributes(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD])
    write_csv("users.csv", [{"key": "u", "city": "Cusco", "age": ""}, {"key": "", "city": "Lima", "age": "1"}])
    report = load(shop(attributes={"user": {"files": "users.csv", "key": "key"}}), store, now=now)
    assert report.attributes["user"].reasons == {"missing_key": 1}
    found = store.entity("user", "u")
    assert found is not None
    assert found["attributes"] == {"city": "Cusco"}


def test_pseudonyms_replace_identifiers_everywhere(
    store: Store, shop: Shop, write_csv: Write, now: int, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv("tx.csv", [{**GOOD, "user": "maria@example.pe", "device": "maria@example.pe"}])
    write_csv("users.csv", [{"key": "maria@example.pe", "city": "Cusco"}])
    mapping = shop(pseudonymise=["user_id", "device_id"], attributes={"user": {"files": "users.csv", "key": "key"}})
    monkeypatch.delenv("QUIPU_PSEUDONYM_KEY", raising=False)
    with pytest.raises(InputError, match="QUIPU_PSEUDONYM_KEY holds no key"):
        load(mapping, store, now=now)
    monkeypatch.setenv("QUIPU_PSEUDONYM_KEY", "a secret for this test only")
    load(mapping, store, now=now)
    user, device = content(store)["transactions"]["1"][3]
    assert len(user) == 32
    assert user != device, "the same text for another type is another pseudonym"
    found = store.entity("user", user)
    assert found is not None
    assert found["attributes"] == {"city": "Cusco"}
    assert b"maria" not in Path(store.url.removeprefix("sqlite:///")).read_bytes()


def test_sources_that_do_not_fit(store: Store, shop: Shop, write_csv: Write, now: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches 'tx"):
        load(shop(), store, now=now)
    write_csv("tx1.csv", [{**GOOD, "V1": "1"}])
    write_csv("tx2.csv", [{**GOOD, "V2": "1"}])
    with pytest.raises(MappingError, match=r"tx2\.csv and .*tx1\.csv differ"):
        load(shop({"numeric": "V*"}), store, now=now)
    with pytest.raises(MappingError, match="has no column 'total'"):
        load(shop({"amount": "total"}), store, now=now)
    with pytest.raises(InputError, match="there is no file"):
        load(shop(), store, files=[tmp_path / "tx9.csv"], now=now)
    assert store.status()["transactions"] == 0


def test_reading_without_a_store(shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD, {**GOOD, "amount": "x"}, {**GOOD, "id": "3"}])
    batches = list(read_transactions(shop(), now=now, batch_rows=2))
    assert [table.num_rows for table, _ in batches] == [1, 1]
    assert [row.reason for _, refused in batches for row in refused] == ["bad_amount"]
    for table, _ in batches:
        assert table.schema.equals(transaction_columns(GraphSchema(("user", "device"))))


def test_progress_adds_up(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(10)])
    watched = Watcher()
    load(shop(quarantine={"limit": 0}), store, progress=watched, now=now, batch_rows=3)
    assert watched.stages == [
        ("checking transactions", None, 10), ("loading transactions", 10, 10), ("looking at what came in", None, 0),
    ]  # fmt: skip


def test_the_handbook_adds_up(tmp_path: Path) -> None:
    if not HANDBOOK.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{HANDBOOK} is absent")
        pytest.skip("the Handbook's data is absent")
    document = {
        "name": "handbook",
        "source": {"files": str(HANDBOOK / "*.parquet")},
        "transaction": {
            "transaction_id": "TRANSACTION_ID", "occurred_at": "TX_DATETIME", "user_id": "CUSTOMER_ID",
            "restaurant_id": "TERMINAL_ID", "amount": "TX_AMOUNT",
        },
        "label": {"is_fraud": {"column": "TX_FRAUD", "fraud": [1], "genuine": [0]}, "known_at": {"delay": "7d"}},
    }  # fmt: skip
    store = SqliteStore(f"sqlite:///{tmp_path}/graph.db")
    report: LoadReport = load(parse_mapping(document), store, dry_run=True)
    store.close()
    assert report.transactions.read == 1_754_155 == report.transactions.loaded
    assert report.labels.found == 1_754_155
