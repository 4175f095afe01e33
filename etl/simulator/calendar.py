"""Peru's calendar: public holidays, and how hungry each day makes people."""

from datetime import date, timedelta

import numpy as np

from etl.simulator.pools import Floats
from etl.simulator.settings import WorldSettings

_WEEKDAYS = np.array([0.6, 0.75, 0.85, 1.05, 1.5, 1.55, 1.1])
_HOLIDAY, _EVE, _PAYDAY, _DECEMBER = 1.35, 1.15, 1.12, 1.12
_FEAST = 2.0  # Valentine's and Mother's Day, on which every table is taken
_AT_HOME = 0.45  # Good Friday, Christmas and New Year's Day, when most places are closed
_FIXED = (
    *((1, 1, 1990), (5, 1, 1990), (6, 7, 2024), (6, 29, 1990), (7, 23, 2024), (7, 28, 1990), (7, 29, 1990)),
    *((8, 6, 2022), (8, 30, 1990), (10, 8, 1990), (11, 1, 1990), (12, 8, 1990), (12, 9, 2022), (12, 25, 1990)),
)
"""Month, day, and the first year in which the law has it."""


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> frozenset[date]:
    """Peru's public holidays of a year, from 1990: those of fixed days, Maundy Thursday and Good Friday."""
    sunday = easter(year)
    moving = (sunday - timedelta(days=3), sunday - timedelta(days=2))
    return frozenset(moving) | {date(year, month, day) for month, day, since in _FIXED if year >= since}


def appetite(settings: WorldSettings) -> Floats:
    """Visits on each day of the period, relative to a usual day: weekdays, holidays, feasts, paydays, December."""
    days = [settings.start + timedelta(days=number) for number in range(settings.days)]
    off = frozenset().union(*(holidays(year) for year in {day.year + more for day in days for more in (0, 1)}))
    factors: Floats = np.array([_appetite(day, off) for day in days]) / _WEEKDAYS.mean()
    return factors


def _appetite(day: date, off: frozenset[date]) -> float:
    if _stays_home(day):
        return float(_WEEKDAYS.mean()) * _AT_HOME
    factor = _DECEMBER if day.month == 12 else 1.0
    factor *= _PAYDAY if day.day in (15, 16, 30, 31, 1) else 1.0
    if (day.month, day.day) == (2, 14) or (day.month == 5 and day.weekday() == 6 and 8 <= day.day <= 14):
        return float(_WEEKDAYS.mean()) * _FEAST * factor
    if day in off:
        # A holiday in the week is lived like a Saturday.
        return float(max(_WEEKDAYS[day.weekday()] * _HOLIDAY, _WEEKDAYS.mean())) * factor
    eve = day + timedelta(days=1) in off
    return float(_WEEKDAYS[day.weekday()]) * (_EVE if eve else 1.0) * factor


def _stays_home(day: date) -> bool:
    return (day.month, day.day) in ((1, 1), (12, 25)) or day == easter(day.year) - timedelta(days=2)
