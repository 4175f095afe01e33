"""What a made-up world is made from: its size, its period, and its streams of chance."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from graph.errors import InputError

HOUR = 3_600
DAY = 86_400
LIMA_OFFSET = -5 * HOUR
"""Seconds to add to UTC for Peru's clock, which knows no daylight saving."""


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Size and period of a world. The same settings give the same world, row for row.

    Attributes:
        users: everyday accounts, those who join during the period and tourists included. Fraud accounts come on top.
        days: length of the period, in days of Peru's calendar.
        seed: of all chance in the world.
        fraud_rate: share of transactions that are fraud, roughly: rings are made whole. Zero makes none.
        start: first day of the period.
        drift: how much the world changes over the period, 0 to 1: a payment method that comes up, more delivery,
            rising bills, another mix of typologies (one of which comes late), other habits and amounts of fraud.
        mess: share of transactions to damage when the world is written; the world itself stays clean.
    """

    users: int = 20_000
    days: int = 120
    seed: int = 1
    fraud_rate: float = 0.012
    start: date = date(2025, 1, 6)
    drift: float = 0.3
    mess: float = 0.0

    def __post_init__(self) -> None:
        _within("users", self.users, 50, 1_000_000)
        _within("days", self.days, 7, 1_500)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("fraud rate", self.fraud_rate, 0.0, 0.2)
        _within("drift", self.drift, 0.0, 1.0)
        _within("mess", self.mess, 0.0, 1.0)

    @property
    def begins(self) -> int:
        """First second of the period, as seconds since the epoch, UTC."""
        return int(datetime.combine(self.start, time(), UTC).timestamp()) - LIMA_OFFSET

    @property
    def ends(self) -> int:
        """The second after the period, as seconds since the epoch, UTC."""
        return self.begins + self.days * DAY

    @property
    def restaurants(self) -> int:
        """How many restaurants these users keep alive."""
        return int(np.clip(self.users // 25, 40, 4_000))

    def passed(self, time: NDArray[np.int64]) -> NDArray[np.float64]:
        """How far through the period times (seconds since the epoch) are: 0 at its first second, 1 at its end."""
        return np.clip((time - self.begins) / (self.ends - self.begins), 0.0, 1.0)


def stream(seed: int, name: str) -> np.random.Generator:
    """A stream of chance of its own for one part of the world, so that a change to one leaves the others."""
    return np.random.default_rng([seed, crc32(name.encode())])


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}", hint=f"give a value from {low:,} to {high:,}")
