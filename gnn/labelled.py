"""What is known of a history's rows at one moment, cut in time for training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnn.replay import History
from graph.errors import NotEnoughData
from graph.records import DAY

_VALIDATION_SHARE = 0.2
_RIPE = 0.9


@dataclass(frozen=True, slots=True)
class Split:
    """Labelled rows in order of time: `early` trains, `late` calibrates, `y` is what is known of every row."""

    y: NDArray[np.bool_]
    early: NDArray[np.int64]
    late: NDArray[np.int64]

    @property
    def both(self) -> NDArray[np.int64]:
        return np.concatenate([self.early, self.late])


def split_labelled(history: History, until_row: int, at: int) -> Split:
    """Cuts what is known at time `at` (microseconds UTC) into an earlier and a later part.

    Rows so recent that most frauds among them would not be known yet are left out: labels that come early
    are not a fair sample of them.

    Where no fraud is known, both parts are all rows.

    Raises:
        NotEnoughData: nothing but fraud is known.
    """
    label, known_at = history.labels_as_of(at)
    label, known_at = label[:until_row], known_at[:until_row]
    occurred_at = history.occurred_at[:until_row]
    rows = np.flatnonzero(label >= 0)
    frauds = rows[label[rows] == 1]
    if len(frauds) and len(frauds) == len(rows):
        raise NotEnoughData(
            f"all {len(rows):,} transactions with a label that is known before {as_text(at)} are fraud; genuine "
            "ones are needed too",
            hint="where a feed names only fraud, say from when on no report means genuine: genuine_after in the "
            "mapping's label",
        )
    if not len(frauds):
        unlabelled = np.argsort(occurred_at, kind="stable")
        return Split(label == 1, unlabelled, unlabelled)
    ripe = rows[occurred_at[rows] <= at - np.quantile(known_at[frauds] - occurred_at[frauds], _RIPE)]
    if (label[ripe] == 1).sum() >= len(frauds) // 2 and (label[ripe] == 0).any():
        rows = ripe
    rows = rows[np.argsort(occurred_at[rows], kind="stable")]
    y = label == 1
    # The later part is a fifth of the time's rows, but holds at least a tenth of the frauds.
    cumulative = np.cumsum(y[rows])
    cut = min(
        int(len(rows) * (1 - _VALIDATION_SHARE)), int(np.searchsorted(cumulative, 0.9 * cumulative[-1], side="right"))
    )
    if cumulative[-1] < 4 or cut == 0 or not y[rows[:cut]].any() or y[rows[:cut]].all():
        # Too little to hold anything back: the blend falls back to its prior.
        return Split(y, rows, rows)
    return Split(y, rows[:cut], rows[cut:])


def as_text(at: int) -> str:
    """A time in microseconds UTC, for messages."""
    return f"{np.datetime64(at, 'us').astype('datetime64[s]')}Z"


def label_delays(history: History, until_row: int, at: int) -> dict[str, float]:
    """Days from the occurrence of a fraud, among the first rows, until it was known: p50 and p90 as of time `at`."""
    label, known_at = history.labels_as_of(at)
    frauds = np.flatnonzero(label[:until_row] == 1)
    delay = (known_at[frauds] - history.occurred_at[frauds]) / DAY
    return {f"p{q}": float(np.percentile(delay, q)) for q in (50, 90)} if len(delay) else {}
