"""Quality by the Handbook's own protocol, on its own data.

Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection (2022).
Which transactions of a week are tested: section 3.4 (`get_train_test_set`, 7 days each of training, delay and
test). Area under the ROC curve and average precision: sections 4.2 and 4.3. Card precision: section 4.4
(`card_precision_top_k`, detected cards leave the later days). Its best figures, of the same weeks: chapter 6.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.report import Figure, Section
from bench.setup import Workspace

DAY = 86_400_000_000
FIRST_TEST_DAY = 17_751  # 2018-08-08, in days since the epoch
WEEKS = 4
TRAIN = DELAY = TEST = 7
TOP = 100


@dataclass(frozen=True, slots=True, eq=False)
class Payments:
    """Transactions with what became of them; n rows, in any order.

    Attributes:
        customer: int64[n]. day: int64[n], days since the epoch, UTC. fraud: bool[n].
    """

    customer: NDArray[np.int64]
    day: NDArray[np.int64]
    fraud: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WeekFigures:
    """What was measured in one week of tests; `possible` is the card precision of a perfect ranking."""

    transactions: int
    frauds: int
    auc: float
    average_precision: float
    card_precision: float
    possible: float


def is_tested(history: Payments, rows: Payments, first_day: int) -> NDArray[np.bool_]:
    """Which rows the Handbook tests in the week that begins on `first_day`: `get_train_test_set`.

    Customers with a fraud in the week of training are left out, and on each day of the test also those with a
    fraud on any day from the end of training up to the one that lies a delay and a day before.

    Args:
        history: all transactions of the weeks of training and delay, at least.
        rows: scored transactions.
    """
    start = first_day - DELAY - TRAIN
    training = history.fraud & (history.day >= start) & (history.day < start + TRAIN)
    known = history.customer[training]
    kept = np.zeros(len(rows.day), np.bool_)
    for day in range(TEST):
        yesterday = history.fraud & (history.day == start + TRAIN + day - 1)
        known = np.union1d(known, history.customer[yesterday])
        today = np.flatnonzero(rows.day == first_day + day)
        kept[today] = ~np.isin(rows.customer[today], known)
    return kept


def card_precision(rows: Payments, score: NDArray[np.float64], top: int = TOP) -> tuple[float, float]:
    """Mean over days of the share of compromised customers among the `top` whose highest score that day is highest.

    Customers who were found compromised on one day are left out on later ones: `card_precision_top_k`.

    Returns:
        The mean, and the mean that a perfect ranking would have on the same days.
    """
    found: NDArray[np.int64] = np.empty(0, np.int64)
    missing: NDArray[np.int64] = np.empty(0, np.int64)
    shares, possible = [], []
    for day in np.unique(rows.day):
        today = np.flatnonzero(rows.day == day)
        best = today[~np.isin(rows.customer[today], missing)]
        compromised = np.unique(rows.customer[best[rows.fraud[best]]])[:top]
        possible.append(len(compromised) / top)
        missing = np.union1d(missing, compromised)

        today = today[~np.isin(rows.customer[today], found)]
        customers, place = np.unique(rows.customer[today], return_inverse=True)
        highest = np.full(len(customers), -np.inf)
        np.maximum.at(highest, place, score[today])
        hit = np.zeros(len(customers), np.bool_)
        np.logical_or.at(hit, place, rows.fraud[today])
        ranked = np.argsort(-highest, kind="stable")[:top]
        detected = ranked[hit[ranked]]
        shares.append(len(detected) / top)
        found = np.union1d(found, customers[detected])
    return float(np.mean(shares)), float(np.mean(possible))


def week_figures(rows: Payments, score: NDArray[np.float64]) -> WeekFigures:
    """The Handbook's three figures of one week's tested rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    share, possible = card_precision(rows, score)
    return WeekFigures(
        transactions=len(rows.day),
        frauds=int(rows.fraud.sum()),
        auc=float(roc_auc_score(rows.fraud, score)),
        average_precision=float(average_precision_score(rows.fraud, score)),
        card_precision=share,
        possible=possible,
    )


def weekly(
    history: Payments, rows: Payments, score: NDArray[np.float64], *, leave_out_known: bool
) -> list[WeekFigures]:
    """The figures of each of the four weeks; with the Handbook's exclusion of known customers, or of all rows."""
    weeks = []
    for week in range(WEEKS):
        first = FIRST_TEST_DAY + 7 * week
        chosen = (rows.day >= first) & (rows.day < first + TEST)
        if leave_out_known:
            chosen = is_tested(history, rows, first)
        weeks.append(week_figures(Payments(rows.customer[chosen], rows.day[chosen], rows.fraud[chosen]), score[chosen]))
    return weeks


def read_history(files: list[Path]) -> Payments:
    """The Handbook's transactions, of all days."""
    table = pa.concat_tables([pq.read_table(f, columns=["CUSTOMER_ID", "TX_DATETIME", "TX_FRAUD"]) for f in files])
    at = table["TX_DATETIME"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return Payments(table["CUSTOMER_ID"].cast(pa.int64()).to_numpy(), at // DAY, table["TX_FRAUD"].to_numpy() == 1)


def read_scores(path: Path) -> tuple[Payments, NDArray[np.float64]]:
    """Scores as `quipu backtest` wrote them."""
    table = pq.read_table(path, columns=["occurred_at", "probability", "is_fraud", "user_id"])
    at = table["occurred_at"].cast(pa.int64()).to_numpy()
    customer = table["user_id"].cast(pa.string()).cast(pa.int64()).to_numpy()
    return Payments(customer, at // DAY, table["is_fraud"].to_numpy().astype(bool)), table["probability"].to_numpy()


def run(work: Workspace) -> Section:
    """Backtests the four weeks, retraining every week, and measures as the Handbook does."""
    scores = work.scores
    seconds = None
    if scores is None:
        scores = work.path("handbook-scores.parquet")
        times = ("--train-until", "2018-08-08", "--until", "2018-09-05", "--retrain-every", "7d")
        seconds = work.quipu("backtest", "--store", work.store(), *times, "--out", str(scores), "--json").seconds
    with work.progress.stage("measuring the four weeks"):
        history = read_history(work.files())
        rows, score = read_scores(scores)
        book = weekly(history, rows, score, leave_out_known=True)
        everyone = weekly(history, rows, score, leave_out_known=False)
    left_out = "known compromised customers left out"
    figures = [
        _mean("AUC", everyone, lambda w: w.auc, at_least=0.89, note="all transactions of each week"),
        _mean(
            "average precision",
            everyone,
            lambda w: w.average_precision,
            at_least=0.75,
            note="all transactions of each week",
        ),
        _mean(
            f"card precision@{TOP}",
            book,
            lambda w: w.card_precision,
            at_least=0.31,
            note=f"{left_out}, as the Handbook does; its best: .305",
        ),
        _mean("what a perfect ranking would have there", book, lambda w: w.possible),
        _mean(f"AUC, {left_out}", book, lambda w: w.auc, note="the Handbook's best: .876"),
        _mean(f"average precision, {left_out}", book, lambda w: w.average_precision, note="the Handbook's best: .687"),
        _mean(f"card precision@{TOP}, all transactions", everyone, lambda w: w.card_precision),
    ]
    details: dict[str, Any] = {
        "weeks_from": ["2018-08-08", "2018-08-15", "2018-08-22", "2018-08-29"],
        "known_customers_left_out": [asdict(week) for week in book],
        "all_rows": [asdict(week) for week in everyone],
        "backtest_seconds": seconds,
    }
    title = (
        f"mean of {WEEKS} test weeks from 2018-08-08; before each week a model is trained on all history "
        "whose labels were known by then"
    )
    return Section("handbook", title, figures, details)


def _mean(
    name: str,
    weeks: list[WeekFigures],
    of: Callable[[WeekFigures], float],
    *,
    at_least: float | None = None,
    note: str = "",
) -> Figure:
    values = tuple(of(week) for week in weeks)
    return Figure(name, float(np.mean(values)), at_least=at_least, runs=values, note=note)
