"""What the silence of a feed that names only fraud says: no report in time counts as genuine.

A transaction is judged once its moment has come: while it is loaded, or at the end of a later load, for which it waits
in the ledger. A report that comes later than the silence was read, but became known before, holds from its own moment
on: it is said again where the silence was read, since of several labels the last known one holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning import UNREADABLE
from etl.contract.checked import CheckedRows, timestamps
from etl.ledger import Ledger
from graph.records import LABEL_COLUMNS
from graph.store import Outcome, Store

NO_REPORT = "no report"
"""Source of labels that were inferred from silence."""
LATE_REPORT = "late report"
"""Source of labels that put right what silence had said before the report came."""
_AT_ONCE = 50_000

History = Sequence[tuple[int, bool, str]]
"""Labels of one transaction: known_at, is_fraud, source."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Reads the silence about transactions of one mapping.

    Attributes:
        after: how long after a transaction its silence says genuine; None where the mapping does not say.
        newest: the latest moment that the mapping's rows have named so far (microseconds UTC): what lies later
            cannot be inferred yet.
    """

    store: Store
    ledger: Ledger
    mapping: str
    after: timedelta | None
    newest: int

    @classmethod
    def of(cls, store: Store, ledger: Ledger, mapping: str, after: timedelta | None, newest: int | None) -> "Silence":
        """Begins with the latest moment of these rows and of earlier loads, and notes it before anything is written.

        Args:
            newest: the latest moment that the rows to be loaded name; None without rows.
        """
        with ledger.writing() as connection:
            if after is not None and newest is not None:
                connection.execute(
                    "INSERT INTO newest VALUES (?, ?) ON CONFLICT (mapping) DO UPDATE SET at = max(at, excluded.at)",
                    (mapping, newest),
                )
            row = connection.execute("SELECT at FROM newest WHERE mapping = ?", (mapping,)).fetchone()
        return cls(store, ledger, mapping, after, row[0] if row else 0)

    def read(self, checked: CheckedRows, rows: NDArray[np.int64]) -> int:
        """Infers labels of these of the accepted transactions, once they and their own labels are stored.

        Those whose moment has not come wait in the ledger. A row that holds a label that cannot be read is not silent.
        Returns how many labels are new.
        """
        if self.after is None or checked.labels is None:
            return 0
        silent = rows[checked.labels.value[rows] != UNREADABLE]
        occurred = checked.table.column("occurred_at").combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
        ripe = occurred[silent] + self._after <= self.newest
        ids = checked.table.column("transaction_id")
        waiting = silent[~ripe]
        if len(waiting):
            named = zip(occurred[waiting].tolist(), ids.take(pa.array(waiting)).to_pylist(), strict=True)
            with self.ledger.writing() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO ripening VALUES (?, ?, ?)", [(self.mapping, *row) for row in named]
                )
        silent = silent[ripe]
        return self._infer(ids.take(pa.array(silent)).to_pylist(), (occurred[silent] + self._after).tolist())

    def ripen(self) -> int:
        """Infers labels of transactions that waited and whose moment has come; returns how many are new."""
        if self.after is None:
            return 0
        new = 0
        while True:
            with self.ledger.reading() as connection:
                rows = connection.execute(
                    "SELECT occurred_at, transaction_id FROM ripening WHERE mapping = ? AND occurred_at <= ?"
                    " ORDER BY occurred_at, transaction_id LIMIT ?",
                    (self.mapping, self.newest - self._after, _AT_ONCE),
                ).fetchall()
            if not rows:
                return new
            new += self._infer([id_ for _, id_ in rows], [at + self._after for at, _ in rows])
            with self.ledger.writing() as connection:
                connection.executemany(
                    "DELETE FROM ripening WHERE mapping = ? AND occurred_at = ? AND transaction_id = ?",
                    [(self.mapping, *row) for row in rows],
                )

    def reported(self, transaction_ids: pa.ChunkedArray) -> None:
        """Puts right what silence has said of these transactions, whose reports have just been stored."""
        with self.ledger.reading() as connection:
            if connection.execute("SELECT 1 FROM newest LIMIT 1").fetchone() is None:
                return  # nothing was ever inferred in this store
        reports = self.store.labels_of(transaction_ids.unique().to_pylist())
        wrong = {id_: label for id_, history in reports.items() if (label := _put_right(history)) is not None}
        if wrong:
            known_at, is_fraud = zip(*wrong.values(), strict=True)
            self.store.upsert_labels(_labels(list(wrong), known_at, is_fraud, LATE_REPORT))

    @property
    def _after(self) -> int:
        return 0 if self.after is None else self.after // timedelta(microseconds=1)

    def _infer(self, ids: list[str], moments: list[int]) -> int:
        reports = self.store.labels_of(ids)
        silent = [
            (id_, moment)
            for id_, moment in zip(ids, moments, strict=True)
            if not any(known <= moment and source != NO_REPORT for known, _, source in reports.get(id_, ()))
        ]
        if not silent:
            return 0
        named, known_at = zip(*silent, strict=True)
        outcomes = self.store.upsert_labels(_labels(named, known_at, [False] * len(silent), NO_REPORT))
        return int((outcomes == Outcome.LOADED).sum())


def _put_right(history: History) -> tuple[int, bool] | None:
    """The label (known_at, is_fraud) that makes the reports hold again from where silence was read on."""
    inferred = [(known, is_fraud, source) for known, is_fraud, source in history if source in {NO_REPORT, LATE_REPORT}]
    if not inferred:
        return None
    moment, said, source = max(inferred)
    reports = [(known, is_fraud) for known, is_fraud, source in history if source not in {NO_REPORT, LATE_REPORT}]
    until_then = [report for report in reports if report[0] <= moment]
    if not until_then or max(until_then)[1] == said:
        return None
    # Of labels at one moment fraud holds; genuine needs a later one, and so does what is put right once more.
    is_fraud = max(until_then)[1]
    return (moment if is_fraud and source == NO_REPORT else moment + 1), is_fraud


def _labels(ids: Sequence[str], known_at: Sequence[int], is_fraud: Sequence[bool], source: str) -> pa.Table:
    return pa.table(
        {
            "transaction_id": pa.array(ids, pa.string()),
            "is_fraud": pa.array(is_fraud, pa.bool_()),
            "known_at": timestamps(np.array(known_at, dtype=np.int64)),
            "source": pa.array([source] * len(ids), pa.string()),
        },
        schema=LABEL_COLUMNS,
    )
