"""From features and ego-graphs to probabilities: the same code in the backtest and in the service."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnn.calibration import Blend
from gnn.network import Network
from gnn.tensors import EgoStore, collate, collate_all
from gnn.trees import Forest

_BATCH = 256
_WORTH_A_THREAD = 4
"""Transactions; to wake another thread for fewer takes longer than the network does."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores of n transactions, float64[n] each.

    Attributes:
        probability: calibrated, 0 to 1.
        head, gnn: log-odds of the boosted head and of the network (zeros where there is no network).
        anomaly: log2 of the isolation forest's score, <= 0, higher where a row is less like the others (zeros where
            the blend gives it no weight).
        contributions: float64[n, P + 1], the head's log-odds by feature and its bias, where asked for.
    """

    probability: NDArray[np.float64]
    head: NDArray[np.float64]
    gnn: NDArray[np.float64]
    anomaly: NDArray[np.float64]
    contributions: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Predictor:
    """The models of a bundle, ready to score. The network runs beside the trees, on a thread of its own.

    Attributes:
        head, anomaly: forests over the features.
        network: the graph network, or None where too few frauds were known to train one.
        blend: from the three scores to a probability.
    """

    head: Forest
    anomaly: Forest
    network: Network | None
    blend: Blend
    _beside: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="quipu-network"),
        init=False,
        repr=False,
        compare=False,
    )

    def predict(
        self, features: NDArray[np.float32], egos: EgoStore, *, explain: bool = False, beside: bool = True
    ) -> Prediction:
        """Scores transactions.

        Args:
            features: float32[n, P], as of each transaction's time.
            egos: their n ego-graphs.
            explain: also split the head's log-odds over the features.
            beside: whether the network may have another thread.
        """
        n = len(features)
        running = None
        if beside and self.network is not None and n >= _WORTH_A_THREAD:
            running = self._beside.submit(_logits, self.network, features, egos)
        head, parts = self.head.explained(features) if explain else (self.head.predict(features), None)
        weights = dict(zip(self.blend.inputs, self.blend.weights, strict=True))
        anomaly = self.anomaly.predict(features) if weights.get("anomaly") else np.zeros(n)
        if running is not None:
            gnn = running.result()
        else:
            gnn = np.zeros(n) if self.network is None else _logits(self.network, features, egos)
        probability = self.blend.probabilities({"head": head, "gnn": gnn, "anomaly": anomaly})
        return Prediction(probability, head, gnn, anomaly, parts)


def _logits(network: Network, features: NDArray[np.float32], egos: EgoStore) -> NDArray[np.float64]:
    n = len(features)
    if n <= _BATCH:
        return network.run(collate_all(egos, features))[0].astype(np.float64)
    gnn = np.empty(n)
    for first in range(0, n, _BATCH):
        part = np.arange(first, min(first + _BATCH, n), dtype=np.int64)
        gnn[part], _ = network.run(collate(egos, features, part))
    return gnn
