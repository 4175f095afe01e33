"""Columns of times."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, nulls
from etl.cleaning.numeric import Parsed, no_text, numbers
from etl.mapping import TimeColumn
from graph.errors import InputError
from graph.records import SECOND

EARLIEST = 631_152_000 * SECOND
"""1990-01-01: what is older is a mistake."""

_TIME = r"^\d{4}[-/]\d\d[-/]\d\d([Tt ]\d\d(:\d\d(:\d\d([.,]\d+)?)?)? ?([Zz]|[+-]\d\d(:?\d\d)?)?)?$"
_ZONED = r"[Tt ].*([Zz]|[+-]\d\d(:?\d\d)?)$"
_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
_FAR = 253_402_300_800 * SECOND  # the year 10,000, the end of what a calendar here can hold


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
    missing = no_text(text)
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
