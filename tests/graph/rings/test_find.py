"""Which rings are found, and what is said of them."""

from graph.rings import Evidence, Found, find
from tests.graph.rings.made import Tx, World, at, crowd, gang


def _users(found: list[Found]) -> list[set[str]]:
    return [set(ring.users) for ring in found]


def test_users_of_one_device_with_risky_transactions_are_a_ring(world: World) -> None:
    (ring,) = find(world([*gang("thief", 5, day=3, device="d1"), *crowd(40, day=0)], 10))
    assert ring.users == {f"thief{i}" for i in range(5)}
    assert [(m.entity, m.key) for m in ring.members if m.entity != "user"] == [("device", "d1")]
    assert ring.transactions == 10
    assert ring.amount == 50_000
    assert (ring.first_at, ring.last_at) == (at(3), max(link.last_at for link in ring.links))
    assert {m.band for m in ring.members} == {"block"}
    assert len(ring.links) == 5
    assert all(link.transactions == 2 for link in ring.links)


def test_two_are_a_couple_and_not_a_ring(world: World) -> None:
    assert find(world(gang("thief", 2, day=3, device="d1"), 10)) == []


def test_a_household_without_risk_is_no_ring(world: World) -> None:
    assert find(world(gang("parent", 4, day=3, device="tablet", p=0.01, ip="home"), 10)) == []


def test_a_carriers_address_makes_no_ring_of_strangers(world: World) -> None:
    strangers = [Tx(f"stranger{i}", 1 + i, f"own{i}", "nat", p=0.9) for i in range(8)]
    assert find(world([*crowd(300, day=0), *strangers], 20)) == []


def test_a_carriers_address_does_not_join_two_rings(world: World) -> None:
    rows = [
        *crowd(300, day=0),
        *gang("a", 5, day=3, device="d1", ip="nat"),
        *gang("b", 5, day=4, device="d2", ip="nat"),
    ]
    assert sorted(map(len, _users(find(world(rows, 20))))) == [5, 5]


def test_strangers_met_within_minutes_at_a_busy_address_are_no_ring(world: World) -> None:
    rows = [*crowd(300, day=0), *(Tx(f"stranger{i}", 7 + i / 1000, f"own{i}", "nat", p=0.9) for i in range(5))]
    assert find(world(rows, 20)) == []


def test_many_suspicious_users_at_a_restaurant_of_few_are_a_ring(world: World) -> None:
    guests = [Tx(f"guest{i}", i / 2, f"phone{i}", restaurant="r", p=0.01) for i in range(30)]
    cards = [Tx(f"card{i}", 2 + i, f"own{i}", restaurant="r", p=0.9) for i in range(9)]
    assert _users(find(world([*guests, *cards], 20))) == [{f"card{i}" for i in range(9)}]


def test_known_fraud_makes_a_ring_without_any_score(world: World) -> None:
    rows = [Tx(f"u{i}", 2 + i, "d1", fraud_known=12) for i in range(4)]
    assert find(world(rows, 11)) == []
    (ring,) = find(world(rows, 13))
    assert ring.fraud_known == 4
    assert ring.reasons[0].code == "RING_KNOWN_FRAUD"


def test_new_accounts_that_share_a_device_are_a_ring_without_any_score_or_label(world: World) -> None:
    old = [Tx(f"old{i}", i, f"phone{i}") for i in range(40)]
    new = [Tx(f"new{i}", 50 + i + turn, "d1") for i in range(5) for turn in range(2)]
    (ring,) = find(world([*old, *new], 60))
    assert ring.users == {f"new{i}" for i in range(5)}
    assert "RING_NEW_ACCOUNTS" in {reason.code for reason in ring.reasons}


def test_a_third_account_links_two_devices_and_is_what_holds_them_together(world: World) -> None:
    rows = [
        *gang("a", 3, day=3, device="d1"),
        *gang("b", 3, day=3, device="d2"),
        Tx("between", 3.2, "d1", p=0.3),
        Tx("between", 4.2, "d2", p=0.3),
    ]
    (ring,) = find(world(rows, 10))
    assert len(ring.users) == 7
    assert ring.structure["bridges"] == 8
    (held,) = [reason for reason in ring.reasons if reason.code == "RING_HELD_TOGETHER"]
    assert held.evidence["entity"] == "device"


def test_a_user_with_little_risk_of_its_own_joins_by_its_company(world: World) -> None:
    (ring,) = find(world([*gang("thief", 5, day=3, device="d1"), Tx("quiet", 4, "d1", p=0.03)], 10))
    assert "quiet" in ring.users


def test_a_family_around_one_doubtful_payment_is_no_ring(world: World) -> None:
    family = gang("child", 5, day=3, device="tablet", p=0.07, ip="home")
    assert find(world([*family, Tx("parent", 4, "tablet", "home", p=0.3)], 10)) == []


def test_an_honest_regular_among_thieves_is_left_out(world: World) -> None:
    past = [Tx("regular", day / 2, "own", p=0.01) for day in range(40)]
    (ring,) = find(world([*gang("thief", 3, day=21, device="d1"), *past, Tx("regular", 22, "d1", p=0.01)], 25))
    assert ring.users == {f"thief{i}" for i in range(3)}


def test_a_restaurants_tablet_and_its_other_suspicious_guests_are_one_ring(world: World) -> None:
    guests = [Tx(f"guest{i}", i / 2, f"phone{i}", restaurant="r", p=0.01) for i in range(30)]
    keyed = [Tx(f"keyed{i}", 2 + i, "tablet", restaurant="r", p=0.9) for i in range(5)]
    cards = [Tx(f"card{i}", 2 + i, f"own{i}", restaurant="r", p=0.9) for i in range(5)]
    names = {tx.user for tx in (*keyed, *cards)}
    assert _users(find(world([*guests, *keyed, *cards], 20))) == [names]


def test_a_ring_that_was_mostly_elsewhere_is_a_guest_of_a_hub(world: World) -> None:
    guests = [Tx(f"guest{i}", i / 2, f"phone{i}", restaurant="r", p=0.01) for i in range(30)]
    cards = [Tx(f"card{i}", 2 + i, f"own{i}", restaurant="r", p=0.9) for i in range(9)]
    band = [
        *gang("thief", 10, day=3, device="d1"),
        *(Tx(f"thief{i}", 5, "d1", restaurant="r", p=0.9) for i in range(4)),
    ]
    assert sorted(map(len, _users(find(world([*guests, *cards, *band], 20))))) == [9, 10]


def test_what_is_long_past_is_left_out(world: World) -> None:
    rows = gang("thief", 5, day=3, device="d1")
    assert find(world([*rows, Tx("later", 89, "x")], 90)) == []


def test_more_known_fraud_scores_higher(world: World) -> None:
    def score(frauds: int) -> float:
        rows = [Tx(f"u{i}", 2 + i / 10, "d1", p=0.7, fraud_known=5 if i < frauds else None) for i in range(5)]
        (ring,) = find(world(rows, 6))
        return ring.score

    assert 0 < score(0) < score(2) < score(5) <= 1


def test_nothing_is_found_in_nothing(world: World) -> None:
    evidence: Evidence = world([], 5)
    assert len(evidence) == 0
    assert find(evidence) == []
