"""The blend is calibrated, keeps the ranking, and falls back to equal weights where there is little to learn from."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gnn.calibration import Blend
from graph.errors import BundleError, NotEnoughData

Scores = dict[str, NDArray[np.float64]]


def world(rows: int, seed: int = 0, rate_shift: float = -4.0) -> tuple[Scores, NDArray[np.bool_]]:
    """Two noisy looks at the true log-odds (the GNN's with a constant offset), and a faint anomaly score."""
    rng = np.random.default_rng(seed)
    truth = rate_shift + 2.0 * rng.normal(size=rows)
    y = rng.random(rows) < 1 / (1 + np.exp(-truth))
    scores = {
        "head": truth + rng.normal(size=rows),
        "gnn": 3.0 + truth + rng.normal(size=rows),
        "anomaly": 1 / (1 + np.exp(-0.2 * truth - rng.normal(size=rows))),
    }
    return scores, y


def test_probabilities_mean_what_they_say() -> None:
    scores, y = world(100_000)
    new, truth = world(100_000, seed=1)
    p = Blend.fit(scores, y).probabilities(new)
    for low, high in ((0.0, 0.01), (0.01, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.0)):
        there = (p >= low) & (p < high)
        spread = np.sqrt(p[there].mean() * (1 - p[there].mean()) / there.sum())
        assert abs(truth[there].mean() - p[there].mean()) < 5 * spread + 0.1 * p[there].mean()


def test_agrees_with_logistic_regression_where_there_is_much_data() -> None:
    scores, y = world(80_000, rate_shift=-2.0)
    blend = Blend.fit(scores, y)
    table = np.column_stack([scores[name] for name in blend.inputs])
    reference = LogisticRegression(C=1e9, tol=1e-8, max_iter=1000).fit(table, y)
    np.testing.assert_allclose(blend.weights, reference.coef_[0], atol=0.03)
    assert blend.bias == pytest.approx(reference.intercept_[0], abs=0.05)


def test_a_score_that_points_the_wrong_way_gets_no_weight() -> None:
    scores, y = world(50_000)
    scores["gnn"] = -scores["gnn"]
    blend = Blend.fit(scores, y)
    assert blend.weights[1] == 0.0
    assert blend.weights[0] > 0.3


@pytest.mark.parametrize("inputs", [("head",), ("gnn",), ("anomaly",), ("head", "anomaly"), ("gnn", "anomaly")])
def test_works_without_some_of_the_models(inputs: tuple[str, ...]) -> None:
    scores, y = world(50_000)
    blend = Blend.fit({name: scores[name] if name in inputs else None for name in scores}, y)
    assert blend.inputs == inputs
    assert blend.probabilities(scores).mean() == pytest.approx(y.mean(), rel=0.05)


@pytest.mark.parametrize("frauds", [0, 1, 3])
def test_few_frauds_give_nearly_equal_weights_and_the_right_rate(frauds: int) -> None:
    scores, _ = world(5_000)
    y = np.zeros(5_000, dtype=bool)
    y[np.argsort(scores["head"])[2_500 : 2_500 + frauds]] = True  # frauds that no model would have found
    blend = Blend.fit({name: scores[name] for name in ("head", "gnn")}, y)
    assert blend.weights[0] == pytest.approx(0.5, abs=0.25)
    assert blend.weights[1] == pytest.approx(0.5, abs=0.25)
    assert blend.probabilities(scores).mean() == pytest.approx((frauds + 0.5) / 5_001, rel=0.7)


def test_sampled_rows_with_weights_give_the_probabilities_of_all_rows() -> None:
    scores, y = world(80_000, seed=3)
    whole = Blend.fit(scores, y)
    rng = np.random.default_rng(0)
    kept = y | (rng.random(len(y)) < 0.1)
    sample = {name: values[kept] for name, values in scores.items()}
    weighted = Blend.fit(sample, y[kept], np.where(y[kept], 1.0, 10.0))
    assert weighted.probabilities(scores).mean() == pytest.approx(whole.probabilities(scores).mean(), rel=0.05)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=2, max_size=40, unique_by=lambda x: round(x, 6)))
def test_ranking_is_kept_strictly_and_alone_equals_together(values: list[float]) -> None:
    blend = Blend(("head", "gnn"), (0.7, 0.4), -1.0)
    head = np.sort(np.array(values))
    together = blend.probabilities({"head": head, "gnn": np.full(len(head), 0.3)})
    assert (np.diff(together) > 0).all()
    assert ((together > 0) & (together < 1)).all()
    alone = [blend.probabilities({"head": [x], "gnn": [0.3]})[0] for x in head]
    assert together.tolist() == alone


def test_extreme_scores_stay_probabilities() -> None:
    p = Blend(("head",), (1.0,), 0.0).probabilities({"head": [-1e4, -700.0, -40.0, 0.0, 40.0, 1e4]})
    assert p.tolist() == sorted(p.tolist())
    assert p[0] == 0.0
    assert 0 < p[2] < 1e-15
    assert p[-1] == 1.0


def test_json_keeps_every_bit() -> None:
    scores, y = world(5_000)
    blend = Blend.fit(scores, y)
    again = Blend.from_dict(json.loads(json.dumps(blend.to_dict())))
    assert again == blend
    assert (again.probabilities(scores) == blend.probabilities(scores)).all()


def test_a_constant_score_does_no_harm() -> None:
    scores, y = world(20_000)
    scores["anomaly"] = np.full(len(y), 0.5)
    assert Blend.fit(scores, y).probabilities(scores).mean() == pytest.approx(y.mean(), rel=0.05)


def test_wrong_input_is_refused() -> None:
    scores, y = world(100)
    with pytest.raises(NotEnoughData):
        Blend.fit({"head": []}, [])
    with pytest.raises(ValueError, match="no scores"):
        Blend.fit({"head": None}, y)
    with pytest.raises(ValueError, match="finite"):
        Blend.fit({"head": np.where(y, np.nan, scores["head"]) if y.any() else [np.nan] * 100}, y)
    with pytest.raises(ValueError, match="needs the score of: gnn"):
        Blend(("head", "gnn"), (1.0, 1.0), 0.0).probabilities({"head": scores["head"]})
    for broken in (
        {},
        {"inputs": ["head"], "weights": [-1.0], "bias": 0.0},
        {"inputs": ["x"], "weights": [1], "bias": 0},
    ):
        with pytest.raises(BundleError):
            Blend.from_dict(broken)
