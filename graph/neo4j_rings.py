"""Rings in the Neo4j store, written: what refreshes found, what investigators said, who joined and left."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import neo4j
import numpy as np

from graph.errors import InputError, NotFound
from graph.neo4j_names import REFRESH, RING, RING_CHANGE, RING_EVENT, RING_MARK, bounded, quoted
from graph.neo4j_ring_reads import BY_SCORE, CAME_FROM, MEMBER_OF, RingState, find
from graph.neo4j_state import Columns
from graph.neo4j_times import from_epoch, split
from graph.records import USER
from graph.ring_content import RefreshContent, as_json, members_of
from graph.ring_records import (
    VERDICTS,
    Refresh,
    Ring,
    RingEvent,
    RingEventKind,
    RingStatus,
    Verdict,
)

_RINGS_AT_ONCE = 500
_ROWS_AT_ONCE = 10_000
_BYTES_AT_ONCE = 4_000_000
_STATUS_LABELS = (
    "REMOVE r:Confirmed:Dismissed"
    " FOREACH (_ IN CASE WHEN r.status = 'confirmed' THEN [1] ELSE [] END | SET r:Confirmed)"
    " FOREACH (_ IN CASE WHEN r.status = 'dismissed' THEN [1] ELSE [] END | SET r:Dismissed)"
)

Members = dict[tuple[str, str], None]
"""Type and key of a ring's members, in their order."""


def write_refresh(tx: neo4j.ManagedTransaction, columns: Columns, content: RefreshContent) -> bool:
    """Keeps a refresh; False where one as of its time is there. See `graph.store.RingStore.write_refresh`."""
    refresh = content.refresh
    state = RingState.read(tx)
    if state.refreshed_at is not None and state.refreshed_at >= refresh.at:
        if _is_kept(tx, refresh.at):
            return False
        raise InputError(
            "rings were refreshed as of a later time already",
            hint="a refresh goes forward in time: leave the time out, or name a later one",
        )
    _write(tx, f"CREATE (:{REFRESH} {{at: {from_epoch('at')}, rings: $rings[i]}})",
           {"rings": [len(refresh.rings)], **_times(at=[refresh.at])})  # fmt: skip
    before = _active_members(tx)
    returned = {event.ring_id for event in refresh.events if event.kind == RingEventKind.RETURNED}
    _write_rings(tx, content, _statuses_after(tx, refresh, returned))
    _link_members(tx, columns, refresh)
    _link_origins(tx, refresh)
    _move_members(tx, state, refresh, before)
    _retire(tx, refresh, before)
    _write_events(tx, state, refresh.events, content.details)
    told = [str(RingStatus.NEW) if ring.ring_id in returned else None for ring in refresh.rings]
    _write_marks(
        tx, state,
        at=[refresh.at] * len(refresh.rings), ring_id=[ring.ring_id for ring in refresh.rings],
        score=[float(ring.score) for ring in refresh.rings], members=[len(ring.members) for ring in refresh.rings],
        status=told,
    )  # fmt: skip
    state.refreshed_at = refresh.at
    state.refreshes += 1
    state.save(tx)
    return True


def write_verdict(tx: neo4j.ManagedTransaction, verdict: Verdict) -> Ring:
    """Makes a verdict the ring's status and a part of its history. See `graph.store.RingStore.write_verdict`."""
    if verdict.verdict not in VERDICTS:
        raise InputError(f"{verdict.verdict!r} is no verdict", hint=f"a verdict is one of {', '.join(VERDICTS)}")
    ring = find(tx, verdict.ring_id)
    if ring is None:
        raise NotFound(f"there is no ring {verdict.ring_id!r}", hint="quipu rings list prints those there are")
    if ring.status == verdict.verdict:
        return ring
    said = str(verdict.verdict)
    details = {"verdict": said, "before": str(ring.status), "by": verdict.by, "note": verdict.note}
    tx.run(
        f"MATCH (r:{RING} {{id: $id}}) SET r.status = $status {_STATUS_LABELS}",
        id=bounded(verdict.ring_id),
        status=said,
    ).consume()
    state = RingState.read(tx)
    event = RingEvent(verdict.ring_id, verdict.at, RingEventKind.VERDICT, details)
    _write_events(tx, state, [event], [as_json(details)])
    _write_marks(
        tx, state, at=[verdict.at], ring_id=[verdict.ring_id], score=[None], members=[None], status=[said]
    )  # fmt: skip
    state.save(tx)
    return replace(ring, status=RingStatus(verdict.verdict))


def _is_kept(tx: neo4j.ManagedTransaction, at: int) -> bool:
    statement = f"UNWIND [0] AS i MATCH (f:{REFRESH} {{at: {from_epoch('at')}}}) RETURN count(f)"
    return bool(tx.run(statement, _times(at=[at])).single(strict=True).value())


def _active_members(tx: neo4j.ManagedTransaction) -> dict[str, Members]:
    """The members of active rings, by their ids, the highest score first."""
    ids = tx.run(
        f"MATCH (r:{RING}) WHERE r.active = true AND r.score IS NOT NULL"
        f" WITH r ORDER BY {BY_SCORE} RETURN r.id, coalesce(r.long_id, r.id)"
    ).values()
    found: dict[str, Members] = {}
    for first in range(0, len(ids), _RINGS_AT_ONCE):
        text = dict(ids[first : first + _RINGS_AT_ONCE])
        rows = tx.run(
            f"UNWIND range(0, size($ids) - 1) AS i MATCH (r:{RING} {{id: $ids[i]}}) RETURN r.id, r.content ORDER BY i",
            ids=list(text),
        )
        found.update((text[id_], members_of(content)) for id_, content in rows)
    return found


def _statuses_after(tx: neo4j.ManagedTransaction, refresh: Refresh, returned: set[str]) -> list[str]:
    """The status of each ring of a refresh: a verdict stays, unless a dismissed ring has returned."""
    kept: dict[str, str] = dict(
        tx.run(
            f"UNWIND $ids AS id MATCH (r:{RING} {{id: id}}) RETURN id, r.status",
            ids=[bounded(ring.ring_id) for ring in refresh.rings],
        ).values()
    )

    def after(ring: Ring) -> str:
        status = kept.get(bounded(ring.ring_id))
        if status in VERDICTS and not (status == RingStatus.DISMISSED and ring.ring_id in returned):
            return status
        return str(ring.status)

    return [after(ring) for ring in refresh.rings]


def _write_rings(tx: neo4j.ManagedTransaction, content: RefreshContent, statuses: list[str]) -> None:
    rings = content.refresh.rings
    for part in _parts([len(text) for text in content.contents]):
        mine = rings[part]
        ids = [bounded(ring.ring_id) for ring in mine]
        _write(
            tx,
            f"MERGE (r:{RING} {{id: $id[i]}}) SET r.long_id = $long_id[i], r.status = $status[i], r.score = $score[i],"
            f" r.active = true, r.found_at = {from_epoch('found')}, r.refreshed_at = {from_epoch('refreshed')},"
            f" r.first_at = {from_epoch('first')}, r.last_at = {from_epoch('last')},"
            " r.transactions = $transactions[i], r.amount = $amount[i], r.fraud_known = $fraud_known[i],"
            f" r.users = $users[i], r.why = $why[i], r.became = [], r.content = $content[i] {_STATUS_LABELS}",
            {
                "id": ids,
                "long_id": [None if r.ring_id == id_ else r.ring_id for r, id_ in zip(mine, ids, strict=True)],
                "status": statuses[part],
                "score": [float(r.score) for r in mine],
                "transactions": [int(r.transactions) for r in mine],
                "amount": [int(r.amount) for r in mine],
                "fraud_known": [int(r.fraud_known) for r in mine],
                "users": [sum(m.entity == USER for m in r.members) for r in mine],
                "why": ["\n".join(reason.text for reason in r.reasons) for r in mine],
                "content": content.contents[part],
                **_times(
                    found=[r.found_at for r in mine],
                    refreshed=[r.refreshed_at for r in mine],
                    first=[r.first_at for r in mine],
                    last=[r.last_at for r in mine],
                ),
            },
        )


def _parts(sizes: list[int]) -> Iterator[slice]:
    """Spans of so few rings that a statement and its parameters stay small."""
    first = total = 0
    for i, size in enumerate(sizes):
        if i > first and (total + size > _BYTES_AT_ONCE or i - first == _RINGS_AT_ONCE):
            yield slice(first, i)
            first, total = i, 0
        total += size
    if first < len(sizes):
        yield slice(first, len(sizes))


def _link_members(tx: neo4j.ManagedTransaction, columns: Columns, refresh: Refresh) -> None:
    """Relates the entities that the store knows to the rings that they are in now, and no longer to those before."""
    ids = [bounded(ring.ring_id) for ring in refresh.rings]
    _write(tx, f"MATCH (:{RING} {{id: $id[i]}})<-[m:{MEMBER_OF}]-() DELETE m", {"id": ids})
    for kind in columns.types:
        found = [
            (id_, member)
            for id_, ring in zip(ids, refresh.rings, strict=True)
            for member in {m.key: m for m in ring.members if m.entity == kind.name}.values()
        ]
        _write(
            tx,
            f"MATCH (n:{quoted(kind.label)} {{id: $key[i]}}) MATCH (r:{RING} {{id: $ring[i]}})"
            f" CREATE (n)-[:{MEMBER_OF} {{since: {from_epoch('since')}, transactions: $transactions[i],"
            " band: $band[i]}]->(r)",
            {
                "key": [bounded(member.key) for _, member in found],
                "ring": [id_ for id_, _ in found],
                "transactions": [int(member.transactions) for _, member in found],
                "band": [member.band for _, member in found],
                **_times(since=[member.since for _, member in found]),
            },
        )


def _link_origins(tx: neo4j.ManagedTransaction, refresh: Refresh) -> None:
    """Relates rings to those they came from."""
    ids = [bounded(ring.ring_id) for ring in refresh.rings]
    _write(tx, f"MATCH (:{RING} {{id: $id[i]}})-[o:{CAME_FROM}]->() DELETE o", {"id": ids})
    pairs = [
        (id_, bounded(old))
        for id_, ring in zip(ids, refresh.rings, strict=True)
        for old in dict.fromkeys(ring.came_from)
    ]
    _write(
        tx,
        f"MATCH (r:{RING} {{id: $ring[i]}}) MATCH (o:{RING} {{id: $old[i]}}) CREATE (r)-[:{CAME_FROM}]->(o)",
        {"ring": [id_ for id_, _ in pairs], "old": [old for _, old in pairs]},
    )


def _move_members(tx: neo4j.ManagedTransaction, state: RingState, refresh: Refresh, before: dict[str, Members]) -> None:
    """Writes who joined and left, compared with the active rings before."""
    now: dict[str, Members] = {
        ring.ring_id: dict.fromkeys((member.entity, member.key) for member in ring.members) for ring in refresh.rings
    }
    rows = []
    for ring_id in dict.fromkeys([*before, *now]):
        were, are = before.get(ring_id, {}), now.get(ring_id, {})
        rows += [(ring_id, *member, False) for member in were if member not in are]
        rows += [(ring_id, *member, True) for member in are if member not in were]
    ring_ids, entities, keys, joined = zip(*rows, strict=True) if rows else ((),) * 4
    _write(
        tx,
        f"CREATE (:{RING_CHANGE} {{seq: $seq[i], at: {from_epoch('at')}, ring_id: $ring_id[i], entity: $entity[i],"
        " key: $key[i], joined: $joined[i]})",
        {
            "seq": list(range(state.changes + 1, state.changes + 1 + len(rows))),
            "ring_id": list(ring_ids), "entity": list(entities), "key": list(keys), "joined": list(joined),
            **_times(at=[refresh.at] * len(rows)),
        },
    )  # fmt: skip
    state.changes += len(rows)


def _retire(tx: neo4j.ManagedTransaction, refresh: Refresh, before: dict[str, Members]) -> None:
    """Active rings that the refresh lacks are over; what came from them is what they became."""
    became: dict[str, list[str]] = {ring_id: [] for ring_id in before}
    for ring in refresh.rings:
        became.pop(ring.ring_id, None)
    for ring in refresh.rings:
        for old in dict.fromkeys(ring.came_from):
            if old in became:
                became[old].append(ring.ring_id)
    _write(
        tx,
        f"MATCH (r:{RING} {{id: $id[i]}}) SET r.active = false, r.became = $became[i]",
        {"id": [bounded(ring_id) for ring_id in became], "became": list(became.values())},
    )


def _write_events(
    tx: neo4j.ManagedTransaction, state: RingState, events: Sequence[RingEvent], details: list[str]
) -> None:
    """Appends to the history of rings; the details of each event as JSON text."""
    _write(
        tx,
        f"CREATE (:{RING_EVENT} {{seq: $seq[i], ring_id: $ring_id[i], at: {from_epoch('at')}, kind: $kind[i],"
        " details: $details[i]})",
        {
            "seq": list(range(state.events + 1, state.events + 1 + len(events))),
            "ring_id": [bounded(event.ring_id) for event in events],
            "kind": [str(event.kind) for event in events],
            "details": details,
            **_times(at=[event.at for event in events]),
        },
    )
    state.events += len(events)


def _write_marks(tx: neo4j.ManagedTransaction, state: RingState, *, at: list[int], **said: list[Any]) -> None:
    """Appends to the feed of what is said of rings: lists of ring_id, score, members and status."""
    _write(
        tx,
        f"CREATE (:{RING_MARK} {{seq: $seq[i], at: {from_epoch('at')}, ring_id: $ring_id[i], score: $score[i],"
        " members: $members[i], status: $status[i]})",
        {"seq": list(range(state.marks + 1, state.marks + 1 + len(at))), **said, **_times(at=at)},
    )
    state.marks += len(at)


def _write(tx: neo4j.ManagedTransaction, statement: str, lists: dict[str, list[Any]]) -> None:
    """Executes a statement for each position `i` of some lists of one length, in batches."""
    for first in range(0, len(next(iter(lists.values()))), _ROWS_AT_ONCE):
        part = {name: values[first : first + _ROWS_AT_ONCE] for name, values in lists.items()}
        count = len(next(iter(part.values())))
        tx.run(f"UNWIND range(0, $count - 1) AS i {statement}", part, count=count).consume()


def _times(**at: list[int]) -> dict[str, list[Any]]:
    """Times as `from_epoch` takes them."""
    found: dict[str, list[Any]] = {}
    for name, times in at.items():
        found[f"{name}_s"], found[f"{name}_n"] = split(np.array(times, dtype=np.int64))
    return found
