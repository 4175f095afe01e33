"""How unlike the others a transaction is, learnt without labels: an isolation forest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numpy.typing import ArrayLike, NDArray

from gnn.trees import Forest
from graph.errors import NotEnoughData

_TREES: Final = 100
_ROWS_A_TREE: Final = 256
_SAMPLE: Final = 100_000
_FEWEST_ROWS: Final = 16


@numba.njit(types.void(types.float64[::1]), nogil=True, cache=True)
def _to_scores(exponents: Any) -> None:
    """Compiled, because NumPy's power of an array and of a number may differ in the last bit."""
    for row in range(exponents.shape[0]):
        exponents[row] = 2.0 ** min(exponents[row], 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Anomaly:
    """A trained isolation forest.

    Attributes:
        forest: its score is log2 of the anomaly score. Missing values go where their column's median would go,
            which is kept in the trees' `default_left`.
    """

    forest: Forest

    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Anomaly score of each row of X float32[n, P]: float64[n], in (0, 1]; ordinary rows are below .5."""
        scores = self.forest.predict(X)
        _to_scores(scores)
        return scores

    def save(self, path: Path) -> None:
        """Writes the forest to one .npz file."""
        self.forest.save(path)

    @classmethod
    def load(cls, path: Path) -> "Anomaly":
        """Reads what `save` wrote.

        Raises:
            BundleError: the file is missing or damaged.
        """
        return cls(Forest.load(path))


def train_anomaly(X: ArrayLike, *, seed: int = 0) -> Anomaly:
    """Trains on a sample of the rows, whatever their labels. The same rows and seed give the same forest.

    Args:
        X: float32[n, P], NaN is missing; infinite values count as missing too.
        seed: of the sample and the forest.

    Raises:
        NotEnoughData: there are too few rows to tell unusual ones.
    """
    from sklearn.ensemble import IsolationForest

    rows = np.asarray(X, dtype=np.float32)
    if len(rows) < _FEWEST_ROWS:
        raise NotEnoughData(
            f"{len(rows)} transactions are too few to learn what is usual (at least {_FEWEST_ROWS})",
            hint="ingest more history",
        )
    rng = np.random.default_rng(seed)
    if len(rows) > _SAMPLE:
        rows = rows[np.sort(rng.choice(len(rows), _SAMPLE, replace=False))]
    rows = np.where(np.isfinite(rows), rows, np.float32(np.nan))
    medians = np.zeros(rows.shape[1], dtype=np.float32)
    known = ~np.isnan(rows).all(axis=0)
    medians[known] = np.nanmedian(rows[:, known], axis=0)
    filled = np.where(np.isnan(rows), medians, rows)
    model = IsolationForest(n_estimators=_TREES, max_samples=min(_ROWS_A_TREE, len(rows)), random_state=seed)
    model.fit(filled)
    return Anomaly(Forest.from_isolation_forest(model, missing=medians))
