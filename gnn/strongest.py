"""Which themes moved a log-odds most: compiled, since in the service it is asked for a transaction at a time."""

import numpy as np
from numpy.typing import NDArray

from graph.compiled import kernel

MOST_REASONS = 5
FEWEST_REASONS = 3
_LOOKED_AT = 12
_LEAST_SHARE = 0.08
_DIGITS = 7


def strongest(
    contributions: NDArray[np.float64],
    theme_of: NDArray[np.int64],
    themes: int,
    scale: float,
    network: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The themes that moved each of n transactions most in the direction it went, strongest first.

    Those come that make up 8% at least of what moved it that way, five at most, three where there are so many; one
    there always is.

    Args:
        contributions: float64[n, P + 1], log-odds by feature; the last column, the bias, counts for nothing.
        theme_of: int64[P], each feature's theme, from 0 to `themes` - 1.
        scale: what contributions are multiplied by.
        network: float64[n], the network's part; its theme has the number `themes`.

    Returns:
        int64[n, 5], numbers of themes, -1 where there are no more; float64[n, 5], their log-odds.
    """
    n = len(contributions)
    chosen = np.empty((n, MOST_REASONS), np.int64)
    weights = np.empty((n, MOST_REASONS))
    _choose(
        contributions, theme_of, scale, network, np.empty(themes + 1), np.empty(themes + 1, np.bool_), chosen, weights
    )
    return chosen, weights


def legible(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features with seven significant digits, as many as a float32 has: the rest would be noise of its binary form."""
    told = np.empty(features.shape)
    _round(features, told)
    return told


@kernel
def _choose(contributions, theme_of, scale, network, strength, taken, chosen, weights):  # type: ignore[no-untyped-def]
    themes = strength.shape[0]
    for i in range(contributions.shape[0]):
        strength[:] = 0.0
        taken[:] = False
        for j in range(theme_of.shape[0]):
            strength[theme_of[j]] += contributions[i, j]
        total = 0.0
        for theme in range(themes - 1):
            strength[theme] *= scale
            total += strength[theme]
        strength[themes - 1] = network[i]
        total += network[i]
        sign = 1.0 if total > 0 else -1.0
        same_way = 0.0
        for theme in range(themes):
            same_way += max(sign * strength[theme], 0.0)
        chosen[i, :] = -1
        found = 0
        for look in range(min(_LOOKED_AT, themes)):
            best = -1
            for theme in range(themes):
                if not taken[theme] and (best < 0 or abs(strength[theme]) > abs(strength[best])):
                    best = theme
            taken[best] = True
            if look == 0:
                chosen[i, 0] = best
                weights[i, 0] = strength[best]
            moved = sign * strength[best]
            if moved > 0 and found < chosen.shape[1] and (found < FEWEST_REASONS or moved >= _LEAST_SHARE * same_way):
                chosen[i, found] = best
                weights[i, found] = strength[best]
                found += 1


@kernel
def _round(values, told):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            exact = np.float64(values[i, j])
            told[i, j] = exact
            size = abs(exact)
            if 0 < size < np.inf:
                scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(size)))
                rounded = np.rint(exact * scale) / scale
                if np.isfinite(rounded):
                    told[i, j] = rounded
