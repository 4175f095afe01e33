"""What the silence of a feed that names only fraud says: no report in time counts as genuine."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning import UNREADABLE
from etl.contract import CheckedRows, timestamps
from graph.records import LABEL_COLUMNS
from graph.store import Store

NO_REPORT = "no report"
"""Source of labels that were inferred from silence."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Genuine labels for transactions without a report `after` their occurrence.

    Attributes:
        newest: the latest moment that the source names (microseconds UTC): what lies later cannot be inferred yet.
    """

    store: Store
    after: timedelta
    newest: int

    def labels(self, checked: CheckedRows, rows: NDArray[np.int64]) -> pa.Table:
        """Labels (`LABEL_COLUMNS`) for these of the accepted transactions, once their own labels are stored.

        A transaction is left out if its moment has not come, if the store has a report known by then, or if
        its row holds a label that cannot be read (which is not silence).
        """
        assert checked.labels is not None
        occurred = checked.table.column("occurred_at").combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
        moment = occurred + self.after // timedelta(microseconds=1)
        wanted = rows[(moment[rows] <= self.newest) & (checked.labels.value[rows] != UNREADABLE)]
        ids = checked.table.column("transaction_id").take(pa.array(wanted)).to_pylist()
        reports = self.store.labels_of(ids)
        silent = [
            (id_, row)
            for id_, row in zip(ids, wanted.tolist(), strict=True)
            if not any(known <= moment[row] and source != NO_REPORT for known, _, source in reports.get(id_, ()))
        ]
        return pa.table(
            {
                "transaction_id": pa.array([id_ for id_, _ in silent], pa.string()),
                "is_fraud": pa.array([False] * len(silent), pa.bool_()),
                "known_at": timestamps(moment[[row for _, row in silent]]),
                "source": pa.array([NO_REPORT] * len(silent), pa.string()),
            },
            schema=LABEL_COLUMNS,
        )
