"""Standard models learn what can be learnt, take any table, and are the same each time; made-up frauds lie between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from gnn.oversampling import oversampled
from gnn.standard_models import STANDARD_MODELS, Known, Scaled, StandardModel


def table(n: int, seed: int = 0, share: float = 0.08) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Frauds are far out in two columns; others are noise, missing, constant or empty."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    X = rng.lognormal(1, 1.5, (n, 8)).astype(np.float32)
    X[:, :2] *= np.where(y, 8, 1)[:, None]
    X[rng.random(n) < 0.3, 1] = np.nan
    X[:, 5] = np.nan
    X[:, 6] = 3.0
    return X, y


@pytest.mark.parametrize("model", STANDARD_MODELS, ids=lambda model: model.name)
def test_it_ranks_later_rows_and_does_so_again(model: StandardModel) -> None:
    X, y = table(3_000)
    later, fraud = table(2_000, seed=1)
    known = Known(X, y, 2_400)
    scores = model.train(known, 0)
    found = scores(later)
    assert found.shape == (2_000,)
    assert np.isfinite(found).all()
    assert roc_auc_score(fraud, found) > (0.7 if model.name == "isolation-forest" else 0.8)
    assert np.allclose(model.train(known, 0)(later), found, atol=1e-6)
    # A row's score is its own, whatever it is scored with.
    assert np.allclose(scores(later[:7]), found[:7], atol=1e-5)
    # What was empty in training may come later, and what was there may be missing.
    strange = later[:5].copy()
    strange[:, 5], strange[:, 0] = 1e12, np.nan
    assert np.isfinite(scores(strange)).all()


@pytest.mark.parametrize("model", STANDARD_MODELS, ids=lambda model: model.name)
def test_two_frauds_are_enough_to_run(model: StandardModel) -> None:
    X, _ = table(200)
    y = np.zeros(200, np.bool_)
    y[[20, 120]] = True
    assert np.isfinite(model.train(Known(X, y, 160), 0)(X)).all()


def test_scaled_columns_are_of_one_size_and_tell_what_is_missing() -> None:
    X, _ = table(4_000)
    scaled = Scaled(X)(X)
    assert scaled.shape == (4_000, 9)
    assert np.abs(scaled).max() <= 6
    there = ~np.isnan(X[:, 1])
    assert scaled[there, 1].mean() == pytest.approx(0, abs=0.01)
    assert scaled[there, 1].std() == pytest.approx(1, abs=0.02)
    assert (scaled[~there, 1] == 0).all()
    assert np.array_equal(scaled[:, 8] == 1, ~there)


@settings(max_examples=60)
@given(frauds=st.integers(1, 12), genuine=st.integers(0, 60), seed=st.integers(0, 5), share=st.sampled_from([0.2, 0.5]))
def test_made_up_frauds_lie_between_real_ones(frauds: int, genuine: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(frauds + genuine, 3)).astype(np.float32)
    y = np.arange(len(X)) < frauds
    more, fraud = oversampled(X, y, share=share, seed=seed)
    assert np.array_equal(more[: len(X)], X)
    assert np.array_equal(fraud[: len(y)], y)
    made = more[len(X) :]
    assert fraud[len(y) :].all()
    if len(made):
        assert fraud.sum() == round(share / (1 - share) * genuine) + 0
        # Each is on the line between two frauds: its distances to them add up to theirs.
        real = X[y].astype(np.float64)
        to = np.linalg.norm(made[:, None] - real[None], axis=2)
        apart = np.linalg.norm(real[:, None] - real[None], axis=2)
        detour = (to[:, :, None] + to[:, None, :] - apart[None]).reshape(len(made), -1).min(axis=1)
        assert detour.max() < 1e-5
    else:
        assert frauds >= round(share / (1 - share) * genuine)
    again, _ = oversampled(X, y, share=share, seed=seed)
    assert np.array_equal(more, again)


def test_nothing_to_go_between_is_refused() -> None:
    X = np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match="frauds"):
        oversampled(X, np.zeros(4, np.bool_))
    X[0] = np.nan
    with pytest.raises(ValueError, match="frauds"):
        oversampled(X, np.arange(4) < 2)
