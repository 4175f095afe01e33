"""Rows unlike the others score higher, whatever is missing, and the same alone as in a table."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from gnn.anomaly import train_anomaly
from gnn.trees import Forest
from graph.errors import NotEnoughData


def table(rows: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 6)).astype(np.float32)
    X[:, 4][rng.random(rows) < 0.3] = np.nan
    X[:, 5] = np.nan
    return X


def test_unusual_rows_score_higher_without_any_label() -> None:
    X = table(5_000)
    odd = np.arange(len(X)) < 50
    X[odd, :2] += 6
    scores = train_anomaly(X).predict(X)
    assert roc_auc_score(odd, scores) > 0.98
    assert (scores <= 0).all()
    assert np.median(scores) < -1


def test_a_missing_value_counts_as_the_median() -> None:
    X = table(3_000)
    model = train_anomaly(X)
    medians = np.append(np.nanmedian(X[:, :5], axis=0), 0.0)
    filled = np.where(np.isnan(X), medians.astype(np.float32), X)
    assert (model.predict(X) == model.predict(filled)).all()


def test_one_row_scores_as_it_does_among_others_and_after_loading(tmp_path: Path) -> None:
    X = table(300)
    model = train_anomaly(X, seed=4)
    together = model.predict(X)
    assert together.tolist() == [model.predict(X[i : i + 1])[0] for i in range(len(X))]
    model.save(tmp_path / "anomaly.npz")
    assert (Forest.load(tmp_path / "anomaly.npz").predict(X) == together).all()
    assert (train_anomaly(X, seed=4).predict(X) == together).all()
    assert (train_anomaly(X, seed=5).predict(X) != together).any()


def test_large_tables_are_sampled_and_infinities_bear() -> None:
    X = np.tile(table(1_000), (150, 1))
    X[0, 0] = np.inf
    assert np.isfinite(train_anomaly(X).predict(X[:100])).all()


def test_constant_tables_have_no_unusual_rows() -> None:
    X = np.ones((50, 3), dtype=np.float32)
    assert np.ptp(train_anomaly(X).predict(X)) == 0


def test_too_few_rows_are_told() -> None:
    with pytest.raises(NotEnoughData, match="too few"):
        train_anomaly(table(5))
