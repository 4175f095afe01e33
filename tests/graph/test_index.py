"""The as-of index against a plain recount, and against itself in another order of arrival."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.index import AsOfIndex
from graph.postings import before, total
from graph.records import TIMESTAMP, GraphSchema
from graph.store import Store, open_store

SCHEMA = GraphSchema(("user", "device"))

Row = tuple[int, int, str, str | None]
rows = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.integers(0, 500),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["d1", "d2", None]),
    ),
    min_size=1,
    max_size=40,
)
labels = st.lists(st.tuples(st.integers(0, 39), st.integers(1, 60), st.booleans()), max_size=30)


def filled(transactions: list[Row], known: list[tuple[int, int, bool]]) -> AsOfIndex:
    index = AsOfIndex(SCHEMA, entities=1, rows=1)
    for at, amount, user, device in transactions:
        ids = [index.id_for(0, user), -1 if device is None else index.id_for(1, device)]
        index.append(None, at, amount, ids)
    for row, known_at, is_fraud in known:
        if row < len(transactions):
            index.add_label(row, known_at, is_fraud)
    return index


def answers(index: AsOfIndex, t: int) -> dict[str, tuple[int, int, int, int]]:
    """By key: transactions and amount before t, labelled transactions and frauds known before t."""
    s = index.state
    found = {}
    for number, name in enumerate(index.names):
        n = before(s.history, s.occurred_at, number, t)
        changes = before(s.fraud, s.label_known_at, number, t)
        found[name] = (
            int(n),
            int(total(s.history, s.history.start[number], 0, n)),
            int(before(s.known, s.label_known_at, number, t)),
            int(total(s.fraud, s.fraud.start[number], 0, changes)),
        )
    return found


def recounted(
    transactions: list[Row], known: list[tuple[int, int, bool]], t: int
) -> dict[str, tuple[int, int, int, int]]:
    keys = {key for _, _, user, device in transactions for key in (user, device) if key is not None}
    result = {}
    for key in keys:
        mine = [i for i, row in enumerate(transactions) if key in row[2:]]
        earlier = [i for i in mine if transactions[i][0] < t]
        fraud = labelled = 0
        for i in mine:
            told = sorted(
                ((known_at, place, is_fraud) for place, (row, known_at, is_fraud) in enumerate(known) if row == i),
                key=lambda label: label[:2],
            )
            told = [label for label in told if label[0] < t]
            labelled += bool(told)
            fraud += bool(told) and told[-1][2]
        result[key] = (len(earlier), sum(transactions[i][1] for i in earlier), labelled, fraud)
    return result


@given(rows, labels, st.integers(1, 70))
def test_counts_are_those_of_a_recount(transactions: list[Row], known: list[tuple[int, int, bool]], t: int) -> None:
    assert answers(filled(transactions, known), t) == recounted(transactions, known, t)


@given(rows, labels, rows, labels, st.integers(1, 40))
def test_nothing_later_changes_an_earlier_answer(
    transactions: list[Row],
    known: list[tuple[int, int, bool]],
    later: list[Row],
    later_known: list[tuple[int, int, bool]],
    t: int,
) -> None:
    first = answers(filled(transactions, known), t)
    more = transactions + [(at + t, amount, user, device) for at, amount, user, device in later]
    more_known = known + [(row, known_at + t, is_fraud) for row, known_at, is_fraud in later_known]
    again = answers(filled(more, [k for k in more_known if k[0] < len(transactions)]), t)
    assert {key: again[key] for key in first} == first


def _table(transactions: list[Row]) -> pa.Table:
    at = pa.array([row[0] for row in transactions], pa.int64()).cast(TIMESTAMP)
    return pa.table(
        {
            "transaction_id": [f"t{i}" for i in range(len(transactions))],
            "occurred_at": at,
            "arrived_at": at,
            "amount": pa.array([row[1] for row in transactions], pa.int64()),
            "entity:user": [row[2] for row in transactions],
            "entity:device": pa.array([row[3] for row in transactions], pa.string()),
        }
    )


def _label_table(known: list[tuple[int, int, bool]]) -> pa.Table:
    return pa.table(
        {
            "transaction_id": [f"t{row}" for row, _, _ in known],
            "is_fraud": pa.array([is_fraud for _, _, is_fraud in known], pa.bool_()),
            "known_at": pa.array([known_at for _, known_at, _ in known], pa.int64()).cast(TIMESTAMP),
            "source": [f"s{i}" for i in range(len(known))],
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(f"sqlite:///{tmp_path}/facts.db")
    opened.extend_schema(SCHEMA)
    return opened


TRANSACTIONS: list[Row] = [(i % 37 + 1, i * 7 % 101, f"u{i % 9}", f"d{i % 5}" if i % 4 else None) for i in range(400)]
KNOWN = [(i, i % 37 + 10, i % 6 == 0) for i in range(0, 400, 2)]


def test_built_caught_up_and_appended_agree(store: Store) -> None:
    store.upsert_transactions(_table(TRANSACTIONS[:250]))
    early = AsOfIndex.open(store)
    store.upsert_transactions(_table(TRANSACTIONS))
    store.upsert_labels(_label_table(KNOWN))
    assert early.catch_up(store) == 150 + len(KNOWN)
    assert early.catch_up(store) == 0
    whole = AsOfIndex.open(store)
    for t in (1, 5, 20, 37, 38, 80):
        expected = recounted(TRANSACTIONS, KNOWN, t)
        assert answers(early, t) == answers(whole, t) == answers(filled(TRANSACTIONS, KNOWN), t) == expected


def test_own_appends_are_not_added_again_by_the_feed(store: Store) -> None:
    index = AsOfIndex.open(store, schema=SCHEMA)
    for i, (at, amount, user, device) in enumerate(TRANSACTIONS[:50]):
        ids = [index.id_for(0, user), -1 if device is None else index.id_for(1, device)]
        index.append(f"t{i}", at, amount, ids)
    store.upsert_transactions(_table(TRANSACTIONS[:60]))
    store.upsert_labels(_label_table([k for k in KNOWN if k[0] < 60]))
    index.catch_up(store)
    assert index.transactions == 60
    assert answers(index, 40) == recounted(TRANSACTIONS[:60], [k for k in KNOWN if k[0] < 60], 40)


def test_snapshot_opens_to_the_same_answers_and_goes_on(store: Store, tmp_path: Path) -> None:
    store.upsert_transactions(_table(TRANSACTIONS[:300]))
    store.upsert_labels(_label_table(KNOWN[:100]))
    first = AsOfIndex.open(store)
    first.snapshot(tmp_path / "snapshots")
    first.snapshot(tmp_path / "snapshots")
    assert len(list((tmp_path / "snapshots").iterdir())) == 1
    store.upsert_transactions(_table(TRANSACTIONS))
    store.upsert_labels(_label_table(KNOWN))
    opened = AsOfIndex.open(store, tmp_path / "snapshots")
    assert answers(opened, 80) == recounted(TRANSACTIONS, KNOWN, 80)
    assert opened.names == AsOfIndex.open(store).names


@pytest.mark.parametrize("damage", ["missing", "short", "head", "elsewhere"])
def test_an_unusable_snapshot_is_passed_over(store: Store, tmp_path: Path, damage: str) -> None:
    store.upsert_transactions(_table(TRANSACTIONS))
    path = AsOfIndex.open(store).snapshot(tmp_path / "snapshots")
    if damage == "missing":
        (path / "records").unlink()
    elif damage == "short":
        (path / "records").write_bytes(b"\0" * 100)
    elif damage == "head":
        (path / "head.json").write_text("{")
    else:
        store = open_store(f"sqlite:///{tmp_path}/other.db")
        store.extend_schema(SCHEMA)
        store.upsert_transactions(_table(TRANSACTIONS[::-1][:380]))
    index = AsOfIndex.open(store, tmp_path / "snapshots")
    assert index.transactions == store.status()["transactions"]
    assert not np.any(index.row_of_seq[1 : index.transactions + 1] < 0)


def test_a_schema_that_is_narrower_than_the_stores(store: Store) -> None:
    store.upsert_transactions(_table(TRANSACTIONS))
    users = AsOfIndex.open(store, schema=GraphSchema(("user",)))
    assert set(users.names) == {row[2] for row in TRANSACTIONS}
    expected = recounted([(*row[:3], None) for row in TRANSACTIONS], [], 30)
    assert answers(users, 30) == expected
