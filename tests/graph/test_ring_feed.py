"""The feed of what refreshes and verdicts say of rings, which membership as a feature stands on."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from graph.errors import InputError
from graph.migrations import migrate
from graph.records import DAY
from graph.ring_records import Refresh, Ring, RingEvent, RingEventKind, RingMark, RingMember, RingStatus, Verdict
from graph.store import Store, open_store, rings_of

START = 1_700_000_000_000_000
NEW, _, CONFIRMED, DISMISSED = RingStatus


def ring(ring_id: str, *users: str, day: int = 1, score: float = 0.5) -> Ring:
    members = tuple(RingMember("user", user, START, 2, "review") for user in users)
    return Ring(ring_id, NEW, score, START + DAY, START + day * DAY, members, (), 4, 100, 0, START, START + 5)


def refresh(day: int, *rings: Ring, returned: tuple[str, ...] = ()) -> Refresh:
    at = START + day * DAY
    return Refresh(at, rings, tuple(RingEvent(name, at, RingEventKind.RETURNED) for name in returned))


def told(store: Store, since: int = 0) -> list[tuple[object, ...]]:
    return [tuple(mark[1:]) for mark in rings_of(store).ring_marks(since)]


def test_every_refresh_says_what_each_ring_is_worth(store: Store) -> None:
    rings = rings_of(store)
    assert told(store) == []
    rings.write_refresh(refresh(1, ring("a", "u1", "u2", score=0.25), ring("b", "u3")))
    rings.write_refresh(refresh(2, ring("a", "u1", "u2", "u4", day=2, score=0.75)))
    assert list(rings.ring_marks()) == [
        RingMark(1, START + DAY, "a", 0.25, 2, None),
        RingMark(2, START + DAY, "b", 0.5, 1, None),
        RingMark(3, START + 2 * DAY, "a", 0.75, 3, None),
    ]
    assert [mark.seq for mark in rings.ring_marks(2)] == [3]
    assert list(rings.ring_marks(3)) == []


def test_verdicts_are_in_it_with_their_time(store: Store) -> None:
    rings = rings_of(store)
    rings.write_refresh(refresh(1, ring("a", "u1"), ring("b", "u2")))
    rings.write_verdict(Verdict("a", START + DAY + 7, CONFIRMED, "Ana"))
    rings.write_verdict(Verdict("b", START + DAY + 8, DISMISSED))
    rings.write_refresh(refresh(2, ring("a", "u1", day=2), ring("b", "u2", "u3", day=2), returned=("b",)))
    assert told(store, 2) == [
        (START + DAY + 7, "a", None, None, CONFIRMED),
        (START + DAY + 8, "b", None, None, DISMISSED),
        (START + 2 * DAY, "a", 0.5, 1, None),
        (START + 2 * DAY, "b", 0.5, 2, NEW),
    ]


def test_what_changes_nothing_is_not_in_it(store: Store) -> None:
    rings = rings_of(store)
    first = refresh(3, ring("a", "u1"))
    rings.write_refresh(first)
    rings.write_verdict(Verdict("a", START, CONFIRMED))
    before = told(store)
    mark = rings.ring_watermark()
    assert not rings.write_refresh(first)
    rings.write_verdict(Verdict("a", START + 9, CONFIRMED))
    with pytest.raises(InputError):
        rings.write_refresh(refresh(2, ring("b", "u2")))
    with pytest.raises(InputError):
        rings.write_refresh(refresh(4, ring("b", "u2"), replace(ring("c", "u3"), ring_id="b")))
    assert told(store) == before
    assert rings.ring_watermark() == mark
    rings.write_refresh(refresh(4))
    assert told(store) == before


def test_a_store_from_before_the_feed_gets_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "rings.db"
    opened = open_store(f"sqlite:///{path}")
    rings = rings_of(opened)
    rings.write_refresh(refresh(1, ring("a", "u1", score=0.25), ring("b", "u2", "u3")))
    rings.write_refresh(refresh(2, ring("a", "u1", "u4", day=2, score=0.75)))
    rings.write_verdict(Verdict("b", START + DAY + 7, DISMISSED))
    opened.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TABLE ring_marks")
    connection.execute("DELETE FROM migrations WHERE id = 3")
    assert migrate(connection, "rings.db") == [3]
    connection.close()
    again = open_store(f"sqlite:///{path}")
    assert told(again) == [
        (START + DAY, "b", 0.5, 2, None),
        (START + DAY + 7, "b", None, None, DISMISSED),
        (START + 2 * DAY, "a", 0.75, 2, None),
    ]
    again.close()
