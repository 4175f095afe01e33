"""Ids of rings from refresh to refresh."""

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graph.ring_records import Refresh, Ring, RingEventKind, RingMember, RingStatus
from graph.rings import Found, identify
from graph.rings import find as find_rings
from tests.graph.rings.made import Tx, World, at, gang


def _found(*users: str, frauds: int = 0, score: float = 0.5) -> Found:
    members = tuple(RingMember("user", user, 0, 1) for user in sorted(users))
    return Found(score, members, (), len(users), 0, frauds, 0, 0, {}, ())


def _after(refresh: Refresh, previous: Sequence[Ring] = ()) -> list[Ring]:
    """All rings there ever were, as a store keeps them."""
    now = {ring.ring_id: ring for ring in refresh.rings}
    became = {
        old: tuple(r.ring_id for r in refresh.rings if old in r.came_from) for old in (p.ring_id for p in previous)
    }
    gone = [replace(p, active=False, became=became[p.ring_id]) for p in previous if p.ring_id not in now]
    return [*now.values(), *gone]


def _kinds(refresh: Refresh, ring_id: str) -> list[RingEventKind]:
    return [event.kind for event in refresh.events if event.ring_id == ring_id]


def test_a_ring_that_grows_and_shrinks_keeps_its_id() -> None:
    first = identify([_found("a", "b", "c")], [], at(1))
    (ring,) = first.rings
    assert (ring.status, _kinds(first, ring.ring_id)) == (RingStatus.NEW, [RingEventKind.FOUND])
    grown = identify([_found("a", "b", "c", "d", "e")], first.rings, at(2))
    assert [(r.ring_id, r.status, r.found_at) for r in grown.rings] == [(ring.ring_id, RingStatus.WATCHED, at(1))]
    (event,) = grown.events
    assert (event.kind, event.details) == (RingEventKind.GREW, {"joined": ["d", "e"], "left": []})
    shrunk = identify([_found("d", "e", "b")], grown.rings, at(3))
    assert [r.ring_id for r in shrunk.rings] == [ring.ring_id]
    assert _kinds(shrunk, ring.ring_id) == [RingEventKind.SHRANK]


def test_a_ring_that_stays_as_it_is_has_no_event() -> None:
    first = identify([_found("a", "b", "c")], [], at(1))
    assert identify([_found("a", "b", "c")], first.rings, at(2)).events == ()


def test_merged_rings_split_again_and_both_have_their_ids_back() -> None:
    first = identify([_found("a", "b", "c", "d"), _found("x", "y", "z")], [], at(1))
    large, small = sorted(first.rings, key=lambda ring: -len(ring.members))
    merged = identify([_found(*"abcdxyz")], first.rings, at(2))
    (both,) = merged.rings
    assert (both.ring_id, both.came_from) == (large.ring_id, (small.ring_id,))
    (event,) = [event for event in merged.events if event.ring_id == small.ring_id]
    assert (event.kind, event.details["became"]) == (RingEventKind.MERGED, [large.ring_id])
    split = identify([_found("a", "b", "c", "d"), _found("x", "y", "z")], _after(merged, first.rings), at(3))
    assert {r.ring_id: len(r.members) for r in split.rings} == {large.ring_id: 4, small.ring_id: 3}
    assert RingEventKind.SPLIT in _kinds(split, large.ring_id)
    assert _kinds(split, small.ring_id) == [RingEventKind.RETURNED]


def test_what_splits_off_says_where_it_came_from() -> None:
    first = identify([_found(*"abcdefg")], [], at(1))
    split = identify([_found(*"abcd"), _found(*"efg")], first.rings, at(2))
    old = first.rings[0].ring_id
    (new,) = [ring for ring in split.rings if ring.ring_id != old]
    assert new.came_from == (old,)
    (event,) = [event for event in split.events if event.kind is RingEventKind.SPLIT]
    assert (event.ring_id, event.details["became"]) == (old, [old, new.ring_id])


def test_a_ring_that_is_over_is_gone_and_may_return() -> None:
    first = identify([_found("a", "b", "c")], [], at(1))
    over = identify([], first.rings, at(2))
    assert [event.kind for event in over.events] == [RingEventKind.GONE]
    again = identify([_found("a", "b", "d")], _after(over, first.rings), at(3))
    assert again.rings[0].ring_id == first.rings[0].ring_id
    assert [event.kind for event in again.events] == [RingEventKind.RETURNED]


def test_an_investigators_confirmation_stays() -> None:
    first = identify([_found("a", "b", "c")], [], at(1))
    confirmed = replace(first.rings[0], status=RingStatus.CONFIRMED)
    (ring,) = identify([_found("a", "b", "c", "d")], [confirmed], at(2)).rings
    assert (ring.ring_id, ring.status) == (confirmed.ring_id, RingStatus.CONFIRMED)


def test_a_dismissed_ring_comes_back_only_when_it_has_changed_much() -> None:
    first = identify([_found("a", "b", "c", "d")], [], at(1))
    rings: Sequence[Ring] = [replace(first.rings[0], status=RingStatus.DISMISSED)]
    for day, more in ((2, ""), (3, "e")):
        refresh = identify([_found(*"abcd", *more)], rings, at(day))
        assert [ring.status for ring in refresh.rings] == [RingStatus.DISMISSED]
        assert refresh.events == ()
        rings = refresh.rings
    # One by one they come to half as many again.
    back = identify([_found(*"abcdef")], rings, at(4))
    assert [(ring.ring_id, ring.status) for ring in back.rings] == [(first.rings[0].ring_id, RingStatus.NEW)]
    assert [event.kind for event in back.events] == [RingEventKind.RETURNED]


def test_a_dismissed_ring_comes_back_with_known_frauds() -> None:
    first = identify([_found("a", "b", "c")], [], at(1))
    dismissed = replace(first.rings[0], status=RingStatus.DISMISSED)
    (ring,) = identify([_found("a", "b", "c", frauds=2)], [dismissed], at(2)).rings
    assert (ring.ring_id, ring.status) == (dismissed.ring_id, RingStatus.NEW)


_groups = st.lists(st.integers(0, 3), min_size=16, max_size=16).map(
    lambda groups: [
        users
        for group in range(3)
        if len(users := {u for u, g in zip("abcdefghijklmnop", groups, strict=True) if g == group}) > 2
    ]
)


@settings(deadline=None, phases=[Phase.explicit, Phase.generate])
@given(before=_groups, now=_groups, seed=st.randoms(use_true_random=False))
def test_the_order_of_rings_is_all_one(before: list[set[str]], now: list[set[str]], seed: random.Random) -> None:
    first = identify([_found(*users) for users in before], [], at(1))
    found, previous = [_found(*users) for users in now], list(first.rings)
    expected = identify(found, previous, at(2))
    seed.shuffle(found)
    seed.shuffle(previous)
    assert identify(found, previous, at(2)) == expected
    assert len({ring.ring_id for ring in expected.rings}) == len(found)
    active = {ring.ring_id for ring in expected.rings}
    told = {e.ring_id for e in expected.events if e.kind in (RingEventKind.GONE, RingEventKind.MERGED)}
    assert {ring.ring_id for ring in previous} - active == told


def test_two_rings_that_begin_to_share_a_device_merge_and_later_split(world: World) -> None:
    rows = [
        *(tx for day in (2, 40, 110) for tx in gang("a", 5, day=day, device=f"a{day}")),
        *(tx for day in (2, 40, 110) for tx in gang("b", 4, day=day, device=f"b{day}")),
        *(Tx(f"{name}{i}", 42 + i / 10, "both", p=0.9) for name in "ab" for i in range(3)),
    ]
    apart = identify(find_rings(world(rows, 10)), [], at(10))
    ids = {len(ring.members): ring.ring_id for ring in apart.rings}
    assert set(ids) == {6, 5}
    rings = _after(apart)
    together = identify(find_rings(world(rows, 50)), rings, at(50))
    assert [ring.ring_id for ring in together.rings] == [ids[6]]
    rings = _after(together, rings)
    again = identify(find_rings(world(rows, 140)), rings, at(140))
    assert {ring.ring_id: len(ring.members) for ring in again.rings} == {ids[6]: 6, ids[5]: 5}
