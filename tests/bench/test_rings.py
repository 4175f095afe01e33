"""How `python -m bench rings` judges what was found."""

import math
from pathlib import Path

import pandas as pd

from bench.rings import Outcome, ids_kept, judge, matches, truth_at
from graph.records import DAY
from tests.graph.rings.made import Tx, evidence_of, gang

AT = 100 * DAY


def _rows(*rows: tuple[str, float, str | None, str | None, str, str | None]) -> pd.DataFrame:
    """User, days before the refresh, device, address, typology and ring (None where it is no fraud; `b1` is the second
    life of ring b).
    """
    return pd.DataFrame(
        [
            {
                "transaction_id": f"t{number}",
                "at": AT - int(days * DAY),
                "user_id": user,
                "device_id": device,
                "ip": ip,
                "restaurant_id": "r",
                "is_fraud": ring is not None,
                "typology": typology,
                "ring_id": ring and ring[0],
                "generation": ring and int(ring[1:] or 0),
            }
            for number, (user, days, device, ip, typology, ring) in enumerate(rows)
        ]
    )


def test_a_ring_matches_when_half_of_either_is_in_both() -> None:
    true = {"a": frozenset("1234"), "b": frozenset("567")}
    assert matches(true, [frozenset("12"), frozenset("1xyz"), frozenset("3456")]) == {
        0: ["a"],
        2: ["a", "b"],
    }
    assert matches(true, [frozenset("12xyz"), frozenset("56x"), frozenset()]) == {1: ["b"]}


def test_members_are_those_who_acted_before_the_refresh_and_within_the_lookback() -> None:
    truth = truth_at(
        _rows(
            *((f"u{i}", 1.0 + i, "d", None, "device_ring", "a") for i in range(3)),
            ("early", 60.0, "d", None, "device_ring", "a"),
            ("late", -1.0, "d", None, "device_ring", "a"),
            ("honest", 2.0, "d", None, "device_ring", None),
            *((f"two{i}", 3.0, "e", None, "device_ring", "b") for i in range(2)),
        ),
        AT,
    )
    assert truth.rings == {"a": {"u0", "u1", "u2"}}
    assert set(truth.everyone) == {"a", "b"}
    assert truth.linked == {"a"}


def test_parts_that_share_nothing_are_tied_rings_of_their_own() -> None:
    crowd = [(f"c{i}", 1.0, None, "nat", "x", None) for i in range(20)]
    first = [(f"u{i}", 20.0, "d1", "nat", "device_ring", "a") for i in range(3)]
    second = [(f"v{i}", 2.0, f"own{i}", "line", "device_ring", "a") for i in range(4)]
    truth = truth_at(_rows(*crowd, *first, *second), AT)
    assert sorted(map(len, truth.tied.values())) == [3, 4]
    assert truth.linked == frozenset()
    outcome = Outcome()
    judge(outcome, [frozenset(f"u{i}" for i in range(3)), frozenset(f"c{i}" for i in range(3))], truth)
    assert (outcome.whole.share(), outcome.whole.precise()) == (0, 0)
    assert (outcome.tied.share(), outcome.tied.precise()) == (0.5, 0.5)
    assert outcome.reachable.share("device_ring") == 1
    assert outcome.pure == [True, False]
    assert math.isnan(outcome.whole.share("card_testing"))


def test_lives_that_share_nothing_are_rings_of_their_own() -> None:
    first = [(f"u{i}", 20.0, "d1", None, "device_ring", "a") for i in range(4)]
    again = [(f"v{i}", 9.0, "d2", None, "device_ring", "a1") for i in range(3)]
    later = [(f"w{i}", 2.0, "d2" if i else "d3", None, "device_ring", "a2") for i in range(3)]
    truth = truth_at(_rows(*first, *again, *later), AT)
    assert sorted(map(len, truth.rings.values())) == [10]
    assert sorted(map(len, truth.lives.values())) == [4, 6]
    outcome = Outcome()
    judge(outcome, [frozenset(f"u{i}" for i in range(4))], truth)
    assert (outcome.whole.share(), outcome.whole.precise()) == (0, 0)
    assert (outcome.lives.share("device_ring"), outcome.lives.precise()) == (0.5, 1)


def test_a_ring_found_before_its_fraud_is_told_apart() -> None:
    modest = [(f"u{i}", 10.0, "d", None, "synthetic_identity", None) for i in range(4)]
    harvest = [(f"u{i}", -5.0, "d", None, "synthetic_identity", "a") for i in range(4)]
    truth = truth_at(_rows(*modest, *harvest), AT)
    assert truth.rings == {}
    outcome = Outcome()
    judge(outcome, [frozenset(f"u{i}" for i in range(4))], truth)
    assert outcome.whole.precise() == 0
    assert outcome.early == [True]


def test_ids_are_followed_from_refresh_to_refresh(tmp_path: Path) -> None:
    rows = [*gang("thief", 4, day=3, device="d1"), *(Tx(f"thief{i}", 8, "d1", p=0.8) for i in range(2))]
    assert ids_kept(evidence_of(tmp_path / f"{day}.db", rows, day) for day in (5, 6, 9)) == 1
    assert math.isnan(ids_kept(iter([])))
