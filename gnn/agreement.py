"""How two models' decisions on the same transactions differ, and which was right where that is known."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.records import DAY

BANDS: Final = ("approve", "review", "block")


@dataclass(frozen=True, slots=True)
class Decided:
    """One model's decisions on n transactions.

    Attributes:
        probability: float64[n]; band: str[n], of `BANDS`.
    """

    probability: NDArray[np.float64]
    band: NDArray[np.str_]

    @property
    def alert(self) -> NDArray[np.bool_]:
        """bool[n], where somebody has to look or the payment is declined: review or block."""
        return np.asarray(self.band != BANDS[0], np.bool_)


def agreement(
    champion: Decided, challenger: Decided, decided_at: NDArray[np.int64], label: NDArray[np.int8]
) -> dict[str, Any]:
    """Compares a challenger with the champion.

    Args:
        decided_at: int64[n], microseconds UTC.
        label: int8[n], 1 fraud, 0 genuine, -1 not known.

    Returns:
        transactions, from, until (microseconds UTC; None without any); agreement, the share with the same band (None
        without any); bands, transactions by the champion's band, then the challenger's; probability, how far the
        challenger's is from the champion's; alerts by model, `per_day` over the time from the first decision to the
        last (None where that is less than a day); labelled, see `_judged`.
    """
    n = len(decided_at)
    off = challenger.probability - champion.probability
    return {
        "transactions": n,
        "from": int(decided_at.min()) if n else None,
        "until": int(decided_at.max()) if n else None,
        "agreement": float((champion.band == challenger.band).mean()) if n else None,
        "bands": {a: {b: int(((champion.band == a) & (challenger.band == b)).sum()) for b in BANDS} for a in BANDS},
        "probability": {
            "mean_difference": float(off.mean()) if n else None,
            "mean_absolute_difference": float(np.abs(off).mean()) if n else None,
            "largest_difference": float(np.abs(off).max()) if n else None,
        },
        "alerts": {
            name: _alerts(model, decided_at) for name, model in (("champion", champion), ("challenger", challenger))
        },
        "labelled": _judged(champion, challenger, label),
    }


def farthest_apart(champion: Decided, challenger: Decided, limit: int) -> NDArray[np.int64]:
    """Places of the transactions that the two disagree on most: another band first, then by probability."""
    off = np.abs(challenger.probability - champion.probability)
    order = np.lexsort((-off, champion.band == challenger.band))[:limit]
    return order[off[order] > 0]


def _alerts(model: Decided, decided_at: NDArray[np.int64]) -> dict[str, Any]:
    days = (int(decided_at.max()) - int(decided_at.min())) / DAY if len(decided_at) else 0.0
    total = int(model.alert.sum())
    return {
        "review": int((model.band == "review").sum()),
        "block": int((model.band == "block").sum()),
        "share": total / len(decided_at) if len(decided_at) else None,
        "per_day": total / days if days >= 1 else None,
    }


def _judged(champion: Decided, challenger: Decided, label: NDArray[np.int8]) -> dict[str, Any]:
    """What the labelled transactions say.

    `precision` (of alerts) and `recall` (of frauds) by model, and of those where one alerts and the other approves,
    how often each was right: to alert on a fraud, to approve what is genuine.
    """
    known = label >= 0
    fraud = label == 1
    apart = known & (champion.alert != challenger.alert)
    return {
        "transactions": int(known.sum()),
        "frauds": int(fraud.sum()),
        "champion": _quality(champion.alert[known], fraud[known]),
        "challenger": _quality(challenger.alert[known], fraud[known]),
        "apart": {
            "transactions": int(apart.sum()),
            "champion_right": int((champion.alert[apart] == fraud[apart]).sum()),
            "challenger_right": int((challenger.alert[apart] == fraud[apart]).sum()),
        },
    }


def _quality(alert: NDArray[np.bool_], fraud: NDArray[np.bool_]) -> dict[str, float | None]:
    caught = int((alert & fraud).sum())
    alerts, frauds = int(alert.sum()), int(fraud.sum())
    return {"precision": caught / alerts if alerts else None, "recall": caught / frauds if frauds else None}
