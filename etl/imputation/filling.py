"""Missing values filled in from earlier transactions, where a mapping asks for it.

A value is taken from transactions of the store and of the load that occurred before (never at the same moment, never
later), whatever the order of files and the size of batches: a median is that of the last 101 similar ones, where there
is none of less similar ones, and at last of any; a most frequent value is that of the user's own. Only values that were
given count, never ones that were filled in. Where nothing earlier is known, the value stays missing.

Loading again, or after a load was killed, fills in the same: of a transaction that is stored the stored row counts,
and the value that it was given then.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.contract.checked import CheckedRows, RowLabels
from etl.contract.layout import Layout
from etl.contract.reasons import Reason
from etl.imputation.missing_values import MissingValues, usual_by
from etl.imputation.similar import columns_of
from etl.imputation.stored_values import tell_stored
from etl.mapping import Mapping
from graph.errors import MappingError
from graph.store import Store


class Imputer:
    """Fills in what is missing in a load: sees all batches once, then decides, then fills them in the same order.

    Raises:
        MappingError: `by` names something that is not mapped.
    """

    def __init__(self, mapping: Mapping, layout: Layout, store: Store) -> None:
        self._mapping = mapping
        self._store = store
        self._missing = [
            MissingValues.of(
                name,
                layout.graph_column(name),
                columns_of(
                    policy.by or usual_by(numeric=policy.impute == "median"),
                    layout,
                    f"missing.{name}.by",
                    named=policy.by is not None,
                ),
                numeric=policy.impute == "median",
                entities=tuple(layout.entities),
            )
            for name, policy in layout.imputed.items()
        ]
        for missing in self._missing:
            if missing.column == "currency" and missing.by[0] not in layout.entities:
                raise MappingError(
                    f"missing.currency.by: {missing.by[0]!r} is no entity", hint="begin with one, or leave by out"
                )

    def observe(self, checked: CheckedRows) -> None:
        """Notes what is missing in a batch of transactions."""
        for missing in self._missing:
            missing.note(checked)

    def resolve(self, batches: Iterable[CheckedRows]) -> Counter[str]:
        """Decides what is filled in, from the load's batches (all that were observed) and the store.

        Returns how many rows cannot be loaded since their value stays missing, by reason.
        """
        wanted = [missing for missing in self._missing if missing.ids]
        if not wanted:
            return Counter()
        for missing in wanted:
            missing.prepare()
        tell_stored(self._store, wanted)
        first = _FirstSeen(self._store)
        for checked in batches:
            fresh = first(checked.table.column("transaction_id"))
            for missing in wanted:
                missing.tell_rows(checked.table, fresh & ~checked.imputable[missing.name])
        left = {missing.name: missing.decide() for missing in wanted}
        return +Counter({Reason.MISSING_AMOUNT.value: left.get("amount", 0)})

    def fill(self, checked: CheckedRows) -> tuple[CheckedRows, Counter[str]]:
        """A batch with its values filled in, and how many were, by the name of the value in the mapping.

        A row whose amount stays missing is refused.
        """
        table, filled = checked.table, Counter[str]()
        refused = np.zeros(table.num_rows, dtype=np.bool_)
        for missing in self._missing:
            mask = checked.imputable.get(missing.name)
            if mask is None or not mask.any():
                continue
            given = missing.next(int(mask.sum()))
            there = np.array([value is not None for value in given])
            if missing.column == "amount":
                refused[np.flatnonzero(mask)[~there]] = True
                given = [0 if value is None else int(value) for value in given]
            place = table.column_names.index(missing.column)
            column = table.column(place).combine_chunks()
            column = pc.replace_with_mask(column, pa.array(mask), pa.array(given, column.type))
            table = table.set_column(place, table.schema.field(place), column)
            filled[missing.name] += int(there.sum())
        return without(replace(checked, table=table), refused, self._mapping), +filled


def without(checked: CheckedRows, refused: NDArray[np.bool_], mapping: Mapping) -> CheckedRows:
    """A batch of transactions of which these accepted rows are refused for want of an amount."""
    if not refused.any():
        return checked
    rows = np.zeros(checked.refusals.chunk.table.num_rows, dtype=np.bool_)
    rows[checked.positions[refused]] = True
    checked.refusals.refuse(rows, Reason.MISSING_AMOUNT, [mapping.transaction.amount.column])
    labels = checked.labels
    if labels is not None:
        faults = {reason: hit[~refused] for reason, hit in labels.faults.items()}
        labels = RowLabels(labels.value[~refused], labels.known_at[~refused], faults)
    return replace(
        checked,
        table=checked.table.filter(pa.array(~refused)),
        positions=checked.positions[~refused],
        labels=labels,
        imputable={name: mask[~refused] for name, mask in checked.imputable.items()},
    )


class _FirstSeen:
    """Which transactions of batches, told one after the other, are neither in the store nor in the load before.

    They are remembered by 64 bits of a hash each.
    """

    def __init__(self, store: Store) -> None:
        self._store = store if store.watermark().transaction else None
        self._seen = np.empty(0, dtype=np.uint64)

    def __call__(self, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
        texts = ids.to_pylist()
        hashes = pd.util.hash_array(np.array(texts, dtype=object), categorize=False)
        fresh = np.zeros(len(texts), dtype=np.bool_)
        distinct, first = np.unique(hashes, return_index=True)
        fresh[first] = True
        if len(self._seen):
            place = np.minimum(np.searchsorted(self._seen, hashes), len(self._seen) - 1)
            fresh &= self._seen[place] != hashes
        self._seen = np.union1d(self._seen, distinct)
        if self._store is not None:
            stored = self._store.sequence_numbers(texts)
            fresh &= np.array([id_ not in stored for id_ in texts], dtype=np.bool_)
        return fresh
