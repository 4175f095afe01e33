"""Writing transactions: inside one write transaction of Neo4j, idempotent."""

from typing import Any

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.batches import TransactionBatch
from graph.contents import Content, first_of, judge
from graph.layout import UNKNOWN
from graph.neo4j_decisions import adopt_decisions
from graph.neo4j_hubs import note_hubs
from graph.neo4j_keys import KeyIds
from graph.neo4j_labels import adopt_waiting
from graph.neo4j_names import TRANSACTION, bounded, quoted
from graph.neo4j_state import Columns, State
from graph.neo4j_sums import add_transactions, collect
from graph.neo4j_times import from_epoch, micros, split
from graph.store import Outcome

OWN_PROPERTIES = frozenset(
    ["id", "long_id", "seq", "occurred_at", "arrived_at", "amount", "currency", "ids", "numbers", "is_fraud", "band"]
)
"""Properties of a transaction's node that no column of a schema takes."""


def write_transactions(
    tx: neo4j.ManagedTransaction, state: State, columns: Columns, known: KeyIds, batch: TransactionBatch
) -> NDArray[np.int8]:
    """Writes what is new of a batch; an `Outcome` a row. Sequence numbers follow the order of the rows."""
    texts = batch.transaction_ids
    bounds = [bounded(text) for text in texts]
    position, stored = _stored(tx, columns, list(dict.fromkeys(bounds)))
    first = first_of(texts)
    rows = np.arange(len(texts))
    at = np.fromiter((position.get(id_, -1) for id_ in bounds), dtype=np.int64, count=len(texts))
    is_new = (at < 0) & (first == rows)
    new = np.flatnonzero(is_new)
    ids = _ids(tx, state, columns, known, batch, is_new)

    outcomes = np.full(len(texts), Outcome.LOADED, dtype=np.int8)
    mine = Content(batch.occurred_at, batch.amount, np.array(batch.currency, dtype=object), ids, batch.numeric)
    again = np.flatnonzero(at >= 0)
    judge(outcomes, again, mine.take(again), stored.take(at[again]))
    repeated = np.flatnonzero((at < 0) & (first < rows))
    judge(outcomes, repeated, mine.take(repeated), mine.take(first[repeated]))
    if new.size:
        seq = np.arange(state.transactions + 1, state.transactions + 1 + new.size)
        new_ids = [bounds[i] for i in new.tolist()]
        # Sums first: what a transaction has created already makes each look-up in it slower.
        large = add_transactions(tx, columns, ids[new], batch.occurred_at[new], batch.amount[new])
        _create(tx, columns, batch, new_ids, ids[new], new, seq)
        note_hubs(tx, columns, ids[new], batch.occurred_at[new], seq, large)
        state.transactions = int(seq[-1])
        loaded = dict(zip(new_ids, range(new.size), strict=True))
        adopt_waiting(tx, state, columns, loaded, seq, ids[new])
        adopt_decisions(tx, state, new_ids)
    return outcomes


def _stored(tx: neo4j.ManagedTransaction, columns: Columns, ids: list[str]) -> tuple[dict[str, int], Content]:
    """The rows that the store has of some transaction ids, and where each stands in them."""
    rows = tx.run(
        f"UNWIND $ids AS id MATCH (t:{TRANSACTION} {{id: id}})"
        f" RETURN id, {micros('t.occurred_at')}, t.amount, t.currency, t.ids, t.numbers",
        ids=ids,
    ).values()
    id_, occurred_at, amount, currency, blobs, numbers = zip(*rows, strict=True) if rows else ((),) * 6
    content = Content(
        np.array(occurred_at, dtype=np.int64),
        np.array(amount, dtype=np.int64),
        np.array(currency, dtype=object),
        columns.layout.ids(blobs),
        columns.layout.numbers(numbers),
    )
    return {text: i for i, text in enumerate(id_)}, content


def _ids(
    tx: neo4j.ManagedTransaction,
    state: State,
    columns: Columns,
    known: KeyIds,
    batch: TransactionBatch,
    is_new: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """int32[n, slots]: entity ids by slot. Keys get an id only where a new row has them."""
    layout = columns.layout
    ids = np.full((len(batch.transaction_ids), len(layout.kinds)), -1, dtype=np.int32)
    for position, (slot, column) in enumerate(zip(layout.slots, batch.keys, strict=True)):
        if column is None or not column.keys:
            continue
        by_code = np.append(known.look_up(tx, columns, position, column.keys), np.int32(-1))  # code -1: the last
        unknown = by_code[:-1] == UNKNOWN
        if unknown.any():
            used = np.zeros(len(by_code), dtype=np.bool_)
            used[column.codes[is_new]] = True
            fresh = np.flatnonzero(unknown & used[:-1])
            if fresh.size:
                keys = [column.keys[i] for i in fresh.tolist()]
                by_code[fresh] = known.create(tx, state, columns, position, keys)
        ids[:, slot] = by_code[column.codes]
    return ids


def _create(
    tx: neo4j.ManagedTransaction,
    columns: Columns,
    batch: TransactionBatch,
    new_ids: list[str],
    ids: NDArray[np.int32],
    new: NDArray[np.int64],
    seq: NDArray[np.int64],
) -> None:
    """Makes the nodes of new rows, with their relationships."""
    values: dict[str, Any] = {}
    nodes, links = [], []
    for position, slot in enumerate(columns.layout.linked_slots.tolist()):
        column = ids[:, slot]
        numbers, which = np.unique(column[column >= 0], return_inverse=True)
        if not numbers.size:
            continue
        at: list[int | None] = [None] * len(column)
        for row, place in zip(np.flatnonzero(column >= 0).tolist(), which.tolist(), strict=True):
            at[row] = place
        name = f"e{position}"
        values |= {name: numbers.tolist(), f"at_{name}": at}
        nodes.append(collect(columns, position, name))
        relationship = quoted(columns.types[position].relationship)
        arrow = f"(n)-[:{relationship}]->(t)" if position == 0 else f"(t)-[:{relationship}]->(n)"
        one = f"CASE WHEN $at_{name}[i] IS NULL THEN [] ELSE [{name}[$at_{name}[i]]] END"
        links.append(f"FOREACH (n IN {one} | CREATE {arrow})")
    more = _more(columns, batch, new)
    rows = new.tolist()
    occurred_s, occurred_n = split(batch.occurred_at[new])
    arrived_s, arrived_n = split(batch.arrived_at[new])
    long_ids = [None if id_ == batch.transaction_ids[i] else batch.transaction_ids[i]
                for id_, i in zip(new_ids, rows, strict=True)]  # fmt: skip
    tx.run(
        f"{' '.join(nodes)} UNWIND range(0, size($ids) - 1) AS i"
        f" CREATE (t:{TRANSACTION} {{id: $ids[i], long_id: $long_ids[i], seq: $seq + i,"
        f" occurred_at: {from_epoch('occurred')}, arrived_at: {from_epoch('arrived')}, amount: $amount[i],"
        " currency: $currency[i], ids: $entities[i], numbers: $numbers[i]})"
        f" {'SET t += $more[i]' if more else ''} {' '.join(links)}",
        values,
        ids=new_ids,
        long_ids=long_ids,
        seq=int(seq[0]),
        occurred_s=occurred_s, occurred_n=occurred_n, arrived_s=arrived_s, arrived_n=arrived_n,
        amount=batch.amount[new].tolist(),
        currency=[batch.currency[i] for i in rows],
        entities=_blobs(ids),
        numbers=_blobs(batch.numeric[new]),
        more=more,
    ).consume()  # fmt: skip


def _more(columns: Columns, batch: TransactionBatch, new: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Categories and numbers as properties of their names, for people; none where the schema has none."""
    schema = columns.schema
    if len(schema.keyed) == len(schema.entities) and not schema.numeric:
        return []
    more: list[dict[str, Any]] = [{} for _ in range(new.size)]
    for name, column in zip(schema.categories, batch.keys[len(schema.entities) :], strict=True):
        if column is None or name in OWN_PROPERTIES:
            continue
        for row, code in enumerate(column.codes[new].tolist()):
            if code >= 0:
                more[row][name] = column.keys[code]
    for name, numbers in zip(schema.numeric, batch.numeric[new].T, strict=True):
        if name in OWN_PROPERTIES:
            continue
        for row, number in enumerate(numbers.tolist()):
            if number == number:  # noqa: PLR0124 (NaN is missing)
                more[row][name] = number
    return more


def _blobs(matrix: NDArray[Any]) -> list[bytes]:
    width = matrix.shape[1] * matrix.itemsize
    joined = matrix.tobytes()
    return [joined[i * width : (i + 1) * width] for i in range(len(matrix))]
