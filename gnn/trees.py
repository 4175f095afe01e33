"""Ensembles of decision trees as plain arrays, evaluated by compiled code.

A model is trained by LightGBM or scikit-learn and served from here: neither library is needed to score,
one row costs microseconds, and one row gives the same bits as a million.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnn.tree_walks import add_cover, laid_out, sum_leaves, walk_paths
from graph.errors import BundleError

LEAF: Final = -1
"""In `Forest.feature`: the node is a leaf."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """An ensemble of binary decision trees; its score of a row is the sum of the leaves that the row falls into.

    A row goes left at a node where `x <= threshold`, right where `x > threshold`, and where x is missing
    (NaN) as `default_left` says. Arrays have one entry a node; children come after their parent.

    Attributes:
        feature_count: columns of the table that the forest scores.
        roots: int32[trees], the first node of each tree.
        feature: int32[nodes], column that the node asks about; -1 for a leaf.
        threshold: float64[nodes].
        left, right: int32[nodes], child nodes; for a leaf, the node itself.
        default_left: bool[nodes], the way of a missing value.
        value: float64[nodes], score of a leaf; for an inner node, the expected score of rows that reach it.

    Raises:
        ValueError: the arrays are no forest (lengths, indices out of range, a cycle).
    """

    feature_count: int
    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    _starts: NDArray[np.int32] = field(init=False, repr=False)
    _nodes: NDArray[Any] = field(init=False, repr=False)
    _order: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype, order="C", ndmin=1)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check()
        laid = laid_out(self.roots, self.feature, self.threshold, self.left, self.right, self.default_left, self.value)
        for name, array in zip(("_starts", "_nodes", "_order"), laid, strict=True):
            object.__setattr__(self, name, array)

    def _check(self) -> None:
        """Compiled code doesn't look where it steps, so a wrong index must end here."""
        nodes = len(self.feature)
        if any(getattr(self, name).shape != (nodes,) for name in _ARRAYS if name != "roots"):
            raise ValueError("a forest's arrays differ in length")
        if self.roots.ndim != 1 or ((self.roots < 0) | (self.roots >= nodes)).any():
            raise ValueError("a tree starts at a node that isn't there")
        if ((self.feature < LEAF) | (self.feature >= self.feature_count)).any():
            raise ValueError("a node asks about a column that isn't there")
        inner = self.feature != LEAF
        at = np.arange(nodes)
        for child in (self.left, self.right):
            if (inner & ((child <= at) | (child >= nodes))).any():
                raise ValueError("a node's child doesn't come after it")
        below = np.concatenate([self.roots, self.left[inner], self.right[inner]])
        if (np.bincount(below, minlength=nodes) > 1).any():
            raise ValueError("a node hangs below two others")
        if not np.isfinite(self.value).all():
            raise ValueError("a node's value is not a number")

    @property
    def tree_count(self) -> int:
        return len(self.roots)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of the rows: X float32[n, feature_count], NaN is missing -> float64[n]."""
        rows = self._rows(X)
        out = np.zeros(len(rows))
        sum_leaves(rows, self._starts, self._nodes, out)
        return out

    def contributions(self, X: ArrayLike) -> NDArray[np.float64]:
        """What each column adds to each row's score: float64[n, feature_count + 1], the last column the bias.

        A column is given the changes of expected score along the row's paths at the nodes that ask about it;
        a row's contributions sum to its prediction.
        """
        return self.explained(X)[1]

    def explained(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores (to the bit those of `predict`) and contributions of the rows, in one pass."""
        rows = self._rows(X)
        out, parts = np.zeros(len(rows)), np.zeros((len(rows), self.feature_count + 1))
        walk_paths(rows, self._starts, self._nodes, out, parts)
        return out, parts

    def shifted(self, constant: float) -> "Forest":
        """The same forest with a constant added to every score (as a tree that is a single leaf)."""
        nodes = len(self.feature)
        return Forest(
            self.feature_count,
            np.append(self.roots, nodes),
            np.append(self.feature, LEAF),
            np.append(self.threshold, 0.0),
            np.append(self.left, nodes),
            np.append(self.right, nodes),
            np.append(self.default_left, True),
            np.append(self.value, constant),
        )

    def with_background(self, X: ArrayLike, weight: ArrayLike) -> "Forest":
        """The same forest, its contributions measured against the average of these (weighted) rows.

        Predictions stay as they are. Parts of a tree that no background row reaches keep their values.
        """
        rows = self._rows(X)
        walked, cover = np.zeros(len(self._nodes)), np.zeros(len(self.feature))
        weights = np.ascontiguousarray(weight, dtype=np.float64)
        if weights.shape != (len(rows),):
            raise ValueError("there must be one weight a row")
        add_cover(rows, self._starts, self._nodes, weights, walked)
        cover[self._order] = walked
        return Forest(
            self.feature_count,
            self.roots,
            self.feature,
            self.threshold,
            self.left,
            self.right,
            self.default_left,
            _expected(self.feature, self.left, self.right, self.value, cover),
        )

    @classmethod
    def combined(cls, forests: Sequence["Forest"], weights: Sequence[float]) -> "Forest":
        """The forest whose scores are the weighted sum of these forests' scores, all over the same columns."""
        first = np.cumsum([0, *(len(forest.feature) for forest in forests)])[:-1].astype(np.int32).tolist()

        def joined(name: str, shifts: Sequence[int] = (), factors: Sequence[float] = ()) -> NDArray[Any]:
            parts = [getattr(forest, name) for forest in forests]
            parts = [part + shift for part, shift in zip(parts, shifts, strict=True)] if shifts else parts
            parts = [part * factor for part, factor in zip(parts, factors, strict=True)] if factors else parts
            return np.concatenate(parts)

        return cls(
            forests[0].feature_count,
            joined("roots", first),
            joined("feature"),
            joined("threshold"),
            joined("left", first),
            joined("right", first),
            joined("default_left"),
            joined("value", factors=weights),
        )

    def save(self, path: Path) -> None:
        """Writes the forest to one .npz file (the same forest gives the same bytes)."""
        with path.open("wb") as file:
            np.savez(
                file, feature_count=np.int64(self.feature_count), **{name: getattr(self, name) for name in _ARRAYS}
            )

    @classmethod
    def load(cls, path: Path) -> "Forest":
        """Reads what `save` wrote.

        Raises:
            BundleError: the file is missing, damaged or no forest.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(int(arrays["feature_count"]), **{name: arrays[name] for name in _ARRAYS})
        except FileNotFoundError as error:
            raise BundleError(f"there is no file of trees at {path}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise BundleError(f"the file of trees {path} is damaged: {error}") from error

    @classmethod
    def from_lightgbm(cls, booster: Any) -> "Forest":
        """Takes over a trained `lightgbm.Booster`, up to its best iteration; scores are its raw scores.

        Raises:
            ValueError: it has native categorical splits, linear leaves, several classes, or takes zeros as missing.
        """
        from gnn.tree_readers import read_lightgbm

        return cls(**read_lightgbm(booster))

    @classmethod
    def from_isolation_forest(cls, model: Any, missing: ArrayLike | None = None) -> "Forest":
        """Takes over a trained `sklearn.ensemble.IsolationForest`.

        The score is log2 of the anomaly score: `-2 ** forest.predict(X)` equals `model.score_samples(X)`.

        Args:
            model: the trained model.
            missing: float[feature_count], what a missing value counts as, per column; zero where not given.
        """
        from gnn.tree_readers import read_isolation_forest

        return cls(**read_isolation_forest(model, missing))

    def _rows(self, X: ArrayLike) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(X, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.feature_count:
            raise ValueError(f"these trees score tables of {self.feature_count} columns, not of shape {rows.shape}")
        return rows


_ARRAYS: Final = {
    "roots": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "default_left": np.bool_,
    "value": np.float64,
}


def _expected(
    feature: NDArray[np.int32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float64],
    cover: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Node values with those of inner nodes set to the cover-weighted mean of their children's."""
    expected = value.copy()
    for node in range(len(feature) - 1, -1, -1):
        if feature[node] == LEAF:
            continue
        a, b = left[node], right[node]
        both = cover[a] + cover[b]
        if both > 0:
            expected[node] = (cover[a] * expected[a] + cover[b] * expected[b]) / both
    return expected
