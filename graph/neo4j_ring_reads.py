"""Rings in the Neo4j store, read: the counters, rings, their events, and the two feeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import neo4j

from graph.neo4j_database import Database
from graph.neo4j_names import RING, RING_CHANGE, RING_EVENT, RING_MARK, STORE, bounded
from graph.neo4j_times import micros
from graph.ring_content import details_of, ring_of
from graph.ring_records import Membership, Ring, RingEvent, RingEventKind, RingMark, RingStatus

MEMBER_OF, CAME_FROM = "MEMBER_OF", "CAME_FROM"

T = TypeVar("T")
BY_SCORE = "r.score DESC, coalesce(r.long_id, r.id)"
_RETURNED = "r.content, r.status, r.active, r.became"
_CHUNK = 10_000
_COUNTERS = f"(s:{STORE} {{name: 'rings'}})"


@dataclass(slots=True)
class RingState:
    """What the node that counts rings' writes says; a writer changes it, and saves it with its transaction.

    Attributes:
        refreshed_at: as-of time of the latest refresh, microseconds UTC; None before the first.
        refreshes: how many refreshes are kept.
        events, changes, marks: the highest numbers given to events, and in the feeds of members and of marks.
        settled: the watermark up to which all is known to be visible.
    """

    refreshed_at: int | None
    refreshes: int
    events: int
    changes: int
    marks: int
    settled: int

    @property
    def watermark(self) -> int:
        """Grows with every refresh and every verdict."""
        return self.refreshes + self.events

    @classmethod
    def read(cls, tx: neo4j.ManagedTransaction) -> "RingState":
        """The state as it was last committed."""
        record = tx.run(
            f"MATCH {_COUNTERS} RETURN s.refreshed_at, s.refreshes, s.events, s.changes, s.marks, s.settled"
        ).single()
        return cls(None, 0, 0, 0, 0, 0) if record is None else cls(*record.values())

    def save(self, tx: neo4j.ManagedTransaction) -> None:
        """Writes the state back, making its node where there is none; the store's lock is held."""
        tx.run(
            f"MERGE {_COUNTERS} SET s.refreshed_at = $refreshed_at, s.refreshes = $refreshes, s.events = $events,"
            " s.changes = $changes, s.marks = $marks, s.settled = $settled",
            refreshed_at=self.refreshed_at,
            refreshes=self.refreshes,
            events=self.events,
            changes=self.changes,
            marks=self.marks,
            settled=self.settled,
        ).consume()


def read(database: Database, work: Callable[[neo4j.ManagedTransaction, RingState], T]) -> T:
    """What `work` finds once all that the state counts can be seen.

    A reader may see a commit's counters a moment before all of its nodes. Whoever sees them first waits for the lock
    on the counters, which their writer holds until everything is there, and notes that it is.
    """

    def once(tx: neo4j.ManagedTransaction) -> tuple[RingState, T]:
        state = RingState.read(tx)
        return state, work(tx, state)

    state, found = database.read(once)
    if state.settled == state.watermark:
        return found
    database.run(f"MATCH {_COUNTERS} SET s.settled = $watermark", watermark=state.watermark)
    return database.read(once)[1]


def select(
    tx: neo4j.ManagedTransaction, *, active: bool | None, status: RingStatus | None, limit: int | None
) -> list[Ring]:
    """Rings by score, highest first; of equal scores by id."""
    wanted = ["r.score IS NOT NULL"]
    if active is not None:
        wanted.append("r.active = $active")
    if status is not None:
        wanted.append("r.status = $status")
    most = "" if limit is None else " LIMIT $limit"
    rows = tx.run(
        f"MATCH (r:{RING}) WHERE {' AND '.join(wanted)} WITH r ORDER BY {BY_SCORE}{most} RETURN {_RETURNED}",
        active=active, status=None if status is None else str(status), limit=max(limit or 0, 0),
    )  # fmt: skip
    return [ring_of(*row) for row in rows]


def find(tx: neo4j.ManagedTransaction, ring_id: str) -> Ring | None:
    """One ring; None where it is not known."""
    row = tx.run(f"MATCH (r:{RING} {{id: $id}}) RETURN {_RETURNED}", id=bounded(ring_id)).single()
    return None if row is None else ring_of(*row)


def events(tx: neo4j.ManagedTransaction, ring_id: str) -> list[RingEvent]:
    """What happened to a ring, oldest first."""
    rows = tx.run(
        f"MATCH (e:{RING_EVENT} {{ring_id: $id}}) RETURN {micros('e.at')}, e.kind, e.details ORDER BY e.seq",
        id=bounded(ring_id),
    )
    return [RingEvent(ring_id, at, RingEventKind(kind), details_of(details)) for at, kind, details in rows]


def memberships(database: Database, since: int) -> Iterator[Membership]:
    """Changes of members above `since`, up to now (the moment of the first look)."""
    end = read(database, lambda _, state: state.changes)
    returned = f"n.seq, {micros('n.at')}, n.ring_id, n.entity, n.key, n.joined"
    for row in _feed(database, RING_CHANGE, returned, since, end):
        yield Membership(*row)


def marks(database: Database, since: int) -> Iterator[RingMark]:
    """What refreshes and verdicts said above `since`, up to now (the moment of the first look)."""
    end = read(database, lambda _, state: state.marks)
    returned = f"n.seq, {micros('n.at')}, n.ring_id, n.score, n.members, n.status"
    for seq, at, ring_id, score, members, status in _feed(database, RING_MARK, returned, since, end):
        yield RingMark(seq, at, ring_id, score, members, None if status is None else RingStatus(status))


def _feed(database: Database, label: str, returned: str, since: int, end: int) -> Iterator[list[Any]]:
    statement = f"MATCH (n:{label}) WHERE n.seq > $since AND n.seq <= $end RETURN {returned} ORDER BY n.seq"
    for first in range(max(since, 0), end, _CHUNK):
        values = {"since": first, "end": min(first + _CHUNK, end)}
        yield from database.read(lambda tx, values=values: tx.run(statement, values).values())  # type: ignore[misc]
