"""Columns of any type as text, and what can be said of any of them."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.steps import Step
from graph.ids import NO_CATEGORY

MAX_TEXT = 1024
"""Most characters of an id or a categorical value."""
_NULL_WORDS = pa.array(sorted(NO_CATEGORY))
WHOLE = r"^([+-]?\d+)\.0+$"
"""A whole number that a typed column turned into text as a float."""


@dataclass(frozen=True, slots=True)
class Text:
    """Cleaned text of n rows.

    Attributes:
        values: n texts; null where there is none, or none that means something.
        steps: the rows (bool[n]) that cleaning changed, by step.
        bad: bool[n], where there was something that could not be read.
    """

    values: pa.Array
    steps: dict[Step, NDArray[np.bool_]]
    bad: NDArray[np.bool_]


def column_of(table: pa.Table, name: str) -> pa.Array:
    """One column as a single array, with dictionary encoding undone."""
    array = table.column(name).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def as_text(array: pa.Array) -> pa.Array:
    """Any column as trimmed text; whole floats without `.0`, NaN as null, bytes that are not UTF-8 replaced."""
    text = as_written(array)
    return pc.utf8_trim_whitespace(text) if is_text(array) else text


def is_text(array: pa.Array) -> bool:
    """Whether a column came as text or bytes, rather than typed."""
    kind = array.type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def as_written(array: pa.Array) -> pa.Array:
    """As `as_text`, with the blanks at the ends that text has."""
    kind = array.type
    if pa.types.is_floating(kind):
        values = pc.cast(array, pa.float64())
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        digits = pc.cast(pc.cast(pc.if_else(whole, values, 0.0), pa.int64()), pa.string())
        text = pc.if_else(whole, digits, pc.cast(values, pa.string()))
        return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.string()), text)
    if pa.types.is_decimal(kind):
        return pc.replace_substring_regex(pc.cast(array, pa.string()), r"\.0+$", "")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else v.decode("utf-8", "replace") for v in array.to_pylist()], pa.string())
    if pa.types.is_nested(kind):
        plain = [None if v is None else json.dumps(v, default=str, sort_keys=True) for v in array.to_pylist()]
        return pa.array(plain, pa.string())
    return pc.cast(array, pa.string())


def nulls(array: pa.Array) -> NDArray[np.bool_]:
    """Where an array is null."""
    result: NDArray[np.bool_] = pc.is_null(array).to_numpy(zero_copy_only=False)
    return result


def too_long(text: pa.Array) -> NDArray[np.bool_]:
    """Where text has more than `MAX_TEXT` characters."""
    return mask(pc.greater(pc.utf8_length(text), MAX_TEXT))


def null_words(text: pa.Array) -> NDArray[np.bool_]:
    """Where trimmed text spells that there is nothing: `null`, `N/A`, `NaT` …, in any case."""
    return mask(pc.is_in(pc.utf8_lower(text), value_set=_NULL_WORDS)) & mask(pc.not_equal(text, ""))


def mask(array: pa.Array) -> NDArray[np.bool_]:
    """A Boolean array as a mask; null is false."""
    result: NDArray[np.bool_] = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return result


def matches(text: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Where text matches a regular expression (RE2)."""
    return mask(pc.match_substring_regex(text, pattern))


def noted(steps: dict[Step, NDArray[np.bool_]]) -> dict[Step, NDArray[np.bool_]]:
    """The steps that touched any row."""
    return {step: rows for step, rows in steps.items() if rows.any()}
