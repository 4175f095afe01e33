"""What fraudsters have to work with: accounts to open or steal, devices and addresses, and habits that change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etl.simulator.events import KINDS, METHODS, NEW_METHOD, Events
from etl.simulator.ids import HOME
from etl.simulator.people import People
from etl.simulator.places import CITY_WEIGHTS, Places
from etl.simulator.pools import Flags, Floats, Ints, Pool
from etl.simulator.settings import DAY, WorldSettings

_KINDS = np.array([0.31, 0.26, 0.07, 0.34, 0.02, 0.0])
_METHODS = np.array([0.42, 0.29, 0.11, 0.1, 0.05, 0.03, 0.0])  # stolen cards, mostly


class Accounts:
    """The accounts that fraudsters open, numbered after the everyday ones."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.created: list[int] = []
        self.city: list[int] = []

    @property
    def next(self) -> int:
        """The number of the next account to be opened."""
        return self._first + len(self.created)

    def open(self, created: Ints, city: int) -> Ints:
        """Numbers of new accounts, made at these times in this city."""
        start = self.next
        self.created += created.tolist()
        self.city += [city] * len(created)
        return np.arange(start, start + len(created))


@dataclass(frozen=True, slots=True)
class Left:
    """What a ring still has when it comes back after having been blocked.

    Attributes:
        city: where it works.
        restaurants: where it got away with most, the best first.
        accounts, devices: of its own, not blocked.
        lines: of its own; addresses aren't blocked.
    """

    city: int
    restaurants: Ints
    accounts: Ints
    devices: Ints
    lines: Ints


@dataclass(frozen=True, slots=True)
class Scene:
    """What a ring finds when it starts, and `left`, what it has from before, when it comes back to the same city."""

    settings: WorldSettings
    places: Places
    people: People
    devices: Pool
    lines: Pool
    accounts: Accounts
    left: Left | None = None

    def created(self, user: Ints) -> Ints:
        """When accounts were made, everyday ones and fraudsters'."""
        known = len(self.people)
        return np.array(
            [self.accounts.created[u - known] if u >= known else self.people.created[u] for u in user.tolist()],
            np.int64,
        )

    def city(self, rng: np.random.Generator) -> int:
        """Where a ring works: where it worked before, or anywhere."""
        return self.left.city if self.left else int(rng.choice(4, p=CITY_WEIGHTS))

    def restaurant(self, rng: np.random.Generator) -> int:
        """The restaurant that a ring has on its side: the one it had before, or any."""
        return int(self.left.restaurants[0]) if self.left else int(rng.integers(0, len(self.places.city)))

    def easy(self, rng: np.random.Generator, city: int) -> Ints:
        """Three restaurants of a city that a ring finds easy, those it had before among them."""
        known = self.left.restaurants[:3] if self.left else np.empty(0, np.int64)
        return np.concatenate([known, self.places.popular(rng, np.full(3 - len(known), city))])

    def private_lines(self, count: int) -> Ints:
        """New addresses that look like anybody's home (bought as residential proxies)."""
        return self.lines.take(count, HOME)

    def established(self, rng: np.random.Generator, count: int, time: int, city: int | None = None) -> Ints:
        """Existing accounts, at least a month old and in use at that time; fewer where there are not so many."""
        people = self.people
        fits = (people.created < time - 30 * DAY) & (people.leaves > time) & ~people.tourist
        if city is not None:
            fits &= people.city == city
        found = np.flatnonzero(fits)
        # Who dines out more leaves more traces for a thief.
        weights: Floats = np.sqrt(people.rate[found])
        count = min(count, len(found))
        return rng.choice(found, count, replace=False, p=weights / weights.sum()) if count else found[:0]


@dataclass(frozen=True, slots=True)
class Style:
    """How a ring works: no two alike, changed by the world's drift and by having been blocked.

    Attributes:
        greed: factor on amounts.
        pace: factor on the number of transactions.
        sharing: how freely devices are shared, 1 at first, less once that has gone wrong.
        mobile: share of transactions from addresses of a mobile carrier.
        night: share at any hour, rather than when people dine or order.
        kinds, methods: weights of `events.KINDS` and `events.METHODS`.
    """

    greed: float
    pace: float
    sharing: float
    mobile: float
    night: float
    kinds: Floats
    methods: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, drifted: float, generation: int) -> "Style":
        """Habits of a ring that has been blocked so many times, in a world that has drifted so far (0 to 1)."""
        kinds, methods = np.zeros(len(KINDS)), np.zeros(len(METHODS))
        kinds[_KINDS > 0] = rng.dirichlet(25 * _KINDS[_KINDS > 0])
        methods[_METHODS > 0] = rng.dirichlet(20 * _METHODS[_METHODS > 0])
        taken_up = 0.4 * max(0.0, drifted - 0.1)
        methods *= 1 - taken_up
        methods[NEW_METHOD] = taken_up
        return cls(
            greed=float(rng.lognormal(0, 0.15)) * (1 - 0.3 * drifted) * 0.88**generation,
            pace=0.9**generation * (1 - 0.2 * drifted),
            sharing=max(0.4, 1 - 0.25 * generation - 0.3 * drifted),
            mobile=min(0.95, 0.3 + 0.2 * generation + 0.3 * drifted),
            night=0.25 * 0.7**generation,
            kinds=kinds,
            methods=methods,
        )


Deeds = tuple[Events, Flags]
"""What a ring does, and which of it is fraud: the rest is honest, for the looks of it."""


@dataclass(frozen=True, slots=True)
class Typology:
    """A way of fraud.

    Attributes:
        name: as in the truth file.
        share: of all fraud transactions.
        lasts: most days from a ring's first transaction to its last, if it isn't blocked.
        make: what a ring does from a start time on (seconds since the epoch), in a style.
        reported_after: median days until the fraud is known.
        never_reported: share of transactions that nobody reports.
        trend: how its share changes where the world drifts, -1 (comes to an end) to 1 (starts from nothing).
        late: whether it is unknown to a drifting world at first.
        keeps: what a ring that was blocked still uses when it comes back, as far as it wasn't blocked.
    """

    name: str
    share: float
    lasts: int
    make: Callable[[np.random.Generator, Scene, int, Style], Deeds]
    reported_after: float
    never_reported: float
    trend: float = 0.0
    late: bool = False
    keeps: tuple[Literal["accounts", "devices", "lines"], ...] = ("accounts", "devices", "lines")
