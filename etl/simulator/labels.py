"""How the platform learns the truth: late, not always, and at times first wrongly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.simulator.people import Floats, Ints
from etl.simulator.settings import DAY, HOUR

SOURCES = ("no_report", "chargeback", "customer_report", "dispute_resolved")
NO_REPORT, CHARGEBACK, CUSTOMER_REPORT, DISPUTE_RESOLVED = range(4)
GENUINE_AFTER = 14 * DAY
NEVER_REPORTED = 0.1
MISTAKEN = 0.0008
"""Share of genuine transactions that are reported as fraud by mistake, and cleared later."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Verdicts in the order in which they became known: row of the transaction, verdict, time known, source.

    `known_at` is in seconds since the epoch, UTC; `source` a position in `SOURCES`.
    """

    row: Ints
    is_fraud: NDArray[np.bool_]
    known_at: Ints
    source: Ints


def report(rng: np.random.Generator, occurred: Ints, is_fraud: NDArray[np.bool_], median_days: Floats) -> Labels:
    """What becomes known of each transaction, and when, also after the period's end.

    Whatever nobody has reported after about 14 days counts as genuine. Fraud is reported after a delay around
    `median_days` (per transaction, read where `is_fraud`), a tenth of it never; a report that comes later than
    those 14 days overrules the first verdict.
    """
    count = len(occurred)
    genuine_at = occurred + GENUINE_AFTER + rng.integers(0, 8 * HOUR, count)
    reported = is_fraud & (rng.random(count) >= NEVER_REPORTED)
    mistaken = ~is_fraud & (rng.random(count) < MISTAKEN)
    delay = np.where(is_fraud, median_days, 9.0) * rng.lognormal(0, 0.55, count) * DAY
    accused_at = occurred + np.maximum(delay, HOUR).astype(np.int64)
    accused = reported | mistaken
    # A clearing comes well after both the accusation and the silent verdict.
    cleared_at = np.maximum(accused_at, genuine_at) + (rng.gamma(4, 4, count) * DAY).astype(np.int64) + HOUR

    silent = np.flatnonzero(~accused | (accused_at > genuine_at))
    loud, cleared = np.flatnonzero(accused), np.flatnonzero(mistaken)
    row = np.concatenate([silent, loud, cleared])
    known_at = np.concatenate([genuine_at[silent], accused_at[loud], cleared_at[cleared]])
    source = np.concatenate(
        [
            np.full(len(silent), NO_REPORT),
            np.where(rng.random(len(loud)) < 0.7, CHARGEBACK, CUSTOMER_REPORT),
            np.full(len(cleared), DISPUTE_RESOLVED),
        ]
    )
    verdict = (source == CHARGEBACK) | (source == CUSTOMER_REPORT)
    order = np.lexsort((row, known_at))
    return Labels(row[order], verdict[order], known_at[order], source[order])
