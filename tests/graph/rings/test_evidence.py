"""Rings as of a moment: what comes later changes nothing, and neither does the order in which facts came."""

import random
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graph.records import DAY
from graph.rings import Evidence, find, identify
from tests.graph.rings.made import Tx, World, at, crowd, evidence_of, gang

_DAY = 20

_row = st.builds(
    Tx,
    user=st.sampled_from([f"u{i}" for i in range(12)]),
    day=st.integers(0, 40).map(float),
    device=st.sampled_from(["d1", "d2", "d3", None]),
    ip=st.sampled_from(["i1", "i2", None]),
    arrived=st.none(),
    p=st.sampled_from([0.02, 0.4, 0.9, None]),
    fraud_known=st.sampled_from([None, 10.0, 30.0]),
    genuine_known=st.sampled_from([None, 12.0, 35.0]),
)
_rows = st.lists(_row, max_size=40, unique_by=lambda tx: (tx.user, tx.day, tx.device, tx.ip))


def _known(tx: Tx) -> Tx | None:
    """What was known of a transaction before the day of the look."""
    if tx.day >= _DAY:
        return None
    fraud = tx.fraud_known if tx.fraud_known is not None and tx.fraud_known < _DAY else None
    genuine = tx.genuine_known if tx.genuine_known is not None and tx.genuine_known < _DAY else None
    return Tx(tx.user, tx.day, tx.device, tx.ip, p=tx.p, fraud_known=fraud, genuine_known=genuine)


@given(rows=_rows)
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_what_comes_later_changes_nothing(rows: list[Tx]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        everything = evidence_of(Path(folder) / "all.db", rows, _DAY)
        before = [tx for tx in map(_known, rows) if tx is not None]
        assert find(everything) == find(evidence_of(Path(folder) / "before.db", before, _DAY))


@given(rows=_rows, seed=st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_the_order_of_facts_is_all_one(rows: list[Tx], seed: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shuffled = list(rows)
        seed.shuffle(shuffled)
        found = [
            find(evidence_of(Path(folder) / f"{name}.db", some, 60)) for name, some in (("a", rows), ("b", shuffled))
        ]
        assert found[0] == found[1]
        assert identify(found[0], [], at(60)) == identify(found[1], [], at(60))


def test_what_has_not_arrived_is_not_known(world: World) -> None:
    rows = [Tx(tx.user, tx.day, tx.device, p=tx.p, arrived=15) for tx in gang("thief", 5, day=3, device="d1")]
    assert len(world(rows, 14)) == 0
    assert len(world(rows, 16)) == 10


def test_the_label_that_became_known_last_holds(world: World) -> None:
    rows = [Tx("u", 1, "d", fraud_known=5, genuine_known=9)]
    assert [world(rows, day).label.tolist() for day in (4, 6, 10)] == [[-1], [1], [0]]


def test_scores_and_bands_belong_to_their_transactions(world: World) -> None:
    evidence = world([Tx("u", 2, "d", p=0.9), Tx("v", 1, "d", p=0.1), Tx("w", 3, "d")], 10)
    assert np.array_equal(evidence.probability, [0.1, 0.9, np.nan], equal_nan=True)
    assert evidence.band.tolist() == [0, 2, -1]
    assert np.diff(evidence.occurred_at).tolist() == [DAY, DAY]


def test_everyday_life_around_a_ring_changes_nothing(world: World) -> None:
    def users(evidence: Evidence) -> list[frozenset[str]]:
        return [ring.users for ring in find(evidence)]

    ring = gang("thief", 6, day=3, device="d1", ip="home")
    assert users(world(ring, 20)) == users(world([*crowd(300, day=0), *ring], 20))


def test_categories_belong_to_their_transactions_and_link_nothing(world: World) -> None:
    evidence = world([Tx("b", 2, payment_method="yape"), Tx("a", 1, "d"), Tx("c", 3, payment_method="visa")], 5)
    keys = [evidence.names.keys[number] if number >= 0 else None for number in evidence.categories[:, 0].tolist()]
    assert keys == [None, "yape", "visa"]
    assert evidence.ids.shape == (3, len(evidence.schema.entities))
