"""Frauds made up between real ones (SMOTE), for comparison with other ways to handle rare fraud."""

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 5


def oversampled(
    X: NDArray[np.float32], y: NDArray[np.bool_], *, share: float = 0.5, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The rows and made-up frauds, so many that frauds are this share of all.

    Each lies at random on the line from a fraud to one of its five nearest frauds: N. V. Chawla, K. W. Bowyer,
    L. O. Hall, W. P. Kegelmeyer, "SMOTE: Synthetic Minority Over-sampling Technique", Journal of Artificial
    Intelligence Research 16 (2002). The same rows and seed give the same result.

    Args:
        X: float32[n, P], no value missing, columns of comparable spread.
        y: bool[n], fraud.
        share: above 0 and below 1; where frauds are as many already, nothing is added.

    Returns:
        float32[m, P] and bool[m]: the rows given, then those made up.

    Raises:
        ValueError: a value is missing, or there is no fraud.
    """
    from sklearn.neighbors import NearestNeighbors

    frauds = X[y]
    if not len(frauds) or not np.isfinite(frauds).all():
        raise ValueError("frauds to go between must be there, with every value")
    wanted = round(share / (1 - share) * int((~y).sum())) - len(frauds)
    if wanted <= 0:
        return X, y
    rng = np.random.default_rng(seed)
    near = min(_NEIGHBOURS, len(frauds) - 1)
    start = rng.integers(0, len(frauds), wanted)
    if near:
        # The nearest of each is the fraud itself, or one just like it.
        places = NearestNeighbors(n_neighbors=near + 1).fit(frauds).kneighbors(frauds, return_distance=False)
        end = places[start, rng.integers(1, near + 1, wanted)]
    else:
        end = start
    step = rng.random((wanted, 1), dtype=np.float32)
    made = frauds[start] + step * (frauds[end] - frauds[start])
    return np.concatenate([X, made]), np.concatenate([y, np.ones(wanted, np.bool_)])
