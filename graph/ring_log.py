"""Who was in which ring, and what was said of the ring, before any moment: the as-of index's log of rings.

A refresh as of T counts from T on, strictly later, whenever it was computed or read; so does a verdict from its own
time on. The log is small beside transactions and changes a few times a day, so it is laid out anew at each change.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.compiled import allocating, kernel
from graph.ring_records import Membership, RingMark, RingStatus
from graph.store import RingStore, Store

UNJUDGED, CONFIRMED, DISMISSED = range(3)
_RETURNED = 3
_NOTHING = -1
_JUDGED = {None: _NOTHING, RingStatus.NEW: _RETURNED, RingStatus.CONFIRMED: CONFIRMED, RingStatus.DISMISSED: DISMISSED}

Numbers = Callable[[str, Sequence[str]], dict[str, int]]
"""Gives the integer ids of keys of an entity type; keys that have none are left out."""


class RingLog(NamedTuple):
    """The log for compiled code. Both parts are in blocks, in each of them by time.

    Attributes:
        member_start: int64[entities + 1], where each entity's block in `members` begins; an entity with a higher
            number was never in a ring.
        members: int64[m, 3], a line for each ring that the entity was in from `at` on: at, ring, since when; where
            there is none from then on, one line with ring -1.
        ring_start: int64[rings + 1], where each ring's block in `marks` begins.
        marks: int64[k, 3], what holds of the ring from `at` on: at, members, judgement (`UNJUDGED`, `CONFIRMED`,
            `DISMISSED`).
        scores: float64[k], the ring's score from then on; NaN before its first refresh.
    """

    member_start: NDArray[np.int64]
    members: NDArray[np.int64]
    ring_start: NDArray[np.int64]
    marks: NDArray[np.int64]
    scores: NDArray[np.float64]


def no_rings() -> RingLog:
    """The log before the first refresh."""
    return RingLog(
        np.zeros(1, np.int64),
        np.empty((0, 3), np.int64),
        np.zeros(1, np.int64),
        np.empty((0, 3), np.int64),
        np.empty(0),
    )


@kernel
def _before(lines, low, high, t):  # type: ignore[no-untyped-def]
    """The first of the lines low .. high - 1 with a time >= t; high where there is none."""
    while low < high:
        middle = (low + high) // 2
        if lines[middle, 0] < t:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _ring_of(log, entity, t):  # type: ignore[no-untyped-def]
    """The ring that an entity was in as of t: the lines of `marks` and of `members` that tell of it; -1 for none.

    A ring that was dismissed as of t is none.
    """
    best, best_line = np.int64(-1), np.int64(-1)
    if entity < 0 or entity + 1 >= log.member_start.shape[0]:
        return best, best_line
    low = log.member_start[entity]
    line = _before(log.members, low, log.member_start[entity + 1], t) - 1
    if line < low:
        return best, best_line
    at = log.members[line, 0]
    while line >= low and log.members[line, 0] == at:
        ring = log.members[line, 1]
        if ring >= 0:
            begin = log.ring_start[ring]
            mark = _before(log.marks, begin, log.ring_start[ring + 1], t) - 1
            scored = mark >= begin and not np.isnan(log.scores[mark])
            if scored and log.marks[mark, 2] != DISMISSED and _rather(log, mark, line, best, best_line):
                best, best_line = mark, line
        line -= 1
    return best, best_line


@kernel
def _rather(log, mark, line, best, best_line):  # type: ignore[no-untyped-def]
    """Of two rings: a confirmed one, then the one with the highest score, the most members, joined the longest ago."""
    if best < 0:
        return True
    confirmed, other = log.marks[mark, 2] == CONFIRMED, log.marks[best, 2] == CONFIRMED
    if confirmed != other:
        return confirmed
    if log.scores[mark] != log.scores[best]:
        return log.scores[mark] > log.scores[best]
    if log.marks[mark, 1] != log.marks[best, 1]:
        return log.marks[mark, 1] > log.marks[best, 1]
    return log.members[line, 2] < log.members[best_line, 2]


@kernel
def rings_of_all(log, ids, entities, t, marks, lines):  # type: ignore[no-untyped-def]
    """The rings that the first `entities` of these ids were in as of t, strictly before it.

    Args:
        marks, lines: int32, as long as there are entities at least; for each, the lines of `RingLog.marks` and
            `RingLog.members` that tell of its ring are written into them, -1 where it was in none that counts.

    Returns:
        The position of the entity whose ring tells most; -1 where none was in any.
    """
    best = -1
    for k in range(entities):
        mark, line = _ring_of(log, ids[k], t)
        marks[k] = mark
        lines[k] = line
        if mark >= 0 and (best < 0 or _rather(log, mark, line, np.int64(marks[best]), np.int64(lines[best]))):
            best = k
    return best


class RingTouch(NamedTuple):
    """The ring that some entities were in as of a moment.

    Attributes:
        score, members, confirmed: as of that moment.
        through: positions of the entities that were in it; since: when the first of them came.
    """

    ring_id: str
    score: float
    members: int
    confirmed: bool
    through: tuple[int, ...]
    since: int


def ring_watermark(store: Store) -> int:
    """A number that grows with whatever changes a `RingHistory`; 0 for a store that keeps no rings.

    Raises:
        StoreError: the store is away.
    """
    return store.ring_watermark() if isinstance(store, RingStore) else 0


@dataclass(frozen=True, slots=True)
class RingNews:
    """What is new in a store's feeds of rings, up to its ring watermark."""

    watermark: int
    memberships: list[Membership]
    marks: list[RingMark]


class RingHistory:
    """All that a store's feeds say of rings, with integer ids.

    Attributes:
        names: the rings' ids by number.
        seen: how far the store has been read: its ring watermark, the last of its memberships, of its marks.
        members: int64[n, 4]: at, entity, ring, joined; marks: int64[k, 4]: at, ring, members, judgement (-1: left
            as it is); scores: float64[k], NaN for a verdict. In order of the feeds.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.seen = (0, 0, 0)
        self.members: NDArray[np.int64] = np.empty((0, 4), np.int64)
        self.marks: NDArray[np.int64] = np.empty((0, 4), np.int64)
        self.scores: NDArray[np.float64] = np.empty(0)
        self._numbers: dict[str, int] = {}

    def restore(
        self,
        names: list[str],
        seen: Sequence[int],
        members: NDArray[np.int64],
        marks: NDArray[np.int64],
        scores: NDArray[np.float64],
    ) -> None:
        """Takes over what a snapshot kept."""
        self.names, self.members, self.marks, self.scores = names, members, marks, scores
        self._numbers = {name: number for number, name in enumerate(names)}
        mark, last_member, last_mark = seen
        self.seen = (mark, last_member, last_mark)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the arrays."""
        return self.members.nbytes + self.marks.nbytes + self.scores.nbytes

    def news(self, store: Store) -> RingNews | None:
        """What the store's feeds have that this lacks; None where that is nothing, or the store keeps no rings.

        Raises:
            StoreError: the store is away.
        """
        if not isinstance(store, RingStore):
            return None
        # Read first: what is committed between here and the feeds is read again from here at the next look.
        mark = ring_watermark(store)
        seen, last_member, last_mark = self.seen
        if mark == seen:
            return None
        return RingNews(mark, list(store.memberships(last_member)), list(store.ring_marks(last_mark)))

    def take(self, news: RingNews, numbers: Numbers) -> None:
        """Adds what is new in the news; what is known already is passed over."""
        seen, last_member, last_mark = self.seen
        memberships = [m for m in news.memberships if m.seq > last_member]
        marks = [m for m in news.marks if m.seq > last_mark]
        members = self._member_rows(memberships, numbers)
        lines = [
            (m.at, self._number(m.ring_id), 0 if m.members is None else m.members, _JUDGED[m.status]) for m in marks
        ]
        self.members = np.concatenate([self.members, np.array(members, np.int64).reshape(-1, 4)])
        self.marks = np.concatenate([self.marks, np.array(lines, np.int64).reshape(-1, 4)])
        scores = [np.nan if m.score is None else m.score for m in marks]
        self.scores = np.concatenate([self.scores, np.array(scores, np.float64)])
        self.seen = (
            max(news.watermark, seen),
            memberships[-1].seq if memberships else last_member,
            marks[-1].seq if marks else last_mark,
        )

    def _member_rows(self, memberships: Iterable[Membership], numbers: Numbers) -> list[tuple[int, int, int, bool]]:
        keys: dict[str, dict[str, None]] = {}
        for change in memberships:
            keys.setdefault(change.entity, {})[change.key] = None
        known = {entity: numbers(entity, list(mine)) for entity, mine in keys.items()}
        return [
            (change.at, known[change.entity][change.key], self._number(change.ring_id), change.joined)
            for change in memberships
            if change.key in known[change.entity]
        ]

    def _number(self, ring_id: str) -> int:
        number = self._numbers.setdefault(ring_id, len(self.names))
        if number == len(self.names):
            self.names.append(ring_id)
        return number

    def log(self) -> RingLog:
        """The history laid out for look-ups."""
        if not len(self.marks):
            return no_rings()
        rings = len(self.names)
        order = np.lexsort((self.marks[:, 0], self.marks[:, 1]))  # stable: of equal times the feed's order holds
        told, scores = self.marks[order], self.scores[order]
        ring_start = np.searchsorted(told[:, 1], np.arange(rings + 1)).astype(np.int64)
        marks = np.empty((len(told), 3), np.int64)
        _carry_forward(ring_start, told, marks, scores)
        moved = self.members[np.lexsort((self.members[:, 0], self.members[:, 1]))]
        entities = int(moved[:, 1].max(initial=-1)) + 1
        begins = np.searchsorted(moved[:, 1], np.arange(entities + 1)).astype(np.int64)
        member_start = np.empty(entities + 1, np.int64)
        size = _spells(begins, moved, member_start, np.empty((0, 3), np.int64))
        members = np.empty((size, 3), np.int64)
        _spells(begins, moved, member_start, members)
        return RingLog(member_start, members, ring_start, marks, scores)


@kernel
def _carry_forward(ring_start, told, marks, scores):  # type: ignore[no-untyped-def]
    """What holds of each ring after each thing that was told of it."""
    for ring in range(ring_start.shape[0] - 1):
        members, judged, score = np.int64(0), np.int64(UNJUDGED), np.nan
        for line in range(ring_start[ring], ring_start[ring + 1]):
            if not np.isnan(scores[line]):
                members, score = told[line, 2], scores[line]
            if told[line, 3] == _RETURNED:
                if judged == DISMISSED:
                    judged = np.int64(UNJUDGED)
            elif told[line, 3] >= 0:
                judged = told[line, 3]
            marks[line, 0], marks[line, 1], marks[line, 2] = told[line, 0], members, judged
            scores[line] = score


@allocating
def _spells(begins, moved, member_start, members):  # type: ignore[no-untyped-def]
    """Lays out which rings each entity was in after each change; returns the lines that takes.

    Writes no lines where `members` has no room for any.
    """
    most = 0
    for entity in range(begins.shape[0] - 1):
        most = max(most, begins[entity + 1] - begins[entity])
    held, since = np.empty(most, np.int64), np.empty(most, np.int64)
    writes = members.shape[0] > 0
    at_line = 0
    for entity in range(begins.shape[0] - 1):
        member_start[entity] = at_line
        count = 0
        line, end = begins[entity], begins[entity + 1]
        while line < end:
            at = moved[line, 0]
            while line < end and moved[line, 0] == at:
                ring = moved[line, 2]
                place = 0
                while place < count and held[place] != ring:
                    place += 1
                if moved[line, 3] != 0:
                    if place == count:
                        held[place], since[place] = ring, at
                        count += 1
                elif place < count:
                    count -= 1
                    held[place], since[place] = held[count], since[count]
                line += 1
            if writes:
                members[at_line, 0], members[at_line, 1], members[at_line, 2] = at, -1, at
                for place in range(count):
                    members[at_line + place, 0] = at
                    members[at_line + place, 1] = held[place]
                    members[at_line + place, 2] = since[place]
            at_line += max(count, 1)
    member_start[begins.shape[0] - 1] = at_line
    return at_line


def touched(log: RingLog, names: Sequence[str], ids: Sequence[int], t: int) -> RingTouch | None:
    """The ring that these entities were in as of t, the most telling of several; None where they were in none.

    Args:
        names: the rings' ids by number.
        ids: integer ids, -1 for none.
        t: microseconds UTC.
    """
    marks, lines = np.empty(len(ids), np.int32), np.empty(len(ids), np.int32)
    best = int(rings_of_all(log, np.array(ids, np.int32), len(ids), t, marks, lines))
    if best < 0:
        return None
    ring = int(log.members[lines[best], 1])
    through = tuple(k for k, line in enumerate(lines.tolist()) if line >= 0 and log.members[line, 1] == ring)
    _, members, judgement = log.marks[marks[best]].tolist()
    since = min(int(log.members[lines[k], 2]) for k in through)
    return RingTouch(names[ring], float(log.scores[marks[best]]), members, judgement == CONFIRMED, through, since)
