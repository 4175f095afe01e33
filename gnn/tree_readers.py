"""Takes trained models of LightGBM and scikit-learn apart into the arrays of a `gnn.trees.Forest`.

It works on the models' own objects and text, so it imports neither library.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2
"""LightGBM's marks in `decision_type` (bits 0, 1, and 2-3 for the way a missing value is told)."""


def read_lightgbm(booster: Any) -> dict[str, Any]:
    """The fields of a Forest whose scores are the raw scores of a `lightgbm.Booster` up to its best iteration.

    Raises:
        ValueError: categorical splits, linear leaves, several classes, or zeros taken as missing.
    """
    header, *blocks = booster.model_to_string().split("\nTree=")
    settings = _fields(header)
    if int(settings["num_tree_per_iteration"]) != 1:
        raise ValueError("only models with one tree an iteration can be taken over")
    trees = [_lightgbm_tree(_fields(block)) for block in blocks]
    return {"feature_count": int(settings["max_feature_idx"]) + 1, **_joined(trees)}


def _fields(block: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in block.split("\n\n", 1)[0].splitlines() if "=" in line)
    return dict(pairs)


def _lightgbm_tree(fields: dict[str, str]) -> dict[str, NDArray[Any]]:
    """One tree; LightGBM numbers inner nodes from 0 and leaves from -1 downwards."""
    if int(fields["num_cat"]) or int(fields.get("is_linear", "0")):
        raise ValueError("models with categorical splits or linear leaves cannot be taken over")
    leaf_value = _numbers(fields["leaf_value"])
    leaves = int(fields["num_leaves"])
    inner = leaves - 1
    if inner == 0:
        return _tree(np.array([-1]), np.zeros(1), np.zeros(1, int), np.zeros(1, int), np.zeros(1, bool), leaf_value)
    decision = _numbers(fields["decision_type"]).astype(int)
    missing = decision >> 2 & 3
    if (decision & _CATEGORICAL).any() or (missing == _MISSING_IS_ZERO).any():
        raise ValueError("models with categorical splits, or that take zeros as missing, cannot be taken over")
    threshold = _numbers(fields["threshold"])
    # Where training saw nothing missing, LightGBM takes a missing value for zero.
    default_left = np.where(missing == _MISSING_IS_NAN, (decision & _DEFAULT_LEFT) > 0, threshold >= 0)
    children = [_numbers(fields[side]).astype(int) for side in ("left_child", "right_child")]
    left, right = (np.where(child >= 0, child, inner - 1 - child) for child in children)
    itself = np.arange(inner, inner + leaves)
    cover = np.append(_numbers(fields["internal_count"]), _numbers(fields["leaf_count"]))
    return _tree(
        np.append(_numbers(fields["split_feature"]).astype(int), np.full(leaves, -1)),
        np.append(threshold, np.zeros(leaves)),
        np.append(left, itself),
        np.append(right, itself),
        np.append(default_left, np.zeros(leaves, bool)),
        _with_means(np.append(np.zeros(inner), leaf_value), left, right, cover),
    )


def _with_means(
    value: NDArray[np.float64], left: NDArray[Any], right: NDArray[Any], cover: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sets the values of the inner nodes (the first ones) to the mean of their children's, by training rows."""
    for node in range(len(left) - 1, -1, -1):
        a, b = left[node], right[node]
        total = cover[a] + cover[b]
        share = cover[a] / total if total > 0 else 0.5
        value[node] = share * value[a] + (1 - share) * value[b]
    return value


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)


def read_isolation_forest(model: Any, missing: ArrayLike | None) -> dict[str, Any]:
    """The fields of a Forest whose score is log2 of the anomaly score of a `sklearn.ensemble.IsolationForest`.

    A missing value goes where its stand-in from `missing` (float[columns], zeros by default) would go.
    """
    columns = int(model.n_features_in_)
    stand_in = np.zeros(columns) if missing is None else np.asarray(missing, dtype=np.float32).astype(np.float64)
    scale = -1.0 / (len(model.estimators_) * _average_path(np.array([model.max_samples_]))[0])
    trees = []
    for estimator, chosen in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_
        inner = tree.children_left >= 0
        itself = np.arange(tree.node_count)
        # A split of a subset of the columns counts within the subset.
        feature = np.where(inner, np.asarray(chosen)[np.where(inner, tree.feature, 0)], -1)
        left = np.where(inner, tree.children_left, itself)
        right = np.where(inner, tree.children_right, itself)
        depth = np.zeros(tree.node_count)
        for node in np.flatnonzero(inner):
            depth[left[node]] = depth[right[node]] = depth[node] + 1
        length = depth + _average_path(tree.n_node_samples)
        for node in np.flatnonzero(inner)[::-1]:
            a, b = left[node], right[node]
            share = tree.n_node_samples[a] / (tree.n_node_samples[a] + tree.n_node_samples[b])
            length[node] = share * length[a] + (1 - share) * length[b]
        default_left = stand_in[np.maximum(feature, 0)] <= tree.threshold
        trees.append(_tree(feature, np.where(inner, tree.threshold, 0.0), left, right, default_left, scale * length))
    return {"feature_count": columns, **_joined(trees)}


def _average_path(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Mean depth at which an isolation tree over so many rows would tell one row apart."""
    n = np.asarray(samples, dtype=np.float64)
    large = np.maximum(n, 3.0)
    length = 2.0 * (np.log(large - 1.0) + np.euler_gamma) - 2.0 * (large - 1.0) / large
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, length))


def _tree(
    feature: NDArray[Any],
    threshold: NDArray[Any],
    left: NDArray[Any],
    right: NDArray[Any],
    default_left: NDArray[Any],
    value: NDArray[Any],
) -> dict[str, NDArray[Any]]:
    """A tree with its nodes put in preorder, so that a path stays within few cache lines."""
    order: list[int] = []
    waiting = [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if feature[node] >= 0:
            waiting += [int(right[node]), int(left[node])]
    position = np.empty(len(feature), dtype=np.int64)
    position[order] = np.arange(len(order))
    return {
        "feature": feature[order],
        "threshold": threshold[order],
        "left": position[left[order]],
        "right": position[right[order]],
        "default_left": default_left[order],
        "value": value[order],
    }


def _joined(trees: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    """Trees one after the other, their node numbers shifted."""
    sizes = np.array([len(tree["feature"]) for tree in trees], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    fields = {
        name: np.concatenate([tree[name] for tree in trees]) if trees else np.empty(0)
        for name in ("feature", "threshold", "default_left", "value")
    }
    for side in ("left", "right"):
        shifted = [tree[side] + start for tree, start in zip(trees, starts, strict=True)]
        fields[side] = np.concatenate(shifted) if shifted else np.empty(0)
    return {"roots": starts, **fields}
