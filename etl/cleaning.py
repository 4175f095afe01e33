"""From the columns of a source, of whatever type, to ids, times, amounts, numbers and label values.

Every function takes an Arrow array and works on all of it at once. What a value says does not
depend on the other values of its batch, nor on whether it came as text (CSV) or typed (Parquet).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.mapping import TimeColumn
from etl.mapping_values import Value
from graph.errors import InputError
from graph.ids import is_missing
from graph.records import SECOND

MAX_TEXT = 1024
"""Most characters of an id or a categorical value."""
MAX_AMOUNT = 1e15
"""Largest amount, in hundredths: integers of this size are exact as float64, and their sums as int64."""
EARLIEST = 631_152_000 * SECOND
"""1990-01-01: what is older is a mistake."""

_NULL_TEXT = ["", "null", "none", "nan", "nil", "n/a", "#n/a", "\\n", "<na>", "nat"]
_DIGIT = r"[1-9]"  # what has one is no spelling of null
_WHOLE = r"^([+-]?\d+)\.0+$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TIME = r"^\d{4}[-/]\d\d[-/]\d\d([Tt ]\d\d(:\d\d(:\d\d([.,]\d+)?)?)? ?([Zz]|[+-]\d\d(:?\d\d)?)?)?$"
_ZONED = r"[Tt ].*([Zz]|[+-]\d\d(:?\d\d)?)$"
_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
_FAR = 253_402_300_800 * SECOND  # the year 10,000, the end of what a calendar here can hold
_TRUE = {"1", "true", "yes", "t", "y"}
_FALSE = {"0", "false", "no", "f", "n"}

FRAUD, GENUINE, UNLABELLED, UNREADABLE = 1, 0, -1, -2


def column_of(table: pa.Table, name: str) -> pa.Array:
    """One column as a single array, with dictionary encoding undone."""
    array = table.column(name).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def as_text(array: pa.Array) -> pa.Array:
    """Any column as trimmed text; whole floats without `.0`, NaN as null, bytes that are not UTF-8 replaced."""
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
        text = pa.array([None if v is None else v.decode("utf-8", "replace") for v in array.to_pylist()], pa.string())
        return pc.utf8_trim_whitespace(text)
    if pa.types.is_nested(kind):
        plain = [None if v is None else json.dumps(v, default=str, sort_keys=True) for v in array.to_pylist()]
        return pa.array(plain, pa.string())
    text = pc.cast(array, pa.string())
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pc.utf8_trim_whitespace(text) if is_text else text


def ids(array: pa.Array) -> pa.Array:
    """Identifiers as text; null where missing or null-like (`graph.ids.is_missing`)."""
    text = as_text(array)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return text  # a number cannot look like null
    text = pc.replace_substring_regex(text, _WHOLE, r"\1")
    doubtful = pc.filter(text, pc.invert(pc.match_substring_regex(text, _DIGIT))).unique()
    null_like = [key for key in doubtful.to_pylist() if is_missing(key)]
    if not null_like:
        return text
    return pc.if_else(pc.is_in(text, value_set=pa.array(null_like)), pa.scalar(None, pa.string()), text)


def composite(parts: Sequence[pa.Array]) -> pa.Array:
    """One id of several parts, joined by `|` (which is escaped inside them); null where all parts are missing."""
    if len(parts) == 1:
        return parts[0]
    missing = np.logical_and.reduce([nulls(part) for part in parts])
    escaped = [
        pc.replace_substring(pc.replace_substring(pc.fill_null(part, ""), "\\", "\\\\"), "|", "\\|") for part in parts
    ]
    joined = pc.binary_join_element_wise(*escaped, "|")
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), joined)


def categories(array: pa.Array) -> pa.Array:
    """Categorical values as text; null where empty or spelled null."""
    text = as_text(array)
    null_like = pc.is_in(pc.utf8_lower(text), value_set=pa.array(_NULL_TEXT))
    return pc.if_else(null_like, pa.scalar(None, pa.string()), text)


def nulls(array: pa.Array) -> NDArray[np.bool_]:
    """Where an array is null."""
    result: NDArray[np.bool_] = pc.is_null(array).to_numpy(zero_copy_only=False)
    return result


def too_long(text: pa.Array) -> NDArray[np.bool_]:
    """Where text has more than `MAX_TEXT` characters."""
    result: NDArray[np.bool_] = pc.fill_null(pc.greater(pc.utf8_length(text), MAX_TEXT), False).to_numpy(
        zero_copy_only=False
    )
    return result


@dataclass(frozen=True, slots=True)
class Parsed:
    """Numbers read from a column of n rows.

    Attributes:
        values: n numbers; what stands where `ok` is false has no meaning.
        ok: the value could be read.
        missing: there was no value. Neither `ok` nor `missing`: there was one, and it could not be read.
    """

    values: NDArray[Any]
    ok: NDArray[np.bool_]
    missing: NDArray[np.bool_]

    @property
    def bad(self) -> NDArray[np.bool_]:
        """There was a value that could not be read."""
        result: NDArray[np.bool_] = ~self.ok & ~self.missing
        return result


def numbers(array: pa.Array) -> Parsed:
    """Float64 values. Text that is not a plain decimal number is bad; NaN and infinity are bad too."""
    kind = array.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        missing = nulls(array)
        whole = pc.cast(array, pa.int8()) if pa.types.is_boolean(kind) else array
        values = pc.cast(whole, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    elif pa.types.is_temporal(kind):
        missing = nulls(array)
        values = np.full(len(array), np.nan)
    else:
        text = as_text(array)
        missing = _no_text(text)
        readable = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, pa.scalar(None, pa.string()))
        values = pc.cast(readable, pa.float64()).to_numpy(zero_copy_only=False)
    return Parsed(values, np.isfinite(values) & ~missing, missing)


def _no_text(text: pa.Array) -> NDArray[np.bool_]:
    """Null or empty. Spelled-out nulls (`nan`) in a column of numbers or times are values that cannot be read."""
    result: NDArray[np.bool_] = pc.fill_null(pc.equal(text, ""), True).to_numpy(zero_copy_only=False)
    return result


def hundredths(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Currency units to integer hundredths, halves to even; finite amounts up to `MAX_AMOUNT` hundredths."""
    result: NDArray[np.int64] = np.rint(amounts * 100.0).astype(np.int64)
    return result


def times(array: pa.Array, how: TimeColumn) -> Parsed:
    """Microseconds since 1970, UTC (int64).

    Text is ISO 8601 (`2018-04-01`, `2018-04-01 10:15:00.5`, `…Z`, `…+05:00`); where it names no zone, and for
    timestamps without one, `how.timezone` holds: the earlier of two readings when clocks go back, the later
    when they go forward. Numbers count `how.epoch` units from `how.origin`.
    """
    if how.epoch is not None:
        parsed = numbers(array)
        micros = np.where(parsed.ok, parsed.values, 0.0) * _UNIT_US[how.epoch]
        ok = parsed.ok & (np.abs(micros) < _FAR)
        values = np.rint(np.where(ok, micros, 0.0)).astype(np.int64) + how.origin_us
        return Parsed(values, ok, parsed.missing)
    if pa.types.is_temporal(array.type) and not pa.types.is_time(array.type) and not pa.types.is_duration(array.type):
        return _typed_times(array, how.timezone)
    text = as_text(array)
    missing = _no_text(text)
    text = pc.replace_substring_regex(text, r" ?UTC$", "Z")
    text = pc.if_else(pc.match_substring_regex(text, _TIME), text, pa.scalar(None, pa.string()))
    text = pc.replace_substring(pc.replace_substring_regex(text, r"([.,]\d{6})\d+", r"\1"), ",", ".")
    text = pc.replace_substring(text, "/", "-")
    zoned = pc.fill_null(pc.match_substring_regex(text, _ZONED), False)
    # Each form is parsed apart from the other, so that no value changes how its neighbours are read.
    aware = _iso(pc.if_else(zoned, text, pa.scalar(None, pa.string())), zoned=True)
    naive = _iso(pc.if_else(zoned, pa.scalar(None, pa.string()), text), zoned=False)
    local = _localised(naive, how.timezone)
    values = pc.coalesce(aware, local)
    ok = ~nulls(values)
    return Parsed(pc.fill_null(values, 0).to_numpy(zero_copy_only=False), ok, missing)


def parse_time(text: str, *, option: str) -> int:
    """One time given by a person, in microseconds UTC (taken as UTC where it names no zone).

    Raises:
        InputError: it cannot be read; the message names `option`.
    """
    parsed = times(pa.array([text]), TimeColumn(column=option))
    if not parsed.ok[0]:
        raise InputError(f"{option} {text!r} is not a time", hint="for instance 2018-08-08 or 2018-08-08T10:00:00Z")
    return int(parsed.values[0])


def _iso(text: pa.Array, *, zoned: bool) -> pa.Array:
    """Microseconds (int64, null where unreadable) of ISO 8601 text, wall clock or, where zoned, UTC."""
    if text.null_count == len(text):
        return pa.nulls(len(text), pa.int64())
    stamps = pd.to_datetime(pd.Series(text.to_pylist(), dtype=object), format="ISO8601", errors="coerce", utc=zoned)
    stamps = stamps.dt.tz_localize(None) if zoned else stamps
    numbered = stamps.to_numpy(dtype="datetime64[us]")
    return pa.array(numbered.view(np.int64), mask=np.isnat(numbered))


def _localised(wall: pa.Array, zone: str) -> pa.Array:
    """Wall-clock microseconds (int64) in a time zone to UTC."""
    if zone == "UTC" or wall.null_count == len(wall):
        return wall
    stamps = wall.view(pa.timestamp("us"))
    return pc.assume_timezone(stamps, zone, ambiguous="earliest", nonexistent="latest").view(pa.int64())


def _typed_times(array: pa.Array, zone: str) -> Parsed:
    missing = nulls(array)
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("ms"), safe=False)
    unit: str = array.type.unit
    raw = pc.fill_null(array.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if unit == "ns":
        values, ok = raw // 1_000, ~missing
    else:
        ok = ~missing & (np.abs(raw) < _FAR // _UNIT_US[unit])
        values = np.where(ok, raw, 0) * _UNIT_US[unit]
    if array.type.tz is None and zone != "UTC":
        values = _localised(pa.array(values), zone).to_numpy(zero_copy_only=False)
    return Parsed(values, ok, missing)


def seconds_since(occurred_at: NDArray[np.int64], then: NDArray[np.int64]) -> NDArray[np.float64]:
    """Seconds from `then` to `occurred_at` (both microseconds UTC); negative where `then` is later."""
    result: NDArray[np.float64] = (occurred_at - then) / float(SECOND)
    return result


def label_values(array: pa.Array, fraud: Iterable[Value] | None, genuine: Iterable[Value] | None) -> NDArray[np.int8]:
    """FRAUD, GENUINE, UNLABELLED or UNREADABLE a row.

    Without named values, 1/true/yes is fraud and 0/false/no genuine, nothing is no label, and the rest
    cannot be read. With named values, whatever is not named is no label.
    """
    text = pc.utf8_lower(pc.replace_substring_regex(as_text(array), _WHOLE, r"\1"))
    named = fraud is not None
    yes = _spellings(fraud) if fraud is not None else _TRUE
    no = _spellings(genuine or ()) if named else _FALSE
    empty = pc.fill_null(pc.is_in(text, value_set=pa.array(_NULL_TEXT)), True).to_numpy(zero_copy_only=False)
    empty |= nulls(text)
    result = np.where(empty | named, UNLABELLED, UNREADABLE).astype(np.int8)
    result[_among(text, no)] = GENUINE
    result[_among(text, yes)] = FRAUD
    return result


def _among(text: pa.Array, values: set[str]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = pc.is_in(text, value_set=pa.array(sorted(values), pa.string())).to_numpy(
        zero_copy_only=False
    )
    return result


def _spellings(values: Iterable[Value]) -> set[str]:
    """How named label values look as text: YAML reads `yes` as true, and a column may hold either."""
    spelled: set[str] = set()
    for value in values:
        if isinstance(value, bool):
            spelled |= (_TRUE if value else _FALSE) - {"1", "0"}
        elif isinstance(value, float) and value.is_integer():
            spelled.add(str(int(value)))
        else:
            spelled.add(str(value).strip().lower())
    return spelled
