"""The contract: what becomes of a row, why, and which column is at fault."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etl.cleaning.steps import Step
from etl.contract.checked import Window
from etl.contract.layout import fit
from etl.sources import Chunk
from graph.records import DAY, transaction_columns
from tests.etl.checking import FULL, POLICIES, Row, check, chunk, contract, facts, mapping, refused
from tests.etl.shop import DAY_1, GOOD


@pytest.mark.parametrize(
    ("change", "reason", "column", "value"),
    [
        ({"id": ""}, "missing_transaction_id", "id", ""),
        ({"id": "unknown"}, "missing_transaction_id", "id", "unknown"),
        ({"id": "x" * 1025}, "id_too_long", "id", "x" * 200),
        ({"user": "null"}, "missing_user", "user", "null"),
        ({"user": "00000000"}, "missing_user", "user", "00000000"),
        ({"user": "é" * 1025}, "id_too_long", "user", "é" * 200),
        ({"device": "é" * 1025}, "id_too_long", "device", "é" * 200),
        ({"at": ""}, "missing_time", "at", ""),
        ({"at": "2024-02-30"}, "bad_time", "at", "2024-02-30"),
        ({"at": "1989-12-31T23:59:59Z"}, "ancient_time", "at", "1989-12-31T23:59:59Z"),
        ({"at": "2025-06-16"}, "future_time", "at", "2025-06-16"),
        ({"seen": "x"}, "bad_time", "seen", "x"),
        ({"seen": "1989-12-31"}, "ancient_time", "seen", "1989-12-31"),
        ({"seen": "2025-06-16"}, "future_time", "seen", "2025-06-16"),
        ({"amount": ""}, "missing_amount", "amount", ""),
        ({"amount": "a lot"}, "bad_amount", "amount", "a lot"),
        ({"amount": "inf"}, "bad_amount", "amount", "inf"),
        ({"amount": "1e16"}, "bad_amount", "amount", "1e16"),
        ({"amount": "-1e16"}, "bad_amount", "amount", "-1e16"),
        ({"amount": "-0.01"}, "negative_amount", "amount", "-0.01"),
        ({"cur": "doubloons"}, "unknown_currency", "cur", "doubloons"),
        ({"city": "y" * 1025}, "text_too_long", "city", "y" * 200),
        # Of several faults the first in the contract's order holds.
        ({"city": "y" * 1025, "amount": "x", "at": "", "user": "", "id": ""}, "missing_transaction_id", "id", ""),
        ({"city": "y" * 1025, "amount": "x", "at": "", "user": ""}, "missing_user", "user", ""),
        ({"city": "y" * 1025, "amount": "x", "at": ""}, "missing_time", "at", ""),
        ({"city": "y" * 1025, "amount": "x", "cur": "?"}, "bad_amount", "amount", "x"),
        # What is optional costs no row.
        ({"device": "unknown", "ip": "0.0.0.0", "city": "null", "age": "old", "cur": "", "seen": ""}, None, "", ""),
        ({"amount": "0", "user": "0", "id": "0"}, None, "", ""),
        ({"amount": "-0.00"}, None, "", ""),
    ],
)  # fmt: skip
def test_what_becomes_of_a_row(change: Row, reason: str | None, column: str, value: str) -> None:
    row = {**GOOD, "ip": "1.2.3.4", "city": "Lima", "cur": "PEN", "seen": "2024-03-01", "age": "30"}
    checked = check(mapping(FULL), row, {**row, **change})
    assert refused(checked) == ([(2, reason, column, value)] if reason else [])
    assert checked.positions.tolist() == ([0] if reason else [0, 1])
    assert checked.table.num_rows == len(checked.positions)


def test_rows_outside_the_window_are_neither_accepted_nor_refused() -> None:
    rows = [{**GOOD, "at": at} for at in ("2024-02-28", "2024-03-01", "2024-03-02", "soon")]
    checked = check(mapping(), *rows, {**rows[0], "amount": "x"}, window=Window(DAY_1, DAY_1 + DAY))
    assert checked.refusals.outside.tolist() == [True, False, True, False, True]
    assert refused(checked) == [(4, "bad_time", "at", "soon")]
    assert checked.positions.tolist() == [1]


@pytest.mark.parametrize(
    ("day", "clock", "how", "instant"),
    [
        ("2024-03-01", "14:05", {}, "2024-03-01T14:05:00"),
        ("2024-03-01 00:00:00", "1899-12-30 14:05:09", {}, "2024-03-01T14:05:09"),
        ("01/03/2024", "2:05 PM", {"day_first": True}, "2024-03-01T14:05:00"),
        ("2024-03-01", "9", {}, "2024-03-01T09:00:00"),
        ("01-MAR-24", "0905", {"format": "%d-%b-%y %H%M"}, "2024-03-01T09:05:00"),
        ("2024-03-01", "09:05", {"timezone": "America/Lima"}, "2024-03-01T14:05:00"),
        (dt.date(2024, 3, 1), dt.time(14, 5), {}, "2024-03-01T14:05:00"),
        (dt.datetime(2024, 3, 1), dt.time(14, 5), {}, "2024-03-01T14:05:00"),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_date_and_a_time_of_day_are_one_time(day: Any, clock: Any, how: Row, instant: str) -> None:
    checked = check(mapping({"occurred_at": {"column": ["day", "hour"], **how}}), {**GOOD, "day": day, "hour": clock})
    assert refused(checked) == []
    assert checked.table.column("occurred_at").to_pylist()[0].strftime("%Y-%m-%dT%H:%M:%S") == instant


def test_a_time_of_several_columns_lacks_what_one_of_them_lacks() -> None:
    how = mapping({"occurred_at": ["year", "month", "day", "hour"]})
    parts = [("2024", "3", "1", "9:30"), ("2024", "12", "31", "null"), ("2024", "2", "30", "9:30")]
    rows = [{**GOOD, **dict(zip(("year", "month", "day", "hour"), row, strict=True))} for row in parts]
    checked = check(how, *rows)
    assert [fact["occurred_at"].isoformat()[:19] for fact in facts(checked)] == ["2024-03-01T09:30:00"]
    assert [(row, reason) for row, reason, _, _ in refused(checked)] == [(2, "missing_time"), (3, "bad_time")]
    assert {column for _, _, column, _ in refused(checked)} == {"year, month, day, hour"}


def test_where_an_address_lies_is_a_category_even_under_a_pseudonym(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIPU_PSEUDONYM_KEY", "a secret for this test only")
    addresses = ["8.8.8.8", "192.168.1.9", "100.64.3.2", "::ffff:10.0.0.1", "", "0.0.0.0", "nowhere"]
    for hidden in ([], ["ip"]):
        checked = check(mapping({"ip": "ip"}, pseudonymise=hidden), *({**GOOD, "ip": ip} for ip in addresses))
        ranges = checked.table.column("category:ip_range").to_pylist()
        assert ranges == ["public", "private", "carrier_grade", "private", None, None, None]
        assert ("8.8.8.8" in checked.table.column("entity:ip").to_pylist()) == (not hidden)


def test_policies_of_missing_values() -> None:
    how = mapping({"city": "town", "numeric": ["age", "V*"]}, missing=POLICIES)
    row = {**GOOD, "town": "Lima", "age": "30", "V1": "1", "V2": "2"}
    checked = check(
        how,
        row,
        {**row, "town": "null", "age": "old", "amount": "", "V2": ""},
        {**row, "device": "unknown"},
        {**row, "V1": "x"},
        {**row, "age": ""},
        {**row, "amount": "x"},
    )
    assert refused(checked) == [
        (3, "missing_value", "device", "unknown"),
        (4, "missing_value", "V1", "x"),
        (6, "bad_amount", "amount", "x"),
    ]
    assert {name: rows.tolist() for name, rows in checked.imputable.items()} == {
        "city": [False, True, False],
        "amount": [False, True, False],
        "age": [False, True, True],
    }
    for name, rows in checked.imputable.items():
        assert checked.table.column(f"numeric:imputed_{name}").to_pylist() == rows.astype(float).tolist()
    assert checked.table.column("amount").to_pylist() == [150, 0, 150]
    assert checked.unreadable == {"age": 1}
    assert checked.table.schema.equals(transaction_columns(fit(how, list(row), "tx.csv").schema))


def test_steps_are_counted_over_accepted_rows_by_source_column() -> None:
    rows = [
        {**GOOD, "device": "unknown", "city": "null", "age": "old"},
        {**GOOD, "device": "unknown", "city": "null", "age": "old", "amount": "x"},
        {**GOOD, "city": "", "age": "", "device": ""},
    ]
    checked = check(mapping({"city": "city", "numeric": "age"}), *rows)
    wanted = {("device", Step.NULL_LIKE), ("city", Step.NULL_LIKE), ("age", Step.UNREADABLE)}
    assert checked.steps == dict.fromkeys(wanted, 1)


def test_nothing_in_nothing_out() -> None:
    empty = chunk([]).table.append_column("id", pa.array([], pa.string()))
    for name in ("at", "user", "amount", "device"):
        empty = empty.append_column(name, pa.array([], pa.string()))
    how = mapping(label={"is_fraud": "device", "known_at": "at"})
    checked = contract(how, list(GOOD)).check(Chunk("tx.csv", empty, np.arange(0)))
    assert (checked.table.num_rows, checked.newest, refused(checked)) == (0, None, [])
