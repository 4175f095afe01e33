"""What the benchmark of the index times is what the index does."""

import numpy as np
import pytest

from bench.index import Queries, add_labels, among, append, late_rows, lengths, mixed, ranked, recent_pairs, timed
from gnn.replay import History
from graph.index import AsOfIndex
from graph.records import DAY, GraphSchema


@pytest.fixture
def history() -> History:
    rng = np.random.default_rng(3)
    n = 3000
    at = np.sort(rng.integers(0, 60 * DAY, n))
    ids = np.stack([rng.integers(0, 50, n), 50 + rng.zipf(1.6, n) % 40], axis=1).astype(np.int32)
    return History(
        GraphSchema(("user", "restaurant")),
        np.arange(1, n + 1),
        at,
        at,
        rng.integers(1, 10_000, n),
        ids,
        np.empty((n, 0)),
        np.arange(n, dtype=np.int32),
        at + 7 * DAY,
        rng.random(n) < 0.02,
        90,
    )


def index_of(history: History, rows: Queries) -> AsOfIndex:
    index = AsOfIndex(history.schema)
    for number in range(history.entities):
        index.id_for(0 if number < 50 else 1, str(number))
    for at, amount, ids in zip(rows.occurred_at.tolist(), rows.amount.tolist(), rows.ids, strict=True):
        index.append(None, at, amount, ids)
    return index


def test_appending_in_compiled_code_is_appending(history: History) -> None:
    rows = Queries(history.occurred_at, history.amount, history.ids)
    one_by_one, at_once = index_of(history, rows), index_of(history, Queries(*(part[:0] for part in vars_of(rows))))
    late = late_rows(history, np.random.default_rng(0))
    assert len(late) == 150
    assert (late.occurred_at < history.occurred_at.max() + DAY).all()
    took = append(at_once, rows)
    assert (took > 0).all()
    append(at_once, late)
    for at, amount, ids in zip(late.occurred_at.tolist(), late.amount.tolist(), late.ids, strict=True):
        one_by_one.append(None, at, amount, ids)
    for index in (one_by_one, at_once):
        add_labels(index, np.arange(100), np.arange(100)[::-1] + 7 * DAY, np.arange(100) % 7 == 0)
    assert at_once.transactions == one_by_one.transactions == 3150
    assert at_once.labels == one_by_one.labels == 100
    assert at_once.memory_bytes == one_by_one.memory_bytes
    for a, b in zip(at_once.state.history, one_by_one.state.history, strict=True):
        assert a.dtype == b.dtype
    for entity in range(history.entities):
        assert postings(at_once, entity) == postings(one_by_one, entity)


def vars_of(rows: Queries) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    return rows.occurred_at, rows.amount, rows.ids


def postings(index: AsOfIndex, entity: int) -> list[list[int]]:
    found = []
    for p in (index.state.history, index.state.known, index.state.fraud):
        start, length = int(p.start[entity]), int(p.length[entity])
        found.append(p.rows[start : start + length].tolist())
    return found


def test_look_ups_are_timed_one_by_one_and_change_nothing(history: History) -> None:
    index = index_of(history, Queries(history.occurred_at, history.amount, history.ids))
    before = index.state.counts.copy()
    rng = np.random.default_rng(1)
    queries = recent_pairs(history, rng, 200, index.newest_at)
    assert (queries.occurred_at > index.newest_at).all()
    for took in (timed(index, queries), timed(index, queries, egos=True)):
        assert took.shape == (200,)
        assert (took > 0).all()
    busy, typical = among(history, rng, queries, 1.0), among(history, rng, queries, 0.5)
    one, other = mixed(index, busy, typical, rng)
    assert len(one) + len(other) == 400 - 40
    assert (index.state.counts == before).all()
    assert all(a > b for a, b in zip(lengths(history, busy), lengths(history, typical), strict=True))


def test_entities_by_rank(history: History) -> None:
    counts = np.bincount(history.ids[:, 1])
    busiest = ranked(history, 1, 1.0)
    assert len(busiest) == 20
    others = np.setdiff1d(np.unique(history.ids[:, 1]), busiest)
    assert counts[busiest].min() >= counts[others].max()
