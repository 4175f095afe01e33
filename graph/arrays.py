"""Making the arrays of an as-of index: empty, of many rows at once, and with more room."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph import state as kernels
from graph.postings import empty_postings, laid_out, new_heads
from graph.ring_log import no_rings
from graph.state import State

_SLACK = 0.25


def empty_state(columns: int, entities: int, rows: int, labels: int = 1) -> State:
    """A state without any row, with room for so many of each (for two rows and two entities at least).

    An array of a single row counts as contiguous, whatever its strides: code would be compiled for it anew.
    """
    heads = new_heads(max(entities, 2))
    rows = max(rows, 2)
    records = np.zeros((rows, 2 + (columns + 1) // 2), np.int64)
    return State(
        records,
        records[:, 0],
        records[:, 1],
        records.view(np.int32)[:, 4 : 4 + columns],
        np.full(rows, -1, np.int32),
        np.zeros(labels, np.int32),
        np.zeros(labels, np.int64),
        np.zeros(labels, np.int8),
        np.zeros(labels, np.int8),
        np.zeros(labels, np.int32),
        heads,
        empty_postings(heads, kernels.HISTORY, 4096, sums=True),
        empty_postings(heads, kernels.KNOWN, 4096, sums=False),
        empty_postings(heads, kernels.FRAUD, 4096, sums=True),
        np.zeros(2, np.int64),
        no_rings(),
    )


def state_of(occurred_at: NDArray[np.int64], amount: NDArray[np.int64], ids: NDArray[np.int32], entities: int) -> State:
    """The state of rows that have all arrived, without labels, in blocks with some slack."""
    n = len(occurred_at)
    state = longer_rows(empty_state(ids.shape[1], max(entities, 1), 1), n + n // 2 + 65_536)
    state.occurred_at[:n] = occurred_at
    state.amount[:n] = amount
    state.ids[:n] = ids
    state.first_label[:n] = -1
    state.counts[0] = n
    counts = _entries_by_entity(ids, entities)
    state = state._replace(history=laid_out(state.heads, kernels.HISTORY, counts, sums=True, slack=_SLACK))
    kernels.post_in_order(state, np.argsort(occurred_at, kind="stable"))
    return state


def with_labels(
    state: State, rows: NDArray[np.int32], known_at: NDArray[np.int64], is_fraud: NDArray[np.bool_]
) -> State:
    """The state with labels, in any order, of rows that have none yet; `known_at` in microseconds UTC."""
    order = np.argsort(known_at, kind="stable")
    state = longer_labels(state, len(order) + len(order) // 2 + 65_536)
    kernels.chain_labels(state, rows[order], known_at[order], is_fraud[order].astype(np.int8))
    entities = state.history.start.shape[0]
    known, fraud = np.zeros(entities, np.int64), np.zeros(entities, np.int64)
    kernels.count_labels(state, known, fraud)
    state = state._replace(
        known=laid_out(state.heads, kernels.KNOWN, known, sums=False, slack=_SLACK),
        fraud=laid_out(state.heads, kernels.FRAUD, fraud, sums=True, slack=_SLACK),
    )
    kernels.post_labels(state)
    return state


def _entries_by_entity(ids: NDArray[np.int32], entities: int) -> NDArray[np.int64]:
    present = ids[ids >= 0]
    return np.bincount(present, minlength=entities).astype(np.int64)


def longer_rows(s: State, rows: int) -> State:
    """The same with room for so many rows in all."""
    n = int(s.counts[0])
    records = np.empty((rows, s.records.shape[1]), np.int64)
    records[:n] = s.records[:n]
    return kernels.with_records(s, records)._replace(first_label=_extended(s.first_label, n, rows))


def longer_labels(s: State, labels: int) -> State:
    """The same with room for so many labels in all."""
    n = int(s.counts[1])
    return s._replace(
        label_row=_extended(s.label_row, n, labels),
        label_known_at=_extended(s.label_known_at, n, labels),
        label_fraud=_extended(s.label_fraud, n, labels),
        label_change=_extended(s.label_change, n, labels),
        label_next=_extended(s.label_next, n, labels),
    )


def _extended(old: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    new = np.empty(size, old.dtype)
    new[:used] = old[:used]
    return new
