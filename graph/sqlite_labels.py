"""Writing labels: histories, labels that wait for their transaction, and the fraud counts that follow."""

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from graph.batches import LabelBatch
from graph.layout import Layout
from graph.sqlite_database import select_in
from graph.store import Outcome

History = dict[tuple[int, str], bool]
"""Labels of one transaction: is_fraud by known_at and source."""


def write_labels(connection: sqlite3.Connection, layout: Layout, batch: LabelBatch) -> NDArray[np.int8]:
    """Writes what is new of a batch; an `Outcome` a row. Sequence numbers follow the order of the rows."""
    texts = batch.transaction_ids
    histories = _histories(connection, texts)
    before = {text: _says_fraud(history) for text, history in histories.items()}
    transactions: dict[str, int] = dict(
        select_in(connection, "SELECT transaction_id, seq FROM transactions WHERE transaction_id IN ({})", texts)
    )
    next_seq = _next_seq(connection)
    outcomes = np.full(len(texts), Outcome.LOADED, dtype=np.int8)
    rows: list[tuple[int, str, int | None, int, bool, str]] = []
    for i, text in enumerate(texts):
        known_at, source, is_fraud = batch.known_at[i], batch.source[i], batch.is_fraud[i]
        history = histories.setdefault(text, {})
        kept = history.get((known_at, source))
        if kept is None:
            history[known_at, source] = is_fraud
            rows.append((next_seq + len(rows), text, transactions.get(text), known_at, is_fraud, source))
        else:
            outcomes[i] = Outcome.DUPLICATE if kept == is_fraud else Outcome.CONFLICT
    connection.executemany("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)", rows)
    after = {text: _says_fraud(histories[text]) for text in transactions}
    _count_frauds(
        connection,
        layout,
        gained=[seq for text, seq in transactions.items() if after[text] and not before.get(text, False)],
        lost=[seq for text, seq in transactions.items() if before.get(text, False) and not after[text]],
    )
    return outcomes


def adopt_waiting(connection: sqlite3.Connection, layout: Layout, loaded: Mapping[str, int]) -> None:
    """Gives labels that waited for these transactions new sequence numbers, so that the feed brings them.

    Args:
        loaded: sequence number by id of the transactions just written.
    """
    if connection.execute("SELECT 1 FROM labels WHERE transaction_seq IS NULL LIMIT 1").fetchone() is None:
        return
    waiting = sorted(
        select_in(
            connection,
            "SELECT seq, transaction_id FROM labels WHERE transaction_seq IS NULL AND transaction_id IN ({})",
            list(loaded),
        )
    )
    next_seq = _next_seq(connection)
    connection.executemany(
        "UPDATE labels SET seq = ?, transaction_seq = ? WHERE seq = ?",
        [(next_seq + i, loaded[text], seq) for i, (seq, text) in enumerate(waiting)],
    )
    histories = _histories(connection, list({text for _, text in waiting}))
    gained = [loaded[text] for text, history in histories.items() if _says_fraud(history)]
    _count_frauds(connection, layout, gained=gained, lost=[])


def _next_seq(connection: sqlite3.Connection) -> int:
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM labels").fetchone()
    return int(seq)


def _histories(connection: sqlite3.Connection, texts: Sequence[str]) -> dict[str, History]:
    histories: dict[str, History] = {}
    for text, known_at, source, is_fraud in select_in(
        connection, "SELECT transaction_id, known_at, source, is_fraud FROM labels WHERE transaction_id IN ({})", texts
    ):
        histories.setdefault(text, {})[known_at, source] = bool(is_fraud)
    return histories


def _says_fraud(history: History) -> bool:
    """What the last known label says. Of several at one moment fraud counts, whichever came first."""
    return max((known_at, is_fraud) for (known_at, _), is_fraud in history.items())[1]


def _count_frauds(
    connection: sqlite3.Connection, layout: Layout, *, gained: Sequence[int], lost: Sequence[int]
) -> None:
    """Carries transactions that became fraud, or no longer are, into the totals of their entities."""
    connection.executemany("INSERT INTO frauds VALUES (?)", [(seq,) for seq in gained])
    connection.executemany("DELETE FROM frauds WHERE seq = ?", [(seq,) for seq in lost])
    for seqs, sign in ((gained, 1), (lost, -1)):
        blobs = [ids for (ids,) in select_in(connection, "SELECT ids FROM transactions WHERE seq IN ({})", seqs)]
        linked = layout.ids(blobs)[:, layout.linked_slots]
        entities, counts = np.unique(linked[linked >= 0], return_counts=True)
        connection.executemany(
            "UPDATE totals SET fraud_known = fraud_known + ? WHERE entity = ?",
            zip((sign * counts).tolist(), entities.tolist(), strict=True),
        )
