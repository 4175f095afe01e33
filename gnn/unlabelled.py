"""Ranking without labels, and with a handful: what can be said before much fraud is known.

Two things tell then. One is structure: several new accounts on what few share. How much that tells is learnt from the
data: the rarer so many new users are among all transactions, the more. The other is how unlike the others a
transaction is (`gnn.anomaly`). The level of the probabilities is an assumption. As frauds become known, what is learnt
from them takes over.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnn.calibration import level_for
from gnn.trees import LEAF, Forest

ASSUMED_SHARE: Final = 0.005
"""Of transactions, how many are taken for fraud as long as nobody has told."""

_STRUCTURE_WEIGHT: Final = 4.0
_ANOMALY_WEIGHT: Final = 7.0
"""Structure leads where there is any; where nothing is shared it is the same for all, and unlikeness decides."""

_MEASURE: Final = "_peers_new"
_STEPS: Final = 16
_FEW: Final = 6.0
_FIRST_SHARE: Final = 0.4
_NEGLIGIBLE: Final = 0.02


def share_of_prior(frauds: int) -> float:
    """How much of the head's score is to come from what needs no labels, 0 to 1, where so many frauds are known."""
    if frauds == 0:
        return 1.0
    share = _FIRST_SHARE * _FEW / (_FEW + frauds)
    return share if share >= _NEGLIGIBLE else 0.0


def prior_forest(features: NDArray[np.float32], names: Sequence[str], anomaly: Forest) -> Forest:
    """Log-odds of fraud by structure and unlikeness, at the assumed share of fraud.

    An entity type adds the negative logarithm of the share of transactions in which at least as many of the latest
    other users are new; nothing where it is missing.

    Args:
        features: float32[n, P], of a history; n >= 1.
        names: the columns' names in the catalogue.
        anomaly: the anomaly forest.
    """
    parts = [
        _steps(len(names), column, *_rarity(features[:, column]))
        for column, name in enumerate(names)
        if name.endswith(_MEASURE) and not np.isnan(features[:, column]).all()
    ]
    weights = [_STRUCTURE_WEIGHT] * len(parts) + [_ANOMALY_WEIGHT]
    forest = Forest.combined([*parts, anomaly], weights)
    level = level_for(forest.predict(features), np.ones(len(features)), ASSUMED_SHARE)
    return forest.shifted(level).with_background(features, np.ones(len(features)))


def _rarity(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cuts between values, and the score on each of the stretches between them."""
    known = np.sort(values[~np.isnan(values)]).astype(np.float64)
    distinct, first = np.unique(known, return_index=True)
    if len(distinct) > _STEPS:
        kept = np.unique(np.linspace(0, len(distinct) - 1, _STEPS).astype(np.int64))
        distinct, first = distinct[kept], first[kept]
    share = np.maximum(len(known) - first, 1) / len(values)
    share[0] = 1.0  # what has none, or the fewest, tells nothing
    return (distinct[1:] + distinct[:-1]) / 2, -np.log(share)


def _steps(columns: int, column: int, cuts: NDArray[np.float64], scores: NDArray[np.float64]) -> Forest:
    """A tree that asks about the cuts one after the other; a missing value scores as the lowest."""
    inner = len(cuts)
    nodes = np.arange(2 * inner + 1)
    is_leaf = (nodes % 2 == 1) | (nodes == 2 * inner)
    place = nodes // 2
    return Forest(
        columns,
        roots=np.zeros(1, np.int32),
        feature=np.where(is_leaf, LEAF, column).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, np.append(cuts, 0.0)[place]),
        left=np.where(is_leaf, nodes, nodes + 1).astype(np.int32),
        right=np.where(is_leaf, nodes, nodes + 2).astype(np.int32),
        default_left=np.ones(len(nodes), np.bool_),
        value=np.where(is_leaf, scores[place], 0.0),
    )
