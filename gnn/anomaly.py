"""How unlike the others a transaction is, learnt without labels: an isolation forest."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from gnn.trees import Forest
from graph.errors import NotEnoughData

_TREES: Final = 100
_ROWS_A_TREE: Final = 256
_SAMPLE: Final = 100_000
_FEWEST_ROWS: Final = 16


def train_anomaly(X: ArrayLike, *, seed: int = 0) -> Forest:
    """Trains on a sample of the rows, whatever their labels. The same rows and seed give the same forest.

    The forest's score is log2 of the usual anomaly score: 0 for the most unusual row there could be, below -1 for
    ordinary ones; `2 ** score` lies in (0, 1]. It is a sum over trees, so contributions explain it. A missing
    value goes where its column's median would go.

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
    return Forest.from_isolation_forest(model, missing=medians)
