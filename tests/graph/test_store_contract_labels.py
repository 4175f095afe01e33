"""What every store promises of labels, whenever they come, and of decisions."""

from tests.graph.store_facts import CONFLICT, DUPLICATE, LOADED, SCHEMA, START, decision, label, labels, row, table


def test_label_history(store):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row(), row("t2")]))
    given = [label(known_at=5), label(fraud=False, known_at=9), label(known_at=5), label(fraud=False, known_at=5),
             label(known_at=5, source="user"), label("t2", known_at=1)]  # fmt: skip
    assert store.upsert_labels(labels(given)).tolist() == [LOADED, LOADED, DUPLICATE, CONFLICT, LOADED, LOADED]
    history = [(START + 5, True, "bank"), (START + 5, True, "user"), (START + 9, False, "bank")]
    assert store.labels_of(["t1", "t1", "nope"]) == {"t1": history}
    (part,) = store.label_changes()
    assert part.seq.tolist() == [1, 2, 3, 4]
    assert part.transaction_seq.tolist() == [1, 1, 1, 2]
    assert part.known_at.tolist() == [START + 5, START + 9, START + 5, START + 1]
    assert part.is_fraud.tolist() == [True, False, True, True]
    assert store.status()["labels"] == 4


def test_the_last_known_label_counts(store):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row(device="d1"), row("t2", device="d1")]))

    def fraud_known():
        return [store.entity(*x)["fraud_known"] for x in (("user", "u1"), ("device", "d1"))]

    for newer, expected in [
        (label(known_at=5), 1),
        (label(known_at=3, fraud=False), 1),  # an earlier one that comes later
        (label(known_at=9, fraud=False), 0),
        (label(known_at=9, source="user"), 1),  # at the same moment fraud counts
        (label("t2", known_at=1), 2),
        (label(known_at=20, fraud=False), 1),
    ]:
        store.upsert_labels(labels([newer]))
        assert fraud_known() == [expected, expected]
    (link,) = store.neighbourhood("device", "d1")["links"]
    assert link["fraud_known"] == 1


def test_labels_wait_for_their_transaction(store):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row("there")]))
    store.upsert_labels(labels([label("late", known_at=1), label("there"), label("late", fraud=False, known_at=0)]))
    assert [part.transaction_seq.tolist() for part in store.label_changes()] == [[1]]
    seen = store.watermark()
    store.upsert_transactions(table([row("other", "u2"), row("late", "u3", device="d")]))
    (part,) = store.label_changes(seen.label)  # new numbers: a reader that has come this far gets them
    assert part.transaction_seq.tolist() == [3, 3]
    assert part.is_fraud.tolist() == [True, False]
    assert store.watermark().label == part.seq[-1]
    assert store.entity("device", "d")["fraud_known"] == 1
    assert store.upsert_labels(labels([label("late", known_at=1)])).tolist() == [DUPLICATE]
    assert store.status()["labels"] == 3


def test_decisions_are_never_changed(store):
    other = decision(digest=b"other", band="block", at=START + 1)
    assert store.write_decisions([decision(), decision("t2"), other]).tolist() == [LOADED, LOADED, CONFLICT]
    assert store.write_decisions([other, decision(band="block")]).tolist() == [CONFLICT, DUPLICATE]
    assert store.decisions(["t2", "t1", "t3"]) == {"t1": decision(), "t2": decision("t2")}
    assert store.status()["decisions"] == 2
