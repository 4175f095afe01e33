"""Whose doing an entity's known frauds may be: by how usual their amounts were for their users."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnn.attribution import FRAUDS
from gnn.catalogue import Catalogue
from gnn.replay import History, Replay
from graph.records import DAY, GraphSchema

SCHEMA = GraphSchema(("user", "restaurant"))
NAMES = Catalogue.of(SCHEMA).names
HOUR = DAY // 24
RESTAURANT = 1_000
MEASURES = ("fraud_usual", "since_fraud_usual", "fraud_ratio")


def told(
    ratios: Sequence[float], known_after: Sequence[int], entity: str = "restaurant", order: Sequence[int] | None = None
) -> list[float]:
    """What the last transaction is told of the restaurant's frauds.

    Each user pays 10.00 elsewhere, then a multiple of it at the restaurant, which becomes known as fraud so many hours
    later; the restaurant's last guest, a hundred hours later, is the last of these users.

    Args:
        order: in which the labels stand in the history's log.
    """
    n = len(ratios)
    paid = [(user * 60, user, 1_000 + 1 + user, 1_000) for user in range(n)]
    frauds = [(DAY + user * 60, user, RESTAURANT, round(1_000 * ratio)) for user, ratio in enumerate(ratios)]
    last = (DAY + 100 * HOUR, n - 1, RESTAURANT, 1_000)
    rows = np.array([*paid, *frauds, last], np.int64)
    label_row = np.arange(n, 2 * n)
    known_at = rows[label_row, 0] // DAY * DAY + np.array(known_after) * HOUR
    log = np.lexsort((np.arange(n) if order is None else np.array(order), known_at))
    h = History(
        SCHEMA,
        np.arange(1, len(rows) + 1),
        rows[:, 0].copy(),
        rows[:, 0].copy(),
        rows[:, 3].copy(),
        np.ascontiguousarray(rows[:, 1:3], np.int32),
        np.empty((len(rows), 0)),
        label_row[log].astype(np.int32),
        known_at[log],
        np.ones(n, np.bool_),
        RESTAURANT + n + 1,
    )
    values = next(values for first, end, values, _ in Replay(h).run(len(h)) if end == len(h))[-1]
    return [float(values[NAMES.index(f"{entity}_{measure}")]) for measure in MEASURES]


def test_usual_amounts_speak_against_the_restaurant_and_unusual_ones_do_not() -> None:
    hour = 3_600.0
    assert told([1.5, 1.0, 6.0], [20, 30, 40])[:2] == [2.0, 70 * hour]
    assert told([1.5, 1.0, 6.0], [20, 30, 40])[2] == pytest.approx(1.0, rel=0.01)
    unusual = told([6.0, 4.0, 9.0], [20, 30, 40])
    assert unusual[0] == 0.0
    assert np.isnan(unusual[1])
    assert unusual[2] == pytest.approx(4.0, rel=0.01)


def test_a_user_has_frauds_of_its_own() -> None:
    assert told([1.0, 1.0, 6.0], [20, 30, 40], "user")[0] == 0.0  # the last user's was six times what was usual
    assert told([6.0, 6.0, 1.0], [20, 30, 40], "user")[0] == 1.0


def test_nothing_is_told_of_frauds_that_are_not_known_yet() -> None:
    values = told([1.0, 1.0], [101, 102])
    assert values[0] == 0.0
    assert np.isnan(values[1:]).all()


def test_of_many_only_the_latest_are_looked_at() -> None:
    n = FRAUDS + 5
    assert told([1.0] * n, list(range(10, 10 + n)))[0] == FRAUDS
    # The oldest of the latest became known together with one that is left out: their order means nothing.
    assert told([1.0] * n, [10, 11, 12, 13, 15, *range(15, 10 + n)][:n])[0] < FRAUDS
    assert told([1.0] * n, [10] * n)[0] == 0.0


@given(st.permutations(range(FRAUDS + 4)), st.lists(st.integers(10, 20), min_size=FRAUDS + 4, max_size=FRAUDS + 4))
def test_the_order_of_labels_that_came_at_one_moment_means_nothing(order: list[int], known_after: list[int]) -> None:
    ratios = [0.5 + user for user in range(FRAUDS + 4)]
    np.testing.assert_array_equal(told(ratios, known_after), told(ratios, known_after, order=order))
