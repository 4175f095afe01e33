"""How fraud comes into the world: rings that start all the time, do their work and end."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.simulator.behaviour import Events
from etl.simulator.ids import HOME
from etl.simulator.people import Floats, Ints, People, Pool
from etl.simulator.places import CITY_WEIGHTS, Places
from etl.simulator.settings import DAY, WorldSettings, stream


class Accounts:
    """The accounts that fraudsters open, numbered after the everyday ones."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.created: list[int] = []
        self.city: list[int] = []

    def open(self, created: Ints, city: int) -> Ints:
        """Numbers of new accounts, made at these times in this city."""
        start = self._first + len(self.created)
        self.created += created.tolist()
        self.city += [city] * len(created)
        return np.arange(start, start + len(created))


@dataclass(frozen=True, slots=True)
class Scene:
    """What a ring finds when it starts."""

    settings: WorldSettings
    places: Places
    people: People
    devices: Pool
    lines: Pool
    accounts: Accounts

    def city(self, rng: np.random.Generator) -> int:
        """Where a ring works."""
        return int(rng.choice(4, p=CITY_WEIGHTS))

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
class Typology:
    """A way of fraud.

    Attributes:
        name: as in the truth file.
        share: of all fraud transactions.
        lasts: most days from a ring's first transaction to its last.
        make: the transactions of one ring that starts at a time (seconds since the epoch).
        reported_after: median days until the fraud is known.
    """

    name: str
    share: float
    lasts: int
    make: Callable[[np.random.Generator, Scene, int], Events]
    reported_after: float


@dataclass(frozen=True, slots=True)
class Fraud:
    """All fraud of a period: transactions, and for each its typology (by number) and its ring."""

    events: Events
    typology: Ints
    ring: Ints


def commit(scene: Scene, typologies: tuple[Typology, ...], transactions: int) -> Fraud | None:
    """Makes rings of each typology until its share of so many transactions is reached; None where none is wanted.

    Each typology gets at least one ring, as long as a tiny world has room for one more. Starts are spread evenly
    from before the first day to the last, so that some rings are at work when the period begins and some when it
    ends; what lies outside is cut off.
    """
    if transactions == 0:
        return None
    parts: list[Events] = []
    kinds: list[Ints] = []
    rings: list[Ints] = []
    for number, typology in enumerate(typologies):
        rng = stream(scene.settings.seed, f"fraud:{typology.name}")
        if sum(map(len, parts)) >= transactions:
            break
        for events in _rings(rng, scene, typology, transactions * typology.share):
            kinds.append(np.full(len(events), number))
            rings.append(np.full(len(events), len(parts)))
            parts.append(events)
    return Fraud(Events.join(parts), np.concatenate(kinds), np.concatenate(rings))


def _rings(rng: np.random.Generator, scene: Scene, typology: Typology, budget: float) -> list[Events]:
    settings = scene.settings
    early = min(typology.lasts, settings.days) * DAY // 2
    span = settings.ends - settings.begins + early
    turn, made, misses = rng.random(), 0, 0
    rings: list[Events] = []
    # Where a tiny world has nobody to steal from, there is an end to trying.
    while misses < 100 and (not rings or made + made / len(rings) / 2 < budget):
        turn = (turn + 0.6180339887498949) % 1.0  # the golden ratio spreads any number of starts evenly
        start = settings.begins - early + int(turn * span)
        events = typology.make(rng, scene, start)
        inside: NDArray[np.bool_] = (events.time >= settings.begins) & (events.time < settings.ends)
        if inside.any():
            rings.append(events.take(inside))
            made += len(rings[-1])
        else:
            misses += 1
    return rings
