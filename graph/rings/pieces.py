"""Pieces of a ring that lately share nothing, brought together by what linked them some time before."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from graph.rings.places import Meetings


@dataclass(frozen=True)
class Group:
    """Users and what holds them together: transaction `rows[i]` is `users[i]`'s, over the entity `ends[i]`.

    Attributes:
        parts: pieces that share nothing, where they are taken for one by their ways.
        alike: traits in which these are alike, the clearest first.
    """

    rows: NDArray[np.int64]
    users: NDArray[np.int32]
    ends: NDArray[np.int32]
    parts: int = 1
    alike: tuple[str, ...] = ()

    @cached_property
    def members(self) -> frozenset[int]:
        """Integer ids of its users."""
        return frozenset(np.unique(self.users).tolist())

    @cached_property
    def links(self) -> frozenset[tuple[int, int]]:
        """User and entity of each link."""
        return frozenset(zip(self.users.tolist(), self.ends.tolist(), strict=True))

    @classmethod
    def each(cls, met: Meetings, parts: Sequence[NDArray[np.int64]]) -> "list[Group]":
        """A group for each array of pairs."""
        order = np.argsort(met.pair, kind="stable")
        begins = np.searchsorted(met.pair[order], np.arange(len(met.place) + 1))
        found = []
        for pairs in parts:
            which = np.concatenate([order[begins[pair] : begins[pair + 1]] for pair in pairs.tolist()])
            at = met.pair[which]
            found.append(cls(met.row[which], met.user[at], met.entity[met.place[at]]))
        return found

    @classmethod
    def of(cls, parts: "Sequence[Group]", users: frozenset[int]) -> "Group":
        """What holds these users together in some groups: nothing that only one of them has."""
        row, user, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "users", "ends"))
        row, user, end = np.unique(np.stack([row, user, end]), axis=1)
        mine = np.isin(user, list(users))
        pairs = np.unique(np.stack([end[mine], user[mine]]), axis=1)
        shared, count = np.unique(pairs[0], return_counts=True)
        mine &= np.isin(end, shared[count > 1])
        return cls(row[mine], user[mine].astype(np.int32), end[mine].astype(np.int32))


def joined(lately: Sequence[Group], before: Sequence[Group], active: frozenset[int], least: int) -> list[Group]:
    """Groups of late, those together that were mostly within one group over a longer time.

    A group over the longer time adds its other active users, and counts by itself where half of its users are active
    or more. Of the rest only those stay that link what would otherwise fall apart.

    Args:
        lately: groups found in the time that is looked back to.
        before: groups found in a longer time; no user is in two.
        active: users who did something risky lately.
        least: users that a group has at least.
    """
    of = {user: number for number, group in enumerate(before) for user in group.members}
    pieces: defaultdict[int, list[Group]] = defaultdict(list)
    found = []
    for group in lately:
        common = Counter(of[user] for user in group.members if user in of)
        best = min(common, key=lambda number: (-common[number], number), default=None)
        if best is None or 2 * common[best] < len(group.members):
            found.append(group)
        else:
            pieces[best].append(group)
    for number, whole in enumerate(before):
        mine = pieces[number]
        users = (whole.members & active).union(*(group.members for group in mine))
        if not mine and (len(users) < least or 2 * len(users) < len(whole.members)):
            continue
        if len(mine) == 1 and users == mine[0].members:
            found += mine
            continue
        together = Group.of([*mine, whole], users | _between([*mine, whole], users))
        if len(together.members) >= least:
            found.append(together)
    return found


def _between(groups: Sequence[Group], users: frozenset[int]) -> frozenset[int]:
    """Other users of some groups without whom these users fall into more parts."""
    links = sorted(frozenset().union(*(group.links for group in groups)))
    graph = nx.Graph()
    graph.add_nodes_from(users)
    graph.add_edges_from((user, end) for user, end in links if user in users)
    others: defaultdict[int, list[int]] = defaultdict(list)
    for user, end in links:
        if user not in users:
            others[user].append(end)
    added = set()
    for user, ends in sorted(others.items()):
        there = [end for end in ends if end in graph]
        if len({min(nx.node_connected_component(graph, end)) for end in there}) > 1:
            graph.add_edges_from((user, end) for end in there)
            added.add(user)
    return frozenset(added)
