"""How good scores are: figures overall and by week, with intervals, and two runs compared on the same rows.

Intervals are from bootstraps over blocks of time and over users (see `gnn.intervals`).
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gnn import groups
from gnn.curves import RELIABILITY_EDGES, curves
from gnn.intervals import Draws, Figures, Resampling, differences, number, resamplings, with_intervals
from gnn.policy import Costs
from gnn.ranking import FALSE_POSITIVE_RATES, ranking_figures, recall_name
from gnn.scored import KnownUsers, Scored, paired, read_scores

TOP: Final = 100
"""How many transactions or users an investigator looks at in a day, for precision at the top."""

_OF_GROUPS: Final = (
    "average_precision",
    "auc",
    *(recall_name(rate) for rate in FALSE_POSITIVE_RATES),
    "recall",
    "blocked_genuine_share",
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; JSON values throughout.

    Attributes:
        summary: transactions, unlabelled, frauds, fraud_share, from, until (ISO 8601), models, costs.
        figures: overall.
        weeks: for each week of seven days from the first day: from, until, transactions, frauds, figures.
        typologies: for each kind of fraud, where kinds are told: name, title, transactions, frauds, figures of its
            frauds against all genuine transactions.
        histories: the same for a user's first transaction, users new within 30 days, and users known for longer,
            where the scores tell when a user first came.
        curves: points for plots (see `gnn.curves`).
    """

    summary: dict[str, Any]
    figures: Figures
    weeks: list[dict[str, Any]]
    typologies: list[dict[str, Any]]
    histories: list[dict[str, Any]]
    curves: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def evaluate(
    scores: pa.Table | pd.DataFrame,
    *,
    costs: Costs | None = None,
    known_compromised: KnownUsers | None = None,
    drop_detected: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Measures the labelled rows of a table of scores.

    Args:
        scores: columns as in `gnn.scored.COLUMNS`; with `user_id`, precision among users is measured too,
            with `amount` (in units of the currency) also money,
            with `typology` each kind of fraud, with `user_first_at` new users apart from known ones.
        costs: what decisions cost.
        known_compromised: users to leave out of a day's precision among users, as known before that day.
        drop_detected: leave a user who was rightly among a day's top out for the rest of the week, as an
            investigator who blocked the user would.
        seed: of the bootstrap.

    Raises:
        InputError: a column is missing or wrong.
        NotEnoughData: no labelled rows, or only one kind.
    """
    prices = costs or Costs()
    rows = read_scores(scores, known_compromised)
    rng = np.random.default_rng(seed)
    weeks = []
    for week in np.unique(rows.week):
        part = rows.taken(rows.week == week)
        first = int(part.day[0] - (part.day[0] - rows.day[0]) % 7)
        weeks.append(
            {
                "from": _iso_day(first),
                "until": _iso_day(first + 7),
                "transactions": len(part),
                "frauds": int(part.fraud.sum()),
                "figures": with_intervals(_draws(part, resamplings(part, rng), prices, drop_detected)),
            }
        )
    summary = {
        "transactions": len(rows),
        "unlabelled": rows.unlabelled,
        "frauds": int(rows.fraud.sum()),
        "fraud_share": float(rows.fraud.mean()),
        "from": _iso(int(rows.occurred_at[0])),
        "until": _iso(int(rows.occurred_at[-1])),
        "models": list(rows.models),
        "costs": {"review": prices.review, "decline": prices.decline, "fraud_loss": prices.fraud_loss},
    }
    figures = with_intervals(_draws(rows, resamplings(rows, rng), prices, drop_detected))
    told = [
        [_of_group(group, rows, prices, rng) for group in found]
        for found in (groups.typologies(rows), groups.histories(rows))
    ]
    return Evaluation(summary, figures, weeks, told[0], told[1], curves(rows, prices))


def _of_group(group: groups.Group, rows: Scored, costs: Costs, rng: np.random.Generator) -> dict[str, Any]:
    part = rows.taken(group.rows)
    frauds = int(part.fraud.sum())
    measured = with_intervals(_draws(part, resamplings(part, rng), costs, False)) if 0 < frauds < len(part) else {}
    return {
        "name": group.name,
        "title": group.title,
        "transactions": len(part),
        "frauds": frauds,
        "figures": {name: measured[name] for name in _OF_GROUPS if name in measured},
    }


def compare(
    a: pa.Table | pd.DataFrame,
    b: pa.Table | pd.DataFrame,
    *,
    costs: Costs | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Two runs on the labelled transactions that both scored.

    Both are measured on the same draws of the same blocks, so an interval of the difference that excludes zero
    means a difference beyond the chance of which weeks were looked at.

    Returns:
        `transactions`, `frauds` and `figures`: by name `a`, `b`, and of the difference a - b `value`, `low`, `high`.

    Raises:
        InputError, NotEnoughData: as `evaluate`; also where the runs share no transaction or differ in labels.
    """
    prices = costs or Costs()
    mine, theirs = paired(read_scores(a), read_scores(b))
    # Row by row the same order, so the same blocks and the same draws.
    draws = resamplings(mine, np.random.default_rng(seed))
    measured = [_draws(part, draws, prices, False) for part in (mine, theirs)]
    left, right = (part[0] for part in measured)
    figures = {
        name: {"a": number(left[name][0]), "b": number(right[name][0]), **difference}
        for name, difference in with_intervals(differences(*measured)).items()
    }
    return {"transactions": len(mine), "frauds": int(mine.fraud.sum()), "figures": figures}


def user_precision(rows: Scored, *, top: int = TOP, drop_detected: bool = False) -> dict[int, float]:
    """By day, the share of frauds' users among the users with the highest probability of that day.

    A user's probability is that of the user's most suspicious transaction of the day; the user counts as found
    where any transaction of the day is fraud. Users known as compromised before the day are left out.

    Args:
        rows: in order of occurrence.
        top: how many users are looked at; on days with fewer, all of them.
        drop_detected: leave those found out for the rest of the week.
    """
    if rows.user is None:
        return {}
    there = np.flatnonzero(~rows.known)
    there = there[np.lexsort((rows.user[there], rows.day[there]))]
    user, day = rows.user[there], rows.day[there]
    starts = np.flatnonzero(np.append(True, (np.diff(user) != 0) | (np.diff(day) != 0))[: len(there)])
    if not len(starts):
        return {}
    highest = np.maximum.reduceat(rows.probability[there], starts)
    fraud = np.logical_or.reduceat(rows.fraud[there], starts)
    week, user, day = rows.week[there][starts], user[starts], day[starts]
    result: dict[int, float] = {}
    detected = np.zeros(int(user.max()) + 1, dtype=bool)
    current = -1
    bounds = np.append(np.flatnonzero(np.append(True, np.diff(day) != 0)), len(day))
    for first, end in pairwise(bounds):
        if week[first] != current:
            detected[:] = False
            current = week[first]
        places = np.arange(first, end)[~detected[user[first:end]]]
        best = places[np.argsort(-highest[places], kind="stable")[:top]]
        if len(best):
            result[int(day[first])] = float(fraud[best].mean())
        if drop_detected:
            detected[user[best[fraud[best]]]] = True
    return result


def transaction_precision(rows: Scored, *, top: int = TOP) -> dict[int, float]:
    """By day, the share of frauds among the transactions with the highest probability of that day."""
    order = np.lexsort((-rows.probability, rows.day))
    day, fraud = rows.day[order], rows.fraud[order]
    starts = np.flatnonzero(np.append(True, np.diff(day) != 0))
    sizes = np.diff(np.append(starts, len(day)))
    place = np.arange(len(day)) - np.repeat(starts, sizes)
    best = place < top
    days, which = np.unique(day[best], return_inverse=True)
    share = np.bincount(which, weights=fraud[best]) / np.bincount(which)
    return dict(zip(days.tolist(), share.tolist(), strict=True))


def _draws(rows: Scored, draws: list[Resampling], costs: Costs, drop_detected: bool) -> list[Draws]:
    """Every figure, for each way to draw: first of the rows as they are, then of each draw."""
    return [_drawn(rows, way, costs, drop_detected) for way in draws]


def _drawn(rows: Scored, way: Resampling, costs: Costs, drop_detected: bool) -> Draws:
    block, counts = way.block, way.counts
    blocks = counts.shape[1]

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = counts @ np.bincount(block, weights=values, minlength=blocks)
        return sums

    fraud, p = rows.fraud, rows.probability
    size, frauds = total(np.ones(len(rows))), total(fraud)
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = ranking_draws(rows, way, drop_detected=drop_detected)
        flagged, caught = total(rows.flagged), total(rows.flagged & fraud)
        figures["precision"] = caught / flagged
        figures["recall"] = caught / frauds
        figures["f1"] = 2 * caught / (flagged + frauds)
        figures["flagged_share"] = flagged / size
        if rows.promised is not None:
            figures["flagged_to_promised"] = flagged / total(rows.promised)
        figures["blocked_genuine_share"] = total(rows.blocked & ~fraud) / (size - frauds)
        if rows.amount is not None:
            lost = np.where(fraud, costs.fraud_loss * rows.amount, 0.0)
            reviewed = rows.flagged & ~rows.blocked
            spent = costs.spent(reviewed=reviewed, blocked=rows.blocked, fraud=fraud, amount=rows.amount)
            saved, at_stake = total(lost - spent), total(lost)
            # Draws differ in size; money is told for a period as long as the one measured.
            figures["saved"] = saved * len(rows) / size
            figures["saved_share"] = saved / at_stake
        figures["brier"] = total((p - fraud) ** 2) / size
        figures["calibration_error"] = _calibration_error(rows, block, counts)
    return figures


def ranking_draws(rows: Scored, way: Resampling, *, drop_detected: bool = False) -> Draws:
    """The figures that only the order of scores decides.

    The precision among a day's first is drawn with its day, so it is there only where time is drawn.

    Args:
        rows: in order of occurrence; any scores, not only probabilities.
        way: how to draw.
        drop_detected: as in `evaluate`.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = ranking_figures(rows.probability, rows.fraud, way.block, way.counts)
        if way.of_time:
            figures[f"precision_at_{TOP}"] = _over_days(transaction_precision(rows), rows, way)
            by_user = user_precision(rows, drop_detected=drop_detected)
            if by_user:
                figures[f"user_precision_at_{TOP}"] = _over_days(by_user, rows, way)
    return figures


def _over_days(by_day: dict[int, float], rows: Scored, way: Resampling) -> NDArray[np.float64]:
    """The mean over days, each day drawn with the block in which it begins."""
    days = np.array(list(by_day), dtype=np.int64)
    counts = way.counts
    where = way.block[np.searchsorted(rows.day, days)]
    blocks = counts.shape[1]
    shares = np.bincount(where, weights=np.array(list(by_day.values())), minlength=blocks)
    mean: NDArray[np.float64] = (counts @ shares) / (counts @ np.bincount(where, minlength=blocks))
    return mean


def _calibration_error(rows: Scored, block: NDArray[np.int32], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance between what was said and what happened, over ranges of probability, by their rows."""
    ranges = len(RELIABILITY_EDGES) - 1
    blocks = counts.shape[1]
    cell = block * ranges + np.searchsorted(RELIABILITY_EDGES[1:-1], rows.probability, side="right")
    gap = np.bincount(cell, weights=rows.fraud - rows.probability, minlength=blocks * ranges)
    size = counts @ np.bincount(block, minlength=blocks)
    error: NDArray[np.float64] = np.abs(counts @ gap.reshape(blocks, ranges)).sum(axis=1) / size
    return error


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, tz=UTC).isoformat()


def _iso_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, tz=UTC).date().isoformat()
