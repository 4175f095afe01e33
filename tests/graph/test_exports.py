"""Exports: every decision once with what became of it, the same again the second time, and never half a file."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from graph.errors import StoreError
from graph.exports import decision_columns, export
from graph.records import DAY, LABEL_COLUMNS, SECOND, Decision, GraphSchema, transaction_columns
from graph.ring_records import Refresh, Ring, RingMember, RingReason, RingStatus
from graph.store import RingStore, Store, open_store

START = 20_000 * DAY
SCHEMA = GraphSchema(("user", "device"), ("city",))
TRANSACTIONS = 60
NAMES = {f"{name}.{kind}" for name in ("decisions", "rings", "ring_members", "daily") for kind in ("parquet", "csv")}


def band(i: int) -> str:
    return ("approve", "approve", "review", "block")[i % 4]


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store)


def fill(opened: Store) -> Store:
    """Sixty transactions over six days; all but every tenth are decided, every second is labelled."""
    opened.extend_schema(SCHEMA)
    n = TRANSACTIONS
    at = pa.array([START + i * DAY // 10 for i in range(n)], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    opened.upsert_transactions(
        pa.table(
            {
                "transaction_id": [f"t{i}" for i in range(n)],
                "occurred_at": at,
                "arrived_at": at,
                "amount": pa.array([1_000 + i for i in range(n)], pa.int64()),
                "currency": pa.array(["PEN"] * n),
                "entity:user": [f"u{i % 7}" for i in range(n)],
                "entity:device": pa.array([None if i % 5 == 0 else f'd"{i % 3}, ä' for i in range(n)]),
                "category:city": pa.array(["Lima" if i % 2 else None for i in range(n)]),
            },
            schema=transaction_columns(SCHEMA),
        )
    )
    said = [(f"t{i}", False, START + 20 * DAY, "feed") for i in range(0, n, 2)]
    said += [("t4", True, START + 21 * DAY, "investigator"), ("t2", True, START + 19 * DAY, "early")]
    ids, fraud, known_at, source = map(list, zip(*said, strict=True))
    opened.upsert_labels(
        pa.table(
            [ids, pa.array(fraud), pa.array(known_at, pa.int64()).cast(pa.timestamp("us", tz="UTC")), source],
            schema=LABEL_COLUMNS,
        )
    )
    opened.write_decisions(
        [
            Decision(
                f"t{i}",
                b"digest",
                START + i * DAY // 10 + SECOND,
                i / 100,
                band(i),
                "model",
                json.dumps({"reasons": [{"code": "A"}, {"code": "B"}], "neighbourhood": {"truncated": i == 3}}).encode()
                if i != 7
                else b"no json",
            )
            for i in range(n)
            if i % 10
        ]
    )
    return opened


def read(folder: Path, name: str) -> pa.Table:
    """A table's Parquet file, after making sure that its CSV says the same."""
    table = pq.read_table(folder / f"{name}.parquet")
    text = pa_csv.read_csv(
        folder / f"{name}.csv",
        convert_options=pa_csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    for column in table.column_names:
        assert text[column].to_pylist() == table[column].to_pylist(), column
    return table


def test_every_decision_is_exported_once_with_what_became_of_it(filled: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert export(filled, folder)["decisions"] == 54
    assert {file.name for file in folder.iterdir()} == NAMES
    table = read(folder, "decisions")
    assert table.schema == decision_columns(filled.schema())
    rows = {row["transaction_id"]: row for row in table.to_pylist()}
    assert set(rows) == {f"t{i}" for i in range(TRANSACTIONS) if i % 10}
    four = rows["t4"]
    assert (four["user"], four["device"], four["city"]) == ("u4", 'd"1, ä', None)
    assert (four["amount"], four["currency"], four["band"], four["probability"]) == (10.04, "PEN", "approve", 0.04)
    assert (four["first_reason"], four["reasons"], four["truncated"]) == ("A", "A B", False)
    assert four["is_fraud"] is True, "the investigator spoke last"
    assert rows["t2"]["is_fraud"] is False, "the feed spoke last"
    assert rows["t1"]["is_fraud"] is None
    assert rows["t3"]["truncated"] is True
    assert (rows["t7"]["first_reason"], rows["t7"]["truncated"]) == (None, None)
    assert (four["decided_at"] - four["occurred_at"]).total_seconds() == 1


def test_daily_sums_are_those_of_the_decisions(filled: Store, tmp_path: Path) -> None:
    export(filled, tmp_path)
    rows = pq.read_table(tmp_path / "decisions.parquet").to_pylist()
    daily = read(tmp_path, "daily").to_pylist()
    assert sum(day["decisions"] for day in daily) == len(rows)
    for day in daily:
        mine = [r for r in rows if r["occurred_at"].date() == day["date"] and r["band"] == day["band"]]
        assert day["decisions"] == len(mine)
        assert day["amount"] == round(sum(row["amount"] for row in mine), 2)
        assert day["labelled"] == sum(row["is_fraud"] is not None for row in mine)
        assert day["frauds"] == sum(row["is_fraud"] is True for row in mine)
    assert sum(day["frauds"] for day in daily) == 1
    assert sum(day["fraud_amount"] for day in daily) == 10.04


def test_periods_cut_decisions_and_join_without_gap_or_overlap(filled: Store, tmp_path: Path) -> None:
    whole, parts = export(filled, tmp_path)["decisions"], 0
    seen: list[str] = []
    for day in range(6):
        rows = export(filled, tmp_path, since=START + day * DAY, until=START + (day + 1) * DAY, form="parquet")
        parts += rows["decisions"]
        seen += pq.read_table(tmp_path / "decisions.parquet")["transaction_id"].to_pylist()
    assert parts == whole == len(set(seen))


def test_exporting_again_writes_the_same(filled: Store, tmp_path: Path) -> None:
    export(filled, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    export(filled, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".export")} == set()


def test_only_the_wanted_kind_of_file_is_written(filled: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    export(filled, folder, form="csv")
    assert {file.suffix for file in folder.iterdir()} == {".csv"}


def test_an_export_that_fails_leaves_the_earlier_files(tmp_path: Path) -> None:
    store = fill(open_store(f"sqlite:///{tmp_path}/store.db"))
    export(store, tmp_path)
    before = (tmp_path / "decisions.parquet").read_bytes()
    store.close()
    broken = tmp_path / "store.db"
    content = bytearray(broken.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{broken}{suffix}").unlink(missing_ok=True)
    broken.write_bytes(bytes(content))
    with pytest.raises(StoreError):
        export(open_store(f"sqlite:///{broken}"), tmp_path)
    assert (tmp_path / "decisions.parquet").read_bytes() == before
    assert not list(tmp_path.glob(".export*"))


def test_an_empty_store_gives_empty_tables_with_all_columns(store: Store, tmp_path: Path) -> None:
    rows = export(store, tmp_path)
    assert set(rows.values()) == {0}
    for name in ("decisions", "rings", "ring_members", "daily"):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.num_rows == 0
        assert (tmp_path / f"{name}.csv").read_text().strip().count(",") == len(table.column_names) - 1


def test_rings_and_their_members(filled: Store, tmp_path: Path) -> None:
    assert isinstance(filled, RingStore)
    members = (RingMember("user", "u1", START, 3, "block"), RingMember("device", 'd"1, ä', START, 3))
    ring = Ring(
        "R1", RingStatus.NEW, 0.8, START, START + DAY, members, (), 3, 3_003, 1, START, START + DAY,
        reasons=(RingReason("SHARED_DEVICE", "…"),),
    )  # fmt: skip
    filled.write_refresh(Refresh(START + DAY, (ring,)))
    rows = export(filled, tmp_path)
    assert (rows["rings"], rows["ring_members"]) == (1, 2)
    (told,) = read(tmp_path, "rings").to_pylist()
    assert (told["ring_id"], told["members"], told["users"], told["amount"]) == ("R1", 2, 1, 30.03)
    assert (told["status"], told["active"], told["reasons"]) == ("new", True, "SHARED_DEVICE")
    assert {m["key"] for m in read(tmp_path, "ring_members").to_pylist()} == {"u1", 'd"1, ä'}
    assert np.isclose(told["score"], 0.8)
