"""Labels that stand in the transactions' own rows."""

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl import cleaning
from etl.cleaning import Parsed, column_of
from etl.contract.checked import RowLabels
from etl.contract.parsing import Values, integers, read_column, reading
from etl.contract.reasons import Reason
from etl.contract.schema import failures, row_label_schema
from etl.mapping import Delay, IsFraud, KnownAt


def read_labels(
    how: IsFraud,
    known_at: KnownAt,
    latest: int,
    values: Values,
    occurred: Parsed,
    accepted: NDArray[np.int64],
) -> RowLabels:
    """The labels of the accepted rows. A fault in one costs its transaction nothing, and is counted.

    Args:
        latest: a label cannot have become known later (microseconds UTC), unless by a delay.
    """
    value = cleaning.label_values(column_of(values.table, how.column), how.fraud, how.genuine)[accepted]
    at = occurred.values[accepted]
    held = np.flatnonzero(value != cleaning.UNLABELLED)
    rows = accepted[held]
    unreadable = value[held] == cleaning.UNREADABLE
    checked: dict[str, Any] = {read_column("is_fraud"): reading(np.zeros_like(unreadable), unreadable)}
    moments = None if isinstance(known_at, Delay) else known_at
    if isinstance(known_at, Delay):
        known = at + known_at.delay // timedelta(microseconds=1)
    else:
        times = values.time("known_at", known_at)
        known = times.values[accepted]
        checked |= {name: values.checked[name][rows] for name in (read_column("known_at"), "known_at")}
        checked["known_after"] = integers((known - at)[held], times.ok[rows])
    schema = row_label_schema(how.column, moments, latest)
    faults: dict[Reason, NDArray[np.bool_]] = {}
    usable = np.ones(len(held), dtype=np.bool_)
    for failing, reason, _ in failures(schema, checked, len(held)):
        hit = faults.setdefault(reason, np.zeros(len(accepted), dtype=np.bool_))
        hit[held[failing & usable]] = True
        usable &= ~failing
    value[held[~usable]] = cleaning.UNREADABLE
    return RowLabels(value, known, faults)
