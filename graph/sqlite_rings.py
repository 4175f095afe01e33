"""Rings in a SQLite store: what refreshes found, what investigators said, who joined and left."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from graph.errors import InputError, NotFound
from graph.ring_content import RefreshContent, as_json, details_of, members_of, ring_of
from graph.ring_records import (
    VERDICTS,
    Membership,
    Refresh,
    Ring,
    RingEvent,
    RingEventKind,
    RingMark,
    RingStatus,
    Verdict,
)
from graph.sqlite_database import Database

_RING = "SELECT content, status, active, became FROM rings"
_MARK = "INSERT INTO ring_marks (at, ring_id, score, members, status) VALUES (?, ?, ?, ?, ?)"
_EVENT = "INSERT INTO ring_events (ring_id, at, kind, details) VALUES (?, ?, ?, ?)"
_CHUNK = 10_000


Members = dict[tuple[str, str], None]
"""Type and key of a ring's members, in their order."""


def write_refresh(connection: sqlite3.Connection, content: RefreshContent) -> bool:
    """Keeps a refresh; False where one as of its time is there. See `graph.store.RingStore.write_refresh`."""
    refresh = content.refresh
    latest = refreshed_at(connection)
    if latest is not None and latest >= refresh.at:
        if connection.execute("SELECT 1 FROM refreshes WHERE at = ?", (refresh.at,)).fetchone():
            return False
        raise InputError(
            "rings were refreshed as of a later time already",
            hint="a refresh goes forward in time: leave the time out, or name a later one",
        )
    connection.execute("INSERT INTO refreshes VALUES (?)", (refresh.at,))
    before = _active_members(connection)
    returned = {event.ring_id for event in refresh.events if event.kind == RingEventKind.RETURNED}
    for ring, text in zip(refresh.rings, content.contents, strict=True):
        status = _status_after(connection, ring, returned=ring.ring_id in returned)
        connection.execute(
            "INSERT INTO rings VALUES (?, ?, ?, 1, '[]', ?) ON CONFLICT (ring_id) DO UPDATE SET"
            " status = excluded.status, score = excluded.score, active = 1, became = '[]', content = excluded.content",
            (ring.ring_id, status, float(ring.score), text.encode()),
        )
    _move_members(connection, refresh, before)
    _retire(connection, refresh, before)
    connection.executemany(
        _EVENT,
        [(e.ring_id, e.at, str(e.kind), told) for e, told in zip(refresh.events, content.details, strict=True)],
    )
    connection.executemany(
        _MARK,
        [
            (
                refresh.at,
                r.ring_id,
                float(r.score),
                len(r.members),
                str(RingStatus.NEW) if r.ring_id in returned else None,
            )
            for r in refresh.rings
        ],
    )
    return True


def _status_after(connection: sqlite3.Connection, ring: Ring, *, returned: bool) -> str:
    row = connection.execute("SELECT status FROM rings WHERE ring_id = ?", (ring.ring_id,)).fetchone()
    kept = None if row is None else RingStatus(row[0])
    if kept in VERDICTS and not (kept is RingStatus.DISMISSED and returned):
        return str(kept)
    return str(ring.status)


def _active_members(connection: sqlite3.Connection) -> dict[str, Members]:
    """The members of active rings, by their ids, the highest score first."""
    rows = connection.execute("SELECT ring_id, content FROM rings WHERE active = 1 ORDER BY score DESC, ring_id")
    return {ring_id: members_of(content) for ring_id, content in rows}


def _move_members(connection: sqlite3.Connection, refresh: Refresh, before: dict[str, Members]) -> None:
    """Writes who joined and left, compared with the active rings before."""
    now: dict[str, Members] = {
        ring.ring_id: dict.fromkeys((member.entity, member.key) for member in ring.members) for ring in refresh.rings
    }
    rows = []
    for ring_id in dict.fromkeys([*before, *now]):
        were, are = before.get(ring_id, {}), now.get(ring_id, {})
        rows += [(refresh.at, ring_id, *member, 0) for member in were if member not in are]
        rows += [(refresh.at, ring_id, *member, 1) for member in are if member not in were]
    connection.executemany("INSERT INTO ring_members (at, ring_id, entity, key, joined) VALUES (?, ?, ?, ?, ?)", rows)


def _retire(connection: sqlite3.Connection, refresh: Refresh, before: dict[str, Members]) -> None:
    """Active rings that the refresh lacks are over; what came from them is what they became."""
    gone = before.keys() - {ring.ring_id for ring in refresh.rings}
    for ring_id in sorted(gone):
        became = [ring.ring_id for ring in refresh.rings if ring_id in ring.came_from]
        connection.execute("UPDATE rings SET active = 0, became = ? WHERE ring_id = ?", (as_json(became), ring_id))


def refreshed_at(connection: sqlite3.Connection) -> int | None:
    """As-of time of the latest refresh; None before the first."""
    (at,) = connection.execute("SELECT max(at) FROM refreshes").fetchone()
    return None if at is None else int(at)


def select(
    connection: sqlite3.Connection,
    *,
    active: bool | None = None,
    status: RingStatus | None = None,
    limit: int | None = None,
) -> list[Ring]:
    """Rings by score, highest first; of equal scores by id."""
    rows = connection.execute(
        f"{_RING} WHERE (?1 IS NULL OR active = ?1) AND (?2 IS NULL OR status = ?2)"
        " ORDER BY score DESC, ring_id LIMIT ?3",
        (active, status, -1 if limit is None else max(limit, 0)),
    )
    return [_read(row) for row in rows]


def find(connection: sqlite3.Connection, ring_id: str) -> Ring | None:
    """One ring; None where it is not known."""
    row = connection.execute(f"{_RING} WHERE ring_id = ?", (ring_id,)).fetchone()
    return None if row is None else _read(row)


def _read(row: tuple[bytes, str, int, str]) -> Ring:
    content, status, active, became = row
    return ring_of(content, status, bool(active), msgspec.json.decode(became, type=list[str]))


def events(connection: sqlite3.Connection, ring_id: str) -> list[RingEvent]:
    """What happened to a ring, oldest first."""
    rows = connection.execute("SELECT at, kind, details FROM ring_events WHERE ring_id = ? ORDER BY seq", (ring_id,))
    return [RingEvent(ring_id, at, RingEventKind(kind), details_of(details)) for at, kind, details in rows]


def write_verdict(connection: sqlite3.Connection, verdict: Verdict) -> Ring:
    """Makes a verdict the ring's status and a part of its history. See `graph.store.RingStore.write_verdict`."""
    if verdict.verdict not in VERDICTS:
        raise InputError(f"{verdict.verdict!r} is no verdict", hint=f"a verdict is one of {', '.join(VERDICTS)}")
    ring = find(connection, verdict.ring_id)
    if ring is None:
        raise NotFound(f"there is no ring {verdict.ring_id!r}", hint="quipu rings list prints those there are")
    if ring.status == verdict.verdict:
        return ring
    details = {"verdict": str(verdict.verdict), "before": str(ring.status), "by": verdict.by, "note": verdict.note}
    connection.execute("UPDATE rings SET status = ? WHERE ring_id = ?", (str(verdict.verdict), verdict.ring_id))
    connection.execute(_EVENT, (verdict.ring_id, verdict.at, str(RingEventKind.VERDICT), as_json(details)))
    connection.execute(_MARK, (verdict.at, verdict.ring_id, None, None, str(verdict.verdict)))
    return replace(ring, status=RingStatus(verdict.verdict))


def memberships(database: Database, since: int) -> Iterator[Membership]:
    """Changes of members above `since`, up to now (the moment of the first look)."""
    for seq, at, ring_id, entity, key, joined in _feed(database, "ring_members", since):
        yield Membership(seq, at, ring_id, entity, key, bool(joined))


def marks(database: Database, since: int) -> Iterator[RingMark]:
    """What refreshes and verdicts said above `since`, up to now (the moment of the first look)."""
    for seq, at, ring_id, score, members, status in _feed(database, "ring_marks", since):
        yield RingMark(seq, at, ring_id, score, members, None if status is None else RingStatus(status))


def _feed(database: Database, table: str, since: int) -> Iterator[tuple[Any, ...]]:
    with database.reading() as connection:
        (end,) = connection.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()
    while since < end:
        with database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM {table} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (since, end, _CHUNK)
            ).fetchall()
        if not rows:
            return
        since = rows[-1][0]
        yield from rows


def watermark(connection: sqlite3.Connection) -> int:
    """Grows with every refresh and every verdict."""
    (number,) = connection.execute(
        "SELECT (SELECT count(*) FROM refreshes) + (SELECT coalesce(max(seq), 0) FROM ring_events)"
    ).fetchone()
    return int(number)
