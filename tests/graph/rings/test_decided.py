"""Decisions that the store keeps are evidence from when they were made."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from graph.records import Decision, transaction_columns
from graph.rings import Evidence, find
from graph.store import Store, open_store
from tests.graph.rings.made import SCHEMA, at

_USERS = 5


@pytest.fixture
def phones(tmp_path: Path) -> Iterator[Store]:
    """Five users of one device, a transaction each on day 1, with a decision each on day 2, but for the last."""
    store = open_store(f"sqlite:///{tmp_path}/phones.db")
    store.extend_schema(SCHEMA)
    columns = {
        "transaction_id": [f"t{i}" for i in range(_USERS)],
        "occurred_at": [at(1)] * _USERS,
        "arrived_at": [at(1)] * _USERS,
        "amount": [100] * _USERS,
        "currency": [None] * _USERS,
        "entity:user": [f"u{i}" for i in range(_USERS)],
        "entity:device": ["d"] * _USERS,
        "entity:ip": [None] * _USERS,
        "entity:restaurant": [None] * _USERS,
        "category:payment_method": [None] * _USERS,
    }
    store.upsert_transactions(pa.table(columns, schema=transaction_columns(SCHEMA)))
    store.write_decisions([Decision(f"t{i}", b"", at(2), 0.9, "block", "m", b"{}") for i in range(_USERS - 1)])
    yield store
    store.close()


def test_decisions_count_from_when_they_were_made(phones: Store) -> None:
    before, after = (Evidence.read(phones, at(day)) for day in (2, 3))
    assert np.isnan(before.probability).all()
    assert set(before.band.tolist()) == {-1}
    assert find(before) == []
    assert sorted(after.band.tolist()) == [-1, 2, 2, 2, 2]
    (ring,) = find(after)
    assert ring.users == {f"u{i}" for i in range(_USERS)}
    assert {member.band for member in ring.members if member.entity == "device"} == {"block"}


def test_scores_go_before_decisions(phones: Store) -> None:
    scores = pa.table({"transaction_id": ["t0", "t4", "unknown"], "probability": [0.1, 0.2, 0.3]})
    evidence = Evidence.read(phones, at(3), scores=scores)
    numbers = phones.sequence_numbers([f"t{i}" for i in range(_USERS)])
    row = {seq: number for number, seq in enumerate(evidence.seq.tolist())}
    rows = [row[numbers[f"t{i}"]] for i in (0, 1, 4)]
    assert evidence.probability[rows].tolist() == [0.1, 0.9, 0.2]
    assert evidence.band[rows].tolist() == [-1, 2, -1]
