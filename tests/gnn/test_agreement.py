"""Two models on the same transactions: what they agree on, and which was right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnn.agreement import BANDS, Decided, agreement, farthest_apart
from graph.records import DAY

BAND_OF = np.array(BANDS)


def decided(rows: list[tuple[float, str]]) -> Decided:
    return Decided(np.array([p for p, _ in rows], np.float64), np.array([band for _, band in rows], np.str_))


def test_bands_alerts_and_labels_are_counted() -> None:
    champion = decided([(0.1, "approve"), (0.5, "review"), (0.9, "block"), (0.1, "approve"), (0.6, "review")])
    challenger = decided([(0.1, "approve"), (0.1, "approve"), (0.8, "block"), (0.7, "review"), (0.2, "approve")])
    at = np.array([0, 1, 2, 3, 2 * DAY], np.int64)
    told = agreement(champion, challenger, at, np.array([0, 0, 1, 1, -1], np.int8))
    assert told["transactions"] == 5
    assert told["agreement"] == pytest.approx(2 / 5)
    assert told["bands"]["review"] == {"approve": 2, "review": 0, "block": 0}
    assert told["alerts"]["champion"] == {"review": 2, "block": 1, "share": 3 / 5, "per_day": 1.5}
    labelled = told["labelled"]
    assert (labelled["transactions"], labelled["frauds"]) == (4, 2)
    assert labelled["champion"] == {"precision": 0.5, "recall": 0.5}
    assert labelled["challenger"] == {"precision": 1.0, "recall": 1.0}
    # Of the two labelled ones that they part on, the champion alerted on what was genuine and let a fraud pass.
    assert labelled["apart"] == {"transactions": 2, "champion_right": 0, "challenger_right": 2}
    # Another band goes first, then the larger difference; those that are scored alike are not named.
    assert farthest_apart(champion, challenger, 9).tolist() == [3, 1, 4, 2]


def test_nothing_to_compare() -> None:
    none = decided([])
    told = agreement(none, none, np.empty(0, np.int64), np.empty(0, np.int8))
    assert told["transactions"] == 0
    assert told["agreement"] is None
    assert told["alerts"]["challenger"] == {"review": 0, "block": 0, "share": None, "per_day": None}
    assert told["labelled"]["champion"] == {"precision": None, "recall": None}


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(BANDS), st.floats(0, 1), st.sampled_from(BANDS), st.integers(-1, 1)),
        min_size=1,
        max_size=30,
    )
)
def test_counts_add_up(rows: list[tuple[float, str, float, str, int]]) -> None:
    champion, challenger = decided([row[:2] for row in rows]), decided([row[2:4] for row in rows])
    label = np.array([row[4] for row in rows], np.int8)
    told = agreement(champion, challenger, np.arange(len(rows)), label)
    assert sum(sum(row.values()) for row in told["bands"].values()) == len(rows)
    assert told["agreement"] == pytest.approx(sum(told["bands"][band][band] for band in BANDS) / len(rows))
    apart = told["labelled"]["apart"]
    assert apart["champion_right"] + apart["challenger_right"] == apart["transactions"]
    swapped = agreement(challenger, champion, np.arange(len(rows)), label)["labelled"]["apart"]
    assert swapped["champion_right"] == apart["challenger_right"]
