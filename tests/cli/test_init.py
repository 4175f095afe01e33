"""`quipu init`: a mapping for other people's files and tables that `quipu ingest` takes without an edit."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from etl.simulator.settings import WorldSettings
from etl.simulator.world import World, simulate

HANDBOOK = Path(__file__).resolve().parents[3] / "shared" / "data" / "handbook"
ISSUE = """transaction_id,transaction_amount,location,timestamp,user_id,device_id,is_fraudulent
1,150.25,Lima,2022-09-15 08:45:23,123,ABC123,0
"""
RENAMED: dict[str, dict[str, str]] = {
    "english": {
        "transaction_id": "OrderNumber", "occurred_at": "OrderDate", "user_id": "CustomerKey", "amount": "TotalPrice",
        "restaurant_id": "StoreId", "device_id": "DeviceFingerprint", "ip": "ClientIp", "currency": "CurrencyCode",
        "payment_method": "PaymentMethod", "transaction_type": "OrderType", "city": "Town",
        "account_created_at": "SignupDate", "is_fraud": "Fraudulent",
    },
    "spanish": {
        "transaction_id": "id_operacion", "occurred_at": "fecha_hora", "user_id": "cliente", "amount": "importe",
        "restaurant_id": "comercio", "device_id": "dispositivo", "ip": "direccion_ip", "currency": "moneda",
        "payment_method": "medio_de_pago", "transaction_type": "tipo_operacion", "city": "ciudad",
        "account_created_at": "fecha_registro", "is_fraud": "fraude",
    },
    "abbreviated": {
        "transaction_id": "trx_no", "occurred_at": "trx_ts", "user_id": "acct", "amount": "amt",
        "restaurant_id": "mrch_cd", "device_id": "dev_id", "ip": "remote_addr", "currency": "ccy",
        "payment_method": "pay_method", "transaction_type": "trx_type", "city": "loc_city",
        "account_created_at": "acct_open_dt", "is_fraud": "cbk_flag",
    },
    "camel": {
        "transaction_id": "paymentId", "occurred_at": "createdAt", "user_id": "buyerId", "amount": "chargedValue",
        "restaurant_id": "vendorId", "device_id": "imei", "ip": "ipAddress", "currency": "curr",
        "payment_method": "paymentType", "transaction_type": "type", "city": "region",
        "account_created_at": "registeredAt", "is_fraud": "isFraud",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    """A small simulated world."""
    return simulate(WorldSettings(users=300, days=20, seed=5))


def labelled(world: World) -> pa.Table:
    """A world's transactions with the truth in a column, as many platforms export them."""
    labels = (
        world.labels.select(["transaction_id", "is_fraud"]).group_by("transaction_id").aggregate([("is_fraud", "max")])
    )
    joined = world.transactions.join(labels, "transaction_id").sort_by("occurred_at")
    return joined.rename_columns([name.removesuffix("_max") for name in joined.column_names])


def mapping_of(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def columns_of(document: dict[str, Any]) -> dict[str, Any]:
    """Mapped columns by key, whether they stand alone or with options."""
    transaction = document["transaction"]
    return {key: value["column"] if isinstance(value, dict) and "column" in value else value
            for key, value in transaction.items()}  # fmt: skip


def test_the_table_of_the_issue_loads_without_an_edit(quipu: Any, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text(ISSUE)
    made = quipu("init", "sample.csv", "--json").json()
    assert made["trial"]["accepted"] == made["rows"] == 1
    assert made["lacking"] == []
    document = mapping_of(tmp_path / "mapping.yaml")
    assert document["source"] == {"files": "sample.csv"}
    assert columns_of(document) == {
        "transaction_id": "transaction_id", "occurred_at": "timestamp", "user_id": "user_id",
        "amount": "transaction_amount", "device_id": "device_id", "city": "location",
    }  # fmt: skip
    assert document["label"]["is_fraud"] == {"column": "is_fraudulent", "fraud": [1], "genuine": [0]}
    report = quipu("ingest", "mapping.yaml", "--json").json()
    assert (report["read"], report["loaded"], report["labels"]["loaded"]) == (1, 1, 1)


def test_the_handbook_loads_without_an_edit(quipu: Any, tmp_path: Path) -> None:
    files = sorted(HANDBOOK.glob("*.parquet"))
    if not files:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("the Handbook's files are not there")
    made = quipu("init", f"{HANDBOOK}/*.parquet", "--out", "maps/handbook.yaml", "--json").json()
    assert made["trial"]["accepted"] == made["trial"]["rows"] > 10_000
    document = mapping_of(tmp_path / "maps/handbook.yaml")
    assert columns_of(document) == {
        "transaction_id": "TRANSACTION_ID", "occurred_at": "TX_DATETIME", "user_id": "CUSTOMER_ID",
        "amount": "TX_AMOUNT", "restaurant_id": "TERMINAL_ID",
    }  # fmt: skip
    assert document["label"] == {
        "is_fraud": {"column": "TX_FRAUD", "fraud": [1], "genuine": [0]}, "known_at": {"delay": "7d"},
    }  # fmt: skip
    report = quipu("ingest", "maps/handbook.yaml", str(files[0]), "--until", "2018-04-02", "--json").json()
    assert report["loaded"] > 5_000
    assert report["quarantined"] == 0


@pytest.mark.parametrize("names", RENAMED)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_renamed_columns_are_found_again(quipu: Any, tmp_path: Path, world: World, names: str, ending: str) -> None:
    theirs = RENAMED[names]
    table = labelled(world)
    table = table.rename_columns([theirs.get(name, name) for name in table.column_names])
    path = tmp_path / "their data" / f"export.{ending}"
    path.parent.mkdir()
    if ending == "csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    made = quipu("init", path, "--out", "out/theirs.yaml", "--name", "theirs", "--json").json()
    assert made["trial"]["accepted"] == table.num_rows
    document = mapping_of(tmp_path / "out/theirs.yaml")
    assert document["name"] == "theirs"
    found = columns_of(document)
    assert {key: found.get(key) for key in theirs if key not in {"account_created_at", "is_fraud"}} == {
        key: column for key, column in theirs.items() if key not in {"account_created_at", "is_fraud"}
    }
    assert found["times"] == [theirs["account_created_at"]]
    assert document["label"]["is_fraud"]["column"] == theirs["is_fraud"]
    report = quipu("ingest", "out/theirs.yaml", "--json").json()
    assert report["loaded"] == report["read"] == table.num_rows
    assert report["labels"]["unusable"] == 0
    assert report["labels"]["loaded"] == table.num_rows - table[theirs["is_fraud"]].null_count


def test_a_folder_of_a_whole_world(quipu: Any, tmp_path: Path) -> None:
    assert quipu("simulate", "world", "--users", "200", "--days", "10").status == 0
    (tmp_path / "world" / "notes.csv").write_bytes(b"")
    made = quipu("init", "world", "--out", "elsewhere/map.yaml", "--json").json()
    document = mapping_of(tmp_path / "elsewhere/map.yaml")
    assert document["source"] == {"files": "../world/transactions.parquet"}
    assert document["labels"]["files"] == "../world/labels.csv"
    assert document["labels"]["known_at"] == "known_at"
    assert {kind: block["key"] for kind, block in document["attributes"].items()} == {
        "user": "user_id", "device": "device_id", "restaurant": "restaurant_id",
    }  # fmt: skip
    assert any(name.endswith("notes.csv") for name in made["left_aside"])
    assert not any("truth" in str(value) for value in document.values())
    report = quipu("ingest", "elsewhere/map.yaml", "--json").json()
    assert report["loaded"] == report["read"] == made["rows"]
    assert report["label_files"]["loaded"] == report["label_files"]["read"] > 0


def test_a_table_of_a_database(quipu: Any, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(
            'CREATE TABLE "order lines" '
            "(trx_id TEXT, cliente INTEGER, monto REAL, fecha TEXT, fraude INTEGER, updated_at TEXT)"
        )
        rows = [(f"t{i}", i % 7, i + 0.5, f"2024-03-{1 + i % 28:02d} 10:00:00", i % 9 == 0, "2024-05-01 00:00:00")
                for i in range(60)]  # fmt: skip
        database.executemany('INSERT INTO "order lines" VALUES (?, ?, ?, ?, ?, ?)', rows)
    url = f"sqlite:///{tmp_path}/shop.db"
    made = quipu("init", "--url-env", "SHOP_DB", "--table", "order lines", "--json", SHOP_DB=url).json()
    assert made["trial"]["accepted"] == 60
    text = (tmp_path / "mapping.yaml").read_text()
    assert "shop.db" not in text
    source = mapping_of(tmp_path / "mapping.yaml")["source"]["sql"]
    assert (source["url_env"], source["query"]) == ("SHOP_DB", 'SELECT * FROM "order lines"')
    report = quipu("ingest", "mapping.yaml", "--json", SHOP_DB=url).json()
    assert (report["read"], report["loaded"]) == (60, 60)
    query = 'SELECT trx_id, cliente, monto, fecha FROM "order lines" WHERE monto > 10'
    asked = quipu("init", "--url-env", "SHOP_DB", "--query", query, "--out", "q.yaml", "--json", SHOP_DB=url).json()
    assert asked["rows"] == 50
    assert "label" not in mapping_of(tmp_path / "q.yaml")


def test_people_are_told_what_was_taken_as_what(quipu: Any, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text(ISSUE)
    ran = quipu("init", "sample.csv", "--label-delay", "30d")
    assert ran.status == 0, ran.err
    for told in ("transaction_amount", "an amount by its name", "sure", "decide: occurred_at: nothing says in which",
                 "of 1 rows looked at, 1 would load", "quipu ingest mapping.yaml"):  # fmt: skip
        assert told in ran.out
    assert mapping_of(tmp_path / "mapping.yaml")["label"]["known_at"] == {"delay": "30d"}


def test_a_mapping_is_replaced_only_by_force(quipu: Any, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text(ISSUE)
    (tmp_path / "mapping.yaml").write_text("mine")
    assert "is there already" in quipu("init", "sample.csv").complaint()
    assert (tmp_path / "mapping.yaml").read_text() == "mine"
    assert quipu("init", "sample.csv", "--force").status == 0
    assert mapping_of(tmp_path / "mapping.yaml")["name"] == "sample"


def test_a_table_without_times_gets_a_mapping_that_says_so(quipu: Any, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("customer,price,fraud\na,1.50,0\nb,2.50,1\n")
    ran = quipu("init", "x.csv")
    assert ran.status == 1
    assert "cannot be loaded before somebody says: occurred_at" in ran.out
    assert "no column 'DECIDE'" in quipu("ingest", "mapping.yaml").complaint()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "no file matches 'missing.csv'"),
        ([], "nothing to look at"),
        (["sample.csv", "--url-env", "X"], "both files and a database"),
        (["--url-env", "X"], "either --table or --query"),
        (["--url-env", "X", "--table", "t"], "the environment variable X is not set"),
        (["sample.csv", "--table", "t"], "--table and --query need --url-env"),
        (["sample.csv", "--label-delay", "soon"], "--label-delay 'soon' is not a duration"),
        (["header.csv"], "has no rows"),
        (["empty.csv"], "is empty"),
        (["sample.csv", "--out", "sample.csv/mapping.yaml"], "cannot be written"),
    ],
)
def test_what_goes_wrong_is_said(quipu: Any, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "sample.csv").write_text(ISSUE)
    (tmp_path / "header.csv").write_text(ISSUE.splitlines()[0] + "\n")
    (tmp_path / "empty.csv").write_text("")
    assert message in quipu("init", *arguments).complaint()
    assert not (tmp_path / "mapping.yaml").exists()
