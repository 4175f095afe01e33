"""Times that stand in several columns of a sample: a day and a time of day, or year, month and day."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from etl import cleaning
from etl.guessing.draft import Draft
from etl.guessing.profile import Column
from etl.guessing.time_readings import is_clock
from etl.mapping import TimeColumn

_YEAR, _MONTH, _DAY = ({"year", "anio", "ano"}, {"month", "mes"}, {"day", "dia"})
_HOUR = {"hour", "hora", "hours"}
_CALENDAR = frozenset(_YEAR | _MONTH | _DAY | {"week", "semana"})
_CLOCKS = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H")
_ENOUGH = 0.98


@dataclass(frozen=True, slots=True)
class SplitTime:
    """Columns that make up one time.

    Attributes:
        columns: in the order in which they are joined.
        how: what else the mapping says of them.
        read: the sample's times.
    """

    columns: tuple[Column, ...]
    how: dict[str, Any]
    read: cleaning.Parsed


def with_clock(draft: Draft, day: Column, how: dict[str, Any]) -> SplitTime | None:
    """A column of days, which are read by `how`, together with the time of day in another column."""
    forms = [{**how, "format": how["format"] + clock} for clock in _CLOCKS] if "format" in how else [how]
    found = (_read((day, clock), form) for clock in times_of_day(draft, day) for form in forms)
    return next((split for split in found if split is not None), None)


def calendar(draft: Draft) -> SplitTime | None:
    """Columns of year, month and day, with one of the time of day where there is any."""
    years, months, days = (
        [column for column in calendar_parts(draft) if set(column.name.words) & words and between(column, low, high)]
        for words, low, high in ((_YEAR, 1990, 2100), (_MONTH, 1, 12), (_DAY, 1, 31))
    )
    if not (years and months and days):
        return None
    date = years[0], months[0], days[0]
    for clock in times_of_day(draft, *date):
        split = _read((*date, clock), {})
        if split is not None:
            return split
    return _read(date, {})


def calendar_parts(draft: Draft) -> list[Column]:
    """Columns of whole numbers that are parts of a calendar by their names."""
    return [c for c in draft.free if set(c.name.words) & _CALENDAR and c.whole and _plain(c)]


def times_of_day(draft: Draft, *days: Column) -> list[Column]:
    """Columns with the time of day beside those that tell only the day; clocks before plain hours."""
    clocks: list[Column] = []
    hours: list[Column] = []
    for column in draft.free:
        if column in days or column.time is not None:
            continue
        if pa.types.is_time(column.array.type) or is_clock(column.text.drop_null().unique()):
            clocks.append(column)
        elif _HOUR & set(column.name.words) and column.whole and not column.name.has("derived"):
            hours.append(column)
    return clocks + hours


def between(column: Column, low: float, high: float) -> bool:
    """Whether all its numbers lie in [low, high]."""
    known = column.numbers[np.isfinite(column.numbers)]
    return bool(len(known) and known.min() >= low and known.max() <= high)


def _read(columns: tuple[Column, ...], how: dict[str, Any]) -> SplitTime | None:
    joined = cleaning.joined_times([column.array for column in columns], formatted="format" in how)
    read = cleaning.times(joined, TimeColumn(column=[column.name.text for column in columns], **how))
    there = int((~read.missing).sum())
    return SplitTime(columns, how, read) if there and read.ok.sum() >= _ENOUGH * there else None


def _plain(column: Column) -> bool:
    return not column.name.any("user", "device", "email", "address", "past", "amount", "began") and not {
        "count", "age", "months", "weeks", "last", "old", "since", "avg",
    } & set(column.name.words)  # fmt: skip
