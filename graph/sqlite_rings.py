"""Rings in a SQLite store: what refreshes found, what investigators said, who joined and left."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from graph.errors import InputError, NotFound
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
_CHUNK = 10_000


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise InputError(f"a ring holds a {type(value).__name__}, which is not plain JSON")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_ring = msgspec.json.Decoder(Ring)


def _json(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError as error:
        raise InputError("an id, key or note is not valid Unicode text (lone surrogate)") from error


@dataclass(frozen=True, slots=True)
class RefreshRows:
    """A refresh, encoded."""

    refresh: Refresh
    contents: dict[str, bytes]
    events: list[tuple[str, int, str, str]]

    @classmethod
    def of(cls, refresh: Refresh) -> "RefreshRows":
        """Encodes a refresh.

        Raises:
            InputError: two of its rings have one id, or a value is not plain JSON.
        """
        contents = {ring.ring_id: _json(ring) for ring in refresh.rings}
        if len(contents) < len(refresh.rings):
            raise InputError("a refresh names a ring twice")
        events = [(e.ring_id, e.at, str(e.kind), _json(e.details).decode()) for e in refresh.events]
        return cls(refresh, contents, events)


def write_refresh(connection: sqlite3.Connection, rows: RefreshRows) -> bool:
    """Keeps a refresh; False where one as of its time is there. See `graph.store.RingStore.write_refresh`."""
    refresh = rows.refresh
    latest = refreshed_at(connection)
    if latest is not None and latest >= refresh.at:
        if connection.execute("SELECT 1 FROM refreshes WHERE at = ?", (refresh.at,)).fetchone():
            return False
        raise InputError(
            "rings were refreshed as of a later time already",
            hint="a refresh goes forward in time: leave the time out, or name a later one",
        )
    connection.execute("INSERT INTO refreshes VALUES (?)", (refresh.at,))
    before = {ring.ring_id: ring for ring in select(connection, active=True, limit=None)}
    returned = {event.ring_id for event in refresh.events if event.kind == RingEventKind.RETURNED}
    for ring in refresh.rings:
        status = _status_after(connection, ring, returned=ring.ring_id in returned)
        connection.execute(
            "INSERT INTO rings VALUES (?, ?, ?, 1, '[]', ?) ON CONFLICT (ring_id) DO UPDATE SET"
            " status = excluded.status, score = excluded.score, active = 1, became = '[]', content = excluded.content",
            (ring.ring_id, status, float(ring.score), rows.contents[ring.ring_id]),
        )
    _move_members(connection, refresh, before)
    _retire(connection, refresh, before)
    connection.executemany("INSERT INTO ring_events (ring_id, at, kind, details) VALUES (?, ?, ?, ?)", rows.events)
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


def _move_members(connection: sqlite3.Connection, refresh: Refresh, before: dict[str, Ring]) -> None:
    """Writes who joined and left, compared with the active rings before."""
    now = {ring.ring_id: ring for ring in refresh.rings}
    rows = []
    for ring_id in dict.fromkeys([*before, *now]):
        were, are = _members(before.get(ring_id)), _members(now.get(ring_id))
        rows += [(refresh.at, ring_id, *member, 0) for member in were if member not in are]
        rows += [(refresh.at, ring_id, *member, 1) for member in are if member not in were]
    connection.executemany("INSERT INTO ring_members (at, ring_id, entity, key, joined) VALUES (?, ?, ?, ?, ?)", rows)


def _members(ring: Ring | None) -> dict[tuple[str, str], None]:
    return {} if ring is None else dict.fromkeys((member.entity, member.key) for member in ring.members)


def _retire(connection: sqlite3.Connection, refresh: Refresh, before: dict[str, Ring]) -> None:
    """Active rings that the refresh lacks are over; what came from them is what they became."""
    gone = before.keys() - {ring.ring_id for ring in refresh.rings}
    for ring_id in sorted(gone):
        became = [ring.ring_id for ring in refresh.rings if ring_id in ring.came_from]
        connection.execute(
            "UPDATE rings SET active = 0, became = ? WHERE ring_id = ?", (_json(became).decode(), ring_id)
        )


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
    return replace(
        _ring.decode(content),
        status=RingStatus(status),
        active=bool(active),
        became=tuple(msgspec.json.decode(became, type=list[str])),
    )


def events(connection: sqlite3.Connection, ring_id: str) -> list[RingEvent]:
    """What happened to a ring, oldest first."""
    rows = connection.execute("SELECT at, kind, details FROM ring_events WHERE ring_id = ? ORDER BY seq", (ring_id,))
    return [RingEvent(ring_id, at, RingEventKind(kind), msgspec.json.decode(details)) for at, kind, details in rows]


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
    connection.execute(
        "INSERT INTO ring_events (ring_id, at, kind, details) VALUES (?, ?, ?, ?)",
        (verdict.ring_id, verdict.at, str(RingEventKind.VERDICT), _json(details).decode()),
    )
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
