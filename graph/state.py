"""The arrays of the as-of index, and the compiled code that adds a transaction or a label to them.

A row's number is its place in the index; its event time is a column, amounts are integer
hundredths, and entities of all types share one space of integer ids. Labels are a log of
their own: an entry a label, with the change it makes to the count of known frauds, so that
"how many frauds were known before t" is a bisection by `known_at` and one subtraction.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.compiled import allocating, kernel
from graph.postings import PLACES, Postings, headed, insert, push, remove, room_for
from graph.ring_log import RingLog

ROOM_ROWS = 1
ROOM_LABELS = 2
ROOM_POOL = 3
HISTORY, KNOWN, FRAUD = range(PLACES)


class State(NamedTuple):
    """The index's arrays; capacities exceed what is used.

    Attributes:
        records: int64[row, 2 + half the keyed columns]: what the next three are views of, so that one row is one
            cache line.
        occurred_at, amount: int64 by row.
        ids: int32[row, keyed column]; -1 is missing.
        first_label: int32 by row: its earliest-known label in the log, -1 where there is none.
        label_row, label_known_at, label_fraud, label_change, label_next: the label log; `change` is what the
            label does to the count of frauds (-1, 0, 1), `next` the row's following label or -1.
        heads: int64[entity, 2 * PLACES]: where the blocks of the next three stand.
        history: an entity's transactions by occurred_at, with running sums of the amount.
        known: an entity's transactions with a label, by the label's known_at.
        fraud: the labels that changed an entity's count of frauds, by known_at, with running sums.
        counts: [rows, labels].
        rings: who was in which ring; replaced as a whole at each change.
    """

    records: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    first_label: NDArray[np.int32]
    label_row: NDArray[np.int32]
    label_known_at: NDArray[np.int64]
    label_fraud: NDArray[np.int8]
    label_change: NDArray[np.int8]
    label_next: NDArray[np.int32]
    heads: NDArray[np.int64]
    history: Postings
    known: Postings
    fraud: Postings
    counts: NDArray[np.int64]
    rings: RingLog


def with_records(s: State, records: NDArray[np.int64]) -> State:
    """The state over other records, with their views."""
    columns = s.ids.shape[1]
    return s._replace(
        records=records,
        occurred_at=records[:, 0],
        amount=records[:, 1],
        ids=records.view(np.int32)[:, 4 : 4 + columns],
    )


def with_heads(s: State, heads: NDArray[np.int64]) -> State:
    """The state with its blocks described in other heads."""
    return s._replace(
        heads=heads,
        history=headed(s.history, heads, HISTORY),
        known=headed(s.known, heads, KNOWN),
        fraud=headed(s.fraud, heads, FRAUD),
    )


@kernel
def post_row(s, row):  # type: ignore[no-untyped-def]
    """Adds a row, whose columns are filled in, to its entities' histories; False where the pool has no room."""
    if not room_for(s.history, s.ids[row], 1):
        return False
    for k in range(s.ids.shape[1]):
        entity = s.ids[row, k]
        if entity >= 0:
            insert(s.history, s.occurred_at, entity, row, s.amount[row])
    return True


@kernel
def add_label(s, row, known_at, is_fraud):  # type: ignore[no-untyped-def]
    """Adds a label of a posted row to the log and the postings; 0, or which room (ROOM_*) is lacking.

    Labels of one row may come in any order of `known_at`: what each changes is worked out anew.
    """
    entry = s.counts[1]
    if entry >= s.label_row.shape[0]:
        return ROOM_LABELS
    # A label between two others changes its own entry and the one after it: two insertions at most.
    if not (room_for(s.known, s.ids[row], 1) and room_for(s.fraud, s.ids[row], 2)):
        return ROOM_POOL
    s.counts[1] = entry + 1
    s.label_row[entry] = row
    s.label_known_at[entry] = known_at
    s.label_fraud[entry] = is_fraud
    s.label_change[entry] = 0
    first = s.first_label[row]
    if first < 0:
        s.label_next[entry] = -1
        s.first_label[row] = entry
        _post_change(s, row, entry, is_fraud)
        _post_known(s, row, entry)
        return 0
    if known_at < s.label_known_at[first]:
        for k in range(s.ids.shape[1]):
            if s.ids[row, k] >= 0:
                remove(s.known, s.label_known_at, s.ids[row, k], first, 0)
        s.label_next[entry] = first
        s.first_label[row] = entry
        _post_known(s, row, entry)
    else:
        previous = first
        while s.label_next[previous] >= 0 and s.label_known_at[s.label_next[previous]] <= known_at:
            previous = s.label_next[previous]
        s.label_next[entry] = s.label_next[previous]
        s.label_next[previous] = entry
    state = np.int8(0)
    at = s.first_label[row]
    while at >= 0:
        _post_change(s, row, at, s.label_fraud[at] - state)
        state = s.label_fraud[at]
        at = s.label_next[at]
    return 0


@kernel
def _post_known(s, row, entry):  # type: ignore[no-untyped-def]
    for k in range(s.ids.shape[1]):
        if s.ids[row, k] >= 0:
            insert(s.known, s.label_known_at, s.ids[row, k], entry, 0)


@kernel
def _post_change(s, row, entry, change):  # type: ignore[no-untyped-def]
    if s.label_change[entry] == change:
        return
    for k in range(s.ids.shape[1]):
        entity = s.ids[row, k]
        if entity >= 0:
            if s.label_change[entry] != 0:
                remove(s.fraud, s.label_known_at, entity, entry, s.label_change[entry])
            if change != 0:
                insert(s.fraud, s.label_known_at, entity, entry, change)
    s.label_change[entry] = change


@kernel
def post_in_order(s, by_time):  # type: ignore[no-untyped-def]
    """Posts rows, given in order of occurred_at, into blocks laid out beforehand."""
    for row in by_time:
        for k in range(s.ids.shape[1]):
            if s.ids[row, k] >= 0:
                push(s.history, s.ids[row, k], row, s.amount[row])


@allocating
def chain_labels(s, rows, known_at, is_fraud):  # type: ignore[no-untyped-def]
    """Fills the label log from labels in order of known_at and works out what each changes; posts nothing."""
    last = np.full(s.first_label.shape[0], -1, np.int32)
    s.first_label[:] = -1
    for entry in range(rows.shape[0]):
        row = rows[entry]
        s.label_row[entry] = row
        s.label_known_at[entry] = known_at[entry]
        s.label_fraud[entry] = is_fraud[entry]
        s.label_next[entry] = -1
        if last[row] < 0:
            s.first_label[row] = entry
            s.label_change[entry] = is_fraud[entry]
        else:
            s.label_next[last[row]] = entry
            s.label_change[entry] = is_fraud[entry] - s.label_fraud[last[row]]
        last[row] = entry
    s.counts[1] = rows.shape[0]


@kernel
def count_labels(s, known, fraud):  # type: ignore[no-untyped-def]
    """Counts, by entity, the entries that the chained labels will take in `known` and `fraud`."""
    for entry in range(s.counts[1]):
        row = s.label_row[entry]
        for k in range(s.ids.shape[1]):
            entity = s.ids[row, k]
            if entity >= 0:
                if s.first_label[row] == entry:
                    known[entity] += 1
                if s.label_change[entry] != 0:
                    fraud[entity] += 1


@kernel
def post_label(s, entry):  # type: ignore[no-untyped-def]
    """Posts one chained label into blocks laid out beforehand."""
    row = s.label_row[entry]
    for k in range(s.ids.shape[1]):
        entity = s.ids[row, k]
        if entity >= 0:
            if s.first_label[row] == entry:
                insert(s.known, s.label_known_at, entity, entry, 0)
            if s.label_change[entry] != 0:
                insert(s.fraud, s.label_known_at, entity, entry, s.label_change[entry])


@kernel
def post_labels(s):  # type: ignore[no-untyped-def]
    """Posts all chained labels."""
    for entry in range(s.counts[1]):
        post_label(s, entry)
