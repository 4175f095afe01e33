"""Values of any type and spelling to ids, times, amounts and labels."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cleaning
from etl.cleaning.steps import Step


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


@pytest.mark.parametrize("text", ["abc", "1,5", "nan", "inf", "-inf", "0x10", "1_000", "1e400", "--1", "."])
def test_numbers_that_cannot_be_read(text: str) -> None:
    assert cleaning.numbers(pa.array([text])).bad[0]


def test_an_optional_number_that_says_there_is_none_is_missing_not_unreadable() -> None:
    text = cleaning.optional_numbers(pa.array(["1.5", "NA", " null ", "NaN", "-", "", None, "x", "inf"]))
    assert text.ok.tolist() == [True, *[False] * 8]
    assert text.missing.tolist() == [False, *[True] * 6, False, False]
    assert text.bad.tolist() == [*[False] * 7, True, True]
    assert {step: rows.tolist() for step, rows in text.steps.items()} == {
        Step.NULL_LIKE: [False, True, True, True, True, *[False] * 4]
    }
    typed = cleaning.optional_numbers(pa.array([1.5, float("nan"), float("inf"), None]))
    assert typed.missing.tolist() == [False, True, False, True]
    assert typed.bad.tolist() == [False, False, True, False]
    assert not typed.steps


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


@pytest.mark.parametrize(
    "named", [([1], [0]), ([True], [False]), (["1"], ["0"]), (["true"], ["false"]), ([1.0], [0.0])]
)
@pytest.mark.parametrize(
    "array",
    [
        pa.array([True, False, None]),
        pa.array([1, 0, None], pa.int8()),
        pa.array([1.0, 0.0, float("nan")]),
        pa.array(["1", "0", ""]),
        pa.array(["1.0", "0.0", None]),
        pa.array(["True", "FALSE", "null"]),
        pa.array(["\ufefftrue ", "false\u00a0", " "]),
    ],
)
def test_truth_is_truth_however_it_is_written(array: pa.Array, named: tuple[list[Any], list[Any]]) -> None:
    assert cleaning.label_values(array, *named).tolist() == [1, 0, -1]


def test_what_is_named_holds_before_what_it_may_stand_for() -> None:
    array = pa.array(["true", "1", "yes", "false"])
    assert cleaning.label_values(array, ["true"], ["1"]).tolist() == [1, 0, 1, -1]
