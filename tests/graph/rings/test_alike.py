"""Pieces of a ring that share nothing are brought together by their ways."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.special import gammaln  # type: ignore[import-untyped]

from graph.rings import Evidence, RingSettings, find
from graph.rings.likeness import Trait, likelihood_ratios, traits_of
from graph.rings.pieces import Group
from tests.graph.rings.made import Tx, World, crowd, gang

_WAYS = 10
_GANGS = 20


def _with(rows: list[Tx], way: int) -> list[Tx]:
    """Each way is a restaurant and a payment method."""
    return [replace(tx, restaurant=f"inn{way}", payment_method=f"card{way}") for tx in rows]


def _others(count: int) -> list[Tx]:
    """So many gangs of one device, each with one of all ways, and guests to whom no place is strange."""
    guests = [_with(crowd(160, day=56, ip=f"nat{way}", days=43), way) for way in range(_WAYS)]
    gangs = [_with(gang(f"g{i}-", 3, day=57 + 2 * i, device=f"gang's{i}"), i % _WAYS) for i in range(count)]
    return [tx for rows in [*guests, *gangs] for tx in rows]


def _chain(name: str, way: int, *, day: float) -> list[Tx]:
    """Four users, each with a phone of its own that the next one used too."""
    pairs = [(f"{name}{i + j}", f"{name}'s{i}", day + 2 * i + j / 2) for i in range(3) for j in range(2)]
    return _with([Tx(user, when, device, p=0.9) for user, device, when in pairs], way)


def _chains(evidence: Evidence, chosen: RingSettings | None = None) -> list[set[str]]:
    rings = [{user[0] for user in ring.users if user[0] in "abc"} for ring in find(evidence, chosen)]
    return [names for names in rings if names]


def test_pieces_with_the_same_ways_are_one_ring(world: World) -> None:
    evidence = world([*_others(_GANGS), *_chain("a", 0, day=85), *_chain("b", 0, day=86), *_chain("c", 1, day=85)], 100)
    (ring,) = (ring for ring in find(evidence) if "a0" in ring.users)
    assert ring.users == {f"{name}{i}" for name in "ab" for i in range(4)}
    (reason,) = (reason for reason in ring.reasons if reason.code == "RING_ALIKE")
    assert reason.evidence["parts"] == 2
    assert {"restaurant", "payment_method"} <= set(reason.evidence["traits"])
    assert "one hand explains best" in reason.text
    assert not any(user.startswith("c") for other in find(evidence) for user in other.users)


def test_a_ring_that_links_hold_together_says_nothing_of_likeness(world: World) -> None:
    rings = find(world(_others(_GANGS), 100))
    assert len(rings) == _GANGS
    assert not any(reason.code == "RING_ALIKE" for ring in rings for reason in ring.reasons)


def test_pieces_with_other_ways_stay_apart(world: World) -> None:
    assert _chains(world([*_others(_GANGS), *_chain("a", 0, day=85), *_chain("b", 1, day=85)], 100)) == []


def test_it_takes_rings_to_learn_from_how_rings_differ(world: World) -> None:
    pieces = [*_chain("a", 0, day=85), *_chain("b", 0, day=86)]
    assert _chains(world([*_others(4), *pieces], 100)) == []
    assert _chains(world([*_others(_GANGS), *pieces], 100)) == [{"a", "b"}]


def test_how_much_likelier_one_hand_must_be_is_a_setting(world: World) -> None:
    evidence = world([*_others(_GANGS), *_chain("a", 0, day=85), *_chain("b", 0, day=86)], 100)
    assert _chains(evidence, RingSettings(alike=1e30)) == []


@pytest.mark.parametrize("one_way", [True, False])
def test_a_trait_counts_the_more_the_more_rings_differ_in_it(world: World, one_way: bool) -> None:
    rows = [
        tx
        for i in range(12)
        for number, tx in enumerate(gang(f"g{i}-", 4, day=80, device=f"d{i}"))
        for tx in _with([tx], (i if one_way else number) % _WAYS)
    ]
    evidence = world(rows, 100)
    kind = evidence.schema.entities.index("device")
    order = np.argsort(evidence.ids[:, kind], kind="stable")
    groups = [Group(part, evidence.ids[part, 0], evidence.ids[part, kind]) for part in np.split(order, 12)]
    traits = {trait.name: trait for trait in traits_of(evidence, np.full(len(evidence), 0.9), groups, RingSettings())}
    method = traits["payment_method"]
    assert method.counts.sum() == len(rows)
    assert (method.concentration < 1) == one_way
    assert (method.concentration > 100) != one_way


def test_what_few_have_is_no_trait(world: World) -> None:
    evidence = world(gang("a", 4, day=80, device="own"), 100)
    group = Group(np.arange(len(evidence)), evidence.ids[:, 0], evidence.ids[:, 1])
    names = [trait.name for trait in traits_of(evidence, np.full(len(evidence), 0.9), [group], RingSettings())]
    assert names == ["days", "account age", "opening"]


counts = st.lists(st.integers(0, 12), min_size=5, max_size=5)


@settings(max_examples=60, deadline=None)
@given(counts, counts, st.floats(0.02, 5_000.0))
def test_likelihood_ratios_are_those_of_two_draws_from_one_distribution(
    one: list[int], other: list[int], concentration: float
) -> None:
    usual = np.array([0.4, 0.3, 0.15, 0.1, 0.05])

    def likelihood(count: np.ndarray) -> float:
        prior = concentration * usual
        told = gammaln(prior + count).sum() - gammaln(prior).sum()
        return float(told + gammaln(concentration) - gammaln(concentration + count.sum()))

    a, b = np.array(one), np.array(other)
    trait = Trait("any", csr_array((0, 5), dtype=np.int64), usual, concentration)
    expected = likelihood(a + b) - likelihood(a) - likelihood(b)
    (ratio,) = likelihood_ratios(trait, a, b[None], np.array([b.sum()]), int(a.sum()))
    (turned,) = likelihood_ratios(trait, b, a[None], np.array([a.sum()]), int(b.sum()))
    assert ratio == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert turned == pytest.approx(ratio, rel=1e-6, abs=1e-6)
