"""Copying rings: each refresh and each verdict of the source is written to the target again, in its order.

A store keeps a ring as the latest refresh saw it. A refresh before that is rebuilt from the feeds: which rings were
active with which score, who was in them, and what happened. That is all that its traces in the target consist of.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from graph.progress import Progress
from graph.ring_records import VERDICTS, Refresh, Ring, RingEvent, RingEventKind, RingMark, RingMember, RingStatus
from graph.ring_records import Verdict as RingVerdict
from graph.store import RingStore

Member = tuple[str, str]


@dataclass(slots=True)
class _Past:
    """What a source tells of its rings.

    Attributes:
        rings: by id.
        happened: events of refreshes, by time of refresh.
        verdicts: events of verdicts, by ring, oldest first.
        changes: who joined and left, by time of refresh.
    """

    rings: dict[str, Ring]
    happened: dict[int, list[RingEvent]] = field(default_factory=lambda: defaultdict(list))
    verdicts: dict[str, list[RingEvent]] = field(default_factory=lambda: defaultdict(list))
    changes: dict[int, list[tuple[str, Member, bool]]] = field(default_factory=lambda: defaultdict(list))


def copy_rings(source: RingStore, target: RingStore, progress: Progress) -> dict[str, int]:
    """Writes the refreshes and verdicts that the target lacks; returns how many were `loaded`."""
    past = _read(source)
    latest = target.refreshed_at()
    steps = list(_steps(source, past))
    loaded = 0
    given: dict[str, int] = defaultdict(int)
    there: dict[str, int] = {}
    members: dict[str, dict[Member, None]] = defaultdict(dict)
    active: list[str] = []
    with progress.stage("copying rings", total=len(steps)) as advance:
        for step in steps:
            if isinstance(step, RingEvent):
                ring_id = step.ring_id
                if ring_id not in there:
                    there[ring_id] = sum(e.kind == RingEventKind.VERDICT for e in target.ring_events(ring_id))
                if given[ring_id] >= there[ring_id]:
                    target.write_verdict(_verdict(step))
                    loaded += 1
                given[ring_id] += 1
            else:
                at, marks = step
                for ring_id, member, joined in past.changes.get(at, ()):
                    if joined:
                        members[ring_id][member] = None
                    else:
                        members[ring_id].pop(member, None)
                if latest is None or at > latest:
                    loaded += target.write_refresh(_refresh(past, at, marks, active, members, given))
                active = [mark.ring_id for mark in marks]
            advance(1)
    return {"loaded": loaded}


def _read(source: RingStore) -> _Past:
    past = _Past({ring.ring_id: ring for ring in source.rings(limit=None)})
    for ring_id in past.rings:
        for event in source.ring_events(ring_id):
            if event.kind == RingEventKind.VERDICT:
                past.verdicts[ring_id].append(event)
            else:
                past.happened[event.at].append(event)
    for change in source.memberships():
        past.changes[change.at].append((change.ring_id, (change.entity, change.key), change.joined))
    return past


def _steps(source: RingStore, past: _Past) -> Iterator[tuple[int, list[RingMark]] | RingEvent]:
    """Refreshes (time, and its marks) and verdicts, in the order in which they were written."""
    refreshes: dict[int, list[RingMark]] = defaultdict(list)
    marks = list(source.ring_marks())
    for mark in marks:
        if mark.score is not None:
            refreshes[mark.at].append(mark)
    # A refresh that found no rings has left no marks.
    last = source.refreshed_at()
    times = {*refreshes, *past.happened, *past.changes, *([] if last is None else [last])}
    silent = sorted(times - refreshes.keys())
    seen: dict[str, int] = defaultdict(int)
    done: set[int] = set()
    for mark in marks:
        if mark.score is None:
            yield past.verdicts[mark.ring_id][seen[mark.ring_id]]
            seen[mark.ring_id] += 1
        elif mark.at not in done:
            while silent and silent[0] < mark.at:
                yield silent.pop(0), []
            done.add(mark.at)
            yield mark.at, refreshes[mark.at]
    yield from ((at, []) for at in silent)


def _refresh(
    past: _Past,
    at: int,
    marks: list[RingMark],
    before: list[str],
    members: dict[str, dict[Member, None]],
    given: dict[str, int],
) -> Refresh:
    now = {mark.ring_id for mark in marks}
    over = [ring_id for ring_id in before if ring_id not in now]
    rings = []
    for mark in marks:
        ring = past.rings[mark.ring_id]
        status = _status(past, ring, given[mark.ring_id])
        if ring.refreshed_at == at:
            rings.append(replace(ring, status=status, active=True, became=()))
            continue
        known = {(m.entity, m.key): m for m in ring.members}
        came_from = tuple(o for o in over if ring.ring_id in past.rings[o].became)
        rings.append(
            replace(
                ring, status=status, active=True, became=(), refreshed_at=at, came_from=came_from, links=(),
                score=ring.score if mark.score is None else mark.score,
                members=tuple(
                    known.get(member) or RingMember(*member, since=ring.found_at, transactions=0)
                    for member in members[ring.ring_id]
                ),
            )
        )  # fmt: skip
    return Refresh(at, tuple(rings), tuple(past.happened.get(at, ())))


def _status(past: _Past, ring: Ring, verdicts: int) -> RingStatus:
    """What a refresh said after so many verdicts: what the next verdict found, or else what the ring is now."""
    coming = past.verdicts.get(ring.ring_id, [])[verdicts:]
    status = RingStatus(coming[0].details["before"]) if coming else ring.status
    return RingStatus.NEW if status in VERDICTS else status


def _verdict(event: RingEvent) -> RingVerdict:
    details = event.details
    return RingVerdict(event.ring_id, event.at, RingStatus(details["verdict"]), details["by"], details["note"])
