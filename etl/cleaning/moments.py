"""Columns of times."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, is_text, noted, null_words, nulls
from etl.cleaning.epochs import epoch_times
from etl.cleaning.numeric import Parsed, no_text
from etl.cleaning.steps import Step
from etl.cleaning.time_forms import english_months
from etl.cleaning.time_text import ReadTimes, read_times
from etl.cleaning.wall_clock import to_utc
from etl.mapping import TimeColumn
from graph.errors import InputError, MappingError
from graph.records import SECOND

EARLIEST = 631_152_000 * SECOND
"""1990-01-01: what is older is a mistake."""
FAR = 253_402_300_800 * SECOND
"""The year 10,000, the end of what a calendar here can hold."""

_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}


def times(array: pa.Array, how: TimeColumn) -> Parsed:
    """Microseconds since 1970, UTC (int64).

    Text is ISO 8601 or another common form: `03/04/2026 14:05`, `4 Mar 2026 2:05 pm`, `Wed, 04 Mar 2026 14:05:00
    -0500` (RFC 2822), `20260304T140500`, months in English or Spanish, years of two digits from 1969 to 2068, zones
    as offsets, names (`America/Lima`) and abbreviations that mean only one thing. Of two leading numbers the first
    is the month, unless `how.day_first`; what can only be read the other way round is, value by value. Ten, 13, 16
    and 19 digits are seconds, milliseconds, microseconds and nanoseconds since 1970. Numbers mean what their digits
    would mean as text. With `how.format`, only text of that form; with `how.epoch`, only numbers of that unit.

    Where a time names no zone, and for timestamps without one, `how.timezone` holds: the earlier of two instants
    when clocks go back, the instant of the change when they go forward (`Step.DAYLIGHT_SAVING`). Forms other than
    ISO 8601 are counted as `Step.TIME_FORM`. Words for nothing (`null`, `N/A`) are missing (`Step.NULL_LIKE`).

    Raises:
        MappingError: `how.format` is no form of strptime.
    """
    null_like = np.zeros(len(array), dtype=np.bool_)
    if is_text(array):
        array = as_text(array)
        null_like = null_words(array)
        if null_like.any():
            array = pc.if_else(pa.array(null_like), pa.scalar(None, pa.string()), array)
    if how.epoch is not None:
        counted = epoch_times(array, how.epoch, how.origin_us)
        return replace(counted, steps=noted({Step.NULL_LIKE: null_like}))
    if pa.types.is_temporal(array.type) and not pa.types.is_time(array.type) and not pa.types.is_duration(array.type):
        return _typed_times(array, how.timezone)
    text = _whole_digits(as_text(array)) if pa.types.is_floating(array.type) else as_text(array)
    found = read_times(text, how) if how.format is None else _formatted(text, how)
    steps = {
        Step.TIME_FORM: found.other_form & found.ok,
        Step.DAYLIGHT_SAVING: found.shifted,
        Step.NULL_LIKE: null_like,
    }
    return Parsed(found.micros, found.ok, no_text(text), noted(steps))


def parse_time(text: str, *, option: str) -> int:
    """One time given by a person as ISO 8601, in microseconds UTC (taken as UTC where it names no zone).

    Raises:
        InputError: it cannot be read; the message names `option`.
    """
    parsed = times(pa.array([text]), TimeColumn(column=option))
    if not parsed.ok[0] or Step.TIME_FORM in parsed.steps:
        raise InputError(f"{option} {text!r} is not a time", hint="for instance 2018-08-08 or 2018-08-08T10:00:00Z")
    return int(parsed.values[0])


def seconds_since(occurred_at: NDArray[np.int64], then: NDArray[np.int64]) -> NDArray[np.float64]:
    """Seconds from `then` to `occurred_at` (both microseconds UTC); negative where `then` is later."""
    result: NDArray[np.float64] = (occurred_at - then) / float(SECOND)
    return result


def _whole_digits(text: pa.Array) -> pa.Array:
    """Numbers in text without exponents, as they would stand in a file."""
    encoded = pc.dictionary_encode(text)
    plain = [format(Decimal(number), "f") if "e" in number else number for number in encoded.dictionary.to_pylist()]
    return pa.array(plain, pa.string()).take(encoded.indices)


def _formatted(text: pa.Array, how: TimeColumn) -> ReadTimes:
    """Times of one strptime form; names of months in English or Spanish."""
    form = how.format or ""
    zoned = "%z" in form or "%Z" in form
    encoded = pc.dictionary_encode(text)
    distinct = encoded.dictionary.to_pylist()
    try:
        stamps = pd.to_datetime(pd.Series(distinct, dtype=object), format=form, errors="coerce", utc=zoned)
        if "%b" in form or "%B" in form:
            spelled = pd.Series([english_months(value) for value in distinct], dtype=object)
            for month in ("%b", "%B"):
                pattern = form.replace("%B", "%b").replace("%b", month)
                stamps = stamps.fillna(pd.to_datetime(spelled, format=pattern, errors="coerce", utc=zoned))
    except ValueError as error:
        raise MappingError(
            f"{', '.join(how.column)}: format {form!r} is no form of a time: {error}",
            hint="strptime's directives, for instance %d-%b-%Y %H:%M",
        ) from error
    numbered = (stamps.dt.tz_localize(None) if zoned else stamps).to_numpy(dtype="datetime64[us]")
    micros = pa.array(numbered.view(np.int64), mask=np.isnat(numbered)).take(encoded.indices)
    result = ReadTimes.none(len(text))
    rows = np.flatnonzero(~nulls(micros))
    result.put_wall(rows, micros.drop_null().to_numpy(), "UTC" if zoned else how.timezone)
    return result


def _typed_times(array: pa.Array, zone: str) -> Parsed:
    missing = nulls(array)
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("ms"), safe=False)
    unit: str = array.type.unit
    raw = pc.fill_null(array.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if unit == "ns":
        values, ok = raw // 1_000, ~missing
    else:
        ok = ~missing & (np.abs(raw) < FAR // _UNIT_US[unit])
        values = np.where(ok, raw, 0) * _UNIT_US[unit]
    if array.type.tz is not None or zone == "UTC":
        return Parsed(values, ok, missing)
    instants = to_utc(values, zone)
    return Parsed(instants.micros, ok, missing, noted({Step.DAYLIGHT_SAVING: instants.shifted & ok}))
