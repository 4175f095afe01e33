"""The contract of amounts: refunds, and currencies."""

from pathlib import Path

import pytest

from etl.cleaning.steps import Step
from tests.etl.checking import RATES, REFUNDS, Row, check, facts, mapping, refused
from tests.etl.shop import GOOD


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
