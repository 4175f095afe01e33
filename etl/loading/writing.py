"""Accepted rows into the store, with their labels, and every outcome into the report."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl import cleaning
from etl.contract.checked import CheckedRows, RowLabels, timestamps
from etl.contract.reasons import Reason
from etl.loading.inference import Silence
from etl.mapping import Mapping
from etl.reporting.report import LoadReport
from graph.records import LABEL_COLUMNS
from graph.store import Outcome, Store


@dataclass(frozen=True, slots=True)
class FactWriter:
    """Writes checked batches. Doing it again changes nothing in the store."""

    mapping: Mapping
    store: Store
    report: LoadReport
    silence: Silence

    def write(self, checked: CheckedRows) -> NDArray[np.int8]:
        """Writes a batch by its kind; an `Outcome` a row of its table."""
        kind = checked.refusals.kind
        if not checked.table.num_rows:
            return np.empty(0, dtype=np.int8)
        if kind == "transaction":
            return self._transactions(checked)
        if kind == "label":
            return self._labels(checked.table)
        self.store.upsert_attributes(kind.partition(":")[2], checked.table)
        return np.full(checked.table.num_rows, Outcome.LOADED, dtype=np.int8)

    def _transactions(self, checked: CheckedRows) -> NDArray[np.int8]:
        outcomes = self.store.upsert_transactions(checked.table)
        if checked.labels is not None:
            rows = np.flatnonzero(outcomes != Outcome.CONFLICT)
            self._row_labels(checked.table, checked.labels, rows)
            self.report.labels.inferred += self.silence.read(checked, rows)
        return outcomes

    def _labels(self, table: pa.Table) -> NDArray[np.int8]:
        outcomes = self.store.upsert_labels(table)
        self.silence.reported(table.column("transaction_id"))
        return outcomes

    def _row_labels(self, table: pa.Table, labels: RowLabels, rows: NDArray[np.int64]) -> None:
        """Writes the labels of these transactions, and counts the unreadable ones."""
        tally = self.report.labels
        value = labels.value[rows]
        usable = rows[value >= 0]
        unreadable = labels.unreadable(rows)
        tally.found += len(usable) + unreadable.total()
        tally.unusable += unreadable
        tally.unlabelled += int((value == cleaning.UNLABELLED).sum())
        if not len(usable):
            return
        label = self.mapping.label
        source = (label.source if label else None) or self.mapping.name
        batch = pa.table(
            {
                "transaction_id": table.column("transaction_id").take(pa.array(usable)),
                "is_fraud": pa.array(labels.value[usable] == cleaning.FRAUD),
                "known_at": timestamps(labels.known_at[usable]),
                "source": pa.array([source] * len(usable), pa.string()),
            },
            schema=LABEL_COLUMNS,
        )
        outcomes = self._labels(batch)
        tally.loaded += int((outcomes == Outcome.LOADED).sum())
        tally.duplicates += int((outcomes == Outcome.DUPLICATE).sum())
        conflicts = int((outcomes == Outcome.CONFLICT).sum())
        if conflicts:
            tally.unusable[Reason.CONFLICTING_LABEL.value] += conflicts
