"""Intervals by a bootstrap over blocks of time, the same draws for everything that is compared.

Transactions of one time hang together, and drawing them one by one would make every interval too narrow.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnn.scored import Scored

_RESAMPLES: Final = 200
_FEWEST_BLOCKS: Final = 8
_CHUNKS: Final = 20

Draws = dict[str, NDArray[np.float64]]
"""By name, a figure's values: first of the rows as they are, then of each draw."""

Figures = dict[str, dict[str, float | None]]
"""By name, `value` and the ends of its 95% interval, `low` and `high`; None where not defined."""


def blocks_of(rows: Scored) -> NDArray[np.int32]:
    """int32[n]: the block of each row: its week, or day, or one of twenty stretches of as many rows."""
    for unit in (rows.week, rows.day):
        names, block = np.unique(unit, return_inverse=True)
        if len(names) >= _FEWEST_BLOCKS or (unit is rows.day and len(names) >= 5):
            return block.astype(np.int32)
    return (np.arange(len(rows)) * min(_CHUNKS, len(rows)) // len(rows)).astype(np.int32)


def drawn(block: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.float64]:
    """float64[1 + draws, blocks]: how often each block counts; once in the first row, then as drawn."""
    blocks = int(block.max()) + 1
    return np.vstack([np.ones(blocks), rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=_RESAMPLES)])


def with_intervals(draws: Draws) -> Figures:
    """Values and the middle 95% of what was drawn."""
    figures: Figures = {}
    for name, values in draws.items():
        resampled = values[1:][np.isfinite(values[1:])]
        low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (np.nan, np.nan)
        figures[name] = {"value": number(values[0]), "low": number(low), "high": number(high)}
    return figures


def number(value: float) -> float | None:
    """The value for JSON: None where it is not finite."""
    return float(value) if np.isfinite(value) else None
