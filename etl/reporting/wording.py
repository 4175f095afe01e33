"""Numbers, names and dates of a load's report, as people read them."""

from datetime import date, timedelta
from pathlib import PurePath

_SHOWN = 4


def percent(share: float) -> str:
    """A share as `0%`, `under 0.1%`, `2.3%` or `41%`; never rounded to all or nothing."""
    if share <= 0:
        return "0%"
    if share >= 1:
        return "100%"
    if share < 0.001:
        return "under 0.1%"
    if share > 0.995:
        return "over 99.5%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def amount(value: float) -> str:
    """An amount with two decimals, in groups of three."""
    return f"{value:,.2f}"


def column_name(column: str) -> str:
    """A column of the graph as the mapping calls it: `entity:device` -> `device`."""
    return column.rpartition(":")[2]


def file_name(file: str) -> str:
    """A file by its name and folder, which is as much of a path as fits a sentence; a query as it is."""
    return file if file.startswith("sql:") else "/".join(PurePath(file).parts[-2:])


def listed(names: list[str]) -> str:
    """Names in a row: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def day_text(day: date) -> str:
    """A day: `3 Mar 2024`."""
    return f"{day.day} {day:%b %Y}"


def days_text(stretches: list[tuple[date, date]]) -> str:
    """When, for stretches of days, the longest first named: `on 3 Mar 2024, from 5 Mar 2024 to 7 Mar 2024`."""
    longest = sorted(stretches, key=lambda s: s[0] - s[1])[:_SHOWN]
    shown = [
        f"on {day_text(first)}" if first == last else f"from {day_text(first)} to {day_text(last)}"
        for first, last in sorted(longest)
    ]
    rest = len(stretches) - len(longest)
    return ", ".join(shown) + (f" and in {rest} more stretches" if rest else "")


def delay_text(days: float) -> str:
    """A duration in its natural unit: `3 hours`, `7.5 days`."""
    if days < 1:
        hours = timedelta(days=days).total_seconds() / 3600
        return "under an hour" if hours < 1 else f"{hours:.0f} hour{'s' * (round(hours) != 1)}"
    return f"{days:.1f}".rstrip("0").rstrip(".") + (" day" if days == 1 else " days")
