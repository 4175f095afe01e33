"""What a policy promises: how it did on the held-out rows that its thresholds were chosen on, and how many alerts it
gives on these and on the latest transactions, whose labels are not known yet.

Monitoring holds what happens later against it. Rows are weighted, where genuine ones were sampled.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.policy import APPROVE, BLOCK, REVIEW, Policy

PROBABILITY_EDGES: Final = np.array([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9])
"""Upper ends of ranges of probability, but for the last range; finer where fraud is rare."""


def promised(
    policy: Policy,
    probability: NDArray[np.float64],
    fraud: NDArray[np.bool_],
    amount: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> dict[str, Any]:
    """The promise, as JSON values; n rows.

    Args:
        probability: float64[n], calibrated.
        fraud: bool[n].
        amount: float64[n], in units of the currency.
        weight: float64[n], how many transactions each row stands for.

    Returns:
        rows (effective number), review_share, block_share, precision and recall of what is reviewed or blocked (None
        where undefined), saved_share of what fraud would have cost, probabilities: share by range of
        `PROBABILITY_EDGES`.
    """
    bands = policy.bands(probability)
    flagged, blocked = bands != APPROVE, bands == BLOCK
    frauds = weight[fraud].sum()
    caught = weight[flagged & fraud].sum()
    lost = weight * np.where(fraud, policy.costs.fraud_loss * amount, 0.0)
    spent = weight * policy.costs.spent(reviewed=bands == REVIEW, blocked=blocked, fraud=fraud, amount=amount)
    return {
        **volume(policy, probability, weight),
        "precision": _number(caught / weight[flagged].sum()) if flagged.any() else None,
        "recall": _number(caught / frauds) if frauds else None,
        "saved_share": _number((lost - spent).sum() / lost.sum()) if lost.sum() else None,
    }


def volume(policy: Policy, probability: NDArray[np.float64], weight: NDArray[np.float64]) -> dict[str, Any]:
    """The part of a promise that needs no labels: rows, review_share, block_share and probabilities of `promised`.

    Held-out rows are many, as frauds were not sampled; the latest transactions are more like those to come, and the
    model that decides in the end can score them, for it has not learnt from them. Both together tell best.
    """
    bands = policy.bands(probability)
    total = weight.sum()
    ranges = np.bincount(
        np.searchsorted(PROBABILITY_EDGES, probability, side="left"),
        weights=weight,
        minlength=len(PROBABILITY_EDGES) + 1,
    )
    return {
        "rows": _number(total**2 / (weight**2).sum()),
        "review_share": _number(weight[bands == REVIEW].sum() / total),
        "block_share": _number(weight[bands == BLOCK].sum() / total),
        "probabilities": [_number(share) for share in ranges / total],
    }


def flagged_share(promise: Mapping[str, Any] | None) -> float:
    """The share of transactions that a promise says will be reviewed or blocked; NaN where nothing was promised."""
    return float(promise["review_share"] + promise["block_share"]) if promise else float("nan")


def _number(value: np.floating[Any]) -> float:
    return round(float(value), 8)
