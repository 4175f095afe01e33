"""Things that people have at times: numbered as they come into being, and replaced by others now and then."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.simulator.settings import WorldSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_SPAN = 1 << 34  # seconds; more than any period, so that owner and time make one sortable number


class Pool:
    """Numbers things (devices, addresses) as they come into being, and remembers their kind."""

    def __init__(self) -> None:
        self._kinds: list[NDArray[np.int8]] = []
        self.size = 0

    def take(self, count: int, kind: int | Ints = 0) -> Ints:
        """Numbers of `count` new things of one kind, or each of its own."""
        self._kinds.append(np.broadcast_to(np.asarray(kind, np.int8), count))
        self.size += count
        return np.arange(self.size - count, self.size)

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Kind by number."""
        return np.concatenate(self._kinds) if self._kinds else np.empty(0, np.int8)


@dataclass(frozen=True, slots=True)
class Renewals:
    """What each owner had at each time, where a thing is replaced by another now and then."""

    begins: int
    keys: Ints
    items: Ints

    @classmethod
    def draw(
        cls, rng: np.random.Generator, settings: WorldSettings, pool: Pool, lasts: Floats, kinds: Ints
    ) -> "Renewals":
        """One owner for each entry of `lasts` (mean seconds before a replacement) and `kinds`."""
        length = settings.ends - settings.begins
        replaced = rng.poisson(length / lasts)
        owner = np.repeat(np.arange(len(lasts)), 1 + replaced)
        since = rng.integers(1, length, len(owner))
        since[np.cumsum(1 + replaced) - 1 - replaced] = 0
        return cls(settings.begins, np.sort(owner * _SPAN + since), pool.take(len(owner), kinds[owner]))

    def at(self, owner: Ints, time: Ints) -> Ints:
        """Numbers of the things that owners had at times (seconds since the epoch)."""
        key = owner * _SPAN + np.maximum(time - self.begins, 0)
        found: Ints = self.items[np.searchsorted(self.keys, key, side="right") - 1]
        return found
