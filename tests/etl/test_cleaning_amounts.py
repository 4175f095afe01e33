"""Amounts of any spelling to integer hundredths; currencies; exchange rates."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cleaning
from etl.cleaning.rates import Rates
from etl.cleaning.steps import Step
from etl.mapping import AmountColumn, Mapping, parse_mapping
from graph.errors import InputError

PLAIN = AmountColumn(column="a")
POINT = AmountColumn(column="a", decimal=".")
COMMA = AmountColumn(column="a", decimal=",")
CENTS = AmountColumn(column="a", unit="cents")


def read(text: str, how: AmountColumn = PLAIN) -> int | None:
    """Signed hundredths of one text: alone, and among neighbours of other forms."""
    alone = cleaning.amounts(pa.array([text]), how)
    beside = cleaning.amounts(pa.array(["1.234,50", "1,234.50", "x", None, "12", text]), how)
    assert (alone.ok[0], alone.values[0], alone.negative[0]) == (beside.ok[5], beside.values[5], beside.negative[5])
    return int(alone.values[0]) * (-1 if alone.negative[0] else 1) if alone.ok[0] else None


@pytest.mark.parametrize(
    ("text", "expected", "currency"),
    [
        ("1234.5", 1234_50, None),
        ("+12", 12_00, None),
        (".5", 50, None),
        ("5.", 5_00, None),
        ("1e3", 1000_00, None),
        ("1.5E-1", 15, None),
        ("S/ 1,234.50", 1234_50, "PEN"),
        ("S/1,234.50", 1234_50, "PEN"),
        ("s/. 1,234.50", 1234_50, "PEN"),
        ("S/.50", 50_00, "PEN"),
        ("S/ .50", 50, "PEN"),
        ("1.234,50", 1234_50, None),
        ("1.234.567,5", 1_234_567_50, None),
        ("1234,5", 1234_50, None),
        ("12,50", 12_50, None),
        ("1234.5 PEN", 1234_50, "PEN"),
        ("PEN1234", 1234_00, "PEN"),
        ("12,50 nuevos soles", 12_50, "PEN"),
        ("$1,234", 1234_00, None),
        ("$ 12.50 USD", 12_50, "USD"),
        ("US$ 12", 12_00, "USD"),
        ("€ 1.234,5", 1234_50, "EUR"),
        ("1.234,50 €", 1234_50, "EUR"),
        ("£1,234.50", 1234_50, "GBP"),
        ("R$ 1.234", 1234_00, "BRL"),
        ("1 234,50", 1234_50, None),
        ("1\u00a0234,50", 1234_50, None),
        ("1\u202f234.50", 1234_50, None),
        ("1'234.50", 1234_50, None),
        ("1’234.50 CHF", 1234_50, "CHF"),
        ("\ufeff12.50\u200b", 12_50, None),
        ("(12.50)", -12_50, None),
        ("(S/ 1,234.50)", -1234_50, "PEN"),
        ("S/ (12.50)", -12_50, "PEN"),
        ("12.50-", -12_50, None),
        ("-12.50", -12_50, None),
        ("\u221212.50", -12_50, None),
        ("-S/ 12.50", -12_50, "PEN"),
        ("S/ -12.50", -12_50, "PEN"),
        ("12.50- PEN", -12_50, "PEN"),
        ("1,234", 1234_00, None),
        ("1,234,567", 1_234_567_00, None),
        ("1.234.567", 1_234_567_00, None),
        ("1,23,456.00", 123_456_00, None),
        ("₹12,34,567", 1_234_567_00, "INR"),
        ("1.234", 1_23, None),
        ("S/ 1.234", 1234_00, "PEN"),
        ("0,125", 12, None),
        ("0.125", 12, None),
        ("0.375", 38, None),
        ("1234,567", 1234_57, None),
        ("1.005", 1_00, None),
        ("1.015", 1_02, None),
        ("2.675", 2_68, None),
        ("0.0050000000000000001", 1, None),
        ("-0.00", 0, None),
        ("0000000000000000000012.50", 12_50, None),
        ("9999999999999.99", 999_999_999_999_999, None),
    ],
)
def test_amounts(text: str, expected: int, currency: str | None) -> None:
    assert read(text) == expected
    assert cleaning.amounts(pa.array([text]), PLAIN).currency.to_pylist() == [currency]


@pytest.mark.parametrize(
    "text",
    [
        *("abc", "NaN", "inf", "-inf", "0x10", "1_000", "1e400", "--1", ".", ",", "S/", "#REF!", "gratis", "1.2.3"),
        *(
            "12.50.30",
            "12..5",
            "12.03.2026",
            "1,23,45",
            "1,2345,678",
            "12 3",
            "12 XYZ",
            "12 USD PEN",
            "(-5)",
            "(5",
            "-5-",
        ),
        *("(-5)", "(5", "-5-", "99999999999999.99", "1e16", "9" * 30, "S/ 12 (13)", "1,234.5,6"),
    ],
)
def test_text_that_is_no_amount(text: str) -> None:
    assert read(text) is None
    assert cleaning.amounts(pa.array([text]), PLAIN).bad[0]


def test_no_amount_is_missing() -> None:
    read_ = cleaning.amounts(pa.array(["", " ", None, "NULL", "n/a", "0"]), PLAIN)
    assert read_.missing.tolist() == [True] * 5 + [False]
    assert read_.steps[Step.NULL_LIKE].tolist() == [False, False, False, True, True, False]
    assert cleaning.amounts(pa.array([None, 1.0]), PLAIN).missing.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234", 1234_00, 1_23),
        ("1.234", 1_23, 1234_00),
        ("S/ 1.234", 1_23, 1234_00),
        ("1.5", 1_50, 1_50),
        ("1,5", 1_50, 1_50),
        ("1,234.50", 1234_50, 1234_50),
        ("1.234,50", 1234_50, 1234_50),
        ("0,125", 12, 12),
    ],
)
def test_the_decimal_sign_decides_what_is_ambiguous(text: str, point: int, comma: int) -> None:
    assert read(text, POINT) == point
    assert read(text, COMMA) == comma


def test_cents() -> None:
    assert read("1234", CENTS) == 1234
    assert read("1,234", CENTS) == 1234
    assert read("S/ -12.5", CENTS) == -12
    assert cleaning.amounts(pa.array([1234, -5]), CENTS).values.tolist() == [1234, 5]


def test_what_was_not_written_as_computers_write_is_counted() -> None:
    text = pa.array(["12.5", "-3", "1e2", "1,234.50", "S/ 5", "(5)", "abc"])
    assert cleaning.amounts(text, PLAIN).steps[Step.AMOUNT_FORM].tolist() == [False] * 3 + [True] * 3 + [False]
    assert not cleaning.amounts(text.slice(0, 3), PLAIN).steps


def test_typed_amounts() -> None:
    floats = cleaning.amounts(pa.array([1.005, 1.015, 2.675, -3.5, 1e13, float("nan"), float("inf"), None]), PLAIN)
    assert floats.values[:5].tolist() == [100, 102, 268, 350, 10**15]
    assert floats.ok.tolist() == [True] * 5 + [False] * 3
    assert floats.negative.tolist() == [False] * 3 + [True] + [False] * 4
    assert floats.missing.tolist() == [False] * 7 + [True]
    assert cleaning.amounts(pa.array([Decimal("1.005"), Decimal("1.015")]), PLAIN).values.tolist() == [100, 102]
    assert cleaning.amounts(pa.array([5, 2**62]), PLAIN).ok.tolist() == [True, False]
    assert cleaning.amounts(pa.array([True]), PLAIN).bad[0]


def exact(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale).to_integral_value(ROUND_HALF_EVEN))


decimals = st.decimals(-(10**12), 10**12, places=5).filter(lambda value: value == value.normalize())
units: st.SearchStrategy[Literal["units", "cents"]] = st.sampled_from(["units", "cents"])


@given(decimals, units)
def test_text_is_exact(value: Decimal, unit: Literal["units", "cents"]) -> None:
    found = cleaning.amounts(pa.array([format(value, "f")]), AmountColumn(column="a", unit=unit))
    expected = exact(value, 2 if unit == "units" else 0)
    assert (found.values[0], bool(found.negative[0])) == (abs(expected), expected < 0)


@given(st.floats(-1e12, 1e12), units)
def test_a_number_is_the_same_amount_typed_and_in_text(value: float, unit: Literal["units", "cents"]) -> None:
    how = AmountColumn(column="a", unit=unit)
    typed, text = cleaning.amounts(pa.array([value]), how), cleaning.amounts(pa.array([repr(value)]), how)
    assert typed.ok[0]
    assert (typed.values[0], typed.negative[0]) == (text.values[0], text.negative[0])


def grouped(cents: int, group: str, point: str) -> str:
    return f"{cents // 100:,}".replace(",", group) + f"{point}{cents % 100:02d}"


@given(
    st.integers(0, 10**15),
    st.sampled_from(
        [(",", "."), (".", ","), (" ", ","), (" ", "."), ("'", "."), ("", "."), ("", ","), ("\u202f", ",")]
    ),
    st.sampled_from(["{}", "S/ {}", "{} PEN", "US${}", "{} €"]),
    st.sampled_from(["{}", "-{}", "({})", "{}-"]),
    st.sampled_from([PLAIN, POINT, COMMA]),
)
def test_every_way_to_write_an_amount(
    cents: int, signs: tuple[str, str], money: str, negative: str, how: AmountColumn
) -> None:
    text = negative.format(money.format(grouped(cents, *signs)))
    assert read(text, how) == (cents if negative == "{}" else -cents)


@given(st.lists(st.one_of(st.none(), st.text(max_size=8), st.text(alphabet="0123456789.,-() S/$eE'", max_size=14))))
def test_no_text_stops_reading_nor_changes_its_neighbours(texts: list[str | None]) -> None:
    found = cleaning.amounts(pa.array(texts, pa.string()), PLAIN)
    assert not (found.ok & found.missing).any()
    for i, text in enumerate(texts):
        alone = cleaning.amounts(pa.array([text], pa.string()), PLAIN)
        assert (alone.ok[0], alone.values[0], alone.missing[0]) == (found.ok[i], found.values[i], found.missing[i])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("PEN", "PEN"), ("pen", "PEN"), (" Usd\u200b", "USD"), ("S/", "PEN"), ("S/.", "PEN"), ("soles", "PEN")),
        *(("Nuevos Soles", "PEN"), ("US$", "USD"), ("dollars", "USD"), ("Dólares", "USD"), ("US Dollar", "USD")),
        *(("€", "EUR"), ("Euro", "EUR"), ("£", "GBP"), ("604", "PEN"), ("840", "USD"), ("32", "ARS"), ("R$", "BRL")),
    ],
)
def test_currencies(text: str, code: str) -> None:
    found = cleaning.currencies(pa.array([text]))
    assert found.values.to_pylist() == [code]
    assert not found.bad.any()


def test_currencies_that_are_none_or_several() -> None:
    found = cleaning.currencies(pa.array(["$", "kr", "", None, "unknown", "XXX", "XQZ", "credits", "??", "P3N", "001"]))
    assert found.values.null_count == 11
    assert found.bad.tolist() == [False] * 6 + [True] * 5


def test_currencies_as_numbers_and_what_was_done_to_them() -> None:
    assert cleaning.currencies(pa.array([604, 32, None])).values.to_pylist() == ["PEN", "ARS", None]
    steps = cleaning.currencies(pa.array(["PEN", "pen", "S/", "null"]).dictionary_encode().dictionary_decode()).steps
    assert {step: rows.tolist() for step, rows in steps.items()} == {
        Step.CASE: [False, True, False, False],
        Step.CURRENCY_FORM: [False, False, True, False],
        Step.NULL_LIKE: [False, False, False, True],
    }


def mapping_of(folder: Path, *files: str) -> Mapping:
    transaction = {"transaction_id": "id", "occurred_at": "at", "user_id": "user", "amount": "a", "currency": "c"}
    document: dict[str, Any] = {"name": "m", "source": {"files": "x.csv"}, "transaction": transaction}
    return parse_mapping(document | {"currencies": {"base": "PEN", "rates": list(files)}}, folder=folder)


def moment(text: str) -> int:
    return cleaning.parse_time(text, option="at")


def test_the_latest_rate_of_the_day_holds(tmp_path: Path) -> None:
    (tmp_path / "usd.csv").write_text(
        "Date,Currency,Rate\n2024-03-02,USD,3.80\n2024-03-01,US$,3.70\n2024-03-02,usd,3.8\n"
    )
    table = pa.table({"date": [dt.date(2024, 3, 1)], "currency": ["EUR"], "rate": [4.125]})
    pq.write_table(table, tmp_path / "eur.parquet")
    rates = Rates.read(mapping_of(tmp_path, "usd.csv", "*.parquet"))
    codes = ["PEN", "USD", "USD", "USD", "USD", "EUR", "GBP", None]
    days = ["2024-03-01", "2024-02-29", "2024-03-01T23:59:59Z", "2024-03-02", "2025-01-01", "2024-03-05", "2024-03-01"]
    occurred = np.array([moment(day) for day in [*days, "2024-03-01"]])
    amounts = np.array([1000, 1000, 1000, 1000, 1000, 1002, 1000, 1000])
    given_amounts = amounts.copy()
    found, converted, missing = rates.convert(amounts, pa.array(codes), occurred)
    assert found.tolist() == [1000, 1000, 3700, 3800, 3800, 4133, 1000, 1000]
    assert converted.tolist() == [False, False, True, True, True, True, False, False]
    assert missing.tolist() == [False, True, False, False, False, False, True, True]
    assert (amounts == given_amounts).all()


def test_without_rates_nothing_is_converted(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, "x").model_copy(update={"currencies": None})
    found, converted, missing = Rates.read(mapping).convert(np.array([5]), pa.array(["USD"]), np.array([0]))
    assert (found.tolist(), converted.tolist(), missing.tolist()) == ([5], [False], [False])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "day,currency,rate\n2024-03-01,USD,3.7\n",
            "rates.csv has no column date; its columns are day",
        ),
        ("date,currency,rate\n2024-03-01,USD,3.7\nsoon,USD,3.7\n", "row 2: date 'soon' is none"),
        ("date,currency,rate\n2024-03-01,gold,3.7\n", "row 1: currency 'gold' is none"),
        ("date,currency,rate\n2024-03-01,USD,free\n", "row 1: rate 'free' is none"),
        ("date,currency,rate\n2024-03-01,USD,0\n", "row 1: rate '0' is none"),
        ("date,currency,rate\n2024-03-01,USD,3.7\n2024-03-01,USD,3.8\n", "row 1 has another rate for USD on that day"),
        ("date,currency,rate\n2024-03-01,PEN,1.1\n", "the base PEN is worth 1.1 of itself"),
        ("date,currency,rate\n2024-03-01,USD,3.7,9\n", "another number of fields than the header"),
    ],
)
def test_rates_that_cannot_be_used_are_named(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "rates.csv").write_text(lines)
    with pytest.raises(InputError, match=message):
        Rates.read(mapping_of(tmp_path, "rates.csv"))
    with pytest.raises(InputError):
        Rates.read(mapping_of(tmp_path, "absent.csv"))
