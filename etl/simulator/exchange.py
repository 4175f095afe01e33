"""What a dollar cost in soles on each day of a world."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from etl.simulator.pools import Floats, Ints
from etl.simulator.settings import DAY, WorldSettings, stream

_LEVEL, _STEP, _BEFORE = 3.74, 0.0035, 10


@dataclass(frozen=True, slots=True)
class Rates:
    """PEN for one USD by day, published on working days; from some days before the period.

    Attributes:
        days: dates as days since 1970, ascending.
        rates: PEN for one USD, four decimals.
    """

    days: Ints
    rates: Floats

    @classmethod
    def draw(cls, settings: WorldSettings) -> "Rates":
        """A walk around 3.74 soles."""
        rng = stream(settings.seed, "exchange")
        first = settings.start - timedelta(days=_BEFORE)
        number = np.arange(settings.days + _BEFORE + 1)
        walk = _LEVEL * np.exp(np.cumsum(rng.normal(0, _STEP, len(number))))
        working = (first.weekday() + number) % 7 < 5
        since_1970 = (settings.begins // DAY) - _BEFORE + number
        return cls(since_1970[working], np.round(walk, 4)[working])

    def at(self, time: Ints) -> Floats:
        """The latest rate dated at or before each time's day in UTC (seconds since the epoch)."""
        found: Floats = self.rates[np.searchsorted(self.days, time // DAY, side="right") - 1]
        return found
