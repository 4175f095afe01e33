"""The head learns from any labelled table, tells when it can't, and gives the same answer twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from gnn.head import HeadSettings, Rows, train_head
from graph.errors import NotEnoughData
from graph.progress import Advance
from tests.progress import Watcher

QUICK = HeadSettings(rounds=150, learning_rate=0.1, patience=15)


def world(rows: int, seed: int = 0, shift: float = -4.5) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 10)).astype(np.float32)
    X[:, 3][rng.random(rows) < 0.3] = np.nan
    X[:, 8] = 1.0
    X[:, 9] = np.nan
    logit = shift + 1.5 * X[:, 0] + 1.5 * X[:, 1] * (X[:, 2] > 0) + 2.0 * np.isnan(X[:, 3])
    return X, rng.random(rows) < 1 / (1 + np.exp(-logit))


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("shift", [-9.0, -4.5, -2.0])
def test_ranks_well_and_means_the_share_of_fraud_at_any_share(shift: float) -> None:
    X, y = world(25_000, shift=shift)
    later = world(25_000, seed=2, shift=shift)
    forest, info = train_head(X, y, validation=Rows.of(*world(20_000, seed=1, shift=shift)), settings=QUICK)
    raw = forest.predict(later[0])
    assert roc_auc_score(later[1], raw) > 0.84
    # With some forty frauds to learn from, the level is only roughly right; calibration sets it.
    assert (0.05 if shift == -9.0 else 0.7) < sigmoid(raw).mean() / later[1].mean() < 1.4
    assert info.frauds == y.sum()


def test_validation_chooses_the_number_of_trees() -> None:
    X, y = world(20_000)
    held = world(20_000, seed=1)
    settings = HeadSettings(rounds=500, learning_rate=0.15, patience=30)
    forest, info = train_head(X, y, validation=Rows.of(*held), settings=settings)
    assert info.chosen_by == "validation"
    assert all(30 < rounds < settings.rounds for rounds in info.rounds)
    assert forest.tree_count == sum(info.rounds) + 1
    assert info.validation_ap == pytest.approx(average_precision_score(held[1], forest.predict(held[0])), abs=1e-3)
    again, fixed = train_head(X, y, rounds=info.rounds, settings=settings)
    assert (fixed.chosen_by, fixed.rounds) == ("given", info.rounds)
    np.testing.assert_allclose(again.predict(X), forest.predict(X), atol=1e-9)


def test_the_same_seed_gives_the_same_head_and_another_seed_another() -> None:
    X, y = world(5_000)
    settings = HeadSettings(rounds=40, row_budget=2_000)
    first, _ = train_head(X, y, seed=1, settings=settings)
    second, _ = train_head(X, y, seed=1, settings=settings)
    third, _ = train_head(X, y, seed=2, settings=settings)
    assert (first.predict(X) == second.predict(X)).all()
    assert (first.predict(X) != third.predict(X)).any()


def test_a_row_budget_keeps_all_frauds_and_the_share_of_fraud() -> None:
    X, y = world(60_000, shift=-6.0)
    forest, info = train_head(X, y, settings=HeadSettings(rounds=160, row_budget=8_000))
    assert info.rows == 8_000
    assert info.frauds == y.sum()
    new, truth = world(60_000, seed=3, shift=-6.0)
    assert sigmoid(forest.predict(new)).mean() == pytest.approx(truth.mean(), rel=0.2)
    assert roc_auc_score(truth, forest.predict(new)) > 0.85


def test_weights_count_like_repeated_rows() -> None:
    X, y = world(20_000)
    forest, _ = train_head(X, y, np.where(y, 5.0, 1.0), settings=HeadSettings(rounds=160))
    plain, _ = train_head(X, y, settings=HeadSettings(rounds=160))
    lift = (forest.predict(X) - plain.predict(X)).mean()
    assert lift == pytest.approx(np.log(5), abs=0.4)


def test_ten_frauds_are_enough_to_rank_by() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5_000, 6)).astype(np.float32)
    y = np.zeros(5_000, dtype=bool)
    y[:10] = True
    X[:10, 2] += 4
    few = Rows.of(X[4_000:], y[4_000:])
    forest, info = train_head(X, y, validation=few, settings=HeadSettings(rounds=100))
    assert info.chosen_by == "default"
    assert info.validation_ap is None
    new = rng.normal(size=(2_000, 6)).astype(np.float32)
    new[:10, 2] += 4
    assert roc_auc_score(np.arange(2_000) < 10, forest.predict(new)) > 0.9


def test_a_handful_of_rows_and_empty_columns_do_not_stop_it() -> None:
    X = np.full((6, 3), np.nan, dtype=np.float32)
    y = np.array([True, False] * 3)
    forest, info = train_head(X, y, settings=QUICK)
    assert np.isfinite(forest.predict(X)).all()
    assert sigmoid(forest.predict(X)).tolist() == pytest.approx([0.5] * 6, abs=0.05)
    assert info.gain.tolist() == [0.0] * 3


def test_contributions_are_measured_against_the_ordinary_transaction() -> None:
    X, y = world(20_000)
    forest, info = train_head(X, y, settings=QUICK)
    parts = forest.contributions(X)
    assert parts[0, -1] == pytest.approx(forest.predict(X).mean(), abs=0.1)
    assert set(np.argsort(-info.gain)[:3].tolist()) == {0, 1, 3}


@pytest.mark.parametrize("fraud", [True, False])
def test_one_kind_only_is_not_enough(fraud: bool) -> None:
    X, _ = world(100)
    with pytest.raises(NotEnoughData, match="fraudulent" if fraud else "genuine"):
        train_head(X, np.full(100, fraud))
    with pytest.raises(NotEnoughData):
        train_head(X[:0], np.zeros(0, dtype=bool))


def test_wrong_tables_are_refused() -> None:
    X, y = world(100)
    with pytest.raises(ValueError, match="differ in length"):
        train_head(X, y[:50])
    with pytest.raises(ValueError, match="positive"):
        train_head(X, y, np.zeros(100))


def test_progress_is_told_tree_by_tree() -> None:
    X, y = world(2_000)
    watcher = Watcher()
    train_head(X, y, rounds=[25, 20, 5], settings=QUICK, progress=watcher)
    assert watcher.stages == [("growing trees", 50, 50)]


def test_one_ensemble_that_fails_ends_the_others() -> None:
    class Failing(Watcher):
        trees = 0

        @contextmanager
        def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
            def advance(done: int) -> None:
                self.trees += done
                if self.trees == 10:
                    raise OSError("the terminal is gone")

            yield advance

    X, y = world(2_000)
    watcher = Failing()
    with pytest.raises(OSError, match="the terminal is gone"):
        train_head(X, y, rounds=[2_000, 2_000, 2_000], settings=QUICK, progress=watcher)
    assert watcher.trees < 2_000
