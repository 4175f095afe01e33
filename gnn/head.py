"""The boosted head: from a table of as-of features to log-odds of fraud.

It is the mean of a few boosted ensembles, which look at more or fewer columns at a time: where signal is spread over
many columns, few at a time err least; where it is in two or three, all at once do; and their mean errs less than any.
`gnn.growing` grows them with LightGBM; `gnn.trees.Forest` is what comes out and what is served.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnn.growing import Grower
from gnn.trees import Forest
from graph.errors import NotEnoughData
from graph.progress import Progress, Silent

_BACKGROUND_ROWS: Final = 20_000
_FEWEST_VALIDATION_FRAUDS: Final = 10
"""With fewer, average precision jumps about so much that a default number of trees is the better choice."""


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How the head is grown. The defaults regularise strongly and are meant for any table.

    Attributes:
        rounds: most trees of an ensemble.
        learning_rate: what a tree adds, as a share of what it found.
        leaves: most leaves of a tree.
        leaf_rows: fewest rows in a leaf (on small tables, a hundredth of the rows).
        l2: pull of leaves towards zero.
        column_shares: share of the columns that a tree may look at, for each of the ensembles.
        row_budget: most rows trained on (and a third of it validated on); all frauds are kept, genuine rows
            are sampled and weighted up.
        patience: trees without a better validation score before growing stops.
    """

    rounds: int = 600
    learning_rate: float = 0.06
    leaves: int = 31
    leaf_rows: int = 50
    l2: float = 3.0
    column_shares: tuple[float, ...] = (0.4, 1.0, 0.4)
    row_budget: int = 300_000
    patience: int = 60


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What training came to.

    Attributes:
        rounds: trees grown, for each ensemble.
        chosen_by: what set them: "validation", "default" (too few frauds to validate on), "given", or
            "no labels" (nothing was grown).
        validation_ap: average precision on the validation rows after these rounds; None where not measured.
        rows, frauds: rows trained on, after sampling.
        gain: float64[P], each column's share of what all splits gained.
    """

    rounds: tuple[int, ...]
    chosen_by: str
    validation_ap: float | None
    rows: int
    frauds: int
    gain: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Labelled rows.

    Attributes:
        X: float32[n, P], NaN is missing.
        y: bool[n], fraud.
        weight: float64[n], how much each row counts.
    """

    X: NDArray[np.float32]
    y: NDArray[np.bool_]
    weight: NDArray[np.float64]

    @classmethod
    def of(cls, X: ArrayLike, y: ArrayLike, weight: ArrayLike | None = None) -> "Rows":
        """Rows from anything array-like; ones for weights by default.

        Raises:
            ValueError: lengths that differ, or weights that are no positive numbers.
        """
        table = np.ascontiguousarray(X, dtype=np.float32)
        labels = np.asarray(y).astype(bool)
        counts = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
        if table.ndim != 2 or not len(table) == len(labels) == len(counts):
            raise ValueError("table, labels and weights differ in length")
        if not (np.isfinite(counts).all() and (counts > 0).all()):
            raise ValueError("weights must be positive numbers")
        return cls(table, labels, counts)

    def sampled(self, budget: int, rng: np.random.Generator) -> "Rows":
        """All frauds and a random sample of genuine rows, at most `budget` rows, weighted up to stand for all.

        Frauds are kept even where they alone pass the budget; at least as many genuine rows stay beside them.
        """
        genuine = np.flatnonzero(~self.y)
        frauds = np.flatnonzero(self.y)
        keep = max(budget - len(frauds), len(frauds))
        if len(genuine) <= keep:
            return self
        kept = rng.choice(genuine, keep, replace=False)
        # One factor for all would let the sampled weights' sum wander from the whole's.
        factor = self.weight[genuine].sum() / self.weight[kept].sum()
        weight = self.weight.copy()
        weight[kept] *= factor
        rows = np.sort(np.concatenate([frauds, kept]))
        return Rows(self.X[rows], self.y[rows], weight[rows])


def train_head(
    X: ArrayLike,
    y: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    validation: Rows | None = None,
    rounds: Sequence[int] | None = None,
    seed: int = 0,
    settings: HeadSettings | None = None,
    progress: Progress | None = None,
) -> tuple[Forest, HeadInfo]:
    """Grows the head; its scores are log-odds of fraud at the share of fraud of the (weighted) rows given.

    With few frauds they err low on new rows, as frauds that were trained on are told better than others: their
    level is for `gnn.calibration` to set, on later rows.

    The same rows, settings and seed give the same head. It takes constant and empty columns.

    Args:
        X: float32[n, P], NaN is missing.
        y: bool[n], fraud, as known at training time.
        weight: float64[n], positive; ones by default.
        validation: rows later in time than all of X, for choosing the number of trees by average precision.
        rounds: the number of trees of each ensemble, where known already (as in training again on all rows).
        seed: of sampling and of LightGBM.
        settings: how to grow.
        progress: watcher; a stage of one unit a tree.

    Raises:
        NotEnoughData: there is no fraud, or nothing but fraud.
        ValueError: lengths that differ, weights that are no positive numbers, infinite features.
    """
    chosen = settings or HeadSettings()
    rows = Rows.of(X, y, weight)
    if rows.y.all() or not rows.y.any():
        kind = "fraudulent" if len(rows.y) and rows.y.all() else "genuine"
        raise NotEnoughData(
            f"all {len(rows.y):,} labelled transactions to train on are {kind}",
            hint="the head learns from both kinds; ingest labels, or train on a later period",
        )
    rng = np.random.default_rng(seed)
    sample = rows.sampled(chosen.row_budget, rng)
    judged = None
    if rounds is None and validation is not None and validation.y.sum() >= _FEWEST_VALIDATION_FRAUDS:
        judged = validation.sampled(chosen.row_budget // 3, rng)
        judged = None if judged.y.all() else judged
    members = len(chosen.column_shares)
    most = chosen.rounds if judged else max(1, chosen.rounds // 4)
    factor = _fraud_factor(sample)
    grower = Grower(sample, judged, factor, seed, chosen, progress or Silent())
    boosters = grower.grow(rounds or [most] * members)
    forest = Forest.combined([Forest.from_lightgbm(booster) for booster in boosters], [1 / members] * members)
    forest = forest.shifted(-float(np.log(factor)))
    part = rng.choice(len(sample.y), min(len(sample.y), _BACKGROUND_ROWS), replace=False)
    forest = forest.with_background(sample.X[part], sample.weight[part])
    gain = np.mean([_shares(booster.feature_importance("gain")) for booster in boosters], axis=0)
    return forest, HeadInfo(
        rounds=tuple(booster.best_iteration or booster.num_trees() for booster in boosters),
        chosen_by="given" if rounds is not None else "validation" if judged else "default",
        validation_ap=_average_precision(forest, judged) if judged else None,
        rows=len(sample.y),
        frauds=int(sample.y.sum()),
        gain=gain,
    )


def _shares(gain: ArrayLike) -> NDArray[np.float64]:
    gains = np.asarray(gain, dtype=np.float64)
    return gains / gains.sum() if gains.sum() > 0 else gains


def _average_precision(forest: Forest, judged: Rows) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(judged.y, forest.predict(judged.X), sample_weight=judged.weight))


_SHARE_IN_TRAINING: Final = 0.05
"""Frauds count at least so much among the rows: at a share of .001, leaves of genuine rows have next to no
curvature, so that the same l2 would mean something else than at .1."""


def _fraud_factor(rows: Rows) -> float:
    frauds = float(rows.weight[rows.y].sum())
    genuine = float(rows.weight[~rows.y].sum())
    return max(1.0, _SHARE_IN_TRAINING / (1 - _SHARE_IN_TRAINING) * genuine / frauds)
