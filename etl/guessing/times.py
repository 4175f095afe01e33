"""Which column says when a transaction occurred, when its row arrived, and which other times there are."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from etl import cleaning
from etl.guessing.draft import LEFT_OUT, Draft, quoted
from etl.guessing.profile import Column
from etl.guessing.split_times import SplitTime, between, calendar, calendar_parts, times_of_day, with_clock
from etl.guessing.time_readings import TimeReading
from etl.mapping import TimeColumn
from graph.records import SECOND

PLACEHOLDER = "DECIDE"
"""Stands for a column that is needed and was not found."""
_ORIGIN = date(2020, 1, 1)
_SAME_CLOCK = 0.995


def find_occurred_at(draft: Draft) -> None:
    """Decides which column says when a transaction occurred."""
    scored = sorted(
        ((_score(column, column.time), -i, column) for i, column in enumerate(draft.free) if column.time is not None),
        key=lambda s: s[:2],
        reverse=True,
    )
    if not scored or scored[0][0] < 0.2 or scored[0][2].time is None:
        _made_up(draft)
        return
    score, _, column = scored[0]
    time = column.time
    assert time is not None
    doubts = [time.doubt] if time.doubt else []
    close = [c.name.text for s, _, c in scored[1:] if s > score - 0.1 and not _same_clock(c, time)]
    if close:
        doubts.append(f"{quoted(close)} could be it as well")
    elif score < 0.6:
        doubts.append("its name does not say that this is when the transaction occurred")
    how: dict[str, Any] = {"column": column.name.text, **time.how}
    clocks = times_of_day(draft, column) if time.only_dates and not time.zoned else []
    split = with_clock(draft, column, time.how) if clocks else None
    if split is not None:
        how = {"column": [c.name.text for c in split.columns], **split.how}
        time = replace(time, micros=split.read.values, ok=split.read.ok, why="the day, and the time of day beside it")
    elif clocks:
        doubts.append(
            f"it tells only the day; the time of day stands in {quoted(c.name.text for c in clocks)}, in a form that "
            "could not be read. Join them in the source (in a query: an expression), or all of a day is midnight"
        )
    if not time.zoned:
        how["timezone"] = "UTC"
        doubts.append(
            "nothing says in which time zone these times are; UTC is assumed. Where they are local times, "
            "name the zone, such as America/Lima"
        )
    draft.transaction["occurred_at"] = how if len(how) > 1 else how["column"]
    draft.occurred = time.micros
    draft.settle(split.columns if split else [column], "occurred_at", time.why, ". ".join(doubts))
    rest = [c for c in clocks if split is None or c not in split.columns]
    if rest:
        draft.clock_parts += [c.name.text for c in rest]
        draft.settle(rest, LEFT_OUT, f"belongs to {column.name.text}, which is the time of the transaction")
    _other_clocks(draft, time)


def find_other_times(draft: Draft) -> None:
    """Decides about arrival, and about all other columns of times."""
    for column in draft.free:
        time = column.time
        if time is None or column.constant:
            continue
        if time.relative and column.name.any("derived"):
            continue
        how = {"column": column.name.text, **time.how}
        if column.name.has("arrived") and "arrived_at" not in draft.transaction and _not_before(draft, time):
            if not time.zoned:
                how["timezone"] = "UTC"
            draft.transaction["arrived_at"] = how
            draft.settle([column], "arrived_at", "by its name it says when you had the row, never before it occurred")
        elif time.relative:
            draft.settle([column], LEFT_OUT, "a count from an unknown beginning")
        elif column.name.has("arrived"):
            draft.settle([column], LEFT_OUT, "it says when somebody handled the row, which may be later")
        elif _after(draft, time):
            draft.settle(
                [column], LEFT_OUT, "it mostly lies after the transaction",
                "if it is known when the transaction is made (a delivery date), name it under times",
            )  # fmt: skip
        else:
            draft.transaction.setdefault("times", []).append(how if time.how else column.name.text)
            draft.settle([column], "times", "a time; its distance to the transaction is a feature", time.doubt)


def _score(column: Column, time: TimeReading | None) -> float:
    name = column.name
    if time is None or column.filled < 0.5 or column.constant:
        return 0.0
    score = 0.5 - 0.15 * time.relative - 0.1 * time.only_dates - 0.05 * ("epoch" in time.how) - 0.1 * len(name.unknown)
    if name.any("transaction", "occurred"):
        score += 0.35
    elif not name.concepts - {"time", "filler", "unit", "id", "index"}:
        score += 0.3
    elif name.has("created"):
        score += 0.15 if not name.any("account", "user", "card", "device") else -0.6
    for concept, worth in (
        ("began", -0.6), ("past", -0.6), ("known", -0.6), ("dispute", -0.6), ("fraud", -0.6), ("changed", -0.5),
        ("ends", -0.6), ("arrived", -0.25), ("user", -0.1), ("derived", -0.5), ("extra", -0.4),
    ):  # fmt: skip
        score += worth * name.has(concept)
    if column.filled < 0.99:
        score -= 0.3
    if column.rows >= 50 and _sorted(column):
        score += 0.1
    return score


def _sorted(column: Column) -> bool:
    time = column.time
    if time is None or time.ok.sum() < 2:
        return False
    return float((np.diff(time.micros[time.ok]) >= 0).mean()) >= 0.98


def _not_before(draft: Draft, time: TimeReading) -> bool:
    if draft.occurred is None or not time.ok.any() or time.relative:
        return False
    return float((time.micros >= draft.occurred)[time.ok].mean()) >= 0.99


def _after(draft: Draft, time: TimeReading) -> bool:
    if draft.occurred is None or draft.made_up_clock or not time.ok.any():
        return False
    return float((time.micros > draft.occurred)[time.ok].mean()) > 0.9


def _same_clock(column: Column, time: TimeReading) -> bool:
    """It goes with the time of the transaction, so that it would tell a model nothing but the date."""
    other = column.time
    if other is not None and (other.ok & time.ok).sum() >= 3 and column.name.any("time", "unit", "transaction"):
        together = other.ok & time.ok
        gap = (other.micros - time.micros)[together]
        steady = other.relative or together.sum() >= 20 or np.abs(gap).max() <= 86_400 * SECOND
        same = steady and np.ptp(gap) <= 86_400 * SECOND
        if same and not column.name.any("began", "past", "known", "dispute", "arrived"):
            return True
    return False


def _other_clocks(draft: Draft, time: TimeReading) -> None:
    """Leaves out whatever grows with time: other clocks, running numbers, years."""
    for column in draft.free:
        if _same_clock(column, time):
            draft.settle([column], LEFT_OUT, "another clock of the same moment; it would tell a model the date")


def grows_with_time(column: Column, draft: Draft) -> bool:
    """Its numbers go up with time all along, so that it would tell a model nothing but the date."""
    if draft.occurred is None or draft.made_up_clock or not column.numeric or column.distinct < 4 or draft.rows < 50:
        return False
    known = np.isfinite(column.numbers)
    if known.mean() < 0.9:
        return False
    ranks = pd.DataFrame({"t": draft.occurred[known], "x": column.numbers[known]}).rank()
    if ranks["t"].nunique() < 4:
        return False
    return bool(abs(np.corrcoef(ranks["t"], ranks["x"])[0, 1]) >= _SAME_CLOCK)


def _made_up(draft: Draft) -> None:
    """Nothing says when: parts of a calendar, or the order of rows, may stand in."""
    split = calendar(draft)
    if split is not None:
        _take_calendar(draft, split)
        return
    parts = calendar_parts(draft)
    years = [c for c in parts if set(c.name.words) & {"year", "anio", "ano"} and between(c, 1990, 2100)]
    if years:
        rest = [c for c in parts if c not in years[:1]] + times_of_day(draft, years[0])
        others = [c.name.text for c in rest]
        how: dict[str, Any] = {"column": years[0].name.text, "format": "%Y", "timezone": "UTC"}
        doubt = "it tells only the year" + (f"; {quoted(others)} tell the rest" if others else "")
        doubt += ". Join the parts into one column in the source (in a query: an expression) and name it here"
        _take(draft, years[0], how, "the only column with a year", doubt)
        draft.clock_parts += others
        draft.settle(rest, LEFT_OUT, "a part of the time of the transaction")
        return
    steps = [c for c in parts if not between(c, 1990, 2100) and c.distinct > 1 and between(c, 0, 10_000)]
    if steps:
        column = steps[0]
        how = {"column": column.name.text, "epoch": "d", "origin": _ORIGIN}
        doubt = (
            f"no column tells the day. {column.name.text} gives the order: each of its steps counts as one day from "
            f"{_ORIGIN}, which is made up, so windows of days mean little. Name a column of real times if you have one"
        )
        _take(draft, column, how, f"the only column that tells an order in time ({column.distinct} steps)", doubt)
        return
    running = [c for c in draft.free if _running(c) and c.name.any("id", "index", "transaction", "time")]
    if running:
        column = running[0]
        how = {"column": column.name.text, "epoch": "s", "origin": _ORIGIN}
        doubt = (
            f"no column tells when. {column.name.text} is a running number, and its order stands in for the time, a "
            f"second a number from {_ORIGIN}, which is made up. Name a column of real times where you have one"
        )
        _take(draft, column, how, "a running number", doubt, settle=False)
        return
    draft.transaction["occurred_at"] = PLACEHOLDER
    draft.settle(
        [], "occurred_at", "no column of times was found",
        "nothing in this table says when a transaction occurred, and Quipu cannot do without; add such a column to the "
        "source and name it here",
    )  # fmt: skip


def _take_calendar(draft: Draft, split: SplitTime) -> None:
    """Takes the parts of a calendar, joined, as the time of the transaction."""
    names = [column.name.text for column in split.columns]
    doubt = (
        "nothing says in which time zone these times are; UTC is assumed. Where they are local times, name the zone, "
        "such as America/Lima"
    )
    if len(names) == 3:
        doubt += ". They tell only the day, so all of a day is midnight"
    draft.transaction["occurred_at"] = {"column": names, **split.how, "timezone": "UTC"}
    draft.occurred = split.read.values
    draft.settle(split.columns, "occurred_at", "the parts of a date" + " and the time of day" * (len(names) > 3), doubt)


def _take(draft: Draft, column: Column, how: dict[str, Any], why: str, doubt: str, *, settle: bool = True) -> None:
    read = cleaning.times(column.array, TimeColumn(**how))
    draft.transaction["occurred_at"] = how
    draft.occurred, draft.made_up_clock = read.values, True
    draft.settle([column] if settle else [], "occurred_at", why, doubt)


def _running(column: Column) -> bool:
    if not column.whole or column.uniqueness < 1 or column.distinct < 2 or column.filled < 1:
        return False
    numbers = column.numbers
    return bool(numbers.min() >= 0 and numbers.max() < 1e9 and (np.diff(numbers) > 0).all())
