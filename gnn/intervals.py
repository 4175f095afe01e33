"""Intervals by a bootstrap of whole blocks, the same draws for everything that is compared.

Transactions hang together twice over: those of one user (a fraud found is found again in the user's next ones), and
those of one time (a ring at work, a holiday, a model that ages). Drawing them one by one would make every interval
too narrow by far; drawing by days alone still does, where frauds of a user last for days. So users are drawn, and
stretches of time are, and the wider of the two intervals holds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnn.scored import Scored

RESAMPLES: Final = 200
_FEWEST_BLOCKS: Final = 8
_FEWEST_USERS: Final = 20
_CHUNKS: Final = 20

Draws = dict[str, NDArray[np.float64]]
"""By name, a figure's values: first of the rows as they are, then of each draw."""

Figures = dict[str, dict[str, float | None]]
"""By name, `value` and the ends of its 95% interval, `low` and `high`; None where not defined."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """One way to draw blocks of rows with replacement.

    Attributes:
        block: int32[n], the block of each row.
        counts: float64[1 + draws, blocks], how often each block counts: once in the first row, then as drawn.
        of_time: whether blocks are stretches of time; then whole days are drawn.
    """

    block: NDArray[np.int32]
    counts: NDArray[np.float64]
    of_time: bool


def resamplings(rows: Scored, rng: np.random.Generator) -> list[Resampling]:
    """Draws of time (weeks, days where there are few weeks, or twenty stretches of as many rows) and of users.

    Args:
        rows: in order of occurrence. Those without a user are a user each.
    """
    found = [_drawn(_times(rows), rng, of_time=True)]
    if rows.user is not None:
        nobody = rows.user < 0
        numbers = np.where(nobody, rows.user.max(initial=0) + 1 + np.arange(len(rows)), rows.user)
        block = np.unique(numbers, return_inverse=True)[1].astype(np.int32)
        if block.max() + 1 >= _FEWEST_USERS:
            found.append(_drawn(block, rng, of_time=False))
    return found


def _times(rows: Scored) -> NDArray[np.int32]:
    for unit in (rows.week, rows.day):
        names, block = np.unique(unit, return_inverse=True)
        if len(names) >= _FEWEST_BLOCKS or (unit is rows.day and len(names) >= 5):
            return block.astype(np.int32)
    return (np.arange(len(rows)) * min(_CHUNKS, len(rows)) // len(rows)).astype(np.int32)


def _drawn(block: NDArray[np.int32], rng: np.random.Generator, *, of_time: bool) -> Resampling:
    blocks = int(block.max()) + 1
    counts = np.vstack([np.ones(blocks), rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES)])
    return Resampling(block, counts, of_time)


def with_intervals(draws: list[Draws]) -> Figures:
    """Values, and the middle 95% of what was drawn; of several ways to draw, from the lowest end to the highest.

    Args:
        draws: of each resampling; the first has every figure.
    """
    figures: Figures = {}
    for name, values in draws[0].items():
        ends = []
        for drawn in draws:
            resampled = drawn[name][1:] if name in drawn else np.empty(0)
            resampled = resampled[np.isfinite(resampled)]
            if len(resampled):
                ends.append(np.percentile(resampled, [2.5, 97.5]))
        low, high = (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else (np.nan, np.nan)
        figures[name] = {"value": number(values[0]), "low": number(low), "high": number(high)}
    return figures


def differences(a: list[Draws], b: list[Draws]) -> list[Draws]:
    """a - b of the figures that both have, draw by draw."""
    return [
        {name: mine[name] - theirs[name] for name in mine if name in theirs} for mine, theirs in zip(a, b, strict=True)
    ]


def number(value: float) -> float | None:
    """The value for JSON: None where it is not finite."""
    return float(value) if np.isfinite(value) else None
