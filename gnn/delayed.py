"""Quality as it becomes known: by week, once most of a week's frauds have been reported."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.policy import APPROVE, BLOCK, REVIEW, Costs
from graph.records import DAY

WEEK: Final = 7 * DAY
_MONDAY: Final = 4 * DAY
"""1970-01-05."""
RIPE: Final = 0.9
"""A week is ripe when this share of its frauds is usually known."""
_QUANTILES: Final = (0.5, 0.9, 0.99)


def week_of(at: NDArray[np.int64] | int) -> Any:
    """Start (Monday 00:00 UTC) of the week of a time; microseconds UTC."""
    return (at - _MONDAY) // WEEK * WEEK + _MONDAY


@dataclass(frozen=True, slots=True)
class Delay:
    """How long after a transaction its label became known, in microseconds, for labels that did so lately.

    Attributes:
        labels: how many.
        quantiles: delay by share of the labels that were known by then (0.5, 0.9, 0.99).
    """

    labels: int
    quantiles: dict[float, int]

    @classmethod
    def of(cls, delay: NDArray[np.int64]) -> "Delay":
        """Of delays in microseconds."""
        if not len(delay):
            return cls(0, {})
        return cls(len(delay), {q: int(np.quantile(delay, q)) for q in _QUANTILES})


@dataclass(frozen=True, slots=True)
class Quality:
    """How decisions on labelled transactions turned out.

    Attributes:
        start, end: of the period, microseconds UTC, by when transactions occurred.
        ripe: whether most of its frauds are known by now.
        decided, labelled, frauds, flagged, caught, blocked, blocked_genuine: numbers of transactions; flagged (reviewed
            or blocked), caught and blocked are those with a label.
        at_stake, saved: in units of the currency: what its known frauds would have cost, had all been approved; what
            of that the decisions saved, after what they cost themselves.
        amount, fraud_amount: of all decided transactions, and of known frauds.
    """

    start: int
    end: int
    ripe: bool
    decided: int
    labelled: int
    frauds: int
    flagged: int
    caught: int
    blocked: int
    blocked_genuine: int
    at_stake: float
    saved: float
    amount: float
    fraud_amount: float

    @property
    def precision(self) -> float | None:
        """Share of fraud among what was flagged; None where nothing was."""
        return self.caught / self.flagged if self.flagged else None

    @property
    def recall(self) -> float | None:
        """Share of the frauds that was flagged; None without frauds."""
        return self.caught / self.frauds if self.frauds else None


def quality(
    *,
    start: int,
    end: int,
    ripe: bool,
    label: NDArray[np.int8],
    band: NDArray[np.str_],
    amount: NDArray[np.float64],
    costs: Costs,
) -> Quality:
    """The quality of a period's decisions.

    Args:
        label: int8[n], 1 fraud, 0 genuine, -1 not known.
        band: n texts; amount: float64[n], units of the currency.
    """
    known = label >= 0
    fraud, flagged, blocked = label[known] == 1, band[known] != APPROVE, band[known] == BLOCK
    money = amount[known]
    lost = np.where(fraud, costs.fraud_loss * money, 0.0)
    spent = costs.spent(reviewed=band[known] == REVIEW, blocked=blocked, fraud=fraud, amount=money)
    return Quality(
        start,
        end,
        ripe,
        decided=len(label),
        labelled=int(known.sum()),
        frauds=int(fraud.sum()),
        flagged=int(flagged.sum()),
        caught=int((flagged & fraud).sum()),
        blocked=int(blocked.sum()),
        blocked_genuine=int((blocked & ~fraud).sum()),
        at_stake=float(lost.sum()),
        saved=float((lost - spent).sum()),
        amount=float(amount.sum()),
        fraud_amount=float(money[fraud].sum()),
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95% interval of a share (Wilson); the whole range where there is nothing to share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
