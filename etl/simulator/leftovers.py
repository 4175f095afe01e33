"""What a ring that was blocked still has, and how it goes on with that."""

from dataclasses import dataclass, replace

import numpy as np

from etl.simulator.blocking import REPORTS_TO_BLOCK_A_DEVICE
from etl.simulator.events import Events
from etl.simulator.fraud import Left, Scene, Typology
from etl.simulator.labels import NEVER
from etl.simulator.pools import Flags, Ints

_GO_ON = 0.3
"""How many of a ring's accounts are old ones when it comes back, and how many new ones are worked from old devices."""
_ON_OLD_DEVICE, _ON_OLD_LINE = 0.4, 0.15
"""Share of such an account's transactions from an old device; and of those on private lines, from old ones."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """Numbers from which on accounts, devices and lines are a ring's own: those that there were before are others'."""

    account: int
    device: int
    line: int

    @classmethod
    def so_far(cls, scene: Scene) -> "Belongings":
        """What is got from now on is own."""
        return cls(scene.accounts.next, scene.devices.size, scene.lines.size)

    def own(self, events: Events) -> Flags:
        """Which transactions are with own accounts or devices, if any are."""
        mine = (events.user >= self.account) | (events.device >= self.device)
        return mine if mine.any() else np.ones(len(events), np.bool_)


def left_over(
    scene: Scene, typology: Typology, first: Belongings, events: Events, blocked_at: Ints, now: int
) -> Left | None:
    """What a ring still has; None if it never got to work.

    Args:
        scene, typology: the ring's.
        first: what is the ring's own, since it began.
        events: what it did, and will still do with what isn't blocked.
        blocked_at: when the report on each takes effect, `NEVER` where there is none.
        now: seconds since the epoch.
    """
    past = events.time < now
    if not past.any():
        return None
    known = past & (blocked_at != NEVER) & (blocked_at <= now)
    places, count = np.unique(events.restaurant[past], return_counts=True)
    places = places[np.argsort(-count, kind="stable")]
    city = int(scene.places.city[places[0]])
    accounts = np.setdiff1d(events.user[past & (events.user >= first.account)], events.user[known])
    burnt, reports = np.unique(events.device[known], return_counts=True)
    burnt = burnt[reports >= REPORTS_TO_BLOCK_A_DEVICE]
    devices = np.setdiff1d(events.device[past & (events.device >= first.device)], burnt)
    lines = np.unique(events.address[past & (events.address >= first.line)])
    none = accounts[:0]
    return Left(
        city,
        places[scene.places.city[places] == city],
        accounts if "accounts" in typology.keeps else none,
        devices if "devices" in typology.keeps else none,
        lines if "lines" in typology.keeps else none,
    )


def reused(rng: np.random.Generator, events: Events, new: Belongings, left: Left) -> Events:
    """The same deeds, some by old accounts, on old devices, over old lines in place of the ring's own new ones."""
    user, device, address = events.user.copy(), events.device.copy(), events.address.copy()
    # What is left won't last: it is used first.
    by_time = user[np.argsort(events.time, kind="stable")]
    fresh, first = np.unique(by_time[by_time >= new.account], return_index=True)
    fresh = fresh[np.argsort(first)]
    old = rng.permutation(left.accounts)[: _some(len(fresh))]
    for instead, account in zip(old.tolist(), fresh.tolist(), strict=False):
        user[events.user == account] = instead
    if len(left.devices):
        own = device >= new.device
        who = _movers(rng, user[own], device[own])
        there = own & np.isin(user, who[: _some(len(who))]) & (rng.random(len(events)) < _ON_OLD_DEVICE)
        device[there] = rng.choice(left.devices, int(there.sum()))
    if len(left.lines):
        there = (address >= new.line) & (rng.random(len(events)) < _ON_OLD_LINE)
        address[there] = rng.choice(left.lines, int(there.sum()))
    return replace(events, user=user, device=device, address=address)


def _movers(rng: np.random.Generator, user: Ints, device: Ints) -> Ints:
    """Users, those first who go from device to device anyway."""
    users, devices = np.unique(np.unique(np.stack([user, device]), axis=1)[0], return_counts=True)
    mixed = rng.permutation(len(users))
    ordered: Ints = users[mixed[np.argsort(-devices[mixed], kind="stable")]]
    return ordered


def _some(count: int) -> int:
    return int(np.ceil(_GO_ON * count))
