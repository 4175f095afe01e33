"""From the models' scores of a transaction to one calibrated probability.

`probability = sigmoid(bias + sum of weight * score)`, with weights that are never negative. It is smooth and
strictly rising in every score that has weight, so two transactions that the models tell apart stay apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import ArrayLike, NDArray

from graph.errors import BundleError, NotEnoughData

INPUTS: Final = ("head", "gnn", "anomaly")
"""Scores that can be blended: log-odds of the head, log-odds of the GNN, score of the anomaly forest."""

_LOGITS: Final = ("head", "gnn")
_PRIOR_STRENGTH: Final = 10.0
"""Evidence behind equal weights; about that of ten frauds."""

_SCORES = types.Array(types.float64, 2, "C", readonly=True)
_WEIGHTS = types.Array(types.float64, 1, "C", readonly=True)


@numba.njit(types.void(_SCORES, _WEIGHTS, types.float64, types.float64[::1]), nogil=True, cache=True)
def _blend(scores: Any, weights: Any, bias: Any, out: Any) -> None:
    """Compiled, because NumPy's exp of an array and of a number may differ in the last bit."""
    for row in range(scores.shape[0]):
        logit = bias
        for column in range(scores.shape[1]):
            logit += weights[column] * scores[row, column]
        small = np.exp(-abs(logit))
        out[row] = 1.0 / (1.0 + small) if logit >= 0 else small / (1.0 + small)


@dataclass(frozen=True, slots=True)
class Blend:
    """A fitted blend.

    Attributes:
        inputs: which scores go in, in the order of `INPUTS`.
        weights: one a score, >= 0.
        bias: log-odds where all scores are zero.
    """

    inputs: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        if not self.inputs or tuple(name for name in INPUTS if name in self.inputs) != self.inputs:
            raise ValueError(f"a blend's inputs are some of {', '.join(INPUTS)}, in this order; not {self.inputs}")
        values = (*self.weights, self.bias)
        if len(self.weights) != len(self.inputs) or not np.isfinite(values).all() or min(self.weights) < 0:
            raise ValueError("a blend has one weight an input, none negative, and a bias")

    def probabilities(self, scores: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Probability of fraud, float64[n], 0 to 1; a row alone gives the same bits as among others.

        Args:
            scores: by input, n numbers each; scores that the blend doesn't use are ignored.

        Raises:
            ValueError: a score that the blend uses is missing.
        """
        table = _table(self.inputs, scores)
        out = np.empty(len(table))
        _blend(table, np.array(self.weights), self.bias, out)
        return out

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` gives the blend back to the last bit."""
        return {"inputs": list(self.inputs), "weights": list(self.weights), "bias": self.bias}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Blend":
        """Reads what `to_dict` wrote.

        Raises:
            BundleError: it isn't that.
        """
        try:
            return cls(tuple(fields["inputs"]), tuple(float(w) for w in fields["weights"]), float(fields["bias"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"the bundle's blend cannot be read: {error}") from error

    @classmethod
    def fit(cls, scores: Mapping[str, ArrayLike | None], y: ArrayLike, weight: ArrayLike | None = None) -> "Blend":
        """Fits weights and bias on rows later than those that the models were trained on.

        It is logistic regression with non-negative weights, drawn towards equal weights of the models' log-odds
        (and none of the anomaly score, where there are any) and a bias that meets the share of fraud.
        With few frauds that is what comes out; the more there are, the less it counts.

        Args:
            scores: by input, n finite numbers each; None or left out where there is no such model.
            y: bool[n], fraud.
            weight: float[n]; where genuine rows were sampled, how many each stands for. Ones by default.

        Raises:
            NotEnoughData: there are no rows.
            ValueError: no scores at all, scores that are not finite, or lengths that differ.
        """
        inputs = tuple(name for name in INPUTS if scores.get(name) is not None)
        if not inputs:
            raise ValueError("there are no scores to blend")
        table = _table(inputs, {name: values for name, values in scores.items() if values is not None})
        target = np.asarray(y, dtype=np.float64)
        counts = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
        if len(target) != len(table) or len(counts) != len(table):
            raise ValueError("scores, labels and weights differ in length")
        if not np.isfinite(table).all():
            raise ValueError("scores to blend must be finite numbers")
        if not counts.sum() > 0:
            raise NotEnoughData(
                "there are no labelled rows to calibrate on", hint="give more history, or a later --until"
            )
        mean = np.average(table, axis=0, weights=counts)
        spread = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=counts))
        # A score that never changes is left as it is: it keeps its prior weight, and the bias takes the rest.
        spread = np.where(spread > 1e-9, spread, 1.0)
        z = (table - mean) / spread
        prior = _prior_weights(inputs, spread)
        u, level = _fit_standardised(z, target, counts, prior * spread)
        weights = u / spread
        return cls(inputs, tuple(weights.tolist()), float(level - weights @ mean))


def _table(inputs: tuple[str, ...], scores: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    missing = [name for name in inputs if scores.get(name) is None]
    if missing:
        raise ValueError(f"the blend needs the score of: {', '.join(missing)}")
    columns = [np.asarray(scores[name], dtype=np.float64) for name in inputs]
    table = np.empty((len(columns[0]), len(columns)))
    for place, column in enumerate(columns):
        table[:, place] = column
    return table


def _prior_weights(inputs: tuple[str, ...], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    models = sum(name in _LOGITS for name in inputs)
    if models == 0:
        return 1.0 / spread
    return np.array([1.0 / models if name in _LOGITS else 0.0 for name in inputs])


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    small = np.exp(-np.abs(x))
    result: NDArray[np.float64] = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return result


def level_for(x: NDArray[np.float64], counts: NDArray[np.float64], share: float) -> float:
    """The constant that, added to log-odds x (each counting `counts` times), makes their mean probability `share`."""
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.average(_sigmoid(x + middle), weights=counts) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _fit_standardised(
    z: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Newton's method on the penalised log loss, weights kept from going negative; returns weights and level."""
    share = (float(counts @ y) + 0.5) / (float(counts.sum()) + 1.0)
    centre = np.append(prior, level_for(z @ prior, counts, share))
    penalty = np.append(np.full(len(prior), _PRIOR_STRENGTH), 1.0)
    design = np.column_stack([z, np.ones(len(z))])

    def loss(theta: NDArray[np.float64]) -> float:
        logit = design @ theta
        return float(counts @ (np.logaddexp(0.0, logit) - y * logit) + 0.5 * penalty @ (theta - centre) ** 2)

    theta = centre.copy()
    current = loss(theta)
    for _ in range(50):
        p = _sigmoid(design @ theta)
        gradient = design.T @ (counts * (p - y)) + penalty * (theta - centre)
        curvature = (design.T * (counts * p * (1 - p))) @ design + np.diag(penalty)
        step = _nonnegative_minimum(curvature, gradient, theta) - theta
        size = 1.0
        while size > 1e-6 and (trial := loss(theta + size * step)) > current:
            size /= 2
        if size <= 1e-6 or current - trial < 1e-9 * (1 + abs(current)):
            break
        theta, current = theta + size * step, trial
    return np.maximum(theta[:-1], 0.0), float(theta[-1])


def _nonnegative_minimum(
    curvature: NDArray[np.float64], gradient: NDArray[np.float64], theta: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the quadratic around theta is least with all but the last coordinate >= 0 (coordinate descent)."""
    point = theta.copy()
    last = len(theta) - 1
    for _ in range(500):
        before = point.copy()
        for i in range(len(theta)):
            slope = gradient[i] + curvature[i] @ (point - theta)
            value = point[i] - slope / curvature[i, i]
            point[i] = value if i == last else max(value, 0.0)
        if np.abs(point - before).max() < 1e-12:
            break
    return point
