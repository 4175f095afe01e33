"""Thresholds cost no more than any others on the rows they were chosen on, and stay sensible without frauds."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gnn.policy import APPROVE, BLOCK, REVIEW, Costs, Policy
from graph.errors import BundleError, NotEnoughData
from graph.settings import Settings


def world(rows: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(4 - 2.5 * rng.normal(size=rows)))
    return p, rng.random(rows) < p, rng.lognormal(3.5, 0.8, size=rows)


def total(policy: Policy, p: NDArray[np.float64], y: NDArray[np.bool_], amount: NDArray[np.float64]) -> float:
    bands = policy.bands(p)
    return float(policy.costs.spent(reviewed=bands == REVIEW, blocked=bands == BLOCK, fraud=y, amount=amount).sum())


@pytest.mark.parametrize("costs", [Costs(), Costs(1, 100, 0.5), Costs(50, 5, 1), Costs(5, 1000, 1)])
def test_no_other_thresholds_cost_much_less(costs: Costs) -> None:
    p, y, amount = world(60_000)
    chosen = Policy.choose(p, y, amount, costs)
    grid = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0]
    others = [Policy(r, b, costs) for r, b in itertools.combinations_with_replacement(grid, 2)]
    assert total(chosen, p, y, amount) <= min(total(other, p, y, amount) for other in others) * 1.005
    later = world(60_000, seed=1)
    assert total(chosen, *later) <= min(total(other, *later) for other in others) * 1.03


def test_alerts_that_do_not_pay_for_certain_are_not_given() -> None:
    """Most rows stand where a review costs about what it saves: to review them all or none costs much the same."""
    rng = np.random.default_rng(3)
    p = np.concatenate([rng.uniform(0.3, 0.9, 300), rng.uniform(0.0505, 0.0515, 40_000), rng.uniform(0, 0.01, 60_000)])
    y = rng.random(len(p)) < p
    amount = np.full(len(p), 100.0)
    chosen = Policy.choose(p, y, amount, Costs(review=5))
    assert (chosen.bands(p) != APPROVE).mean() < 0.1
    everything = Policy(0.05, chosen.block_at, chosen.costs)
    assert total(chosen, p, y, amount) < 1.02 * total(everything, p, y, amount)


def test_dearer_reviews_are_made_less_often() -> None:
    p, y, amount = world(50_000)
    shares = [(Policy.choose(p, y, amount, Costs(review=cost)).bands(p) == REVIEW).mean() for cost in (1, 5, 20)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_without_any_fraud_the_probabilities_decide() -> None:
    p, _, amount = world(20_000)
    amount[:] = 50.0
    policy = Policy.choose(p, np.zeros(len(p), dtype=bool), amount, Costs(review=5, decline=30))
    assert policy.review_at == pytest.approx(5 / 50, abs=0.01)
    assert policy.block_at == pytest.approx(1 - 5 / 30, abs=0.01)


def test_low_probabilities_leave_thresholds_where_they_would_pay() -> None:
    p = np.linspace(0.0001, 0.01, 1000)
    policy = Policy.choose(p, np.zeros(1000, dtype=bool), np.full(1000, 50.0), Costs(review=5, decline=30))
    assert policy.review_at == pytest.approx(0.1)
    assert policy.block_at == pytest.approx(1 - 5 / 30)
    assert policy.band(0.01) == APPROVE
    assert policy.band(0.95) == BLOCK


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0, 1e6)), min_size=1, max_size=30),
    st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3), st.floats(0.01, 2)),
)
def test_thresholds_always_ascend_and_bands_with_them(
    rows: list[tuple[float, bool, float]], cost: tuple[float, float, float]
) -> None:
    p, y, amount = (np.array(column) for column in zip(*rows, strict=True))
    policy = Policy.choose(p, y, amount, Costs(*cost))
    assert policy.review_at <= policy.block_at
    rank = {APPROVE: 0, REVIEW: 1, BLOCK: 2}
    bands = [rank[policy.band(x)] for x in np.sort(p)]
    assert bands == sorted(bands)
    assert policy.bands(p).tolist() == [policy.band(x) for x in p]


def test_costs_of_each_outcome() -> None:
    yes, no = np.array([True]), np.array([False])
    costs = Costs(review=5, decline=30, fraud_loss=0.5)

    def spent(*, reviewed: bool = False, blocked: bool = False, fraud: bool = False) -> float:
        pick = {True: yes, False: no}
        return costs.spent(reviewed=pick[reviewed], blocked=pick[blocked], fraud=pick[fraud], amount=[80.0]).item()

    assert spent() == 0
    assert spent(fraud=True) == 40
    assert spent(reviewed=True) == spent(reviewed=True, fraud=True) == 5
    assert spent(blocked=True) == 30
    assert spent(blocked=True, fraud=True) == 0


def test_sampled_rows_with_weights_give_the_same_thresholds() -> None:
    p, y, amount = world(200_000)
    kept = y | (np.random.default_rng(0).random(len(y)) < 0.2)
    whole = Policy.choose(p, y, amount, Costs())
    sampled = Policy.choose(p[kept], y[kept], amount[kept], Costs(), np.where(y[kept], 1.0, 5.0))
    assert sampled.review_at == pytest.approx(whole.review_at, rel=0.25)


def test_json_and_settings() -> None:
    policy = Policy(0.1, 0.8, Costs.from_settings(Settings(review_cost=2.5)))
    assert policy.costs == Costs(2.5, 30.0, 1.0)
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    for broken in ({}, policy.to_dict() | {"review_at": 0.9}, policy.to_dict() | {"costs": {"review": -1}}):
        with pytest.raises(BundleError):
            Policy.from_dict(broken)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(NotEnoughData):
        Policy.choose([], [], [], Costs())
    with pytest.raises(ValueError, match="differ in length"):
        Policy.choose([0.1, 0.2], [True], [1.0], Costs())
    with pytest.raises(ValueError, match="must be numbers"):
        Policy.choose([np.nan], [True], [1.0], Costs())
    with pytest.raises(ValueError, match="positive"):
        Costs(review=0)
    with pytest.raises(ValueError, match="ascend"):
        Policy(0.9, 0.1, Costs())
