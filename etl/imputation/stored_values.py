"""Values that transactions of the store have, told to those who fill in missing ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.contract.layout import imputed_mark
from etl.imputation.as_of import Ints
from etl.imputation.missing_values import MissingValues
from graph.records import GraphSchema, numeric_column
from graph.store import Store, TransactionChanges

_HISTORY = 100_000
"""Transactions of one entity that are looked at for their currencies."""


def tell_stored(store: Store, wanted: Sequence[MissingValues]) -> None:
    """Tells all values that the store's transactions were given (none that was filled in), and which of the rows
    with a missing value are stored already, with what was filled in then."""
    schema = store.schema()
    if not store.watermark().transaction:
        return
    columns = [_Stored.of(store, schema, missing) for missing in wanted if missing.column != "currency"]
    if columns:
        for changes in store.transaction_changes():
            for column in columns:
                column.tell(changes)
    for missing in wanted:
        if missing.column == "currency":
            _tell_currencies(store, schema, missing)


@dataclass
class _Stored:
    """How the values of one column are found in the store's feed.

    Attributes:
        places: of the columns of `by` in the feed's ids, with the store's ids of the keys that matter, sorted, and
            the codes of these, and the place of the mark that says the key itself was filled in (None: there is none).
        rows: sequence numbers of stored rows whose value is missing, sorted; `which`: of the missing ones.
    """

    store: Store
    missing: MissingValues
    schema: GraphSchema
    places: list[tuple[int | None, Ints, Ints, int | None]]
    mark: int | None
    rows: Ints
    which: Ints
    names: dict[int, int]

    @classmethod
    def of(cls, store: Store, schema: GraphSchema, missing: MissingValues) -> "_Stored":
        places = []
        for name, known in zip(missing.by, missing.vocabularies, strict=True):
            ids = store.entity_ids(name, list(known)) if name in schema.keyed else {}
            pairs = np.array(sorted((id_, known[key]) for key, id_ in ids.items()), dtype=np.int64).reshape(-1, 2)
            place = schema.keyed.index(name) if name in schema.keyed else None
            places.append((place, pairs[:, 0], pairs[:, 1], _mark(schema, name)))
        stored = store.sequence_numbers(missing.ids)
        rows = [(stored[id_], row) for row, id_ in enumerate(missing.ids) if id_ in stored]
        pairs = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
        return cls(store, missing, schema, places, _mark(schema, missing.name), pairs[:, 0], pairs[:, 1], {})

    def tell(self, changes: TransactionChanges) -> None:
        values, there = self._values(changes)
        filled = _marked(changes, self.mark)
        codes = np.full((len(changes.seq), len(self.places)), -1, dtype=np.int64)
        for column, (place, ids, known, mark) in enumerate(self.places):
            if place is not None and len(ids):
                mine = changes.ids[:, place]
                found = np.minimum(np.searchsorted(ids, mine), len(ids) - 1)
                codes[:, column] = np.where((ids[found] == mine) & ~_marked(changes, mark), known[found], -1)
        given = there & ~filled
        self.missing.tell(codes[given], changes.occurred_at[given], values[given])
        again = np.flatnonzero(np.isin(self.rows, changes.seq))
        at = np.searchsorted(changes.seq, self.rows[again])
        for which, row in zip(self.which[again].tolist(), at.tolist(), strict=True):
            if filled[row]:
                self.missing.stored[which] = self._plain(values[row]) if there[row] else None

    def _values(self, changes: TransactionChanges) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The column's values, and where there are any."""
        name = self.missing.name
        if name == "amount":
            return changes.amount, np.ones(len(changes.seq), dtype=np.bool_)
        if self.missing.numeric:
            if self.missing.column != numeric_column(name) or name not in self.schema.numeric:
                return np.zeros(len(changes.seq)), np.zeros(len(changes.seq), dtype=np.bool_)
            values = changes.numeric[:, self.schema.numeric.index(name)]
            return values, ~np.isnan(values)
        if name not in self.schema.keyed:
            return np.zeros(len(changes.seq), dtype=np.int64), np.zeros(len(changes.seq), dtype=np.bool_)
        ids = changes.ids[:, self.schema.keyed.index(name)]
        distinct, inverse = np.unique(ids, return_inverse=True)
        return np.array([self._code(id_) for id_ in distinct.tolist()], dtype=np.int64)[inverse], ids >= 0

    def _code(self, id_: int) -> int:
        if id_ >= 0 and id_ not in self.names:
            self.names[id_] = self.missing.code(next(self.store.entity_keys(id_, chunk=1)).keys[0])
        return self.names.get(id_, -1)

    def _plain(self, value: Any) -> Any:
        return value.item() if self.missing.numeric else self.missing.text(int(value))


def _mark(schema: GraphSchema, name: str) -> int | None:
    return schema.numeric.index(imputed_mark(name)) if imputed_mark(name) in schema.numeric else None


def _marked(changes: TransactionChanges, mark: int | None) -> NDArray[np.bool_]:
    if mark is None:
        return np.zeros(len(changes.seq), dtype=np.bool_)
    marked: NDArray[np.bool_] = changes.numeric[:, mark] == 1.0
    return marked


def _tell_currencies(store: Store, schema: GraphSchema, missing: MissingValues) -> None:
    """The feed has no currencies: they are read from the histories of the entities concerned."""
    entity, rest = missing.by[0], missing.by[1:]
    if entity not in schema.entities:
        return
    row_of: dict[str, list[int]] = {}
    for row, id_ in enumerate(missing.ids):
        row_of.setdefault(id_, []).append(row)
    mark = imputed_mark(missing.name)
    for key, code in missing.vocabularies[0].items():
        for told in store.recent_transactions(entity, key, limit=_HISTORY):
            currency = told["currency"]
            if told["numeric"].get(mark) == 1.0:
                for row in row_of.get(told["transaction_id"], ()):
                    missing.stored[row] = currency
            elif currency is not None:
                keys = told["entities"] | told["categories"]
                others = [
                    known.get(keys.get(name), -1) for name, known in zip(rest, missing.vocabularies[1:], strict=True)
                ]
                missing.tell(
                    np.array([[code, *others]], dtype=np.int64),
                    np.array([told["occurred_at"]], dtype=np.int64),
                    np.array([missing.code(currency)], dtype=np.int64),
                )
