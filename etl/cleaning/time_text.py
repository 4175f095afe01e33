"""Times in text of any common form, to UTC."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import matches, nulls
from etl.cleaning.shapes import Shaped, by_shape
from etl.cleaning.time_forms import Form, form_of
from etl.cleaning.wall_clock import to_utc
from etl.cleaning.zones import MOST_MINUTES
from etl.mapping import TimeColumn

_MINUTE = 60_000_000
_DAY = 1_440 * _MINUTE
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
    for shaped in by_shape(text, ~wall & ~utc & ~nulls(text)):
        form = form_of(shaped.shape)
        if form is not None:
            _put(result, shaped, form, how)
    return result


def _put(result: ReadTimes, shaped: Shaped, form: Form, how: TimeColumn) -> None:
    """Sets rows of one form whose digits make a time."""
    rows, digits = shaped.rows, form.digits
    result.other_form[rows] = not form.iso
    if "epoch" in digits:
        # Ten, 13, 16 or 19 digits: in microseconds, all of them have sixteen.
        result.micros[rows] = shaped.fraction(digits["epoch"] + digits.get("f", []), 16)
        result.ok[rows] = True
        return
    days, usable = _days(shaped, form, how.day_first)
    clock, clock_ok = _time_of_day(shaped, form)
    usable &= clock_ok
    wall = days * _DAY + clock
    zone = how.timezone if form.zone is None else form.zone
    if "zone" in digits:
        offset = shaped.number(digits["zone"])
        hours, minutes = (offset // 100, offset % 100) if len(digits["zone"]) > 2 else (offset, 0 * offset)
        offset = hours * 60 + minutes
        usable &= (minutes < 60) & (offset <= MOST_MINUTES)
        wall, zone = wall + np.where(form.west, offset, -offset) * _MINUTE, "UTC"
    elif isinstance(zone, int):
        wall, zone = wall - zone * _MINUTE, "UTC"
    result.put_wall(rows[usable], wall[usable], zone)


def _days(shaped: Shaped, form: Form, day_first: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days since 1970, and whether there is such a day."""
    digits = form.digits
    year = shaped.number(digits["y"])
    if len(digits["y"]) == 2:
        year = year + np.where(year < _PIVOT, 2000, 1900)
    if "week" in digits:
        weekday = shaped.number(digits["weekday"]) if "weekday" in digits else np.ones_like(year)
        return _week_days(year, shaped.number(digits["week"]), weekday)
    if "ordinal" in digits:
        ordinal = shaped.number(digits["ordinal"])
        start = _month_start(year, np.ones_like(year))
        length = _month_start(year + 1, np.ones_like(year)) - start
        return start + ordinal - 1, (year > 0) & (ordinal > 0) & (ordinal <= length)
    if "first" in digits:
        first, second = shaped.number(digits["first"]), shaped.number(digits["second"])
        by_day = (first > 12) | (day_first & (second <= 12))
        month, day = np.where(by_day, second, first), np.where(by_day, first, second)
    else:
        day = shaped.number(digits["d"])
        month = shaped.number(digits["mo"]) if form.month is None else np.full_like(year, form.month)
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
    ok = (year > 0) & (week >= 1) & (week <= weeks) & (weekday >= 1) & (weekday <= 7)
    return start + (week - 1) * 7 + weekday - 1, ok


def _time_of_day(shaped: Shaped, form: Form) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Microseconds since midnight, and whether there is such a time; 24:00 and a leap second are of the next."""
    hour, minute, second = (shaped.number(form.digits.get(part, [])) for part in ("h", "mi", "s"))
    micros = shaped.fraction(form.digits.get("f", []), 6)
    ok = (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0) & (micros == 0))
    ok &= (minute < 60) & ((second < 60) | ((second == 60) & (minute == 59)))
    if form.half == "a":
        ok &= hour <= 12
        hour = np.where(hour == 12, 0, hour)
    elif form.half == "p":
        ok &= (hour > 0) & (hour < 24)
        hour = np.where(hour < 12, hour + 12, hour)
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, ok
