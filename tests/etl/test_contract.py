"""The contract: what becomes of a row, why, and which column is at fault; whatever stands in it, exactly one thing."""

import datetime as dt
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.cleaning.steps import Step
from etl.contract.checked import CheckedRows, Clock, Window
from etl.contract.layout import fit
from etl.contract.parsing import Values
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.reasons import Reason
from etl.contract.related import AttributeContract, LabelContract
from etl.contract.transactions import TransactionContract
from etl.mapping import Mapping, parse_mapping
from etl.sources import BrokenLine, Chunk
from graph.records import DAY, transaction_columns

NOW = 1_750_000_000_000_000  # 2025-06-15
DAY_1 = 1_709_251_200_000_000  # 2024-03-01
ROOT = Path(__file__).resolve().parents[2]
GOOD = {"id": "1", "at": "2024-03-01", "user": "u", "amount": "1.50", "device": "d"}
Row = dict[str, Any]


def mapping(transaction: Row | None = None, *, folder: Path = Path(), **parts: Any) -> Mapping:
    columns = {
        "transaction_id": "id", "occurred_at": "at", "user_id": "user", "amount": "amount", "device_id": "device",
    }  # fmt: skip
    document = {"name": "shop", "source": {"files": "tx.csv"}, "transaction": columns | (transaction or {})}
    return parse_mapping(document | parts, folder=folder)


def chunk(rows: Sequence[Row], broken: Sequence[BrokenLine] = ()) -> Chunk:
    """Rows as text, as a CSV file gives them; what is no text keeps its type, as in Parquet."""
    names = dict.fromkeys(column for row in rows for column in row)
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    typed = {name for name, values in columns.items() if values and not isinstance(values[0], str)}
    table = pa.table({name: pa.array(v, None if name in typed else pa.string()) for name, v in columns.items()})
    return Chunk("tx.csv", table, np.arange(1, len(rows) + 1), list(broken))


def contract(how: Mapping, columns: Sequence[str], window: Window | None = None) -> TransactionContract:
    return TransactionContract(how, fit(how, columns, "tx.csv"), Pseudonyms(how), Clock(NOW), window or Window())


def check(how: Mapping, *rows: Row, window: Window | None = None) -> CheckedRows:
    part = chunk(rows)
    return contract(how, part.table.column_names, window).check(part)


def refused(checked: CheckedRows) -> list[tuple[int, str, str, str]]:
    return [(row.row, row.reason, row.column, row.value) for row in checked.refusals.rows()]


def facts(checked: CheckedRows) -> list[Row]:
    return checked.table.to_pylist()


RATES = "date,currency,rate\n2024-01-01,USD,3.75\n2024-03-02,USD,4\n"
FULL: Row = {"ip": "ip", "city": "city", "currency": {"column": "cur"}, "arrived_at": "seen", "numeric": "age"}


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


REFUNDS: Row = {"amount": {"column": "amount", "negative": "refund"}}


def test_a_negative_amount_is_a_refund_where_the_mapping_says_so() -> None:
    rows = [{**GOOD, "amount": amount, "kind": kind} for amount, kind in (("-2.50", ""), ("3", "sale"), ("0", ""))]
    for transaction in (REFUNDS, REFUNDS | {"transaction_type": "kind"}):
        mapped = "transaction_type" in transaction
        checked = check(mapping(transaction), *rows)
        found = [(fact["amount"], fact["category:transaction_type"]) for fact in facts(checked)]
        assert found == [(250, "refund"), (300, "sale" if mapped else None), (0, None)]
        assert checked.steps["amount", Step.REFUND] == 1


@pytest.mark.parametrize(
    ("kind", "refund"),
    [
        ("refund", True), ("PARTIAL_REFUND", True), ("Devolución", True), ("payment reversal", True), ("Credit", True),
        ("chargeback", True), ("nota de crédito", True), ("null", True), ("", True), ("dine_in", False),
        ("sale", False), ("credit card", False), ("turnover", False),
    ],
)  # fmt: skip
def test_a_negative_amount_of_another_type_is_no_refund(kind: str, refund: bool) -> None:
    how = mapping(REFUNDS | {"transaction_type": "kind"})
    checked = check(how, {**GOOD, "amount": "-2.50", "kind": kind}, {**GOOD, "kind": kind})
    assert refused(checked) == ([] if refund else [(1, "negative_amount", "amount", "-2.50")])
    assert checked.table.num_rows == 1 + refund


def test_a_refund_of_a_type_that_is_demanded_lacks_none() -> None:
    how = mapping(REFUNDS | {"transaction_type": "kind"}, missing={"transaction_type": "quarantine"})
    checked = check(how, {**GOOD, "amount": "-2", "kind": ""}, {**GOOD, "kind": ""})
    assert refused(checked) == [(2, "missing_value", "kind", "")]


@pytest.mark.parametrize(
    ("currency", "amount", "cur", "stored"),
    [
        ({"column": "cur"}, "1.5", "usd", "USD"),
        ({"column": "cur"}, "1.5", "", None),
        ({"column": "cur", "default": "PEN"}, "1.5", "", "PEN"),
        ({"default": "PEN"}, "1.5", "USD", "PEN"),
        ({"default": "PEN"}, "USD 1.5", "", "USD"),
        ({"column": "cur", "default": "EUR"}, "USD 1.5", "PEN", "PEN"),
        ({"column": "cur", "default": "EUR"}, "USD 1.5", "", "USD"),
        (None, "USD 1.5", "", "USD"),
        (None, "1.5", "USD", None),
    ],
)
def test_which_currency_holds(currency: Row | None, amount: str, cur: str, stored: str | None) -> None:
    how = mapping({"currency": currency} if currency else None)
    (fact,) = facts(check(how, {**GOOD, "amount": amount, "cur": cur}))
    assert (fact["amount"], fact["currency"]) == (150, stored)


def test_amounts_in_one_currency(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(RATES)
    how = mapping(
        {"currency": "cur", "device_id": "device"}, folder=tmp_path, currencies={"base": "PEN", "rates": "rates.csv"}
    )
    row = {**GOOD, "amount": "10"}
    checked = check(
        how,
        {**row, "cur": "USD"},
        {**row, "cur": "USD", "at": "2024-03-02T23:59:59"},
        {**row, "cur": "PEN"},
        {**row, "cur": "EUR"},
        {**row, "cur": "USD", "at": "2023-12-31"},
        {**row, "cur": ""},
        {**row, "cur": "doubloons"},
    )
    found = [(fact["amount"], fact["currency"], fact["category:original_currency"]) for fact in facts(checked)]
    assert found == [(3_750, "PEN", "USD"), (4_000, "PEN", "USD"), (1_000, "PEN", "PEN")]
    assert refused(checked) == [
        (4, "missing_rate", "cur, at", "EUR, 2024-03-01"),
        (5, "missing_rate", "cur, at", "USD, 2023-12-31"),
        (6, "unknown_currency", "cur", ""),
        (7, "unknown_currency", "cur", "doubloons"),
    ]
    assert checked.steps["amount", Step.CURRENCY_CONVERTED] == 2


def test_where_an_address_lies_is_a_category_even_under_a_pseudonym(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIPU_PSEUDONYM_KEY", "a secret for this test only")
    addresses = ["8.8.8.8", "192.168.1.9", "100.64.3.2", "::ffff:10.0.0.1", "", "0.0.0.0", "nowhere"]
    for hidden in ([], ["ip"]):
        checked = check(mapping({"ip": "ip"}, pseudonymise=hidden), *({**GOOD, "ip": ip} for ip in addresses))
        ranges = checked.table.column("category:ip_range").to_pylist()
        assert ranges == ["public", "private", "carrier_grade", "private", None, None, None]
        assert ("8.8.8.8" in checked.table.column("entity:ip").to_pylist()) == (not hidden)


POLICIES = {
    "device_id": "quarantine", "city": {"impute": "most_frequent"}, "amount": {"impute": "median", "by": "city"},
    "age": {"impute": "median"}, "V*": "quarantine", "V2": "leave",
}  # fmt: skip


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


def test_labels_in_rows_and_their_faults_cost_no_transaction() -> None:
    how = mapping(label={"is_fraud": "fraud", "known_at": "known"})
    labels = [
        ("1", "2024-03-05"), ("no", "2024-03-05"), ("", ""), ("maybe", "2024-03-05"), ("1", ""), ("1", "soon"),
        ("1", "2024-02-01"), ("1", "2026-01-01"), ("1", "1980-01-01"), ("maybe", "soon"),
    ]  # fmt: skip
    checked = check(how, *({**GOOD, "fraud": fraud, "known": known} for fraud, known in labels))
    assert len(checked.positions) == len(labels)
    assert checked.labels is not None
    assert checked.labels.value.tolist() == [1, 0, -1, *[-2] * 7]
    assert checked.labels.unreadable() == {
        "bad_label": 2, "missing_label_time": 1, "bad_label_time": 3, "label_before_transaction": 1,
    }  # fmt: skip
    assert checked.newest == DAY_1 + 4 * DAY


def test_a_delay_may_end_in_the_future() -> None:
    how = mapping(label={"is_fraud": "fraud", "known_at": {"delay": "7d"}})
    checked = check(how, {**GOOD, "fraud": "1", "at": "2025-06-14"})
    assert checked.labels is not None
    assert checked.labels.value.tolist() == [1]
    assert checked.labels.known_at[0] > NOW


LABEL_FILES = {"files": "l.csv", "transaction_id": ["shop", "tx"], "is_fraud": "f", "known_at": "k", "source": "s"}
LABEL = {"shop": "a", "tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}


@pytest.mark.parametrize(
    ("change", "reason", "column", "value"),
    [
        ({"shop": "", "tx": "null"}, "missing_transaction_id", "shop, tx", ", null"),
        ({"tx": "x" * 1025}, "id_too_long", "shop, tx", ("a, " + "x" * 1025)[:200]),
        ({"f": ""}, "missing_label", "f", ""),
        ({"f": "?"}, "bad_label", "f", "?"),
        ({"k": ""}, "missing_label_time", "k", ""),
        ({"k": "soon"}, "bad_label_time", "k", "soon"),
        ({"k": "1980-01-01"}, "bad_label_time", "k", "1980-01-01"),
        ({"k": "2025-06-16"}, "bad_label_time", "k", "2025-06-16"),
        ({"s": "y" * 1025}, "text_too_long", "s", "y" * 200),
        ({"f": "?", "k": ""}, "bad_label", "f", "?"),
        ({"s": ""}, None, "", ""),
    ],
)
def test_what_becomes_of_a_label(change: Row, reason: str | None, column: str, value: str) -> None:
    checked = check_labels(LABEL, {**LABEL, **change})
    assert refused(checked) == ([(2, reason, column, value)] if reason else [])
    assert len(checked.positions) == (1 if reason else 2)


def check_labels(*rows: Row, window: Window | None = None) -> CheckedRows:
    how = mapping({"transaction_id": ["shop", "id"]}, labels=LABEL_FILES)
    assert how.labels is not None
    return LabelContract(how, how.labels, Pseudonyms(how), Clock(NOW), window or Window()).check(chunk(rows))


def test_several_labels_for_one_transaction_are_a_history() -> None:
    again = {**LABEL, "f": "0", "k": "2024-04-05", "s": ""}
    checked = check_labels(LABEL, again, {**again, "k": "2024-05-05"}, window=Window(until=DAY_1 + 40 * DAY))
    assert [(fact["is_fraud"], fact["source"]) for fact in facts(checked)] == [(True, "desk"), (False, "shop")]
    assert len({fact["transaction_id"] for fact in facts(checked)}) == 1
    assert checked.refusals.outside.tolist() == [False, False, True]


def test_keys_meet_however_they_are_spelled() -> None:
    how = mapping(
        {"transaction_id": ["shop", "id"], "user_id": ["shop", "user"]},
        labels=LABEL_FILES,
        attributes={"user": {"files": "u.csv", "key": ["shop", "who"]}, "device": {"files": "d.csv", "key": "device"}},
    )
    row = {**GOOD, "shop": " a ", "id": "7 ", "user": "\ufeffmaria", "device": "AB-CD-EF-01-23"}
    (fact,) = facts(check(how, row))
    (label,) = facts(check_labels({**LABEL, "shop": "a", "tx": "7"}))
    assert label["transaction_id"] == fact["transaction_id"]
    for entity, described in (("user", {"shop": "a", "who": "maria "}), ("device", {"device": "abcdef0123"})):
        attributes = AttributeContract(entity, how.attributes[entity], Pseudonyms(how))
        (found,) = facts(attributes.check(chunk([{**described, "note": "x"}])))
        assert found["key"] == fact[f"entity:{entity}"]


def test_attributes() -> None:
    how = mapping(attributes={"user": {"files": "u.csv", "key": "who"}})
    attributes = AttributeContract("user", how.attributes["user"], Pseudonyms(how))
    table = pa.table(
        {"who": ["u", "null", "v", "w" * 1025], "key": ["a", "b", "y" * 1025, "d"], "age": [1, 2, 3, None]}
    )
    checked = attributes.check(Chunk("u.parquet", table, np.arange(1, 5)))
    assert refused(checked) == [
        (2, "missing_key", "who", "null"), (3, "text_too_long", "key", "y" * 200), (4, "id_too_long", "who", "w" * 200),
    ]  # fmt: skip
    assert facts(checked) == [{"key": "u", "key_": "a", "age": 1}]


def test_nothing_in_nothing_out() -> None:
    empty = chunk([]).table.append_column("id", pa.array([], pa.string()))
    for name in ("at", "user", "amount", "device"):
        empty = empty.append_column(name, pa.array([], pa.string()))
    how = mapping(label={"is_fraud": "device", "known_at": "at"})
    checked = contract(how, list(GOOD)).check(Chunk("tx.csv", empty, np.arange(0)))
    assert (checked.table.num_rows, checked.newest, refused(checked)) == (0, None, [])


# Every row has one outcome.
ANYTHING = st.one_of(
    st.sampled_from(
        ["", "null", "1", "0", "-1", "S/ 1,234.50", "1.234,50", "USD", "PEN 3", "NaN", "1e300", "x" * 1025]
    ),
    st.sampled_from(["2024-03-01", "2024-03-01T10:00:00Z", "1980-01-01", "2031-01-01", "03/04/2024 10:00", "soon"]),
    st.sampled_from(["10.0.0.1", "::1", "00000000-0000-0000-0000-000000000000", "\u200babc", "AA:BB", "|", "\\"]),
    st.text(max_size=8),
)
COLUMNS = ("id", "at", "user", "amount", "device", "ip", "city", "cur", "seen", "age", "fraud", "known")
USUAL = dict(zip(COLUMNS, ("1", "2024-03-01", "u", "5", "d", "8.8.8.8", "Lima", "PEN", "", "3", "1", ""), strict=True))


@st.composite
def any_row(draw: st.DrawFn) -> Row:
    damaged = draw(st.lists(st.sampled_from(COLUMNS), max_size=4))
    return USUAL | {column: draw(ANYTHING) for column in damaged}


@given(
    rows=st.lists(any_row(), max_size=10),
    broken=st.integers(0, 3),
    since=st.sampled_from([None, DAY_1]),
    refunds=st.booleans(),
    policy=st.sampled_from([{}, POLICIES | {"V*": "leave"}]),
    rates=st.booleans(),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_every_row_is_accepted_refused_or_outside(
    rows: list[Row],
    broken: int,
    since: int | None,
    refunds: bool,
    policy: Row,
    rates: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "rates.csv").write_text(RATES)
    how = mapping(
        FULL | {"numeric": ["age", "V*"]} | (REFUNDS if refunds else {}),
        folder=folder,
        missing=policy,
        label={"is_fraud": "fraud", "known_at": "known"},
        **({"currencies": {"base": "PEN", "rates": "rates.csv"}} if rates else {}),
    )
    columns = [*COLUMNS, "V1", "V2"]
    part = chunk([{**dict.fromkeys(columns, ""), **row} for row in rows] or [dict.fromkeys(columns, "")])
    part = Chunk(part.file, part.table.slice(0, len(rows)), part.numbers[: len(rows)], broken_lines(broken))
    checks = contract(how, columns, Window(since))
    checked = checks.check(part)

    outcomes = Counter(checked.positions.tolist())
    outcomes.update(checked.refusals.positions().tolist())
    outcomes.update(np.flatnonzero(checked.refusals.outside).tolist())
    assert outcomes == dict.fromkeys(range(len(rows)), 1)
    told = list(checked.refusals.rows())
    assert len(told) == len(checked.refusals.positions()) + broken == checked.refusals.reasons().total()
    assert {row.reason for row in told} <= {reason.value for reason in Reason}
    assert part.rows == len(checked.positions) + len(told) + int(checked.refusals.outside.sum())
    checked.table.validate(full=True)
    assert checked.table.schema.equals(transaction_columns(fit(how, columns, "tx.csv").schema))
    assert all(checked.table.column(field.name).null_count == 0 for field in checked.table.schema if not field.nullable)
    assert all(amount >= 0 for amount in checked.table.column("amount").to_pylist())
    assert all(len(hit) == checked.table.num_rows for hit in checked.imputable.values())
    # No row depends on its neighbours: alone it ends in the same way.
    for position, row in enumerate(rows[:3]):
        alone = checks.check(chunk([{**dict.fromkeys(columns, ""), **row}]))
        assert alone.positions.tolist() == ([0] if position in checked.positions else [])


def broken_lines(count: int) -> list[BrokenLine]:
    return [BrokenLine(100 + number, "a,b") for number in range(count)]


def test_the_environment_cannot_switch_the_contract_off() -> None:
    code = (
        "import runpy, sys; sys.argv = ['x']; "
        f"found = runpy.run_path({str(Path(__file__))!r}); "
        "print(found['refused'](found['check'](found['mapping'](), {**found['GOOD'], 'amount': '-1'})))"
    )
    switches = {"PANDERA_VALIDATION_ENABLED": "False", "PANDERA_VALIDATION_DEPTH": "SCHEMA_ONLY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, **switches, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[(1, 'negative_amount', 'amount', '-1')]"


@pytest.mark.parametrize(
    "wrong", [{"amount": np.array(["1", "2"], dtype=object)}, {"occurred_at": np.array([1.5, 2.5])}]
)
def test_values_that_are_not_those_of_the_contract_are_a_fault_of_quipu(wrong: Row) -> None:
    from etl.contract.schema import failures, transaction_schema

    how = mapping()
    schema = transaction_schema(how, fit(how, list(GOOD), "tx.csv"), NOW)
    values = Values(chunk([GOOD, GOOD]).table)
    contract(how, list(GOOD))._facts(values, values.time("occurred_at", how.transaction.occurred_at))
    assert list(failures(schema, values.checked, 2)) == []
    with pytest.raises(TypeError, match="not those of the contract transaction"):
        list(failures(schema, values.checked | wrong, 2))


def test_pandera_is_loaded_only_when_rows_are_checked() -> None:
    code = "import sys, etl.contract.transactions, etl.contract.related; print('pandera' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
