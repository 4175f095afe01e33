"""From a probability to a decision, by what decisions cost.

The cost model, for one transaction of amount `a` (all in one currency unit):

    decision   genuine           fraud
    approve    0                 fraud_loss * a
    review     review_cost       review_cost        (the investigator finds out which it is)
    block      decline_cost      0

The two thresholds are those with the least total cost on held-out rows; but of those to review from that cannot be
told from the best one on these rows (their cost is within one standard error of the least), the one with the fewest
alerts: the one-standard-error rule of Breiman et al., Classification and Regression Trees (1984), section 3.4.3. Where
costs hardly depend on the threshold, the number of alerts may depend on it a great deal.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graph.errors import BundleError, NotEnoughData
from graph.settings import Settings

APPROVE: Final = "approve"
REVIEW: Final = "review"
BLOCK: Final = "block"

_MODEL_FRAUDS: Final = 30.0
"""How many observed frauds weigh as much as the probabilities themselves, in choosing thresholds."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What decisions cost, in units of the currency in which amounts are.

    Attributes:
        review: an investigator's look at one transaction.
        decline: blocking one genuine transaction.
        fraud_loss: share of an approved fraud's amount that is lost.
    """

    review: float = 5.0
    decline: float = 30.0
    fraud_loss: float = 1.0

    def __post_init__(self) -> None:
        if not all(np.isfinite(cost) and cost > 0 for cost in (self.review, self.decline, self.fraud_loss)):
            raise ValueError("costs are positive numbers")

    @classmethod
    def from_settings(cls, settings: Settings) -> "Costs":
        return cls(settings.review_cost, settings.decline_cost, settings.fraud_loss)

    def spent(
        self, *, reviewed: NDArray[np.bool_], blocked: NDArray[np.bool_], fraud: NDArray[np.bool_], amount: ArrayLike
    ) -> NDArray[np.float64]:
        """What each decision cost in the end, float64[n]; neither reviewed nor blocked is approved."""
        lost = np.where(fraud, self.fraud_loss * np.asarray(amount, dtype=np.float64), 0.0)
        return np.where(blocked, np.where(fraud, 0.0, self.decline), np.where(reviewed, self.review, lost))


@dataclass(frozen=True, slots=True)
class Policy:
    """Decides by two thresholds: approve below `review_at`, block from `block_at` on, review between.

    Attributes:
        review_at, block_at: probabilities, `review_at <= block_at`; equal thresholds mean that nothing is
            reviewed, a `block_at` above 1 that nothing is blocked.
        costs: the costs for which they were chosen.
    """

    review_at: float
    block_at: float
    costs: Costs

    def __post_init__(self) -> None:
        if not 0 <= self.review_at <= self.block_at <= _NEVER:
            raise ValueError(f"thresholds must ascend: review at {self.review_at}, block at {self.block_at}")

    def band(self, probability: float) -> str:
        """approve, review or block."""
        if probability >= self.block_at:
            return BLOCK
        return REVIEW if probability >= self.review_at else APPROVE

    def bands(self, probability: ArrayLike) -> NDArray[np.str_]:
        """`band` of many probabilities."""
        p = np.asarray(probability, dtype=np.float64)
        return np.where(p >= self.block_at, BLOCK, np.where(p >= self.review_at, REVIEW, APPROVE))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"review_at": self.review_at, "block_at": self.block_at, "costs": asdict(self.costs)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Policy":
        """Reads what `to_dict` wrote.

        Raises:
            BundleError: it isn't that.
        """
        try:
            costs = Costs(**{name: float(value) for name, value in fields["costs"].items()})
            return cls(float(fields["review_at"]), float(fields["block_at"]), costs)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"the bundle's policy cannot be read: {error}") from error

    @classmethod
    def choose(
        cls,
        probability: ArrayLike,
        y: ArrayLike,
        amount: ArrayLike,
        costs: Costs,
        weight: ArrayLike | None = None,
    ) -> "Policy":
        """The thresholds with the least expected cost on held-out rows, and no more alerts than that takes.

        What a row is expected to be is drawn from its label towards its calibrated probability, the more so the
        fewer frauds there are; without any fraud, the probabilities alone decide.

        Args:
            probability: float[n], calibrated.
            y: bool[n], fraud.
            amount: float[n], in units of the currency.
            costs: what decisions cost.
            weight: float[n]; where genuine rows were sampled, how many each stands for. Ones by default.

        Raises:
            NotEnoughData: there are no rows.
            ValueError: lengths that differ, or probabilities or amounts that are not numbers.
        """
        p, fraud, amounts = (np.asarray(values, dtype=np.float64) for values in (probability, y, amount))
        counts = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=np.float64)
        if not len(p) == len(fraud) == len(amounts) == len(counts):
            raise ValueError("probabilities, labels, amounts and weights differ in length")
        if not (np.isfinite(p).all() and np.isfinite(amounts).all()):
            raise ValueError("probabilities and amounts must be numbers")
        if len(p) == 0:
            raise NotEnoughData("there are no labelled rows to choose thresholds on", hint="give more history")
        trust = fraud.sum() / (fraud.sum() + _MODEL_FRAUDS)
        expected = trust * fraud + (1 - trust) * p
        order = np.argsort(-p, kind="stable")
        p, expected, amounts, counts = p[order], expected[order], amounts[order], counts[order]
        # Cuts between different probabilities: the first k rows of the ranking are above the threshold.
        cuts = np.concatenate([[0], np.flatnonzero(np.diff(p)) + 1, [len(p)]])
        total = _running(counts)[cuts]
        approved = _running(counts * expected * costs.fraud_loss * amounts)
        approving = approved[-1] - approved[cuts]
        blocking = _running(counts * (1 - expected) * costs.decline)[cuts]
        # Cost of reviewing from cut r down to cut b, separated: one part depends on r alone, the other on b alone.
        from_review = approving + costs.review * total
        from_block = blocking - costs.review * total
        best_block = np.minimum.accumulate(from_block)  # b <= r
        r = int(np.argmin(from_review + best_block))
        b = int(np.argmin(from_block[: r + 1]))
        gain = counts * (expected * costs.fraud_loss * amounts - costs.review)
        r = b + _fewest(_running(gain)[cuts[b : r + 1]], _running(gain**2)[cuts[b : r + 1]])
        review_at, block_at = (_threshold(p, int(cuts[k])) for k in (r, b))
        by_model = _worthwhile(costs, float(np.average(amounts, weights=counts)) if total[-1] > 0 else 0.0)
        # Beyond the highest probability seen, only the probabilities' own meaning can say where a decision pays.
        if block_at is None:
            block_at = _beyond(p[0], by_model[1])
        if review_at is None:
            review_at = min(_beyond(p[0], by_model[0]), block_at)
        return cls(review_at, block_at, costs)


_NEVER: Final = 1.0 + 1e-9
"""A threshold that no probability reaches."""


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])


def _fewest(gain: NDArray[np.float64], squared: NDArray[np.float64]) -> int:
    """The first cut from which on reviewing gains less than its standard error; both are running sums by cut."""
    return int(np.argmax(gain[-1] - gain <= np.sqrt(squared[-1] - squared)))


def _threshold(p: NDArray[np.float64], above: int) -> float | None:
    """Half-way between the last row above the cut and the first below it; None where no row is above."""
    if above == 0:
        return None
    return 0.0 if above == len(p) else float(p[above - 1] + p[above]) / 2


def _worthwhile(costs: Costs, amount: float) -> tuple[float, float]:
    """Probabilities from which reviewing and blocking pay for a transaction of this amount, were they exact."""
    loss = costs.fraud_loss * amount
    review = costs.review / loss if loss > 0 else _NEVER
    rather_than_review = 1 - costs.review / costs.decline
    rather_than_approve = costs.decline / (costs.decline + loss)
    return min(review, rather_than_approve), max(rather_than_review, rather_than_approve)


def _beyond(highest: float, worthwhile: float) -> float:
    """A threshold above every probability seen: the worthwhile one, or else half-way from the highest to 1."""
    return float(worthwhile if highest < worthwhile else (highest + 1) / 2 if highest < 1 else _NEVER)
