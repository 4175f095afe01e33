"""Identifiers and categories, whole columns at once, as `graph.ids` says one by one."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cleaning
from etl.cleaning.steps import Step
from graph.ids import address_range, canonical, category

ODD = st.text(alphabet="0fF-:_.{} aA19\u200b\u00a0\ufeff[]%/|\t", max_size=20)
KEYS = st.one_of(
    st.none(),
    st.text(max_size=16),
    ODD,
    st.uuids().map(str),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.integers(0, 10**9).map(str),
    st.sampled_from(["null", "un-defined", "7.0", "00000000", "9774D56D-682E549C", "02:00:00:00:00:00", "0.0.0.0"]),
)


@given(st.lists(KEYS, max_size=30), st.sampled_from(["device", "ip", "user", "transaction"]))
def test_columns_and_single_keys_agree(texts: list[str | None], entity: str) -> None:
    expected = [None if text is None else canonical(entity, text) for text in texts]
    found = cleaning.identifiers(entity, pa.array(texts, pa.string()))
    assert found.values.to_pylist() == expected
    assert not found.bad.any()
    again = cleaning.identifiers(entity, found.values)
    assert again.values.to_pylist() == expected
    assert not again.steps, "what is canonical needs no step"


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), ODD, st.sampled_from(["NULL", "nan", "1.0", "Lima"]))))
def test_categories_and_single_values_agree(texts: list[str | None]) -> None:
    found = cleaning.texts(pa.array(texts, pa.string()))
    assert found.values.to_pylist() == [None if text is None else category(text) for text in texts]


@given(st.lists(st.integers(-(10**9), 10**15)), st.sampled_from(["device", "ip", "user"]))
def test_a_key_is_the_same_typed_and_in_text(numbers: list[int], entity: str) -> None:
    found = [
        cleaning.identifiers(entity, array).values.to_pylist()
        for array in (
            pa.array(numbers, pa.int64()),
            pa.array([float(n) for n in numbers], pa.float64()),
            pa.array([str(n) for n in numbers], pa.string()),
            pa.array([f"{n}.0" for n in numbers], pa.string()),
            pa.array([f" {n} ".encode() for n in numbers], pa.binary()),
        )
    ]
    assert all(values == found[0] for values in found)


def steps_of(found: cleaning.Text) -> dict[Step, list[bool]]:
    return {step: rows.tolist() for step, rows in found.steps.items()}


def test_steps_of_devices() -> None:
    devices = ["abcdef12", "ABCDEF12", "ab-cd:ef_12", "AB-CDEF12", "abcdef12\u200b", " abcdef12 ", "00000000", None]
    found = cleaning.identifiers("device", pa.array(devices))
    assert found.values.to_pylist() == ["abcdef12"] * 6 + [None, None]
    assert steps_of(found) == {
        Step.CASE: [False, True, False, True, False, False, False, False],
        Step.SEPARATORS: [False, False, True, True, False, False, False, False],
        Step.INVISIBLE: [False, False, False, False, True, False, False, False],
        Step.NULL_LIKE: [False, False, False, False, False, False, True, False],
    }


def test_steps_of_addresses() -> None:
    addresses = ["1.2.3.4", "001.2.3.4", "::FFFF:1.2.3.4", "1.2.3.4\ufeff", "1.2.3.999", "0.0.0.0", "a1b2", ""]
    found = cleaning.identifiers("ip", pa.array(addresses))
    assert found.values.to_pylist() == ["1.2.3.4"] * 4 + [None, None, "a1b2", None]
    assert steps_of(found) == {
        Step.ADDRESS: [False, True, True, False, False, False, False, False],
        Step.INVISIBLE: [False, False, False, True, False, False, False, False],
        Step.BAD_ADDRESS: [False, False, False, False, True, False, False, False],
        Step.NULL_LIKE: [False, False, False, False, False, True, False, False],
    }


def test_steps_of_categories() -> None:
    found = cleaning.texts(pa.array(["Lima", " Lima\t", "Lima\u00a0", "N/A", "", None, "unknown"]))
    assert found.values.to_pylist() == ["Lima", "Lima", "Lima", None, None, None, "unknown"]
    assert steps_of(found) == {
        Step.INVISIBLE: [False, False, True, False, False, False, False],
        Step.NULL_LIKE: [False, False, False, True, False, False, False],
    }


def test_composite_keys_are_canonical_as_wholes() -> None:
    found = cleaning.keys_of("device", [pa.array(["POS-\u200b1", "null", None]), pa.array([12, 7, None])])
    assert found.values.to_pylist() == ["pos-1|12", "|7", None]
    assert canonical("device", "POS-1|12") == "pos-1|12"
    assert steps_of(found) == {
        Step.INVISIBLE: [True, False, False],
        Step.NULL_LIKE: [False, True, False],
        Step.CASE: [True, False, False],
    }
    assert cleaning.keys_of("user", [pa.array(["Ana"])]).values.to_pylist() == ["Ana"]


@pytest.mark.parametrize("array", [pa.array([], pa.string()), pa.nulls(0), pa.array([], pa.int64())])
@pytest.mark.parametrize("entity", ["device", "ip", "user"])
def test_no_rows(entity: str, array: Any) -> None:
    assert len(cleaning.identifiers(entity, array).values) == 0


@given(st.lists(st.one_of(st.none(), st.ip_addresses().map(str), st.just("token"))))
def test_address_ranges(addresses: list[str | None]) -> None:
    expected = [None if address is None else address_range(address) for address in addresses]
    assert cleaning.address_ranges(pa.array(addresses, pa.string())).to_pylist() == expected
