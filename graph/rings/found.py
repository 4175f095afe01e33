"""What discovery says of one group of users: who and what is in it, over which transactions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.records import USER
from graph.ring_records import RingLink, RingMember, RingReason
from graph.rings.evidence import BANDS, FRAUD, Evidence


@dataclass(frozen=True, slots=True)
class Found:
    """A ring before it has a name: as `graph.ring_records.Ring`, without what comes of its past."""

    score: float
    members: tuple[RingMember, ...]
    links: tuple[RingLink, ...]
    transactions: int
    amount: int
    fraud_known: int
    first_at: int
    last_at: int
    structure: dict[str, float]
    reasons: tuple[RingReason, ...]

    @property
    def users(self) -> frozenset[str]:
        """The keys of its users."""
        return frozenset(member.key for member in self.members if member.entity == USER)


@dataclass(frozen=True, slots=True)
class Dealings:
    """A group's transactions over the entities that hold it together; r rows, l links.

    Attributes:
        rows: int64[r], rows of the evidence, in order of occurrence.
        users, ends: int32[l], integer ids of each link's user and other end, in order of their keys.
        counts, first_at, last_at: int64[l], of each link's transactions.
    """

    rows: NDArray[np.int64]
    users: NDArray[np.int32]
    ends: NDArray[np.int32]
    counts: NDArray[np.int64]
    first_at: NDArray[np.int64]
    last_at: NDArray[np.int64]

    @classmethod
    def of(
        cls, evidence: Evidence, rows: NDArray[np.int64], users: NDArray[np.int32], ends: NDArray[np.int32]
    ) -> "Dealings":
        """From incidences: row `rows[i]` is `users[i]`'s, over `ends[i]`."""
        pairs, back, counts = np.unique((users.astype(np.int64) << 32) | ends, return_inverse=True, return_counts=True)
        first = np.full(len(pairs), np.iinfo(np.int64).max)
        last = np.full(len(pairs), np.iinfo(np.int64).min)
        np.minimum.at(first, back, evidence.occurred_at[rows])
        np.maximum.at(last, back, evidence.occurred_at[rows])
        who, what = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
        keys, kinds = evidence.names.keys, evidence.names.kinds
        order = sorted(range(len(pairs)), key=lambda i: (keys[who[i]], int(kinds[what[i]]), keys[what[i]]))
        return cls(np.unique(rows), who[order], what[order], counts[order], first[order], last[order])


def links_of(evidence: Evidence, dealings: Dealings) -> tuple[RingLink, ...]:
    """The group's links by name."""
    names, types = evidence.names, evidence.schema.keyed
    return tuple(
        RingLink(names.keys[user], types[names.kinds[end]], names.keys[end], count, first, last)
        for user, end, count, first, last in zip(
            dealings.users.tolist(),
            dealings.ends.tolist(),
            dealings.counts.tolist(),
            dealings.first_at.tolist(),
            dealings.last_at.tolist(),
            strict=True,
        )
    )


def members_of(evidence: Evidence, dealings: Dealings) -> tuple[RingMember, ...]:
    """Users, then what they share by type; each in order of its key."""
    names, types = evidence.names, evidence.schema.keyed
    ends = set(dealings.ends.tolist())
    ids = evidence.ids[dealings.rows]
    members: list[tuple[int, RingMember]] = []
    for number in sorted(set(dealings.users.tolist()) | ends):
        kind = int(names.kinds[number])
        rows = dealings.rows[ids[:, kind] == number]
        band = int(evidence.band[rows].max())
        members.append(
            (
                kind,
                RingMember(
                    types[kind],
                    names.keys[number],
                    int(evidence.occurred_at[rows].min()),
                    len(rows),
                    BANDS[band] if band >= 0 else None,
                ),
            )
        )
    return tuple(member for _, member in sorted(members, key=lambda pair: (pair[0], pair[1].key)))


def known_fraud(evidence: Evidence, rows: Sequence[int] | NDArray[np.int64]) -> int:
    """How many of these rows are known to be fraud."""
    return int((evidence.label[rows] == FRAUD).sum())
