"""What the ways of fraud are put together from: when accounts are made, when they pay, where and how much."""

import numpy as np

from etl.simulator.events import KINDS, METHODS, Events, amounts, seconds_of_day
from etl.simulator.fraud import Scene, Style
from etl.simulator.people import spending_levels, waking_hours
from etl.simulator.pools import Ints
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET

_GREED = 1.9  # how much more than usual a thief spends
_DOLLARS = 0.03


def openings(rng: np.random.Generator, count: int, start: int, length: int) -> Ints:
    """When a ring's accounts are made: shortly before and during its work; a third bought or left to ripen."""
    fresh = start - 2 * DAY + rng.integers(0, max(1, length * 2 // 3), count)
    ripe = start - rng.integers(10 * DAY, 200 * DAY, count)
    return waking_hours(rng, np.where(rng.random(count) < 0.33, ripe, fresh))


def times_each(rng: np.random.Generator, count: int, least: int, most: int, pace: float) -> Ints:
    """How many transactions each of so many accounts makes: from `least` to `most - 1` at full pace, at least one."""
    return np.maximum(1, np.round(rng.integers(least, most, count) * pace)).astype(np.int64)


def spread(
    rng: np.random.Generator, scene: Scene, accounts: Ints, start: int, length: int, each: Ints, night: float
) -> tuple[Ints, Ints]:
    """So many transactions for each account, between its opening (or the start) and the ring's end."""
    user = np.repeat(accounts, each)
    since = np.maximum(scene.created(user) + 600, start)
    time = since + (rng.random(len(user)) * np.maximum(start + length - since, 2 * HOUR)).astype(np.int64)
    usual = _when_people_order(rng, scene, time, night)
    return user, np.maximum(usual, since + rng.integers(0, 2 * HOUR, len(user)))


def targets(rng: np.random.Generator, scene: Scene, city: int, count: int, loyalty: float) -> Ints:
    """Restaurants of a city by popularity; a share goes to three that the ring has found easy."""
    easy = scene.easy(rng, city)
    return np.where(
        rng.random(count) < loyalty, rng.choice(easy, count), scene.places.popular(rng, np.full(count, city))
    )


def purchases(
    rng: np.random.Generator,
    scene: Scene,
    style: Style,
    user: Ints,
    time: Ints,
    device: Ints,
    address: Ints,
    restaurant: Ints,
    greed: float = _GREED,
) -> Events:
    """Transactions of the usual kinds and amounts, leaning to what can be turned into money."""
    count = len(user)
    kind = rng.choice(len(KINDS), count, p=style.kinds)
    return Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=device,
        address=address,
        cents=amounts(rng, scene.places, restaurant, kind, spending_levels(rng, count) * greed * style.greed),
        kind=kind,
        method=rng.choice(len(METHODS), count, p=style.methods),
        dollars=rng.random(count) < _DOLLARS,
    )


def _when_people_order(rng: np.random.Generator, scene: Scene, time: Ints, night: float) -> Ints:
    """The same days at hours when people dine or order, apart from a share at any hour."""
    count = len(time)
    midnight = time - (time + LIMA_OFFSET) % DAY
    kind = rng.integers(0, 4, count)
    usual = midnight + seconds_of_day(rng, scene.places, rng.integers(0, len(scene.places.city), count), kind)
    return np.where(rng.random(count) < night, time, usual)
