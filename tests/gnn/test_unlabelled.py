"""Ranking before labels: shared by new accounts is suspicious where that is rare, and labels take over by and by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gnn.anomaly import train_anomaly
from gnn.unlabelled import ASSUMED_SHARE, prior_forest, share_of_prior

NAMES = ("transaction_amount", "device_peers_new", "restaurant_peers_new")


def test_new_users_tell_where_they_are_rare() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.gamma(2, 20, 5_000), np.zeros(5_000), rng.integers(0, 9, 5_000)]).astype(np.float32)
    X[:2_000, 1] = np.nan
    ring = np.zeros(5_000, np.bool_)
    ring[2_000:2_040] = True
    X[ring, 1] = 4
    forest = prior_forest(X, NAMES, train_anomaly(X))
    score = forest.predict(X)
    assert roc_auc_score(ring, score) > 0.99
    assert abs((1 / (1 + np.exp(-score))).mean() - ASSUMED_SHARE) < 1e-4
    busy = X[ring][:1].copy()
    busy[0, 1], busy[0, 2] = 0, 8
    assert forest.predict(busy)[0] < score[ring].min()
    parts = forest.contributions(X[ring])
    assert (parts[:, :3].argmax(axis=1) == 1).all()


def test_a_table_without_links_is_ranked_by_what_is_unusual() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3_000, 4)).astype(np.float32)
    X[:30] += 5
    score = prior_forest(X, ("a", "b", "c", "d"), train_anomaly(X)).predict(X)
    assert roc_auc_score(np.arange(3_000) < 30, score) > 0.99


@given(st.integers(0, 10_000))
def test_the_more_frauds_are_known_the_less_the_prior_counts(frauds: int) -> None:
    assert 0 <= share_of_prior(frauds + 1) <= share_of_prior(frauds) <= 1
    assert share_of_prior(0) == 1
    assert share_of_prior(1_000) == 0
