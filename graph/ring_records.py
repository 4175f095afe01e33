"""Fraud rings: what a refresh says about them, what investigators say, and what becomes of them.

Times are microseconds since the epoch, UTC. A ring's times of refresh (`found_at`, `refreshed_at`, an
event's `at`) are as-of times: everything said then follows from what had occurred and was known before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class RingStatus(StrEnum):
    """Where a ring is in its life: found, worth watching, or judged by an investigator."""

    NEW = "new"
    WATCHED = "watched"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


VERDICTS = (RingStatus.CONFIRMED, RingStatus.DISMISSED)
"""The statuses that only an investigator gives."""


class RingEventKind(StrEnum):
    """What happened to a ring at a refresh (or, for a verdict, between refreshes)."""

    FOUND = "found"
    GREW = "grew"
    SHRANK = "shrank"
    SPLIT = "split"
    MERGED = "merged"
    RETURNED = "returned"
    GONE = "gone"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class RingMember:
    """An entity in a ring.

    Attributes:
        entity: its type: `user`, `device`, …
        key: its key.
        since: its first transaction in the ring.
        transactions: how many of the ring's transactions are its.
        band: the worst band its transactions got (`approve`, `review`, `block`); None where none is scored.
    """

    entity: str
    key: str
    since: int
    transactions: int
    band: str | None = None


class RingLink(NamedTuple):
    """A member user's transactions over another member, together.

    Attributes:
        user: the user's key.
        entity, key: type and key of the other end.
        transactions: how many.
        first_at, last_at: when the first and the last of them occurred.
    """

    user: str
    entity: str
    key: str
    transactions: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class RingReason:
    """Why a ring is one, in words, with the figures behind them (plain JSON values)."""

    code: str
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring as the latest refresh that found it saw it.

    Attributes:
        ring_id: stays the same through growth, splits and merges.
        score: 0..1, higher is more suspicious.
        found_at, refreshed_at: as-of times of the first and of the latest refresh that found it.
        members: users first.
        links: who of them is linked to what.
        transactions, amount, fraud_known: of its members over its links: how many, in hundredths, and how
            many are known to be fraud.
        first_at, last_at: when the first and the last of these transactions occurred.
        structure: figures of its graph by name (density, bridges, …).
        reasons: strongest first.
        came_from: ids of the rings it was split or merged from.
        became: ids of the rings that hold its members now, where it is no longer one itself.
        active: whether the latest refresh found it.
    """

    ring_id: str
    status: RingStatus
    score: float
    found_at: int
    refreshed_at: int
    members: tuple[RingMember, ...]
    links: tuple[RingLink, ...]
    transactions: int
    amount: int
    fraud_known: int
    first_at: int
    last_at: int
    structure: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[RingReason, ...] = ()
    came_from: tuple[str, ...] = ()
    became: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class RingEvent:
    """Something that happened to a ring; `details` are plain JSON values."""

    ring_id: str
    at: int
    kind: RingEventKind
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an investigator says of a ring, and when; `verdict` is one of `VERDICTS`."""

    ring_id: str
    at: int
    verdict: RingStatus
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Refresh:
    """What one refresh says: all rings that are active as of `at`, and what changed since the one before.

    A ring that was active and is not among `rings` is over; the store notes as its `became` those of `rings`
    that name it in their `came_from`.
    """

    at: int
    rings: tuple[Ring, ...]
    events: tuple[RingEvent, ...] = ()


class Membership(NamedTuple):
    """One change of who is in a ring.

    Attributes:
        seq: position in the feed of such changes, ascending from 1.
        at: as-of time of the refresh at which it changed.
        joined: whether the entity came (True) or went.
    """

    seq: int
    at: int
    ring_id: str
    entity: str
    key: str
    joined: bool


class RingMark(NamedTuple):
    """What a refresh or an investigator said of a ring.

    Attributes:
        seq: position in the feed of such marks, ascending from 1.
        at: as-of time of the refresh, or time of the verdict.
        score, members: the ring's, and how many are in it, as of the refresh; None for a verdict.
        status: the verdict, one of `VERDICTS`; `NEW` for a refresh at which the ring returned, which ends a
            dismissal and no other verdict; None for any other refresh, which leaves the verdict as it is.
    """

    seq: int
    at: int
    ring_id: str
    score: float | None
    members: int | None
    status: RingStatus | None
