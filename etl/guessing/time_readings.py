"""How a column of times is to be read: text of which form, or numbers counting what from when."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl import cleaning
from etl.guessing.names import ColumnName
from etl.mapping import TimeColumn
from graph.records import SECOND

DayFirst = Literal["yes", "no", "unclear"]
_SLASHED = r"^(?P<first>\d{1,2})[/.\-](?P<second>\d{1,2})[/.\-](?:\d{4}|\d{2})(?:\D|$)"
_SHAPED = r"\d[/.\-: T]\d|\d{4}|(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic)"
_ZONE = r"[T\s].*([Zz]|UTC|GMT|[+-]\d\d(:?\d\d)?)$"
_CLOCK = r"^\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?$"
_FORMATS = (
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y %H:%M",
    "%d-%b-%Y",
    "%d%b%Y:%H:%M:%S",
    "%d%b%Y",
    "%b %d, %Y %I:%M %p",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y-%m-%d-%H.%M.%S",
    "%Y%m%dT%H%M%S",
    "%y-%m-%d",
)
_PACKED = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_EPOCHS: tuple[tuple[str, float], ...] = (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))
_DAY = 86_400.0
_LOOKED_AT = 5_000
_ORIGIN = date(2020, 1, 1)
_EXCEL = date(1899, 12, 30)
_SPREADSHEET = (32_874, 62_000)  # 1990 to 2069, in days


@dataclass(frozen=True)
class TimeReading:
    """How a column can be read as times.

    Attributes:
        how: what stands beside `column` in the mapping: day_first, epoch, origin, format.
        zoned: its values say which time zone they are in, or need none.
        relative: it counts from a beginning that nobody told.
        only_dates: it tells the day, and no time of day.
        day_first: whether 03/04 is the third of April, where it has such values.
        micros: int64[n], microseconds UTC; meaningless where `ok` is false.
        why: what was seen, for people.
        doubt: what a person should know of the reading; empty where all is clear.
    """

    how: dict[str, Any]
    zoned: bool
    relative: bool
    only_dates: bool
    day_first: DayFirst | None
    micros: NDArray[np.int64] = field(repr=False)
    ok: NDArray[np.bool_] = field(repr=False)
    why: str = ""
    doubt: str = ""


def read_times(
    name: ColumnName, array: pa.Array, uniques: pa.Array, numbers: NDArray[np.float64], number_share: float, now: int
) -> TimeReading | None:
    """How a column can be read as times, or None where it cannot.

    Args:
        uniques: its different values as text.
        numbers: its values as numbers; NaN where they are none.
        number_share: how many of its values are.
        now: the present, microseconds UTC.
    """
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _typed(array)
    if not len(uniques) or pa.types.is_boolean(kind):
        return None
    if number_share >= 0.9:
        return _numbered(name, array, uniques, numbers, now)
    looked = uniques.slice(0, _LOOKED_AT)
    if pc.mean(pc.match_substring_regex(looked, _SHAPED)).as_py() < 0.9 or is_clock(looked):
        return None
    return _written(array, looked)


def is_clock(uniques: pa.Array) -> bool:
    """Whether values are times of day without a date."""
    return len(uniques) > 0 and pc.mean(pc.match_substring_regex(uniques, _CLOCK)).as_py() >= 0.9


def _typed(array: pa.Array) -> TimeReading:
    read = cleaning.times(array, TimeColumn(column="-"))
    zoned = pa.types.is_timestamp(array.type) and array.type.tz is not None
    dates = _only_dates(read.values[read.ok])
    return TimeReading({}, zoned, False, dates, None, read.values, read.ok, "the source says that these are times")


def _written(array: pa.Array, looked: pa.Array) -> TimeReading | None:
    first = _day_first(looked)
    how: dict[str, Any] = {"day_first": True} if first == "yes" else {}
    read = cleaning.times(looked, TimeColumn(column="-", **how))
    share = _share(read)
    if share < 0.9 and first == "unclear":
        how = {"day_first": True}
        read = cleaning.times(looked, TimeColumn(column="-", **how))
        share = _share(read)
    if share < 0.9:
        for form in _FORMATS:
            how = {"format": form}
            read = cleaning.times(looked, TimeColumn(column="-", **how))
            share = _share(read)
            if share >= 0.9:
                break
        else:
            return None
    zoned = pc.mean(pc.match_substring_regex(looked, _ZONE)).as_py() > 0.9
    doubt = ""
    if first == "unclear" and "format" not in how:
        doubt = (
            "no day above 12 stands in the sample, so 03/04 could be the third of April (day_first: true) "
            "or the fourth of March (leave day_first out)"
        )
    read = cleaning.times(array, TimeColumn(column="-", **how))
    why = "all its values read as times" if share == 1 else f"{share:.0%} of its values read as times"
    return TimeReading(how, zoned, False, _only_dates(read.values[read.ok]), first, read.values, read.ok, why, doubt)


def _day_first(looked: pa.Array) -> DayFirst | None:
    """What 03/04/2026 means, by the values where it is clear: None where there are no such values."""
    parts = pc.extract_regex(looked, _SLASHED).drop_null()
    if len(parts) < 0.5 * len(looked):
        return None
    first = pc.max(pc.cast(parts.field("first"), pa.int64())).as_py()
    second = pc.max(pc.cast(parts.field("second"), pa.int64())).as_py()
    if first > 12 and second <= 12:
        return "yes"
    return "no" if second > 12 else "unclear"


def _numbered(
    name: ColumnName, array: pa.Array, uniques: pa.Array, numbers: NDArray[np.float64], now: int
) -> TimeReading | None:
    """Numbers are times only where their name says so; then their size tells what they count."""
    named = name.any("time", "began", "created", "occurred", "known", "arrived", "changed", "unit")
    if (
        not named
        or name.has("derived")
        or name.any("id", "amount", "city", "merchant", "scenario")
        or len(uniques) < 2 <= len(numbers) - 1
    ):
        return None
    ok = np.isfinite(numbers)
    known = numbers[ok]
    low, high = float(known.min()), float(known.max())
    whole = bool((known == np.floor(known)).all())
    for unit, scale in _EPOCHS:
        if cleaning.EARLIEST / SECOND * scale <= low and high <= (now / SECOND + 400 * _DAY) * scale:
            return _counted(array, {"epoch": unit}, f"numbers of the size of {_NAMES[unit]} since 1970")
    if whole and (form := _packed(uniques)):
        read = cleaning.times(cleaning.as_text(array), TimeColumn(column="-", format=form))
        if _share(read) >= 0.9:
            return TimeReading(
                {"format": form}, False, False, form == "%Y%m%d", None, read.values, read.ok,
                "numbers that are dates written together",
            )  # fmt: skip
    if not name.any("time"):
        if not (name.unit and name.words and set(name.words) & _CLOCKS):
            return None
    elif _SPREADSHEET[0] <= low and high <= _SPREADSHEET[1] and name.unit != "s":
        return _counted(array, {"epoch": "d", "origin": _EXCEL}, "numbers of the size of a spreadsheet's days")
    return _offset(name, array, low, high, now) if low >= 0 and len(known) > 1 else None


_CLOCKS = frozenset({"seconds", "step", "elapsed", "unix", "posix"})
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "m": "minutes"} | {
    "h": "hours",
    "d": "days",
}


def _packed(uniques: pa.Array) -> str | None:
    lengths = pc.utf8_length(uniques.slice(0, _LOOKED_AT)).unique().to_pylist()
    if len(lengths) != 1 or pc.mean(pc.match_substring_regex(uniques, r"^(19|20)\d\d(0[1-9]|1[0-2])")).as_py() < 0.99:
        return None
    return _PACKED.get(lengths[0])


def _offset(name: ColumnName, array: pa.Array, low: float, high: float, now: int) -> TimeReading | None:
    """Numbers counted from a beginning that nobody told: the unit by the name, else by the size."""
    named = name.unit
    unit = named or ("h" if "step" in name.words else "s")
    seconds = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": _DAY, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit]
    span = high * seconds
    if span > 40 * 365 * _DAY:
        return None
    latest = date.fromtimestamp(now / SECOND - span)  # noqa: DTZ012 (a day more or less does not matter here)
    origin = min(_ORIGIN, date(latest.year, 1, 1))
    if origin.year < 1990:
        return None
    doubt = f"it counts from a beginning that the table does not tell; {origin} is made up (distances stay right)"
    if named is None:
        doubt += f", and so is the unit: {_NAMES[unit]} (epoch: s, m, h or d)"
    why = f"numbers from {low:,.0f} to {high:,.0f} that count {_NAMES[unit]}"
    return _counted(array, {"epoch": unit, "origin": origin}, why, doubt)


def _counted(array: pa.Array, how: dict[str, Any], why: str, doubt: str = "") -> TimeReading:
    read = cleaning.times(array, TimeColumn(column="-", **how))
    dates = how["epoch"] == "d" and _only_dates(read.values[read.ok])
    return TimeReading(how, True, bool(doubt), dates, None, read.values, read.ok, why, doubt)


def _share(read: cleaning.Parsed) -> float:
    there = int((~read.missing).sum())
    return float(read.ok.sum()) / there if there else 0.0


def _only_dates(micros: NDArray[np.int64]) -> bool:
    return len(micros) > 1 and bool((micros % (86_400 * SECOND) == 0).all())
