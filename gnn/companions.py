"""Simple models beside the real one, for owners and auditors: a small decision tree and a scorecard.

Both are trained to the model's score, not to labels, so they say what the model does rather than what fraud is.
How well they do that (fidelity) is measured on rows that they were not trained on, and written beside them.
Method: global surrogate models; C. Molnar, Interpretable Machine Learning (2nd ed., 2022), section 8.6.
Scorecard points: N. Siddiqi, Credit Risk Scorecards (2006), chapter 6.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LEAVES: Final = 16
_SMALLEST_LEAF: Final = 0.002
_SCORECARD_FEATURES: Final = 12
_BINS: Final = 5
_HELD_OUT: Final = 4
"""One row in so many measures fidelity."""
_POINTS_TO_DOUBLE: Final = 20.0
_SUSPICIOUS: Final = 0.99
"""Rows above this quantile of the model's probability are those that a companion should find as well."""
FEWEST_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How well a companion does what the model does, on rows it was not trained on.

    Attributes:
        rank_correlation: Spearman's, between its scores and the model's.
        auc: how often it ranks a transaction of the model's most suspicious hundredth above another one.
        explained: share of the variance of the model's log-odds that it explains; 1 is all.
    """

    rank_correlation: float
    auc: float
    explained: float


@dataclass(frozen=True, slots=True)
class Companions:
    """The companions of one model.

    Attributes:
        rules: the tree as text, one rule a leaf, the most suspicious first.
        scorecard: the points of each range of each feature, as CSV.
        tree, card: fidelity of each.
    """

    rules: str
    scorecard: str
    tree: Fidelity
    card: Fidelity

    @classmethod
    def of(
        cls,
        features: NDArray[np.float32],
        probability: NDArray[np.float64],
        names: Sequence[str],
        titles: Sequence[str],
    ) -> "Companions | None":
        """Trains them; None where there are too few rows, or the model gives all the same score.

        Args:
            features: float32[n, P], NaN is missing.
            probability: float64[n], the model's.
            names, titles: of the columns.
        """
        logit = np.log(np.clip(probability, 1e-9, 1 - 1e-9) / np.clip(1 - probability, 1e-9, 1.0))
        if len(logit) < FEWEST_ROWS or np.ptp(logit) < 1e-6:
            return None
        held = np.arange(len(logit)) % _HELD_OUT == 0
        tree, rules = _tree(features, logit, held, names, titles)
        card, scorecard = _card(features, logit, held, names, titles)
        return cls(
            rules,
            scorecard,
            _fidelity(tree, logit[held]),
            _fidelity(card, logit[held]),
        )


def _fidelity(score: NDArray[np.float64], logit: NDArray[np.float64]) -> Fidelity:
    import pandas as pd
    from sklearn.metrics import r2_score, roc_auc_score

    suspicious = logit >= np.quantile(logit, _SUSPICIOUS)
    flat = np.ptp(score) == 0 or np.ptp(logit) == 0
    rank = 0.0 if flat else float(pd.Series(score).corr(pd.Series(logit), method="spearman"))
    auc = float(roc_auc_score(suspicious, score)) if not suspicious.all() else 0.5
    return Fidelity(round(rank, 4), round(auc, 4), round(float(r2_score(logit, score)), 4))


def _tree(
    features: NDArray[np.float32],
    logit: NDArray[np.float64],
    held: NDArray[np.bool_],
    names: Sequence[str],
    titles: Sequence[str],
) -> tuple[NDArray[np.float64], str]:
    """The tree's scores of the held-out rows, and its rules."""
    from sklearn.tree import DecisionTreeRegressor

    X = np.where(np.isfinite(features), features, np.nan)
    model = DecisionTreeRegressor(
        max_leaf_nodes=_LEAVES, min_samples_leaf=max(5, int(_SMALLEST_LEAF * (~held).sum())), random_state=0
    )
    model.fit(X[~held], logit[~held])
    share = np.bincount(model.apply(X), minlength=model.tree_.node_count) / len(X)
    paths = _paths(model.tree_, names)
    leaves = sorted(paths, key=lambda leaf: -model.tree_.value[leaf, 0, 0])
    lines = [
        f"{place}. **{_percent(float(_sigmoid(model.tree_.value[leaf, 0, 0])))}** of fraud, {_percent(share[leaf])} of "
        f"all transactions: {' and '.join(paths[leaf]) or 'any transaction'}"
        for place, leaf in enumerate(leaves, 1)
    ]
    used = sorted({int(f) for f in model.tree_.feature if f >= 0})
    words = [f"- `{names[f]}`: {titles[f]}" for f in used]
    return model.predict(X[held]), "\n".join([*lines, "", *words])


def _paths(tree: Any, names: Sequence[str]) -> dict[int, list[str]]:
    """Each leaf's conditions; of several on one feature in one direction, the tightest."""
    found: dict[int, list[str]] = {}

    def walk(node: int, bounds: dict[int, tuple[float, float, bool]]) -> None:
        column = int(tree.feature[node])
        if column < 0:
            found[node] = [_condition(names[c], *bound) for c, bound in bounds.items()]
            return
        low, high, missing = bounds.get(column, (-np.inf, np.inf, True))
        cut, missing_left = float(tree.threshold[node]), bool(tree.missing_go_to_left[node])
        walk(int(tree.children_left[node]), {**bounds, column: (low, min(high, cut), missing and missing_left)})
        walk(int(tree.children_right[node]), {**bounds, column: (max(low, cut), high, missing and not missing_left)})

    walk(0, {})
    return found


def _condition(name: str, low: float, high: float, missing: bool) -> str:
    if low == -np.inf and high == np.inf:
        return f"`{name}` is missing" if missing else f"`{name}` is there"
    text = f"`{name}`" if low == -np.inf else f"{low:.6g} < `{name}`"
    text += "" if high == np.inf else f" ≤ {high:.6g}"
    return f"({text} or missing)" if missing else text


def _card(
    features: NDArray[np.float32],
    logit: NDArray[np.float64],
    held: NDArray[np.bool_],
    names: Sequence[str],
    titles: Sequence[str],
) -> tuple[NDArray[np.float64], str]:
    """The scorecard's log-odds of the held-out rows, and its table.

    Logistic regression on ranges of the features that explain the score best one by one. The target is the model's
    probability: each row counts as fraud by it, and as genuine by the rest.
    """
    from sklearn.linear_model import LogisticRegression

    bins = [_ranges(features[:, column]) for column in range(features.shape[1])]
    places = [np.searchsorted(cuts, features[:, c], side="left") for c, cuts in enumerate(bins)]
    places = [np.where(np.isnan(features[:, c]), len(cuts) + 1, places[c]) for c, cuts in enumerate(bins)]
    worth = [_explained(place[~held], logit[~held]) for place in places]
    chosen = [int(c) for c in np.argsort(-np.array(worth), kind="stable")[:_SCORECARD_FEATURES] if worth[c] > 0]
    columns, owners = [], []
    for c in chosen:
        for place in range(len(bins[c]) + 2):
            member = places[c] == place
            if member.any():
                columns.append(member)
                owners.append((c, place))
    design = np.column_stack(columns).astype(np.float64) if columns else np.zeros((len(logit), 1))
    p = _sigmoid(logit)
    fit = design[~held]
    model = LogisticRegression(C=10.0, max_iter=500)
    target = np.repeat([1, 0], len(fit))
    counts = np.concatenate([p[~held], 1 - p[~held]])
    model.fit(np.vstack([fit, fit]), target, sample_weight=counts / counts.mean())
    factor = _POINTS_TO_DOUBLE / np.log(2)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["feature", "meaning", "range", "points"])
    for (c, place), coefficient in zip(owners, model.coef_[0], strict=True):
        writer.writerow([names[c], titles[c], _range_text(bins[c], place), round(float(coefficient) * factor)])
    writer.writerow(["", "every transaction", "", round(float(model.intercept_[0]) * factor)])
    return np.asarray(model.decision_function(design[held]), dtype=np.float64), file.getvalue()


def _ranges(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cuts between about equally many transactions; none where all values are the same."""
    known = np.sort(values[~np.isnan(values)]).astype(np.float64)
    if not len(known):
        return np.empty(0)
    # Counts are mostly zero, so equal parts alone would leave the interesting tail in one range.
    wanted = np.append(np.arange(1, _BINS) / _BINS, [0.95, 0.99])
    cuts = np.unique(known[(wanted * len(known)).astype(np.int64)])
    below: NDArray[np.float64] = cuts[cuts < known[-1]]
    return below


def _range_text(cuts: NDArray[np.float64], place: int) -> str:
    if place == len(cuts) + 1:
        return "missing"
    if not len(cuts):
        return "any"
    if place == 0:
        return f"up to {cuts[0]:.6g}"
    return f"above {cuts[-1]:.6g}" if place == len(cuts) else f"above {cuts[place - 1]:.6g}, up to {cuts[place]:.6g}"


def _explained(place: NDArray[np.int64], logit: NDArray[np.float64]) -> float:
    """Share of the variance of the log-odds between the ranges of a feature."""
    total = np.bincount(place)
    mean = np.bincount(place, logit) / np.maximum(total, 1)
    return float(total @ (mean - logit.mean()) ** 2 / (len(logit) * logit.var())) if logit.var() > 0 else 0.0


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    p: NDArray[np.float64] = 1 / (1 + np.exp(-x))
    return p


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else f"{share:.3%}"
