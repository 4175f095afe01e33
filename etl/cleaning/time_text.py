"""Times in text of any common form, to UTC."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import mask, matches, nulls
from etl.cleaning.time_forms import FORMS, ISO, Parts, month_numbers, simplified
from etl.cleaning.wall_clock import to_utc
from etl.cleaning.zones import offset_or_zone
from etl.mapping import TimeColumn

_DAY = 86_400_000_000
_PIVOT = 69  # two-digit years from here on are of the twentieth century, as in POSIX
# ISO 8601 that Arrow reads by itself, with days that exist in any year; the rest takes the longer way.
_DATE = (
    r"[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_QUICK_WALL = rf"^{_DATE}(?:[T ]{_CLOCK})?$"
_QUICK_UTC = rf"^{_DATE}[T ]{_CLOCK}Z$"


@dataclass(slots=True)
class ReadTimes:
    """Times read from n texts.

    Attributes:
        micros: int64[n], microseconds since 1970, UTC.
        ok: bool[n], they could be read.
        shifted: bool[n], the change of the clocks makes the wall-clock time double or impossible.
        other_form: bool[n], read from another form than ISO 8601.
    """

    micros: NDArray[np.int64]
    ok: NDArray[np.bool_]
    shifted: NDArray[np.bool_]
    other_form: NDArray[np.bool_]

    @classmethod
    def none(cls, n: int) -> "ReadTimes":
        """None could be read."""
        return cls(np.zeros(n, dtype=np.int64), *(np.zeros(n, dtype=np.bool_) for _ in range(3)))

    def put_wall(self, rows: NDArray[np.int64], wall: NDArray[np.int64], zone: str) -> None:
        """Sets rows that hold wall-clock times."""
        instants = to_utc(wall, zone)
        self.micros[rows], self.shifted[rows], self.ok[rows] = instants.micros, instants.shifted, True


def read_times(text: pa.Array, how: TimeColumn) -> ReadTimes:
    """Reads times from trimmed text; see `etl.cleaning.times`."""
    result = ReadTimes.none(len(text))
    wall, utc = matches(text, _QUICK_WALL), matches(text, _QUICK_UTC)
    if wall.any():
        stamps = pc.cast(text.filter(pa.array(wall)), pa.timestamp("us"))
        result.put_wall(np.flatnonzero(wall), stamps.view(pa.int64()).to_numpy(), how.timezone)
    if utc.any():
        stamps = pc.cast(text.filter(pa.array(utc)), pa.timestamp("us", "UTC"))
        result.put_wall(np.flatnonzero(utc), stamps.view(pa.int64()).to_numpy(), "UTC")
    rest = np.flatnonzero(~wall & ~utc & ~nulls(text) & ~mask(pc.equal(text, "")))
    if len(rest):
        _read_any(result, rest, simplified(text.take(pa.array(rest))), how)
    return result


def _read_any(result: ReadTimes, rows: NDArray[np.int64], text: pa.Array, how: TimeColumn) -> None:
    for form in FORMS:
        parts = pc.extract_regex(text, form)
        fits = ~nulls(parts)
        if not fits.any():
            continue
        here, found = rows[fits], parts.filter(pa.array(fits))
        names = [field.name for field in found.type]
        _put(result, here, {name: pc.struct_field(found, name) for name in names}, how)
        result.other_form[here] = ~matches(text.filter(pa.array(fits)), ISO)
        rows, text = rows[~fits], text.filter(pa.array(~fits))
        if not len(rows):
            return


def _put(result: ReadTimes, rows: NDArray[np.int64], parts: Parts, how: TimeColumn) -> None:
    """Sets rows of one form whose parts make a time."""
    if "epoch" in parts:
        result.micros[rows], result.ok[rows] = _epoch(parts), True
        return
    days, day_ok = _days(parts, how.day_first)
    clock, clock_ok = _time_of_day(parts)
    usable = day_ok & clock_ok
    wall = days * _DAY + clock
    zones = pc.dictionary_encode(parts["zone"]) if "zone" in parts else pc.dictionary_encode(pa.array([""] * len(rows)))
    codes = zones.indices.to_numpy()
    for code, name in enumerate(zones.dictionary.to_pylist()):
        zone = offset_or_zone(name) if name else how.timezone
        here = usable & (codes == code)
        if isinstance(zone, str):
            result.put_wall(rows[here], wall[here], zone)
        elif zone is not None:
            result.put_wall(rows[here], wall[here] - zone * 60_000_000, "UTC")


def _epoch(parts: Parts) -> NDArray[np.int64]:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970: their number of digits tells which."""
    text = pc.utf8_slice_codeunits(pc.binary_join_element_wise(parts["epoch"], parts["f"], ""), 0, 19)
    # As nanoseconds, all of them have nineteen digits, of which the last three are not kept.
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(text, width=19, padding="0"), 0, 16)
    return _integers(digits)


def _integers(text: pa.Array, absent: int = 0) -> NDArray[np.int64]:
    present = pc.if_else(pc.equal(text, ""), str(absent), text)
    result: NDArray[np.int64] = pc.cast(present, pa.int64()).to_numpy()
    return result


def _days(parts: Parts, day_first: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days since 1970, and whether there is such a day."""
    year = _integers(parts["y"])
    short = mask(pc.equal(pc.utf8_length(parts["y"]), 2))
    year = np.where(short, year + np.where(year < _PIVOT, 2000, 1900), year)
    if "week" in parts:
        return _week_days(year, _integers(parts["week"]), _integers(parts["weekday"], absent=1))
    if "ordinal" in parts:
        ordinal = _integers(parts["ordinal"])
        start = _month_start(year, np.ones_like(year))
        ok = (year > 0) & (ordinal > 0) & (ordinal <= _month_start(year + 1, np.ones_like(year)) - start)
        return start + ordinal - 1, ok
    if "first" in parts:
        first, second = _integers(parts["first"]), _integers(parts["second"])
        by_day = (first > 12) | (day_first & (second <= 12))
        month, day = np.where(by_day, second, first), np.where(by_day, first, second)
    else:
        month = month_numbers(parts["name"]) if "name" in parts else _integers(parts["mo"])
        day = _integers(parts["d"])
    ok = (year > 0) & (month >= 1) & (month <= 12) & (day >= 1)
    month = np.where(ok, month, 1)
    start = _month_start(year, month)
    return start + day - 1, ok & (day <= _month_start(year, month + 1) - start)


def _month_start(year: NDArray[np.int64], month: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days from 1970 to the first of a month (13 is the next January)."""
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    result: NDArray[np.int64] = months.astype("datetime64[D]").astype(np.int64)
    return result


def _week_days(
    year: NDArray[np.int64], week: NDArray[np.int64], weekday: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days of ISO weeks. The first week holds January the 4th; 1970-01-01 was a Thursday."""

    def first_monday(of: NDArray[np.int64]) -> NDArray[np.int64]:
        fourth = _month_start(of, np.ones_like(of)) + 3
        return fourth - (fourth + 3) % 7

    start = first_monday(year)
    weeks = (first_monday(year + 1) - start) // 7
    return start + (week - 1) * 7 + weekday - 1, (year > 0) & (week >= 1) & (week <= weeks)


def _time_of_day(parts: Parts) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since midnight, and whether there is such a time; 24:00 and a leap second are of the next."""
    n = len(parts["y"])
    hour = _integers(parts["h"])
    minute = _integers(parts["mi"]) if "mi" in parts else np.zeros(n, dtype=np.int64)
    second = _integers(parts["s"]) if "s" in parts else np.zeros(n, dtype=np.int64)
    micros = np.zeros(n, dtype=np.int64)
    if "f" in parts:
        micros = _integers(pc.utf8_slice_codeunits(pc.utf8_rpad(parts["f"], width=6, padding="0"), 0, 6))
    ok = (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0) & (micros == 0))
    ok &= (minute < 60) & ((second < 60) | ((second == 60) & (minute == 59)))
    if "half" in parts:
        before, after = mask(pc.equal(parts["half"], "a")), mask(pc.equal(parts["half"], "p"))
        ok &= ~(before & (hour > 12)) & ~(after & ((hour == 0) | (hour == 24)))
        hour = np.where(before & (hour == 12), 0, np.where(after & (hour < 12), hour + 12, hour))
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, ok
