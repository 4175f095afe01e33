"""What reasons say."""

import math

import pytest

from gnn.sentences import TEXTS, Facts, Subject, span


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("seconds_since_account_created_at", 83 * 86_400.0, "Account created 83 days before"),
        ("seconds_since_reservation", 7_200.0, "Reservation was 2 hours before"),
        ("seconds_since_reservation", math.nan, "Seconds since reservation is missing"),
        ("guests", 4.0, "Guests is 4"),
    ],
)
def test_a_number_of_a_column_of_ones_own(column: str, value: float, said: str) -> None:
    assert TEXTS["NUMBER"](Facts(Subject(column, {"value": 0}), "", [value])) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (1, "1 second"), (60, "1 minute"), (7_199, "119 minutes"), (7_200, "2 hours"), (2e6, "23 days")],
)
def test_durations_are_told_in_the_largest_unit_of_which_there_are_two(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("usual", "ratio", "told"),
    [
        (0.0, math.nan, ""),
        (0.0, 4.5, " (all of unusual amounts)"),
        (1.0, 0.8, " (amounts usual for their users among them)"),
    ],
)
def test_known_frauds_say_whether_their_amounts_were_usual(usual: float, ratio: float, told: str) -> None:
    about = Subject(
        "restaurant", {"fraud_all": 0, "fraud_30d": 1, "fraud_usual": 2, "fraud_ratio": 3, "since_fraud": 4}
    )
    text = TEXTS["KNOWN_FRAUD"](Facts(about, "r1", [3.0, 2.0, usual, ratio, 7_200.0]))
    assert text == (
        f"3 frauds known of restaurant r1, 2 of them became known in the last 30 days{told}; the latest 2 hours ago"
    )
