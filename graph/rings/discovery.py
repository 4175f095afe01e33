"""Which users belong together: those who share what few others share, with something risky about most of them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from graph.rings.evidence import Evidence
from graph.rings.places import Meetings, meetings
from graph.rings.settings import RingSettings

_USUAL = 0.012
"""Suspicion of an average user of an average place; more than that speaks against whoever else is there."""
_HUB_LIFT = 3.0
"""By how much the company at a hub may raise the odds of a suspicion."""
_ELSEWHERE = 0.5
"""How much of the suspicion of a user all of whose dealings are suspicious holds at other places."""


def groups(
    evidence: Evidence, risk: NDArray[np.float64], settings: RingSettings
) -> tuple[Meetings, list[NDArray[np.int64]]]:
    """The places of all users, and the pairs (of `Meetings`) that hold each group of two users or more together."""
    met = meetings(evidence, risk, settings)
    belief = believed(evidence, met, risk, settings)
    linked = _linking(met, belief, settings)
    return met, [part for part in _parts(met, linked, settings) if _own_risk(met, part) >= settings.own]


def _own_risk(met: Meetings, part: NDArray[np.int64]) -> float:
    """Mean over a group's users of the highest risk that each has of its own, where the group meets."""
    users, back = np.unique(met.user[part], return_inverse=True)
    highest = np.zeros(len(users))
    np.maximum.at(highest, back, met.risk[part])
    return float(highest.mean())


def believed(
    evidence: Evidence, met: Meetings, risk: NDArray[np.float64], settings: RingSettings
) -> NDArray[np.float64]:
    """float64[m]: how likely each pair's dealings are a ring's, passed on between users and places a few times.

    A user's own risk there (or the share of it that it brings along) is held against the company: where others are
    suspicious far beyond the usual, the odds rise by as much. At a hub the company says little.
    """
    size, places = len(evidence.names.keys), len(met.entity)
    users = evidence.ids[:, 0]
    total = np.bincount(users, minlength=size)
    brought = np.bincount(users, risk, minlength=size) / (total + 1.0)
    belief = met.risk
    for _ in range(settings.rounds):
        suspicious = np.bincount(met.place, belief, minlength=places)
        others = np.maximum(suspicious[met.place] - belief, 0) / met.users[met.place]
        lift = np.maximum(_odds(others) / _odds(np.array(_USUAL)), 1.0)
        lift = np.where(met.hub[met.place], np.minimum(lift, _HUB_LIFT), lift)
        odds = _odds(np.maximum(met.risk, brought[met.user])) * lift
        belief = odds / (1 + odds)
        highest = np.zeros(size)
        np.maximum.at(highest, met.user, belief)
        there = np.bincount(evidence.ids[met.row, 0], belief[met.pair], minlength=size)
        brought = np.maximum(brought, _ELSEWHERE * highest * np.minimum(there / np.maximum(total, 1), 1))
    return belief


def _odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return p / (1 - p)


def _linking(met: Meetings, belief: NDArray[np.float64], settings: RingSettings) -> NDArray[np.bool_]:
    """bool[m]: the pair is believed, and so are enough of those who were there."""
    hub = met.hub[met.place]
    sure = belief >= np.where(hub, settings.hub_accept, settings.accept)
    count = np.bincount(met.place[sure], minlength=len(met.entity))
    # Company makes belief, so what counts at a hub is the risk that its users have of their own.
    mass = np.where(met.hub, np.bincount(met.place, met.risk, minlength=len(met.entity)), count)
    enough = mass >= np.where(met.hub, settings.hub_share, settings.share) * met.users
    strong = enough & (count >= np.where(met.hub, settings.hub_least, 2))
    result: NDArray[np.bool_] = sure & strong[met.place]
    return result


def _parts(met: Meetings, linked: NDArray[np.bool_], settings: RingSettings) -> Iterator[NDArray[np.int64]]:
    """Pairs by connected component; hubs link those whom nothing closer does, and groups that were mostly there."""
    pairs = np.flatnonzero(linked)
    if not len(pairs):
        return
    close = pairs[~met.hub[met.place[pairs]]]
    size = int(met.user.max()) + 1
    nodes = size + len(met.entity)
    links = coo_array((np.ones(len(close)), (met.user[close], size + met.place[close])), shape=(nodes, nodes))
    part = connected_components(links, directed=False)[1][:size].astype(np.int64)
    top = _at_hubs(met, pairs[met.hub[met.place[pairs]]], part, settings)
    of_pair = top[met.user[pairs]]
    # At a hub that doesn't hold it together, a ring is a guest.
    order = np.argsort(of_pair, kind="stable")
    for piece in np.split(pairs[order], np.flatnonzero(np.diff(of_pair[order])) + 1):
        kept = piece[_shared(met, piece)]
        if len(np.unique(met.user[kept])) > 1:
            yield kept


def _shared(met: Meetings, piece: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of a group are at a place where another of the group was too."""
    _, back, count = np.unique(met.place[piece], return_inverse=True, return_counts=True)
    result: NDArray[np.bool_] = count[back] > 1
    return result


def _at_hubs(
    met: Meetings, far: NDArray[np.int64], part: NDArray[np.int64], settings: RingSettings
) -> NDArray[np.int64]:
    """int64[users]: the part of each user, with those in no ring yet, or at home at a hub, joined where many were."""
    # Whom something closer holds together already is at home at a hub where most of them were, else a guest.
    users_of = np.bincount(part[np.unique(met.user)], minlength=int(part.max()) + 1)
    visits = np.unique((met.entity[met.place[far]].astype(np.int64) << 32) | met.user[far])
    there = (visits >> 32 << 32) | part[visits & 0xFFFFFFFF]
    at_home, count = np.unique(there, return_counts=True)
    at_home = at_home[(2 * count >= users_of[at_home & 0xFFFFFFFF]) & (count >= settings.hub_least)]
    mine = part[met.user[far]]
    home = np.isin((met.entity[met.place[far]].astype(np.int64) << 32) | mine, at_home)
    far = far[(users_of[mine] < settings.members) | home]
    hubs: dict[int, set[int]] = {}
    for entity, user in zip(met.entity[met.place[far]].tolist(), met.user[far].tolist(), strict=True):
        hubs.setdefault(entity, set()).add(user)
    # Two hubs that mostly the same users were at are one: a restaurant and its network.
    cores: list[set[int]] = []
    merged: list[set[int]] = []
    for users in sorted(hubs.values(), key=lambda users: (-len(users), min(users))):
        same = next((number for number, core in enumerate(cores) if 2 * len(users & core) >= len(users)), None)
        if same is None:
            cores.append(users)
            merged.append(set(users))
        else:
            merged[same] |= users
    joined, taken = part.copy(), set[int]()
    for number, group in enumerate(merged):
        fresh = sorted(group - taken)
        if len(fresh) >= settings.hub_least:
            taken |= group
            # Two who share something closer come together.
            joined[np.isin(part, part[fresh])] = int(part.max()) + 1 + number
    return joined
