"""What accounts have in common: second devices, households, hotels and offices with what they share, and friends."""

import numpy as np

from etl.simulator.ids import HOME, HOTEL, OFFICE
from etl.simulator.places import CITIES
from etl.simulator.pools import Flags, Floats, Ints


def belongings(rng: np.random.Generator, city: Ints, tourist: Flags) -> tuple[Ints, Floats, Ints, Ints, int, Ints]:
    """Owners of devices and lines: each account's first phone, then second devices, then what groups share."""
    count = len(city)
    owners = count
    phones = np.full((count, 3), -1, np.int64)
    phones[:, 0] = np.arange(count)
    second = np.flatnonzero(rng.random(count) < 0.32)
    phones[second, 1] = owners + np.arange(len(second))
    owners += len(second)

    home, kinds = np.full(count, -1, np.int64), []
    offset = 0
    for members, sizes, shares, kind in (
        (~tourist, (1, 2, 3, 4, 5), 0.6, HOME),
        (tourist, tuple(range(8, 40)), 0.7, HOTEL),
    ):
        group, groups = _groups(rng, city, np.flatnonzero(members), sizes)
        home[members] = offset + group[members]
        has_device = rng.random(groups) < shares
        number = owners + np.cumsum(has_device) - 1
        uses = members & has_device[group] & (rng.random(count) < (0.8 if kind == HOME else 0.35))
        phones[uses, 2] = number[group[uses]]
        owners += int(has_device.sum())
        offset += groups
        kinds.append(np.full(groups, kind))

    works = ~tourist & (rng.random(count) < 0.3)
    group, groups = _groups(rng, city, np.flatnonzero(works), tuple(range(3, 26)))
    office = np.where(works, offset + group, -1)
    has_device = rng.random(groups) < 0.5
    uses = works & has_device[group] & (phones[:, 2] < 0) & (rng.random(count) < 0.3)
    phones[uses, 2] = (owners + np.cumsum(has_device) - 1)[group[uses]]
    owners += int(has_device.sum())
    kinds.append(np.full(groups, OFFICE))

    use = np.stack([np.ones(count), rng.uniform(0.1, 0.6, count), rng.uniform(0.15, 0.8, count)], 1) * (phones >= 0)
    use = np.cumsum(use / use.sum(1, keepdims=True), 1)
    use[:, -1] = 1.0
    # Rounding must not lead to a device that the account doesn't have.
    use[phones[:, 2] < 0, 1] = 1.0
    use[(phones[:, 1:] < 0).all(1), 0] = 1.0
    return phones, use, home, office, owners, np.concatenate(kinds)


def _groups(rng: np.random.Generator, city: Ints, members: Ints, sizes: tuple[int, ...]) -> tuple[Ints, int]:
    """Members in groups of their city: each account's group (0 for the others), and how many there are (at least 1)."""
    order = rng.permutation(members)
    order = order[np.argsort(city[order], kind="stable")]
    ends = np.cumsum(rng.choice(sizes, len(order) + 1))
    number = np.searchsorted(ends, np.arange(len(order)), side="right")
    # A new city begins a new group, so that groups never span two.
    number = np.unique(number * len(CITIES) + city[order], return_inverse=True)[1]
    group = np.zeros(len(city), np.int64)
    group[order] = number
    return group, int(number.max(initial=0)) + 1


def friends_of(rng: np.random.Generator, city: Ints) -> Ints:
    """Three other accounts of the same city (of another, in a city of one)."""
    order = rng.permutation(len(city))
    order = order[np.argsort(city[order], kind="stable")]
    place = np.empty(len(city), np.int64)
    place[order] = np.arange(len(city))
    friends: Ints = order[(place[:, None] + np.array([1, 2, 5])) % len(city)]
    return friends
