"""What brings the pieces of a ring together, and which pieces are too small to show."""

from graph.rings import RingSettings, find
from tests.graph.rings.made import Tx, World, gang


def _came_back(first: float) -> list[Tx]:
    """Two gangs of late, each of which has one account that was on one old device on a day, with two others."""
    old = [Tx(user, first, "old", p=0.9) for user in ("a0", "b0", "gone0", "gone1")]
    return [*old, *gang("a", 4, day=80, device="new a"), *gang("b", 4, day=82, device="new b")]


def test_an_old_device_brings_the_pieces_of_a_ring_together(world: World) -> None:
    (ring,) = find(world(_came_back(45), 100))
    assert ring.users == {f"{name}{i}" for name in "ab" for i in range(4)}
    assert {m.key for m in ring.members if m.entity == "device"} == {"old", "new a", "new b"}


def test_a_link_of_long_ago_brings_nothing_together(world: World) -> None:
    found = find(world(_came_back(5), 100))
    assert sorted(sorted(ring.users) for ring in found) == [[f"{name}{i}" for i in range(4)] for name in "ab"]


def test_who_was_there_before_is_in_it_only_where_it_would_fall_apart_without(world: World) -> None:
    rows = [
        *gang("a", 4, day=80, device="new a"),
        *gang("b", 4, day=82, device="new b"),
        *(Tx(user, 45, "old a", p=0.9) for user in ("a0", "between", "gone")),
        *(Tx(user, 45.5, "old b", p=0.9) for user in ("b0", "between", "gone too")),
    ]
    (ring,) = find(world(rows, 100))
    assert ring.users == {"between", *(f"{name}{i}" for name in "ab" for i in range(4))}


def test_a_piece_of_a_chain_is_left_out_until_it_is_longer(world: World) -> None:
    def chain(count: int) -> list[Tx]:
        pairs = ((f"u{i + j}", f"d{i}", i + j / 2) for i in range(count - 1) for j in range(2))
        return [Tx(user, day, device, p=0.9) for user, device, day in pairs]

    assert find(world(chain(5), 20)) == []
    assert [len(ring.users) for ring in find(world(chain(6), 20))] == [6]
    assert [len(ring.users) for ring in find(world(chain(4), 20), RingSettings(chain=3))] == [4]


def test_few_who_share_all_they_have_are_no_chain(world: World) -> None:
    rows = [Tx(f"u{i}", 3 + i, "d", "line", p=0.9) for i in range(3)]
    assert [len(ring.users) for ring in find(world(rows, 10))] == [3]
