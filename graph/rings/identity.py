"""Which of the rings found now are rings of before: ids survive growth, splits and merges.

Rings are compared by their users: what they share may change daily, as devices are thrown away.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph.records import USER
from graph.ring_records import Refresh, Ring, RingEvent, RingEventKind, RingStatus
from graph.rings.found import Found

_LEAST_IN_COMMON = 2
_NEW_USERS = 0.5
_NEW_FRAUDS = 2


@dataclass(frozen=True, slots=True)
class _Overlap:
    """So many users of a previous ring are in a found one; both by position."""

    users: int
    before: int
    now: int


def identify(found: Sequence[Found], previous: Sequence[Ring], at: int) -> Refresh:
    """Gives found rings the ids of what they go on from, or new ones, and says what happened.

    A found ring goes on from the previous ring with which it has most users in common, if these are at least half of
    the smaller of both; each id is given once. What is left of a ring's users elsewhere was split from it; a ring
    whose users are mostly in another now was merged into it. A dismissed ring stays as it was judged until it has
    half as many users again, or more frauds are known: then it is new once more, with an event `returned`. So does a
    ring come back that was gone.

    Args:
        found: what `find` says as of `at`, in any order.
        previous: all rings that there ever were, in any order, with their statuses.
        at: microseconds UTC.
    """
    found = sorted(found, key=_order)
    before = sorted(previous, key=lambda ring: ring.ring_id)
    overlaps = _overlaps(found, before)
    goes_on = _goes_on(overlaps)
    ids = {now: before[old].ring_id for old, now in goes_on.items()}
    ids.update((now, _new_id(one, at)) for now, one in enumerate(found) if now not in ids)
    came_from, moved = _moves(overlaps, goes_on, before, ids)
    events = [RingEvent(ring_id, at, kind, {"became": became}) for ring_id, kind, became in moved]
    told = {ring_id for ring_id, kind, _ in moved if kind is RingEventKind.MERGED}
    rings = []
    old_of = {now: before[old] for old, now in goes_on.items()}
    for now, one in enumerate(found):
        ring, event = _continued(one, ids[now], old_of.get(now), came_from[now], at)
        rings.append(ring)
        events += event
    kept = {ring.ring_id for ring in rings}
    events += [
        RingEvent(ring.ring_id, at, RingEventKind.GONE)
        for ring in before
        if ring.active and ring.ring_id not in kept and ring.ring_id not in told
    ]
    order = list(RingEventKind)
    events.sort(key=lambda event: (event.ring_id, order.index(event.kind)))
    return Refresh(at, tuple(sorted(rings, key=lambda ring: (-ring.score, ring.ring_id))), tuple(events))


def _order(one: Found) -> tuple[float, list[str]]:
    return -one.score, sorted(one.users)


def _users(ring: Ring) -> frozenset[str]:
    return frozenset(member.key for member in ring.members if member.entity == USER)


def _overlaps(found: Sequence[Found], before: Sequence[Ring]) -> list[_Overlap]:
    """Pairs with enough in common to be the same ring, the surest first."""
    rings_of: defaultdict[str, list[int]] = defaultdict(list)
    sizes = []
    for old, ring in enumerate(before):
        users = _users(ring)
        sizes.append(len(users))
        for user in users:
            rings_of[user].append(old)
    overlaps = []
    for now, one in enumerate(found):
        common: defaultdict[int, int] = defaultdict(int)
        for user in one.users:
            for old in rings_of.get(user, ()):
                common[old] += 1
        overlaps += [
            _Overlap(users, old, now)
            for old, users in common.items()
            if users >= _LEAST_IN_COMMON and 2 * users >= min(sizes[old], len(one.users))
        ]

    def surest(overlap: _Overlap) -> tuple[int, bool, int, str, int]:
        ring = before[overlap.before]
        return -overlap.users, not ring.active, ring.found_at, ring.ring_id, overlap.now

    return sorted(overlaps, key=surest)


def _goes_on(overlaps: Sequence[_Overlap]) -> dict[int, int]:
    """Found ring by previous ring, each at most once."""
    goes_on: dict[int, int] = {}
    taken: set[int] = set()
    for overlap in overlaps:
        if overlap.before not in goes_on and overlap.now not in taken:
            goes_on[overlap.before] = overlap.now
            taken.add(overlap.now)
    return goes_on


def _moves(
    overlaps: Sequence[_Overlap], goes_on: dict[int, int], before: Sequence[Ring], ids: dict[int, str]
) -> tuple[defaultdict[int, list[str]], list[tuple[str, RingEventKind, list[str]]]]:
    """Where found rings came from beyond their ids, and what happened to active rings by split or merge."""
    came_from: defaultdict[int, list[str]] = defaultdict(list)
    into: defaultdict[int, list[int]] = defaultdict(list)
    for overlap in overlaps:
        if before[overlap.before].active:
            into[overlap.before].append(overlap.now)
    events = []
    active = {now for old, now in goes_on.items() if before[old].active}
    for old, parts in sorted(into.items()):
        ring_id = before[old].ring_id
        if old not in goes_on:
            came_from[parts[0]].append(ring_id)
            events.append((ring_id, RingEventKind.MERGED, [ids[parts[0]]]))
            continue
        # A part that goes on from another active ring took users over: that ring grew, this one shrank.
        split = [now for now in parts if now != goes_on[old] and now not in active]
        for now in split:
            came_from[now].append(ring_id)
        if split:
            events.append((ring_id, RingEventKind.SPLIT, [ids[goes_on[old]], *(ids[now] for now in split)]))
    return came_from, events


def _continued(
    one: Found, ring_id: str, old: Ring | None, came_from: list[str], at: int
) -> tuple[Ring, list[RingEvent]]:
    ring = Ring(
        ring_id=ring_id,
        status=RingStatus.NEW,
        score=one.score,
        found_at=at,
        refreshed_at=at,
        members=one.members,
        links=one.links,
        transactions=one.transactions,
        amount=one.amount,
        fraud_known=one.fraud_known,
        first_at=one.first_at,
        last_at=one.last_at,
        structure=one.structure,
        reasons=one.reasons,
        came_from=tuple(came_from),
    )
    if old is None:
        details = {"users": len(one.users)} | ({"came_from": came_from} if came_from else {})
        return ring, [RingEvent(ring_id, at, RingEventKind.FOUND, details)]
    joined, left = sorted(one.users - _users(old)), sorted(_users(old) - one.users)
    changed = {"joined": joined, "left": left}
    origin = tuple(dict.fromkeys([*old.came_from, *came_from]))
    ring = replace(ring, found_at=old.found_at, came_from=origin)
    if old.status is RingStatus.DISMISSED:
        frauds = one.fraud_known - old.fraud_known
        if len(joined) < _NEW_USERS * len(_users(old)) and frauds < _NEW_FRAUDS:
            # As it was judged: later changes add up, and are measured against that.
            return replace(old, refreshed_at=at, active=True, became=()), []
        details = changed | {"fraud_known": frauds, "dismissed": True}
        return ring, [RingEvent(ring_id, at, RingEventKind.RETURNED, details)]
    status = RingStatus.WATCHED if old.status is RingStatus.NEW else old.status
    events = []
    if not old.active:
        events.append(RingEvent(ring_id, at, RingEventKind.RETURNED, changed))
    elif joined or left:
        kind = RingEventKind.GREW if len(joined) >= len(left) else RingEventKind.SHRANK
        events.append(RingEvent(ring_id, at, kind, changed))
    return replace(ring, status=status), events


def _new_id(one: Found, at: int) -> str:
    """The same for the same ring found at the same time, and nobody else's."""
    text = "\n".join([str(at), *sorted(one.users)])
    digest = hashlib.sha256(text.encode()).digest()
    return "ring_" + base64.b32encode(digest)[:12].decode().lower()
