"""Values of any type and spelling to ids, times, amounts and labels."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cleaning
from etl.mapping import TimeColumn
from graph.errors import InputError

UTC = dt.UTC
LIMA = TimeColumn(column="at", timezone="America/Lima")
PLAIN = TimeColumn(column="at")


def micros(*fields: int) -> int:
    return (dt.datetime(*fields, tzinfo=UTC) - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([7, 0, None], pa.int32()), ["7", "0", None]),
        (pa.array([7.0, 2.5, float("nan"), None]), ["7", "2.5", None, None]),
        (pa.array([" a ", "7.0", "0", "000", ""]), ["a", "7", "0", "000", None]),
        (pa.array(["null", "None", "NaN", "unknown", "N/A", "-"]), [None] * 6),
        (pa.array(["00000000-0000-0000-0000-000000000000", "00000000", "0.0.0.0"]), [None] * 3),
        (pa.array([b"ab", b"\xff"]), ["ab", "�"]),
        (pa.array(["x", "x", None]).dictionary_encode(), ["x", "x", None]),
        (pa.array([Decimal("12.00"), Decimal("12.50")]), ["12", "12.50"]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([], pa.string()), []),
        (pa.nulls(2), [None, None]),
    ],
)
def test_ids(array: pa.Array, expected: list[str | None]) -> None:
    assert cleaning.ids(cleaning.column_of(pa.table({"c": array}), "c")).to_pylist() == expected


def test_composite_ids_need_one_part_and_do_not_collide() -> None:
    a, b = pa.array(["x", "x|y", None, None]), pa.array(["y|z", "z", "z", None])
    assert cleaning.composite([a, b]).to_pylist() == ["x|y\\|z", "x\\|y|z", "|z", None]


parts = st.lists(st.one_of(st.none(), st.text(alphabet="ab|\\", min_size=1, max_size=4)), min_size=2, max_size=2)


@given(st.lists(parts, min_size=2, max_size=20))
def test_different_parts_give_different_composite_ids(rows: list[list[str | None]]) -> None:
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(2)]
    joined = cleaning.composite(columns).to_pylist()
    assert len(set(joined)) == len({tuple(row) for row in rows})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", (2024, 3, 1)),
        ("2024-03-01 10:15", (2024, 3, 1, 10, 15)),
        ("2024/03/01 10:15:30", (2024, 3, 1, 10, 15, 30)),
        ("2024-03-01T10:15:30.25", (2024, 3, 1, 10, 15, 30, 250_000)),
        ("2024-03-01T10:15:30.123456789", (2024, 3, 1, 10, 15, 30, 123_456)),
        ("2024-03-01T10:15:30Z", (2024, 3, 1, 10, 15, 30)),
        ("2024-03-01 10:15:30 UTC", (2024, 3, 1, 10, 15, 30)),
        ("2024-03-01T10:15:30-05:00", (2024, 3, 1, 15, 15, 30)),
        (" 2024-03-01 10:15:30+0530 ", (2024, 3, 1, 4, 45, 30)),
        ("9999-12-31", (9999, 12, 31)),
    ],
)
def test_time_text(text: str, expected: tuple[int, ...]) -> None:
    for neighbours in ([], ["x", "2024-03-01T10:15:30.123456789", "2024-03-01T10:15:30+02:00", None]):
        parsed = cleaning.times(pa.array([text, *neighbours], pa.string()), PLAIN)
        assert parsed.ok[0]
        assert parsed.values[0] == micros(*expected), "and its neighbours do not matter"


@pytest.mark.parametrize(
    "text", ["x", "2024-13-01", "2024-02-30", "2024", "20240301", "2024-03-01 25:00:00", "10:15", "nan", "1709287200"]
)
def test_time_text_that_cannot_be_read(text: str) -> None:
    parsed = cleaning.times(pa.array([text]), PLAIN)
    assert parsed.bad[0]


def test_missing_time_is_not_a_bad_one() -> None:
    parsed = cleaning.times(pa.array(["", "  ", None]), PLAIN)
    assert parsed.missing.all()
    assert not parsed.ok.any()


def test_time_zones_hold_for_times_that_name_none() -> None:
    parsed = cleaning.times(pa.array(["2024-03-01 10:00:00", "2024-03-01 10:00:00Z"]), LIMA)
    assert parsed.values.tolist() == [micros(2024, 3, 1, 15), micros(2024, 3, 1, 10)]
    typed = pa.array([micros(2024, 3, 1, 10)]).view(pa.timestamp("us"))
    assert cleaning.times(typed, LIMA).values.tolist() == [micros(2024, 3, 1, 15)]
    assert cleaning.times(typed.cast(pa.timestamp("ms", tz="UTC")), LIMA).values.tolist() == [micros(2024, 3, 1, 10)]


def test_clocks_that_change() -> None:
    madrid = TimeColumn(column="at", timezone="Europe/Madrid")
    parsed = cleaning.times(pa.array(["2018-10-28 02:30:00", "2018-03-25 02:30:00"]), madrid)
    assert parsed.values.tolist() == [micros(2018, 10, 28, 0, 30), micros(2018, 3, 25, 1)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times_of_every_unit(unit: str) -> None:
    at = pa.array([micros(2018, 4, 1, 0, 0, 31), None]).view(pa.timestamp("us"))
    parsed = cleaning.times(at.cast(pa.timestamp(unit)), PLAIN)
    assert parsed.values[0] == micros(2018, 4, 1, 0, 0, 31)
    assert parsed.missing.tolist() == [False, True]


def test_typed_times_beyond_any_calendar_are_bad_and_dates_are_times() -> None:
    assert cleaning.times(pa.array([2**62], pa.int64()).view(pa.timestamp("s")), PLAIN).bad[0]
    assert cleaning.times(pa.array([dt.date(2024, 3, 1)]), PLAIN).values[0] == micros(2024, 3, 1)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000)])
def test_epochs(unit: Any, factor: int) -> None:
    how = TimeColumn(column="at", epoch=unit)
    count = 1_709_287_200 * factor
    for array in (pa.array([count]), pa.array([float(count)]), pa.array([str(count)])):
        assert cleaning.times(array, how).values[0] == micros(2024, 3, 1, 10)
    assert cleaning.times(pa.array(["2024-03-01"]), how).bad[0]
    assert cleaning.times(pa.array([1e300]), how).bad[0]


def test_epoch_from_an_origin() -> None:
    how = TimeColumn.model_validate({"column": "Time", "epoch": "s", "origin": dt.date(2020, 1, 1)})
    assert cleaning.times(pa.array([86_400.5]), how).values[0] == micros(2020, 1, 2, 0, 0, 0, 500_000)


@pytest.mark.parametrize("text", ["abc", "1,5", "nan", "inf", "-inf", "0x10", "1_000", "1e400", "--1", "."])
def test_numbers_that_cannot_be_read(text: str) -> None:
    assert cleaning.numbers(pa.array([text])).bad[0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_the_same_from_text_and_typed(value: float) -> None:
    typed, text = cleaning.numbers(pa.array([value])), cleaning.numbers(pa.array([repr(value)]))
    assert typed.ok[0]
    assert text.ok[0]
    assert typed.values[0] == text.values[0]


def test_hundredths_round_halves_to_even() -> None:
    amounts = np.array([0.0, 0.125, 0.375, 19.99, 1e13])
    assert cleaning.hundredths(amounts).tolist() == [0, 12, 38, 1999, 10**15]


@given(st.integers(0, 10**15))
def test_whole_hundredths_survive(cents: int) -> None:
    assert cleaning.hundredths(np.array([cents / 100])).tolist() == [cents]


def test_label_values_by_custom() -> None:
    text = pa.array(["1", "true", "Yes", "0", "FALSE", "no", "", None, "maybe", "1.0"])
    assert cleaning.label_values(text, None, None).tolist() == [1, 1, 1, 0, 0, 0, -1, -1, -2, 1]
    assert cleaning.label_values(pa.array([1, 0, 2], pa.int8()), None, None).tolist() == [1, 0, -2]
    assert cleaning.label_values(pa.array([True, False, None]), None, None).tolist() == [1, 0, -1]


def test_label_values_that_are_named() -> None:
    text = pa.array(["Chargeback", "settled", "open", "", None])
    assert cleaning.label_values(text, ["chargeback"], ["settled"]).tolist() == [1, 0, -1, -1, -1]
    assert cleaning.label_values(pa.array([1.0, 0.0, 7.0]), [1], [0]).tolist() == [1, 0, -1]
    assert cleaning.label_values(pa.array(["yes", "no"]), [True], [False]).tolist() == [1, 0], "YAML reads yes as true"


def test_seconds_since() -> None:
    assert cleaning.seconds_since(np.array([5_500_000]), np.array([1_000_000])).tolist() == [4.5]


def test_a_time_given_by_a_person() -> None:
    assert cleaning.parse_time("2024-03-01", option="--since") == micros(2024, 3, 1)
    with pytest.raises(InputError, match="--since 'yesterday' is not a time"):
        cleaning.parse_time("yesterday", option="--since")
