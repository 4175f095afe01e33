"""Posting lists in one pool: which rows belong to an entity, in order of time.

Each entity owns one block of the pool. A full block is copied to one twice its size and
its old place goes to a free list by size, so appends cost the same at any history length.
Entries are row numbers; their times stand in a column elsewhere (`times`), which a look-up
bisects. A running sum of a value (an amount, a change in the count of frauds) stands beside
each entry, so that any window's total is one subtraction of exact integers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.compiled import kernel

CLASSES = 32
PLACES = 3
_FIRST_CAPACITY = 4


class Postings(NamedTuple):
    """Posting lists over a dense space of entity ids.

    Attributes:
        start, length, capacity: block of each entity: offset into the pool, entries used, entries it can hold;
            views of `heads` (see `new_heads`).
        rows: the pool of row numbers; an unused block's first slot holds the next free block of its size.
        sums: the pool of running sums (inclusive); of length 1 where none are kept, and only there.
        free: first free block by power of two of its size, -1 where there is none.
        used: [pool entries handed out, pool entries on free lists].
    """

    start: NDArray[np.int64]
    length: NDArray[np.int32]
    capacity: NDArray[np.int32]
    rows: NDArray[np.int32]
    sums: NDArray[np.int64]
    free: NDArray[np.int64]
    used: NDArray[np.int64]


def new_heads(entities: int) -> NDArray[np.int64]:
    """Where the blocks of `PLACES` postings over one space of entities stand: an entity's all in one cache line."""
    return np.zeros((entities, 2 * PLACES), np.int64)


def headed(postings: Postings, heads: NDArray[np.int64], place: int) -> Postings:
    """The postings with their blocks described in these heads, at one of the places 0 .. PLACES - 1."""
    halves = heads.view(np.int32)
    return postings._replace(
        start=heads[:, 2 * place], length=halves[:, 4 * place + 2], capacity=halves[:, 4 * place + 3]
    )


def empty_postings(heads: NDArray[np.int64], place: int, entries: int, *, sums: bool) -> Postings:
    """Postings with room for so many pool entries. Untouched room costs no memory."""
    none = np.empty(0, np.int32)
    pools = Postings(
        np.empty(0, np.int64),
        none,
        none,
        np.empty(entries, np.int32),
        np.empty(max(entries, 2) if sums else 1, np.int64),
        np.full(CLASSES, -1, np.int64),
        np.zeros(2, np.int64),
    )
    return headed(pools, heads, place)


def with_room(old: Postings, entries: int) -> Postings:
    """The same postings with room for at least so many pool entries."""
    if old.rows.shape[0] >= entries:
        return old
    sums = old.sums
    if sums.shape[0] > 1:
        sums = np.empty(max(entries, 2), np.int64)
        sums[: old.sums.shape[0]] = old.sums
    rows = np.empty(entries, np.int32)
    rows[: old.rows.shape[0]] = old.rows
    return old._replace(rows=rows, sums=sums)


@kernel
def _class_of(capacity):  # type: ignore[no-untyped-def]
    size_class = 0
    while (1 << (size_class + 1)) <= capacity:
        size_class += 1
    return size_class


@kernel
def room_for(p, entities, entries):  # type: ignore[no-untyped-def]
    """Whether so many more entries (at most two) for each of these entities (negative: none) fit into the pool."""
    needed = 0
    for entity in entities:
        if entity >= 0 and p.length[entity] + entries > p.capacity[entity]:
            needed += max(_FIRST_CAPACITY, 2 * p.capacity[entity])
    return p.used[0] + needed <= p.rows.shape[0]


@kernel
def _make_room(p, entity):  # type: ignore[no-untyped-def]
    """Gives the entity a block with room for one more. `room_for` has been asked."""
    old_capacity = p.capacity[entity]
    if p.length[entity] < old_capacity:
        return
    wanted = _FIRST_CAPACITY
    while wanted < old_capacity + 1:
        wanted *= 2
    size_class = _class_of(wanted)
    block = p.free[size_class]
    if block >= 0:
        p.free[size_class] = p.rows[block]
        p.used[1] -= wanted
    else:
        block = p.used[0]
        p.used[0] += wanted
    with_sums = p.sums.shape[0] > 1
    origin = p.start[entity]
    for i in range(p.length[entity]):
        p.rows[block + i] = p.rows[origin + i]
        if with_sums:
            p.sums[block + i] = p.sums[origin + i]
    if old_capacity >= _FIRST_CAPACITY:
        old_class = _class_of(old_capacity)
        p.rows[origin] = p.free[old_class]
        p.free[old_class] = origin
        p.used[1] += 1 << old_class
    p.start[entity] = block
    p.capacity[entity] = wanted


@kernel
def before(p, times, entity, t):  # type: ignore[no-untyped-def]
    """How many of the entity's entries have a time < t. Gallops from the end, where most questions fall."""
    start = p.start[entity]
    high = np.int64(p.length[entity])
    return before_within(p, times, start, high, t)


@kernel
def before_within(p, times, start, high, t):  # type: ignore[no-untyped-def]
    """As `before`, knowing that entries from `high` on have a time >= t (or do not count)."""
    if high == 0 or times[p.rows[start + high - 1]] < t:
        return high
    step = np.int64(1)
    upper = high - 1
    low = upper - step
    while low >= 0 and times[p.rows[start + low]] >= t:
        upper = low
        step *= 2
        low = upper - step
    if low < 0:
        low = np.int64(-1)
    while upper - low > 1:
        middle = (low + upper) // 2
        if times[p.rows[start + middle]] < t:
            low = middle
        else:
            upper = middle
    return upper


@kernel
def insert(p, times, entity, row, value):  # type: ignore[no-untyped-def]
    """Inserts a row after all entries whose time is not later. `room_for` has been asked."""
    _make_room(p, entity)
    start = p.start[entity]
    n = np.int64(p.length[entity])
    place = n
    t = times[row]
    while place > 0 and times[p.rows[start + place - 1]] > t:
        place -= 1
    with_sums = p.sums.shape[0] > 1
    for i in range(n, place, -1):
        p.rows[start + i] = p.rows[start + i - 1]
        if with_sums:
            p.sums[start + i] = p.sums[start + i - 1] + value
    p.rows[start + place] = row
    if with_sums:
        p.sums[start + place] = value + (p.sums[start + place - 1] if place > 0 else 0)
    p.length[entity] = n + 1


@kernel
def remove(p, times, entity, row, value):  # type: ignore[no-untyped-def]
    """Removes the entry of a row that was inserted with this value; nothing where there is none."""
    start = p.start[entity]
    n = np.int64(p.length[entity])
    place = before(p, times, entity, times[row])
    while place < n and p.rows[start + place] != row:
        place += 1
    if place == n:
        return
    with_sums = p.sums.shape[0] > 1
    for i in range(place, n - 1):
        p.rows[start + i] = p.rows[start + i + 1]
        if with_sums:
            p.sums[start + i] = p.sums[start + i + 1] - value
    p.length[entity] = n - 1


@kernel
def total(p, start, low, high):  # type: ignore[no-untyped-def]
    """Sum of the values of entries low .. high - 1 of the block at `start`."""
    if high <= low:
        return np.int64(0)
    return p.sums[start + high - 1] - (p.sums[start + low - 1] if low > 0 else np.int64(0))


def laid_out(heads: NDArray[np.int64], place: int, counts: NDArray[np.int64], *, sums: bool, slack: float) -> Postings:
    """Empty postings whose blocks fit so many entries an entity, plus a share of slack, with no growth in between."""
    capacity = counts.astype(np.int64)
    if slack:
        capacity += np.where(capacity > 0, np.maximum((capacity * slack).astype(np.int64), 1), 0)
    taken = int(capacity.sum())
    reserve = taken + taken // 2 + 65_536 if slack else taken
    new = empty_postings(heads, place, reserve, sums=sums)
    entities = counts.shape[0]
    new.capacity[:entities] = capacity
    new.start[1:entities] = np.cumsum(capacity)[:-1]
    new.used[0] = taken
    return new


@kernel
def push(p, entity, row, value):  # type: ignore[no-untyped-def]
    """Appends to a block laid out beforehand, in order of time."""
    n = p.length[entity]
    start = p.start[entity]
    p.rows[start + n] = row
    if p.sums.shape[0] > 1:
        p.sums[start + n] = value + (p.sums[start + n - 1] if n > 0 else 0)
    p.length[entity] = n + 1
