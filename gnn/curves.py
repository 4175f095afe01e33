"""Curves of scored transactions, thinned to what a plot can show."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.policy import Costs
from gnn.scored import Scored

RELIABILITY_EDGES: Final = np.array(
    [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
)
"""Ranges of probability in which what was said is held against what happened; finer where fraud is rare."""

_POINTS: Final = 300
_SCORE_EDGES: Final = np.linspace(-11.0, 8.0, 58)
"""In log-odds; everything outside falls into the outermost ranges."""


def curves(rows: Scored, costs: Costs) -> dict[str, Any]:
    """Points for plots, JSON values.

    Returns:
        precision_recall: precision and recall at descending thresholds.
        reliability: for each range of probability with rows in it: rows, said (mean probability), happened
            (share of fraud), and low and high of its 95% interval (Wilson).
        scores: log-odds edges, and the share of genuine rows and of frauds between them.
        money: None without amounts; else the probability of thresholds, and what reviewing or blocking
            everything from there on would save against approving everything.
    """
    order = np.argsort(-rows.probability, kind="stable")
    p, fraud = rows.probability[order], rows.fraud[order]
    cuts = np.append(np.flatnonzero(np.diff(p)), len(p) - 1)  # last row of each tie
    caught = np.cumsum(fraud)[cuts]
    recall, precision = caught / caught[-1], caught / (cuts + 1)
    kept = _thinned(recall)
    result: dict[str, Any] = {
        "precision_recall": {"recall": _rounded(recall[kept]), "precision": _rounded(precision[kept])},
        "reliability": _reliability(rows),
        "scores": _distribution(rows),
        "money": None,
    }
    if rows.amount is not None:
        loss = np.cumsum(np.where(fraud, costs.fraud_loss * rows.amount[order], 0.0))[cuts]
        reviewed = loss - costs.review * (cuts + 1)
        blocked = loss - costs.decline * (cuts + 1 - caught)
        # Thresholds evenly in log-odds, where they matter.
        kept = _thinned(-np.log(np.maximum(p[cuts], 1e-6) / np.maximum(1 - p[cuts], 1e-6)))
        result["money"] = {
            "threshold": _rounded(p[cuts][kept], 8),
            "review": _rounded(reviewed[kept], 2),
            "block": _rounded(blocked[kept], 2),
        }
    return result


def _thinned(rising: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of about evenly spaced values of an ascending series, both ends included."""
    wanted = np.linspace(rising[0], rising[-1], _POINTS)
    return np.unique(np.append(np.searchsorted(rising, wanted).clip(0, len(rising) - 1), [0, len(rising) - 1]))


def _rounded(values: NDArray[np.float64], digits: int = 6) -> list[float]:
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded


def _reliability(rows: Scored) -> list[dict[str, float]]:
    which = np.searchsorted(RELIABILITY_EDGES[1:-1], rows.probability, side="right")
    size = np.bincount(which, minlength=len(RELIABILITY_EDGES) - 1)
    said = np.bincount(which, weights=rows.probability)
    happened = np.bincount(which, weights=rows.fraud)
    result = []
    for i in np.flatnonzero(size):
        n, share = int(size[i]), float(happened[i] / size[i])
        z = 1.96
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        ends = {"low": max(0.0, float(middle - half)), "high": min(1.0, float(middle + half))}
        result.append({"rows": n, "said": float(said[i] / n), "happened": share, **ends})
    return result


def _distribution(rows: Scored) -> dict[str, list[float]]:
    p = rows.probability.clip(1e-9, 1 - 1e-9)
    x = np.log(p / (1 - p)).clip(_SCORE_EDGES[0], _SCORE_EDGES[-1])
    shares = {}
    for name, kind in (("genuine", False), ("fraud", True)):
        counted, _ = np.histogram(x[rows.fraud == kind], _SCORE_EDGES)
        shares[name] = _rounded(counted / counted.sum())
    return {"log_odds": _rounded(_SCORE_EDGES), **shares}
