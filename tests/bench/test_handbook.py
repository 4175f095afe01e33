"""The Handbook's protocol, against a plain reading of what the book says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.handbook import FIRST_TEST_DAY, Payments, card_precision, is_tested, week_figures, weekly

Rows = list[tuple[int, int, bool]]
payments = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 24), st.booleans()), max_size=60)


def as_payments(rows: Rows) -> Payments:
    table = np.array([(c, d, f) for c, d, f in rows], np.int64).reshape(-1, 3)
    return Payments(table[:, 0], table[:, 1], table[:, 2].astype(bool))


@given(payments)
def test_customers_known_as_compromised_are_not_tested(rows: Rows) -> None:
    kept = is_tested(as_payments(rows), as_payments(rows), 14)
    for (customer, day, _), is_kept in zip(rows, kept.tolist(), strict=True):
        # Training is days 0 to 6; on test day 14 + d, frauds are known up to day 6 + d.
        known = any(c == customer and fraud and 0 <= d <= day - 8 for c, d, fraud in rows)
        assert is_kept == (14 <= day < 21 and not known)


def plain_card_precision(rows: Rows, scores: list[float], top: int) -> float:
    detected: set[int] = set()
    daily = []
    for day in sorted({d for _, d, _ in rows}):
        best: dict[int, float] = {}
        compromised = set()
        for (customer, d, fraud), score in zip(rows, scores, strict=True):
            if d == day and customer not in detected:
                best[customer] = max(best.get(customer, 0.0), score)
                if fraud:
                    compromised.add(customer)
        first = sorted(best, key=lambda c: (-best[c], c))[:top]
        hits = compromised & set(first)
        daily.append(len(hits) / top)
        detected |= hits
    return sum(daily) / len(daily)


@given(payments.filter(bool), st.integers(1, 5), st.randoms(use_true_random=False))
def test_card_precision_by_day(rows: Rows, top: int, random: object) -> None:
    scores = [random.choice([0.1, 0.2, 0.5, 0.9]) for _ in rows]  # type: ignore[attr-defined]
    share, possible = card_precision(as_payments(rows), np.array(scores), top)
    assert share == pytest.approx(plain_card_precision(rows, scores, top))
    perfect = [float(any(f and c == row[0] and d == row[1] for c, d, f in rows)) for row in rows]
    assert possible == pytest.approx(plain_card_precision(rows, perfect, top))
    assert 0 <= share <= 1


def test_detected_cards_leave_later_days() -> None:
    rows: Rows = [(1, 14, True), (2, 14, False), (1, 15, True), (2, 15, True)]
    share, _ = card_precision(as_payments(rows), np.array([0.9, 0.1, 0.9, 0.5]), 1)
    assert share == 1.0  # day 15 has customer 2 in front, because customer 1 was found the day before


def four_weeks(seed: int) -> tuple[Payments, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    n = 4000
    day = rng.integers(FIRST_TEST_DAY - 14, FIRST_TEST_DAY + 28, n)
    fraud = rng.random(n) < 0.05
    return Payments(rng.integers(0, 900, n), day, fraud), rng.random(n) + 0.4 * fraud


def test_each_week_stands_for_itself() -> None:
    history, scores = four_weeks(1)
    everyone = weekly(history, history, scores, leave_out_known=False)
    book = weekly(history, history, scores, leave_out_known=True)
    for week, (all_rows, left) in enumerate(zip(everyone, book, strict=True)):
        first = FIRST_TEST_DAY + 7 * week
        mine = (history.day >= first) & (history.day < first + 7)
        assert all_rows.transactions == mine.sum()
        assert all_rows.auc == pytest.approx(roc_auc_score(history.fraud[mine], scores[mine]))
        mine &= is_tested(history, history, first)
        assert 0 < left.transactions == mine.sum() < all_rows.transactions
        assert left.average_precision == pytest.approx(average_precision_score(history.fraud[mine], scores[mine]))
        assert left.card_precision <= left.possible


def test_a_perfect_ranking_reaches_what_is_possible() -> None:
    rows, _ = four_weeks(2)
    week = week_figures(rows, rows.fraud.astype(float))
    assert (week.auc, week.average_precision, week.card_precision) == (1.0, 1.0, week.possible)
