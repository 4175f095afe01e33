"""Ranking figures of scores, for many reweightings of the same rows in one go.

A bootstrap draws blocks of rows with replacement; what changes between draws is only how often each block
counts. So rows are sorted once, and each draw is one pass of compiled code over them.
"""

from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

FALSE_POSITIVE_RATES: Final = (0.001, 0.005, 0.01)


def _readonly(dtype: Any, ndim: int) -> Any:
    return types.Array(dtype, ndim, "C", readonly=True)


@numba.njit(
    types.void(
        _readonly(types.boolean, 1),
        _readonly(types.boolean, 1),
        _readonly(types.int32, 1),
        _readonly(types.float64, 2),
        _readonly(types.float64, 2),
        _readonly(types.float64, 1),
        types.float64[:, ::1],
    ),
    nogil=True,
    cache=True,
)
def _pass(fraud: Any, tie_ends: Any, block: Any, counts: Any, totals: Any, rates: Any, out: Any) -> None:
    for draw in range(counts.shape[0]):
        frauds, genuine = totals[draw, 0], totals[draw, 1]
        if frauds <= 0 or genuine <= 0:
            out[draw, :] = np.nan
            continue
        caught = 0.0  # frauds and genuine above the tie at hand
        alarms = 0.0
        tied_frauds = 0.0
        tied_genuine = 0.0
        for row in range(fraud.shape[0]):
            weight = counts[draw, block[row]]
            if fraud[row]:
                tied_frauds += weight
            else:
                tied_genuine += weight
            if not tie_ends[row]:
                continue
            out[draw, 1] += tied_genuine * (caught + 0.5 * tied_frauds)
            caught += tied_frauds
            alarms += tied_genuine
            if tied_frauds > 0:
                out[draw, 0] += tied_frauds * caught / (caught + alarms)
                for i in range(rates.shape[0]):
                    if alarms <= rates[i] * genuine:
                        out[draw, 2 + i] = caught / frauds
            tied_frauds = 0.0
            tied_genuine = 0.0
        out[draw, 0] /= frauds
        out[draw, 1] /= frauds * genuine


def ranking_figures(
    score: NDArray[np.float64],
    fraud: NDArray[np.bool_],
    block: NDArray[np.int32] | None = None,
    counts: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Average precision, area under the ROC curve, and recall at each of `FALSE_POSITIVE_RATES`.

    Rows of equal score are one step of the ranking. Recall at a rate is the highest that some threshold reaches
    while at most this share of genuine rows is above it.

    Args:
        score: float64[n], higher is more suspicious.
        fraud: bool[n].
        block: int32[n], the block of each row; one block by default.
        counts: float64[draws, blocks], how often each block counts in each draw; once by default.

    Returns:
        By name (`average_precision`, `auc`, `recall_at_0.1%_fpr`, ...), float64[draws]; NaN where a draw
        lacks frauds or genuine rows.
    """
    blocks = np.zeros(len(score), dtype=np.int32) if block is None else block
    draws = np.ones((1, 1)) if counts is None else np.ascontiguousarray(counts, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    ranked, ranked_fraud = score[order], np.ascontiguousarray(fraud[order])
    tie_ends = np.append(ranked[1:] != ranked[:-1], True)[: len(score)]
    size = draws.shape[1]
    each = [np.bincount(blocks[fraud == kind], minlength=size) for kind in (True, False)]
    totals = np.ascontiguousarray(np.stack([draws @ count for count in each], axis=1))
    out = np.zeros((len(draws), 2 + len(FALSE_POSITIVE_RATES)))
    rates = np.array(FALSE_POSITIVE_RATES)
    _pass(ranked_fraud, tie_ends, np.ascontiguousarray(blocks[order], dtype=np.int32), draws, totals, rates, out)
    names = ["average_precision", "auc", *(recall_name(rate) for rate in FALSE_POSITIVE_RATES)]
    return {name: out[:, i].copy() for i, name in enumerate(names)}


def recall_name(rate: float) -> str:
    """Name of the recall figure at a false positive rate: `recall_at_0.1%_fpr`."""
    return f"recall_at_{100 * rate:g}%_fpr"
