"""Labels that follow from verdicts on rings."""

from graph.records import LABEL_COLUMNS
from graph.ring_records import RingStatus, Verdict
from graph.rings import verdict_labels


def test_a_confirmed_rings_transactions_are_fraud_from_the_verdict_on() -> None:
    labels = verdict_labels(Verdict("ring_x", 1_700_000_000_000_000, RingStatus.CONFIRMED), ["t2", "t1", "t2"])
    assert labels.schema == LABEL_COLUMNS
    assert labels["transaction_id"].to_pylist() == ["t1", "t2"]
    assert labels["is_fraud"].to_pylist() == [True, True]
    assert {int(t.timestamp()) for t in labels["known_at"].to_pylist()} == {1_700_000_000}
    assert set(labels["source"].to_pylist()) == {"ring:ring_x"}


def test_a_dismissal_says_nothing_of_single_transactions() -> None:
    assert verdict_labels(Verdict("ring_x", 1, RingStatus.DISMISSED), ["t1"]).num_rows == 0
