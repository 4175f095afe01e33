"""Labels that come with rows, in files of their own, or by silence."""

from etl.loading import load
from graph.records import DAY
from graph.store import Store
from tests.etl.shop import DAY_1, GOOD, Shop, Write

LABELLED = {"is_fraud": {"column": "fraud"}, "known_at": "known", "source": "desk"}
LABEL_FILES = {"files": "labels*.csv", "transaction_id": "tx", "is_fraud": "f", "known_at": "k", "source": "s"}


def test_labels_in_rows_and_what_makes_them_unusable(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    given_labels = [
        ("1", "2024-03-05"), ("no", "2024-03-05"), ("", ""), ("maybe", "2024-03-05"), ("1", ""), ("1", "soon"),
        ("1", "2024-02-01"), ("1", "2026-01-01"),
    ]  # fmt: skip
    rows = [{**GOOD, "id": str(i), "fraud": f, "known": k} for i, (f, k) in enumerate(given_labels)]
    write_csv("tx.csv", rows)
    for again in (False, True):
        report = load(shop(label=LABELLED), store, now=now, batch_rows=3)
        assert report.transactions.quarantined == 0, "a bad label does not cost its transaction"
        labels = report.labels.as_dict()
        assert (labels["found"], labels["loaded"], labels["duplicates"]) == ((7, 0, 2) if again else (7, 2, 0))
        assert labels["unusable_reasons"] == {
            "bad_label_time": 2, "bad_label": 1, "missing_label_time": 1, "label_before_transaction": 1,
        }  # fmt: skip
        assert labels["unlabelled"] == 1
    assert store.labels_of(["0", "1", "5"]) == {
        "0": [(DAY_1 + 4 * DAY, True, "desk")],
        "1": [(DAY_1 + 4 * DAY, False, "desk")],
    }


def test_a_delay_makes_labels_known_later(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "fraud": "1"}])
    load(shop(label={"is_fraud": "fraud", "known_at": {"delay": "7d"}}), store, now=now)
    assert store.labels_of(["1"]) == {"1": [(DAY_1 + 7 * DAY, True, "shop")]}


def test_silence_counts_as_genuine_once_its_moment_has_passed(
    store: Store, shop: Shop, write_csv: Write, now: int
) -> None:
    rows = [
        {**GOOD, "id": "silent", "fraud": "", "known": ""},
        {**GOOD, "id": "reported", "fraud": "1", "known": "2024-03-03"},
        {**GOOD, "id": "late", "fraud": "1", "known": "2024-03-20"},
        {**GOOD, "id": "unreadable", "fraud": "1", "known": "soon"},
        {**GOOD, "id": "fresh", "fraud": "", "known": "", "at": "2024-03-10"},
    ]
    write_csv("tx.csv", rows)
    mapping = shop(label=LABELLED | {"genuine_after": "14d"})
    for again in (False, True):
        report = load(mapping, store, now=now, batch_rows=2)
        assert report.labels.inferred == (0 if again else 2)
    genuine = (DAY_1 + 14 * DAY, False, "no report")
    assert store.labels_of([row["id"] for row in rows]) == {
        "silent": [genuine],
        "reported": [(DAY_1 + 2 * DAY, True, "desk")],
        "late": [genuine, (DAY_1 + 19 * DAY, True, "desk")],
    }


def test_label_files(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(3)])
    label = {"tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}
    write_csv(
        "labels.csv",
        [
            label, label, {**label, "f": "0"}, {**label, "tx": "2", "s": ""}, {**label, "tx": ""}, {**label, "f": ""},
            {**label, "f": "?"}, {**label, "k": ""}, {**label, "k": "soon"}, {**label, "tx": "not yet here"},
        ],
    )  # fmt: skip
    for again in (False, True):
        files = load(shop(labels=LABEL_FILES), store, now=now, batch_rows=4).label_files
        assert (files.read, files.loaded, files.duplicates) == ((10, 0, 4) if again else (10, 3, 1))
        assert files.reasons == {
            "conflicting_label": 1, "missing_transaction_id": 1, "missing_label": 1, "bad_label": 1,
            "missing_label_time": 1, "bad_label_time": 1,
        }  # fmt: skip
        assert files.newly_quarantined == (0 if again else 6)
    known = DAY_1 + 4 * DAY
    assert store.labels_of(["1", "2"]) == {"1": [(known, True, "desk")], "2": [(known, True, "shop")]}


def test_silence_heeds_label_files(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(2)])
    write_csv(
        "labels.csv", [{"tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}, {"tx": "9", "f": "1", "k": "2024-04-01"}]
    )
    report = load(shop(labels=LABEL_FILES, label={"genuine_after": "14d"}), store, now=now)
    assert report.labels.inferred == 1
    assert store.labels_of(["0", "1"]) == {
        "0": [(DAY_1 + 14 * DAY, False, "no report")],
        "1": [(DAY_1 + 4 * DAY, True, "desk")],
    }
