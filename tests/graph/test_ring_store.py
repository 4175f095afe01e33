"""What every store that keeps rings promises (`graph.store.RingStore`)."""

import random
import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.errors import InputError, NotFound, StoreError
from graph.migrations import MIGRATIONS, migrate
from graph.records import DAY
from graph.ring_records import (
    Refresh,
    Ring,
    RingEvent,
    RingEventKind,
    RingLink,
    RingMember,
    RingReason,
    RingStatus,
    Verdict,
)
from graph.store import Store, open_store, rings_of

START = 1_700_000_000_000_000
NEW, WATCHED, CONFIRMED, DISMISSED = RingStatus


def ring(ring_id: str, *users: str, day: int = 1, **more: object) -> Ring:
    members = [RingMember("user", user, START, 2, "review") for user in users]
    device = RingMember("device", f"d-{ring_id}", START, 2 * len(users))
    plain = Ring(
        ring_id=ring_id,
        status=NEW,
        score=0.5,
        found_at=START + DAY,
        refreshed_at=START + day * DAY,
        members=(*members, device),
        links=tuple(RingLink(user, "device", device.key, 2, START, START + 5) for user in users),
        transactions=2 * len(users),
        amount=12_345,
        fraud_known=1,
        first_at=START,
        last_at=START + 5,
        structure={"density": 0.25},
        reasons=(RingReason("shared_device", "Drei Leute, ein Gerät", {"devices": 1, "keys": ["ñ"]}),),
    )
    return replace(plain, **more)


def refresh(day: int, *rings: Ring, events: tuple[RingEvent, ...] = ()) -> Refresh:
    return Refresh(START + day * DAY, rings, events)


def event(kind: RingEventKind, ring_id: str, day: int, **details: object) -> RingEvent:
    return RingEvent(ring_id, START + day * DAY, kind, details)


def everything(store: Store) -> object:
    rings = store.rings(limit=None)
    return rings, [store.ring_events(r.ring_id) for r in rings], list(store.memberships()), store.ring_watermark()


def members_from(feed) -> dict[str, set[tuple[str, str]]]:
    """Who is in which ring, by replaying the feed."""
    found: dict[str, set[tuple[str, str]]] = {}
    for change in feed:
        members = found.setdefault(change.ring_id, set())
        assert ((change.entity, change.key) in members) != change.joined
        (members.add if change.joined else members.remove)((change.entity, change.key))
    return {ring_id: members for ring_id, members in found.items() if members}


def test_empty_store(store):
    assert store.rings() == [] == list(store.memberships())
    assert store.ring("r1") is None
    assert store.ring_events("r1") == []
    assert store.refreshed_at() is None
    assert store.ring_watermark() == 0
    assert rings_of(store) is store


def test_a_ring_comes_back_as_it_was(store):
    whole = ring("r1", "u1", "u2", "u3", came_from=("r0",))
    found = event(RingEventKind.FOUND, "r1", 1, members=4, because={"device": "d"})
    assert store.write_refresh(refresh(1, whole, events=(found,)))
    assert store.ring("r1") == whole
    assert store.rings() == [whole]
    assert store.ring_events("r1") == [found]
    assert store.refreshed_at() == START + DAY
    assert [(m.seq, m.at, m.ring_id, m.entity, m.key, m.joined) for m in store.memberships()] == [
        (1, START + DAY, "r1", "user", "u1", True),
        (2, START + DAY, "r1", "user", "u2", True),
        (3, START + DAY, "r1", "user", "u3", True),
        (4, START + DAY, "r1", "device", "d-r1", True),
    ]
    assert [m.seq for m in store.memberships(2)] == [3, 4]


def test_numbers_of_numpy_are_kept_as_plain_ones(store):
    given_ring = ring("r1", "u1", score=np.float64(0.25), structure={"density": np.float32(0.5)}, amount=np.int64(7))
    store.write_refresh(refresh(1, given_ring))
    kept = store.ring("r1")
    assert (kept.score, kept.structure, kept.amount) == (0.25, {"density": 0.5}, 7)
    assert type(kept.amount) is int


def test_the_same_refresh_again_changes_nothing(store):
    first = refresh(1, ring("r1", "u1", "u2"), events=(event(RingEventKind.FOUND, "r1", 1),))
    second = refresh(2, ring("r1", "u1", "u3", day=2), events=(event(RingEventKind.GREW, "r1", 2),))
    assert store.write_refresh(first)
    assert store.write_refresh(second)
    store.write_verdict(Verdict("r1", START + 3 * DAY, CONFIRMED))
    before = everything(store)
    assert not store.write_refresh(second)
    assert not store.write_refresh(first)
    assert everything(store) == before


def test_a_refresh_does_not_go_back_in_time(store):
    store.write_refresh(refresh(5, ring("r1", "u1")))
    before = everything(store)
    with pytest.raises(InputError, match="later time") as raised:
        store.write_refresh(refresh(4, ring("r2", "u2")))
    assert raised.value.hint
    assert everything(store) == before


def test_a_refresh_is_all_or_nothing(store):
    store.write_refresh(refresh(1, ring("r1", "u1")))
    before = everything(store)
    for wrong in (
        refresh(2, ring("r2", "u2"), replace(ring("r3", "u3"), ring_id="r2")),
        refresh(2, ring("r2", "u2"), ring("r4", "u4", amount=object())),
        refresh(2, ring("r2", "u2"), ring("r\ud800", "u5")),
    ):
        with pytest.raises((InputError, StoreError)):
            store.write_refresh(wrong)
        assert everything(store) == before


def test_the_latest_refresh_is_what_counts(store):
    store.write_refresh(refresh(1, ring("r1", "u1", "u2"), ring("r2", "u9")))
    store.write_refresh(refresh(2, ring("r1", "u2", "u3", day=2, score=0.75)))
    assert [r.ring_id for r in store.rings(active=True)] == ["r1"]
    assert [r.ring_id for r in store.rings(active=False)] == ["r2"]
    kept = store.ring("r1")
    assert (kept.score, kept.found_at, kept.refreshed_at) == (0.75, START + DAY, START + 2 * DAY)
    assert not store.ring("r2").active
    assert store.ring("r2").members == ring("r2", "u9").members  # as it was when it was last seen
    after = [(m.at, m.ring_id, m.key, m.joined) for m in store.memberships(5)]
    assert sorted(after) == [
        (START + 2 * DAY, "r1", "u1", False),
        (START + 2 * DAY, "r1", "u3", True),
        (START + 2 * DAY, "r2", "d-r2", False),
        (START + 2 * DAY, "r2", "u9", False),
    ]


def test_what_became_of_a_ring(store):
    store.write_refresh(refresh(1, ring("a", "u1"), ring("b", "u2"), ring("c", "u3", came_from=("a",))))
    store.write_refresh(refresh(2, ring("b", "u1", "u2", came_from=("a",)), ring("c", "u3", came_from=("a", "b"))))
    assert store.ring("a").became == ("b", "c")
    assert store.ring("b").became == ()  # it goes on itself
    store.write_refresh(refresh(3, ring("a", "u1")))
    assert (store.ring("a").became, store.ring("a").active) == ((), True)


def test_rings_by_score_and_status(store):
    rings = [ring(f"r{i}", f"u{i}", score=s) for i, s in enumerate([0.2, 0.9, 0.5, 0.5])]
    rings[0] = replace(rings[0], status=WATCHED)
    store.write_refresh(refresh(1, *rings))
    store.write_verdict(Verdict("r1", START, DISMISSED))
    assert [r.ring_id for r in store.rings()] == ["r1", "r2", "r3", "r0"]
    assert [r.ring_id for r in store.rings(limit=2)] == ["r1", "r2"]
    assert [r.ring_id for r in store.rings(status=NEW)] == ["r2", "r3"]
    assert [r.ring_id for r in store.rings(status=WATCHED, active=True)] == ["r0"]
    assert store.rings(status=CONFIRMED) == store.rings(active=False) == store.rings(limit=0) == []


@pytest.mark.parametrize("verdict", [CONFIRMED, DISMISSED])
def test_a_verdict_outlives_refreshes(store, verdict):
    store.write_refresh(refresh(1, ring("r1", "u1")))
    judged = store.write_verdict(Verdict("r1", START + DAY + 7, verdict, "Ana", "seen them"))
    assert (judged.status, judged.ring_id) == (verdict, "r1")
    for day, status in ((2, NEW), (3, WATCHED), (4, CONFIRMED), (5, DISMISSED)):
        store.write_refresh(refresh(day, ring("r1", "u1", f"u{day}", day=day, status=status)))
        kept = store.ring("r1")
        assert (kept.status, kept.refreshed_at) == (verdict, START + day * DAY)
    store.write_refresh(refresh(6))
    store.write_refresh(refresh(7, ring("r1", "u1", day=7)))
    assert store.ring("r1").status == verdict
    (kept_event,) = store.ring_events("r1")
    assert (kept_event.kind, kept_event.at) == (RingEventKind.VERDICT, START + DAY + 7)
    assert kept_event.details == {"verdict": str(verdict), "before": "new", "by": "Ana", "note": "seen them"}


def test_statuses_that_nobody_gave_follow_the_refresh(store):
    for day, status in enumerate((NEW, WATCHED, NEW), 1):
        store.write_refresh(refresh(day, ring("r1", "u1", day=day, status=status)))
        assert store.ring("r1").status == status


def test_a_dismissed_ring_returns_only_where_the_refresh_says_so(store):
    store.write_refresh(refresh(1, ring("r1", "u1"), ring("r2", "u2")))
    store.write_verdict(Verdict("r1", START, DISMISSED))
    store.write_verdict(Verdict("r2", START, CONFIRMED))
    returned = tuple(event(RingEventKind.RETURNED, name, 2, why="more members") for name in ("r1", "r2"))
    store.write_refresh(refresh(2, ring("r1", "u1", "u3", day=2), ring("r2", "u2", day=2), events=returned))
    assert store.ring("r1").status == NEW
    assert store.ring("r2").status == CONFIRMED
    assert [e.kind for e in store.ring_events("r1")] == [RingEventKind.VERDICT, RingEventKind.RETURNED]


def test_the_same_verdict_again_changes_nothing(store):
    store.write_refresh(refresh(1, ring("r1", "u1")))
    first = store.write_verdict(Verdict("r1", START, CONFIRMED, "Ana"))
    before = everything(store)
    assert store.write_verdict(Verdict("r1", START + 9, CONFIRMED, "Ben", "me too")) == first
    assert everything(store) == before
    assert store.write_verdict(Verdict("r1", START + 10, DISMISSED)).status == DISMISSED
    assert [e.details["verdict"] for e in store.ring_events("r1")] == ["confirmed", "dismissed"]


def test_verdicts_that_cannot_be(store):
    with pytest.raises(NotFound, match="r1"):
        store.write_verdict(Verdict("r1", START, CONFIRMED))
    store.write_refresh(refresh(1, ring("r1", "u1")))
    before = everything(store)
    for wrong in (NEW, WATCHED, "guilty"):
        with pytest.raises(InputError):
            store.write_verdict(Verdict("r1", START, wrong))
    assert everything(store) == before


def test_the_watermark_grows_with_what_is_new_only(store):
    marks = [store.ring_watermark()]
    for write in (
        lambda: store.write_refresh(refresh(1, ring("r1", "u1"))),
        lambda: store.write_refresh(refresh(2)),
        lambda: store.write_refresh(refresh(3, ring("r1", "u1", day=3))),
        lambda: store.write_verdict(Verdict("r1", START, CONFIRMED)),
        lambda: store.write_verdict(Verdict("r1", START, DISMISSED)),
    ):
        write()
        marks.append(store.ring_watermark())
        assert marks[-1] > marks[-2]


def test_another_connection_sees_it_and_so_does_the_next_one(store, url):
    store.write_refresh(refresh(1, ring("r1", "u1")))
    store.write_verdict(Verdict("r1", START, CONFIRMED))
    other = open_store(url)
    assert everything(other) == everything(store)
    other.close()


def test_refreshes_and_verdicts_at_once_lose_nothing(store, url):
    store.write_refresh(refresh(1, *(ring(f"r{i}", f"u{i}") for i in range(20))))
    other = open_store(url)
    start = threading.Barrier(2)

    def judge() -> None:
        start.wait(30)
        for i in range(20):
            other.write_verdict(Verdict(f"r{i}", START + i, CONFIRMED if i % 2 else DISMISSED))

    thread = threading.Thread(target=judge)
    thread.start()
    start.wait(30)
    for day in range(2, 22):
        store.write_refresh(refresh(day, *(ring(f"r{i}", f"u{i}", f"x{day}", day=day) for i in range(20))))
    thread.join(60)
    other.close()
    kept = {r.ring_id: r for r in store.rings(active=True)}
    assert {name: r.status for name, r in kept.items()} == {
        f"r{i}": CONFIRMED if i % 2 else DISMISSED for i in range(20)
    }
    assert {r.refreshed_at for r in kept.values()} == {START + 21 * DAY}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), days=st.integers(1, 8))
def test_the_feed_always_adds_up_to_the_active_rings(new_url, seed, days):
    random_ = random.Random(seed)
    kept = open_store(new_url())
    judged: dict[str, RingStatus] = {}
    for day in range(1, days + 1):
        names = random_.sample("abcdef", random_.randrange(6))
        rings = [ring(n, *random_.sample(["u1", "u2", "u3", "u4"], random_.randint(1, 4)), day=day) for n in names]
        kept.write_refresh(refresh(day, *rings))
        assert {r.ring_id: {(m.entity, m.key) for m in r.members} for r in rings} == members_from(kept.memberships())
        assert {r.ring_id for r in kept.rings(active=True)} == set(names)
        if names:
            name = random_.choice(names)
            judged[name] = random_.choice([CONFIRMED, DISMISSED])
            kept.write_verdict(Verdict(name, START, judged[name]))
        assert {name: kept.ring(name).status for name in judged} == judged
    kept.close()


def test_a_store_from_before_rings_gets_them(tmp_path):
    connection = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    migrate(connection, "old", MIGRATIONS[:1])
    connection.close()
    opened = open_store(f"sqlite:///{tmp_path / 'old.db'}")
    assert opened.write_refresh(refresh(1, ring("r1", "u1")))
    opened.close()
