"""Standard models of the field on the features that Quipu's own models get, to be held against them.

They are what a data scientist would try first. All learn from the labelled rows that training knows of at the same
moment. Whatever is slow takes all frauds and a sample of the genuine rows, weighted up to stand for all of them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.anomaly import train_anomaly
from gnn.growing import available_cores
from gnn.head import Rows
from gnn.oversampling import oversampled

Table = NDArray[np.float32]
Scores = Callable[[Table], NDArray[np.float64]]
"""From float32[n, P] to float64[n]; higher is more suspicious. Levels of different models don't compare."""

ROW_BUDGET: Final = 100_000
_BOOSTING_ROWS: Final = 300_000
_CLIP: Final = 6.0
_SETTINGS_TRIED: Final = 10
_SMALL_TABLE: Final = 1_000_000
"""Cells; below, threads wait for each other longer than they work."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a standard model may learn from.

    Attributes:
        X: float32[n, P], features of labelled rows in order of time; NaN is missing.
        y: bool[n], fraud, as known at the time of training.
        cut: rows from here on are the later part, for choosing settings; n where nothing can be held back.
    """

    X: Table
    y: NDArray[np.bool_]
    cut: int


@dataclass(frozen=True, slots=True)
class StandardModel:
    """A standard model.

    Attributes:
        name: for options and JSON.
        title: for people.
        train: from what is known and a seed to scores.
    """

    name: str
    title: str
    train: Callable[[Known, int], Scores]


class Scaled:
    """Signed logarithms, standardised and clipped; a missing value is 0, with a column that says so.

    Linear models and networks need it, as amounts and ages span orders of magnitude.
    """

    def __init__(self, X: Table) -> None:
        missing = np.isnan(X)
        self._told = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
        values = _compressed(X)
        known = np.maximum((~missing).sum(axis=0), 1)
        self._mean = values.sum(axis=0, dtype=np.float64) / known
        spread = np.sqrt(np.where(missing, 0, (values - self._mean) ** 2).sum(axis=0) / known)
        self._spread = np.where(spread > 1e-6, spread, 1.0)

    def __call__(self, X: Table) -> Table:
        """float32[n, P] to float32[n, P + Q], of Q columns with missing values in training."""
        missing = np.isnan(X)
        scaled = ((_compressed(X) - self._mean) / self._spread).clip(-_CLIP, _CLIP)
        scaled[missing] = 0.0
        return np.concatenate([scaled, missing[:, self._told]], axis=1).astype(np.float32)


def _compressed(X: Table) -> Table:
    return np.sign(np.nan_to_num(X)) * np.log1p(np.abs(np.nan_to_num(X)))


def _logistic_regression(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], _seed: int) -> Scores:
    from sklearn.linear_model import LogisticRegression

    # Weights up to a mean of 1, so that the penalty means the same whatever was sampled.
    model = LogisticRegression(max_iter=300).fit(X, y, sample_weight=weight / weight.mean())
    return lambda rows: np.asarray(model.decision_function(rows), dtype=np.float64)


def _gradient_boosting(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Scores:
    return _boosted({}, 100, X, y, weight, seed)


def _boosted(
    params: dict[str, Any], rounds: int, X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int
) -> Scores:
    import lightgbm

    chosen = {
        "objective": "binary",
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1 if X.size < _SMALL_TABLE else 0,
        "verbosity": -1,
        **params,
    }
    data = lightgbm.Dataset(X, y.astype(np.float32), weight=weight / weight.mean(), params=chosen)
    booster = lightgbm.train(chosen, data, rounds)
    threads = chosen["num_threads"]
    return lambda rows: np.asarray(booster.predict(rows, raw_score=True, num_threads=threads), dtype=np.float64)


Learner = Callable[[Table, NDArray[np.bool_], NDArray[np.float64], int], Scores]


def _as_it_is(learner: Learner, *, scaled: bool, budget: int = ROW_BUDGET) -> Callable[[Known, int], Scores]:
    def train(known: Known, seed: int) -> Scores:
        rows = _sampled(known, budget, seed)
        if not scaled:
            return learner(rows.X, rows.y, rows.weight, seed)
        scale = Scaled(rows.X)
        scores = learner(scale(rows.X), rows.y, rows.weight, seed)
        return lambda table: scores(scale(table))

    return train


def _weighted(learner: Learner, *, scaled: bool) -> Callable[[Known, int], Scores]:
    """Frauds weigh as much as genuine rows, all together."""

    def balanced(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Scores:
        factor = weight[~y].sum() / weight[y].sum()
        return learner(X, y, np.where(y, weight * factor, weight), seed)

    return _as_it_is(balanced, scaled=scaled)


def _undersampled(learner: Learner, *, scaled: bool) -> Callable[[Known, int], Scores]:
    """As many genuine rows as frauds, drawn at random."""

    def fewer(X: Table, y: NDArray[np.bool_], _weight: NDArray[np.float64], seed: int) -> Scores:
        genuine = np.flatnonzero(~y)
        kept = np.random.default_rng(seed).choice(genuine, min(len(genuine), int(y.sum())), replace=False)
        rows = np.sort(np.concatenate([np.flatnonzero(y), kept]))
        return learner(X[rows], y[rows], np.ones(len(rows)), seed)

    return _as_it_is(fewer, scaled=scaled)


def _with_smote(learner: Learner) -> Callable[[Known, int], Scores]:
    """As many frauds as genuine rows, made up between real ones."""

    def more(X: Table, y: NDArray[np.bool_], _weight: NDArray[np.float64], seed: int) -> Scores:
        table, fraud = oversampled(X, y, seed=seed)
        return learner(table, fraud, np.ones(len(fraud)), seed)

    return _as_it_is(more, scaled=True)


def _decision_tree(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Scores:
    from sklearn.tree import DecisionTreeClassifier

    # Grown to the end, a tree says only 0 and 1, which is no ranking.
    model = DecisionTreeClassifier(max_depth=8, min_samples_leaf=20, random_state=seed)
    model.fit(X, y, sample_weight=weight)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1])


def _random_forest(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Scores:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(n_estimators=200, min_samples_leaf=3, random_state=seed, n_jobs=2)
    model.fit(X, y, sample_weight=weight)
    return lambda rows: np.asarray(model.predict_proba(rows)[:, 1])


def _isolation_forest(known: Known, seed: int) -> Scores:
    return train_anomaly(known.X, seed=seed).predict


def _plain_network(X: Table, y: NDArray[np.bool_], weight: NDArray[np.float64], seed: int) -> Scores:
    from gnn.plain_network import train_plain_network

    scores: Scores = train_plain_network(X, y, weight, seed)
    return scores


def train_tuned_boosting(known: Known, seed: int) -> Scores:
    """Gradient boosting with the best of ten random settings, by average precision on the later part."""
    rng = np.random.default_rng(seed)
    tried: list[tuple[dict[str, Any], int]] = [
        (
            {
                "learning_rate": float(np.exp(rng.uniform(np.log(0.02), np.log(0.1)))),
                "num_leaves": int(rng.choice([7, 15, 31, 63])),
                "min_data_in_leaf": int(rng.choice([10, 30, 60, 120])),
                "lambda_l2": float(rng.choice([0.0, 1.0, 10.0, 30.0])),
                "feature_fraction": float(rng.choice([0.3, 0.5, 0.8, 1.0])),
                "bagging_fraction": float(rng.choice([0.6, 0.8, 1.0])),
                "bagging_freq": 1,
            },
            int(rng.choice([100, 200, 400])),
        )
        for _ in range(_SETTINGS_TRIED)
    ]
    best = tried[0]
    later = known.y[known.cut :]
    if later.any() and not later.all():
        early = _sampled(Known(known.X[: known.cut], known.y[: known.cut], known.cut), _BOOSTING_ROWS, seed)

        def precision(chosen: tuple[dict[str, Any], int]) -> float:
            params = {**chosen[0], "num_threads": 1}  # several at a time: see `gnn.growing`
            scores = _boosted(params, chosen[1], early.X, early.y, early.weight, seed)
            return _average_precision(scores(known.X[known.cut :]), later)

        with ThreadPoolExecutor(available_cores()) as pool:
            best = tried[int(np.argmax(list(pool.map(precision, tried))))]
    rows = _sampled(known, _BOOSTING_ROWS, seed)
    return _boosted(best[0], best[1], rows.X, rows.y, rows.weight, seed)


def _average_precision(score: NDArray[np.float64], fraud: NDArray[np.bool_]) -> float:
    from gnn.ranking import ranking_figures

    return float(ranking_figures(score, fraud)["average_precision"][0])


def _sampled(known: Known, budget: int, seed: int) -> Rows:
    return Rows.of(known.X, known.y).sampled(budget, np.random.default_rng(seed))


TUNED: Final = StandardModel("gradient-boosting-tuned", "Gradient boosting, tuned", train_tuned_boosting)

STANDARD_MODELS: Final = (
    StandardModel("logistic-regression", "Logistic regression", _as_it_is(_logistic_regression, scaled=True)),
    StandardModel("decision-tree", "Decision tree", _as_it_is(_decision_tree, scaled=False)),
    StandardModel("random-forest", "Random forest", _as_it_is(_random_forest, scaled=False)),
    StandardModel(
        "gradient-boosting", "Gradient boosting", _as_it_is(_gradient_boosting, scaled=False, budget=_BOOSTING_ROWS)
    ),
    TUNED,
    StandardModel("isolation-forest", "Isolation forest", _isolation_forest),
    StandardModel("plain-network", "Plain neural network", _as_it_is(_plain_network, scaled=True)),
    StandardModel(
        "logistic-regression-weights",
        "Logistic regression, class weights",
        _weighted(_logistic_regression, scaled=True),
    ),
    StandardModel(
        "logistic-regression-undersampling",
        "Logistic regression, undersampling",
        _undersampled(_logistic_regression, scaled=True),
    ),
    StandardModel("logistic-regression-smote", "Logistic regression, SMOTE", _with_smote(_logistic_regression)),
    StandardModel(
        "gradient-boosting-weights", "Gradient boosting, class weights", _weighted(_gradient_boosting, scaled=False)
    ),
    StandardModel(
        "gradient-boosting-undersampling",
        "Gradient boosting, undersampling",
        _undersampled(_gradient_boosting, scaled=False),
    ),
    StandardModel("gradient-boosting-smote", "Gradient boosting, SMOTE", _with_smote(_gradient_boosting)),
)
