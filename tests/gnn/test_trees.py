"""A forest scores as the library that trained it does, to the last digits, and alone as in a batch."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from gnn.trees import LEAF, Forest
from graph.errors import BundleError

COLUMNS = 8


def table(rows: int, seed: int, missing: float = 0.2) -> NDArray[np.float32]:
    """Numbers with ties, zeros, infinities, a constant column and one that is always missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    X[:, 1] = np.round(X[:, 1])
    X[:, 2][rng.random(rows) < missing] = np.nan
    X[:, 3][rng.random(rows) < 0.5] = 0.0
    X[:, 4] = 7.0
    X[:, 5] = np.nan
    return X


def trained(seed: int = 0, rounds: int = 30, **params: Any) -> lightgbm.Booster:
    X = table(3_000, seed)
    rng = np.random.default_rng(seed + 1)
    y = (X[:, 0] + np.nan_to_num(X[:, 2], nan=1.5) + np.abs(X[:, 1]) + rng.normal(size=len(X))) > 2.0
    settings_ = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": seed} | params
    return lightgbm.train(settings_, lightgbm.Dataset(X, y.astype(int)), rounds)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    return trained()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=COLUMNS, max_size=COLUMNS),
        min_size=1,
        max_size=20,
    )
)
def test_agrees_with_lightgbm_on_any_row(booster: lightgbm.Booster, rows: list[list[float]]) -> None:
    X = np.array(rows, dtype=np.float32)
    forest = Forest.from_lightgbm(booster)
    np.testing.assert_allclose(forest.predict(X), booster.predict(X, raw_score=True), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.5},
        {"extra_trees": True, "path_smooth": 5.0, "lambda_l2": 10.0},
        {"num_leaves": 2},
        {"min_data_in_leaf": 100_000},  # trees of a single leaf
        {"use_missing": False},
        {"boost_from_average": False, "is_unbalance": True},
    ],
)
def test_agrees_with_lightgbm_under_other_settings(params: dict[str, Any]) -> None:
    model = trained(seed=3, **params)
    X = table(2_000, seed=9)
    X[::7, 0] = np.nan  # never missing in training
    np.testing.assert_allclose(
        Forest.from_lightgbm(model).predict(X), model.predict(X, raw_score=True), rtol=0, atol=1e-9
    )


def test_takes_the_best_iteration_only() -> None:
    X = table(2_000, seed=5)
    y = np.nan_to_num(X[:, 0]) + np.random.default_rng(5).normal(size=len(X)) > 1
    data = lightgbm.Dataset(X[:1000], y[:1000].astype(int))
    model = lightgbm.train(
        {"objective": "binary", "verbose": -1, "learning_rate": 0.5, "num_threads": 1},
        data,
        200,
        valid_sets=[lightgbm.Dataset(X[1000:], y[1000:].astype(int), reference=data)],
        callbacks=[lightgbm.early_stopping(5, verbose=False)],
    )
    assert 0 < model.best_iteration < 200
    forest = Forest.from_lightgbm(model)
    assert forest.tree_count == model.best_iteration
    np.testing.assert_allclose(forest.predict(X), model.predict(X, raw_score=True), rtol=0, atol=1e-9)


def test_refuses_models_that_it_would_score_otherwise() -> None:
    X = table(2_000, seed=1)
    y = (X[:, 1] > 0).astype(int)
    zero = lightgbm.train({"objective": "binary", "zero_as_missing": True, "verbose": -1}, lightgbm.Dataset(X, y), 5)
    with pytest.raises(ValueError, match="zeros as missing"):
        Forest.from_lightgbm(zero)
    several = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbose": -1}, lightgbm.Dataset(X, y + (X[:, 0] > 0)), 2
    )
    with pytest.raises(ValueError, match="one tree an iteration"):
        Forest.from_lightgbm(several)


def test_one_row_scores_as_it_does_among_others(booster: lightgbm.Booster) -> None:
    forest = Forest.from_lightgbm(booster)
    X = table(500, seed=11)
    together = forest.predict(X)
    alone = np.array([forest.predict(X[i : i + 1])[0] for i in range(len(X))])
    assert (together == alone).all()
    X.setflags(write=False)
    assert (forest.predict(X[::-1]) == together[::-1]).all()


def test_contributions_sum_to_the_score_and_name_the_columns_that_matter(booster: lightgbm.Booster) -> None:
    forest = Forest.from_lightgbm(booster)
    X = table(1_000, seed=12)
    parts = forest.contributions(X)
    assert parts.shape == (1_000, COLUMNS + 1)
    np.testing.assert_allclose(parts.sum(axis=1), forest.predict(X), rtol=0, atol=1e-9)
    assert (parts[:, [4, 5]] == 0).all()  # the constant and the empty column say nothing
    assert np.abs(parts[:, 0]).mean() > 5 * np.abs(parts[:, 6]).mean()
    assert np.ptp(parts[:, -1]) == 0.0


def test_background_moves_the_bias_to_its_mean_and_leaves_scores(booster: lightgbm.Booster) -> None:
    forest = Forest.from_lightgbm(booster)
    X = table(1_000, seed=13)
    weight = np.random.default_rng(0).uniform(0.1, 9, size=len(X))
    seen = forest.with_background(X, weight)
    assert (seen.predict(X) == forest.predict(X)).all()
    bias = seen.contributions(X)[0, -1]
    assert bias == pytest.approx(np.average(forest.predict(X), weights=weight), abs=1e-9)
    assert bias != pytest.approx(forest.contributions(X)[0, -1], abs=1e-6)


def test_shifted_adds_a_constant(booster: lightgbm.Booster) -> None:
    forest = Forest.from_lightgbm(booster)
    X = table(100, seed=14)
    np.testing.assert_allclose(forest.shifted(-1.25).predict(X), forest.predict(X) - 1.25, rtol=0, atol=1e-12)
    np.testing.assert_allclose(forest.shifted(-1.25).contributions(X).sum(1), forest.predict(X) - 1.25, atol=1e-9)


@pytest.mark.parametrize("max_features", [1.0, 0.5])
def test_agrees_with_isolation_forest(max_features: float) -> None:
    X = np.nan_to_num(table(2_000, seed=2))
    model = IsolationForest(n_estimators=40, max_features=max_features, random_state=0).fit(X)
    new = table(1_000, seed=3) * 2
    medians = np.linspace(-1, 1, COLUMNS).astype(np.float32)
    filled = np.where(np.isnan(new), medians, new)
    forest = Forest.from_isolation_forest(model, missing=medians)
    np.testing.assert_allclose(-np.exp2(forest.predict(new)), model.score_samples(filled), rtol=0, atol=1e-6)
    parts = forest.contributions(new)
    np.testing.assert_allclose(parts.sum(axis=1), forest.predict(new), rtol=0, atol=1e-9)


def test_a_saved_forest_is_the_same_forest(booster: lightgbm.Booster, tmp_path: Path) -> None:
    forest = Forest.from_lightgbm(booster)
    forest.save(tmp_path / "a.npz")
    forest.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = Forest.load(tmp_path / "a.npz")
    X = table(200, seed=15)
    assert (again.predict(X) == forest.predict(X)).all()


def test_damaged_and_missing_files_are_told(booster: lightgbm.Booster, tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    with pytest.raises(BundleError, match="no file of trees"):
        Forest.load(path)
    Forest.from_lightgbm(booster).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="damaged"):
        Forest.load(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(BundleError, match="damaged"):
        Forest.load(path)


def stump(**changes: Any) -> Forest:
    arrays: dict[str, Any] = {
        "feature_count": 1,
        "roots": [0],
        "feature": [0, LEAF, LEAF],
        "threshold": [0.5, 0, 0],
        "left": [1, 1, 2],
        "right": [2, 1, 2],
        "default_left": [True, False, False],
        "value": [0.0, -1.0, 1.0],
    }
    return Forest(**(arrays | changes))


def test_walks_by_hand() -> None:
    X = np.array([[0.5], [0.6], [np.nan], [np.inf], [-np.inf]], dtype=np.float32)
    assert stump().predict(X).tolist() == [-1, 1, -1, 1, -1]
    assert stump(default_left=[False] * 3).predict(X).tolist() == [-1, 1, 1, 1, -1]
    assert stump().contributions(X[:1]).tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize(
    "changes",
    [
        {"roots": [3]},
        {"feature": [1, LEAF, LEAF]},
        {"left": [0, 1, 2]},  # a cycle
        {"right": [9, 1, 2]},
        {"value": [0.0, np.nan, 1.0]},
        {"threshold": [0.5]},
    ],
)
def test_arrays_that_would_lead_astray_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"forest|node|tree"):
        stump(**changes)


def test_a_table_of_other_width_is_refused() -> None:
    with pytest.raises(ValueError, match="1 columns"):
        stump().predict(np.zeros((3, 2), dtype=np.float32))
