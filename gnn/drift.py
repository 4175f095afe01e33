"""Drift: how far what is scored now lies from what the model learnt from.

The measure is the population stability index (PSI), sum over cells of (now - then) * ln(now / then): below 0.1 nothing
to speak of, above 0.25 another population. Cells are the deciles of the reference, and one for missing values; a
value that a tenth of the rows share has a cell of its own.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.errors import BundleError

SHIFTED: Final = 0.25
"""PSI from which on a distribution counts as another one."""

_LEVELS: Final = np.arange(1, 10) / 10
_CELLS: Final = len(_LEVELS) + 2
_RECENT_SHARE: Final = 1 / 3
_FEWEST_RECENT: Final = 4_000
_MOST_ROWS: Final = 40_000
STEADY: Final = 0.1
"""Usual PSI up to which a feature can tell drift: others change all the time, since accounts age and counts grow."""
_NOISE_DEVIATIONS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Reference:
    """Distributions of P features over the latest rows that a model was trained on.

    Earlier rows are left out: a graph that had only begun to grow looks like none that comes later.

    Attributes:
        edges: float64[P, 9], upper ends of all cells but the last two, ascending, NaN after the last.
        shares: float64[P, 11], share of the rows by cell; the last cell is for missing values.
        usual: float64[P], PSI of the rows' later half against their earlier half: what changes without anything
            having happened, since accounts age and counts grow.
        rows: how many rows there were.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]
    usual: NDArray[np.float64]
    rows: int

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> "Reference":
        """The reference of features in order of time, float32[n, P], NaN where missing; n at least 1."""
        n = len(features)
        recent = min(n, max(int(n * _RECENT_SHARE), _FEWEST_RECENT))
        rows = np.linspace(n - recent, n - 1, min(recent, _MOST_ROWS)).astype(np.int64)
        sample = features[rows].astype(np.float64)
        edges = np.full((sample.shape[1], len(_LEVELS)), np.nan)
        for j in range(sample.shape[1]):
            present = sample[:, j][~np.isnan(sample[:, j])]
            if len(present):
                # Values that occur, so that what many rows share is on one side of an edge.
                own = np.unique(np.quantile(present, _LEVELS, method="inverted_cdf"))
                edges[j, : len(own)] = own
        half = len(sample) // 2
        first, second = cell_counts(edges, sample[:half]), cell_counts(edges, sample[half:])
        usual = psi(first, second)
        return cls(edges, cell_counts(edges, sample) / len(sample), usual, len(sample))

    def save(self, path: Path) -> None:
        """Writes it for `load`."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, edges=self.edges, shares=self.shares, usual=self.usual, rows=np.array(self.rows, np.int64)
        )
        path.write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Reads what `save` wrote.

        Raises:
            BundleError: it isn't that, as in a bundle of an earlier version.
        """
        try:
            with np.load(path) as parts:
                return cls(parts["edges"], parts["shares"], parts["usual"], int(parts["rows"]))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"{path} holds no distributions to compare with: {error}",
                hint="train again with this version: quipu train",
            ) from error

    def drift(self, features: NDArray[np.float32]) -> "FeatureDrift":
        """How far features, float32[n, P], lie from the reference; n at least 1."""
        counts = cell_counts(self.edges, features.astype(np.float64))
        found = psi(self.shares * self.rows, counts)
        cells = (self.shares > 0).sum(axis=1)
        limit = SHIFTED + noise(cells, self.rows, len(features))
        return FeatureDrift(found, limit, self.usual <= STEADY, np.isnan(features).mean(axis=0), self.shares[:, -1])


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """Drift of P features.

    Attributes:
        psi: float64[P].
        limit: float64[P], beyond which it is another distribution, and not by chance.
        steady: bool[P], whether the feature's distribution usually stays as it is; only these can shift.
        missing, missing_before: float64[P], share of missing values now and in the reference.
    """

    psi: NDArray[np.float64]
    limit: NDArray[np.float64]
    steady: NDArray[np.bool_]
    missing: NDArray[np.float64]
    missing_before: NDArray[np.float64]

    @property
    def shifted(self) -> NDArray[np.bool_]:
        """bool[P]: steady, and beyond the limit."""
        return self.steady & (self.psi > self.limit)


def cell_counts(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of n values are in each cell.

    Args:
        edges: float64[P, 9] as in `Reference`; values: float64[n, P].

    Returns:
        float64[P, 11].
    """
    counts = np.zeros((values.shape[1], _CELLS))
    for j in range(values.shape[1]):
        own = edges[j][~np.isnan(edges[j])]
        column = values[:, j]
        missing = np.isnan(column)
        cell = np.searchsorted(own, column[~missing], side="left")
        counts[j] = np.bincount(cell, minlength=_CELLS)
        counts[j, -1] = missing.sum()
    return counts


def psi(before: NDArray[Any], now: NDArray[Any]) -> NDArray[np.float64]:
    """PSI of counts over the last axis.

    Half a row is added to each cell that is in use now or was then, so that empty ones have a logarithm.
    """
    used = (before > 0) | (now > 0)
    then, present = (
        np.where(used, counts + 0.5, 1.0) / np.where(used, counts + 0.5, 0.0).sum(axis=-1, keepdims=True).clip(0.5)
        for counts in (before, now)
    )
    distance: NDArray[np.float64] = np.where(used, (present - then) * np.log(present / then), 0.0).sum(axis=-1)
    return distance


def noise(cells: NDArray[np.int64] | int, before: float, now: float) -> Any:
    """What PSI between two samples of one population hardly exceeds: it is near to chi-square over their sizes."""
    free = np.maximum(np.asarray(cells) - 1, 1)
    return (free + _NOISE_DEVIATIONS * np.sqrt(2 * free)) * (1 / max(before, 1) + 1 / max(now, 1))
