"""Writing labels: histories, labels that wait for their transaction, and the fraud counts that follow."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.batches import LabelBatch
from graph.neo4j_names import FRAUD, FRAUD_LABEL, TRANSACTION, bounded
from graph.neo4j_state import Columns, State
from graph.neo4j_sums import add_frauds
from graph.neo4j_times import from_epoch, micros, split
from graph.store import Outcome

History = dict[tuple[int, str], bool]
"""Labels of one transaction: is_fraud by known_at and source."""


class _Row(NamedTuple):
    """A transaction: its sequence number, what its labels say so far (None without any), and its `ids`."""

    seq: int
    is_fraud: bool | None
    ids: bytes


def write_labels(tx: neo4j.ManagedTransaction, state: State, columns: Columns, batch: LabelBatch) -> NDArray[np.int8]:
    """Writes what is new of a batch; an `Outcome` a row.

    Labels of known transactions get sequence numbers in the order of the rows; others wait without.
    """
    ids = [bounded(text) for text in batch.transaction_ids]
    distinct = list(dict.fromkeys(ids))
    kept = histories(tx, distinct)
    transactions = {
        id_: _Row(*row)
        for id_, *row in tx.run(
            f"UNWIND $ids AS id MATCH (t:{TRANSACTION} {{id: id}}) RETURN id, t.seq, t.is_fraud, t.ids", ids=distinct
        ).values()
    }
    outcomes = np.full(len(ids), Outcome.LOADED, dtype=np.int8)
    new = []
    for i, id_ in enumerate(ids):
        history = kept.setdefault(id_, {})
        moment, is_fraud = (batch.known_at[i], batch.source[i]), batch.is_fraud[i]
        if moment in history:
            outcomes[i] = Outcome.DUPLICATE if history[moment] == is_fraud else Outcome.CONFLICT
        else:
            history[moment] = is_fraud
            new.append(i)
    ready = [i for i in new if ids[i] in transactions]
    waiting = [i for i in new if ids[i] not in transactions]
    _create(tx, state, batch, ids, ready, waiting, transactions)
    _mark(tx, columns, kept, {id_: transactions[id_] for id_ in dict.fromkeys(ids[i] for i in ready)})
    return outcomes


def adopt_waiting(
    tx: neo4j.ManagedTransaction,
    state: State,
    columns: Columns,
    loaded: Mapping[str, int],
    seq: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> None:
    """Gives labels that waited for these transactions sequence numbers, so that the feed brings them.

    Args:
        loaded: by id (bounded), where the transactions just written stand in
        seq, ids: their sequence numbers and int32[n, slots].
    """
    if not state.waiting_labels:
        return
    found = tx.run(
        f"UNWIND $ids AS id MATCH (l:{FRAUD_LABEL} {{transaction_id: id}}) WHERE l.ticket IS NOT NULL"
        " RETURN l.ticket, id ORDER BY l.ticket",
        ids=list(loaded),
    ).values()
    if not found:
        return
    tx.run(
        "UNWIND range(0, size($ids) - 1) AS i"
        f" MATCH (l:{FRAUD_LABEL} {{transaction_id: $ids[i]}}) WHERE l.ticket = $tickets[i]"
        " SET l.seq = $first + i, l.transaction_seq = $seq[i] REMOVE l.ticket",
        ids=[id_ for _, id_ in found], tickets=[ticket for ticket, _ in found],
        seq=[int(seq[loaded[id_]]) for _, id_ in found], first=state.labels + 1,
    ).consume()  # fmt: skip
    state.labels += len(found)
    state.waiting_labels -= len(found)
    labelled = list(dict.fromkeys(id_ for _, id_ in found))
    rows = {id_: _Row(int(seq[loaded[id_]]), None, ids[loaded[id_]].tobytes()) for id_ in labelled}
    _mark(tx, columns, histories(tx, labelled), rows)


def histories(tx: neo4j.ManagedTransaction, ids: Sequence[str]) -> dict[str, History]:
    """The labels of transactions, by their ids (bounded)."""
    found: dict[str, History] = {}
    for id_, known_at, source, is_fraud in tx.run(
        f"UNWIND $ids AS id MATCH (l:{FRAUD_LABEL} {{transaction_id: id}})"
        f" RETURN id, {micros('l.known_at')}, l.source, l.is_fraud",
        ids=ids,
    ).values():
        found.setdefault(id_, {})[known_at, source] = is_fraud
    return found


def _says_fraud(history: History) -> bool:
    """What the last known label says. Of several at one moment fraud counts, whichever came first."""
    return max((known_at, is_fraud) for (known_at, _), is_fraud in history.items())[1]


def _create(
    tx: neo4j.ManagedTransaction,
    state: State,
    batch: LabelBatch,
    ids: list[str],
    ready: list[int],
    waiting: list[int],
    transactions: Mapping[str, _Row],
) -> None:
    numbering = {
        "seq: $first + i, transaction_seq: $seq[i]": ready,
        "ticket: $first + i, long_id: $long_ids[i]": waiting,
    }
    for numbers, rows in numbering.items():
        if not rows:
            continue
        known_s, known_n = split(np.array([batch.known_at[i] for i in rows], dtype=np.int64))
        tx.run(
            "UNWIND range(0, size($ids) - 1) AS i"
            f" CREATE (:{FRAUD_LABEL} {{transaction_id: $ids[i], known_at: {from_epoch('known')},"
            f" source: $source[i], is_fraud: $is_fraud[i], {numbers}}})",
            ids=[ids[i] for i in rows], known_s=known_s, known_n=known_n,
            source=[batch.source[i] for i in rows], is_fraud=[batch.is_fraud[i] for i in rows],
            first=(state.labels if rows is ready else state.label_tickets) + 1,
            seq=[transactions[ids[i]].seq for i in rows] if rows is ready else [],
            long_ids=[None if ids[i] == batch.transaction_ids[i] else batch.transaction_ids[i] for i in rows],
        ).consume()  # fmt: skip
    state.labels += len(ready)
    state.label_tickets += len(waiting)
    state.waiting_labels += len(waiting)


def _mark(
    tx: neo4j.ManagedTransaction, columns: Columns, kept: Mapping[str, History], rows: Mapping[str, _Row]
) -> None:
    """Writes what the last known labels say onto transactions, and into the sums of what they link."""
    says: dict[bool, list[int]] = {True: [], False: []}
    blobs, sign = [], []
    for id_, row in rows.items():
        after = _says_fraud(kept[id_])
        if after is row.is_fraud:
            continue
        says[after].append(row.seq)
        if after is not bool(row.is_fraud):
            blobs.append(row.ids)
            sign.append(1 if after else -1)
    changes = {True: f"SET t.is_fraud = true, t:{FRAUD}", False: f"SET t.is_fraud = false REMOVE t:{FRAUD}"}
    for after, seq in says.items():
        if seq:
            tx.run(f"UNWIND $seq AS seq MATCH (t:{TRANSACTION} {{seq: seq}}) {changes[after]}", seq=seq).consume()
    if blobs:
        add_frauds(tx, columns, columns.layout.ids(blobs), np.array(sign, dtype=np.int64))
