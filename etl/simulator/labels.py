"""How the platform learns the truth: late, not always, and at times first wrongly."""

from dataclasses import dataclass

import numpy as np

from etl.simulator.pools import Flags, Floats, Ints
from etl.simulator.settings import DAY, HOUR

SOURCES = ("no_report", "chargeback", "customer_report", "dispute_won")
NO_REPORT, CHARGEBACK, CUSTOMER_REPORT, DISPUTE_WON = range(4)
GENUINE_AFTER = 14 * DAY
NEVER = -1
"""Time of a report that never comes."""
DISPUTED = 0.0008
"""Share of genuine transactions that are disputed all the same: forgotten, regretted, or not recognised."""
WON = 0.6
"""Share of those disputes that the restaurant wins, so that the transaction is genuine again."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Verdicts in the order in which they became known: row of the transaction, verdict, time known, source.

    `known_at` is in seconds since the epoch, UTC; `source` a position in `SOURCES`.
    """

    row: Ints
    is_fraud: Flags
    known_at: Ints
    source: Ints


def reported_at(rng: np.random.Generator, occurred: Ints, median_days: Floats, never: float) -> Ints:
    """When each transaction is reported (seconds since the epoch): after around `median_days`, `NEVER` for a share."""
    delay = median_days * rng.lognormal(0, 0.55, len(occurred)) * DAY
    known = occurred + np.maximum(delay, HOUR).astype(np.int64)
    return np.where(rng.random(len(occurred)) < never, NEVER, known)


def verdicts(rng: np.random.Generator, occurred: Ints, is_fraud: Flags, reports: Ints) -> Labels:
    """What becomes known of each transaction, and when, also after the period's end.

    Whatever nobody has reported after about 14 days counts as genuine; a report that comes later than those 14 days
    overrules that. Some genuine transactions are disputed: they count as fraud, most of them until the dispute is won.

    Args:
        occurred: times of the transactions.
        is_fraud: the truth.
        reports: when fraud is reported, `NEVER` where it isn't; read where `is_fraud`.
    """
    count = len(occurred)
    genuine_at = occurred + GENUINE_AFTER + rng.integers(0, 8 * HOUR, count)
    disputed = ~is_fraud & (rng.random(count) < DISPUTED)
    accused_at = np.where(is_fraud, reports, reported_at(rng, occurred, np.full(count, 9.0), 0.0))
    accused = (is_fraud & (reports != NEVER)) | disputed
    won = disputed & (rng.random(count) < WON)
    # A dispute is won well after both the accusation and the silent verdict.
    won_at = np.maximum(accused_at, genuine_at) + (rng.gamma(4, 4, count) * DAY).astype(np.int64) + HOUR

    silent = np.flatnonzero(~accused | (accused_at > genuine_at))
    loud, cleared = np.flatnonzero(accused), np.flatnonzero(won)
    row = np.concatenate([silent, loud, cleared])
    known_at = np.concatenate([genuine_at[silent], accused_at[loud], won_at[cleared]])
    source = np.concatenate(
        [
            np.full(len(silent), NO_REPORT),
            np.where(disputed[loud] | (rng.random(len(loud)) < 0.7), CHARGEBACK, CUSTOMER_REPORT),
            np.full(len(cleared), DISPUTE_WON),
        ]
    )
    verdict = (source == CHARGEBACK) | (source == CUSTOMER_REPORT)
    order = np.lexsort((row, known_at))
    return Labels(row[order], verdict[order], known_at[order], source[order])
