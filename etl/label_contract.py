"""The contracts of files beside the transactions: labels, and attributes of entities."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl import cleaning
from etl.cleaning import column_of
from etl.contract import CheckedRows, Clock, Window, joined_ids, timestamps
from etl.mapping import AttributeFiles, LabelFiles, Mapping
from etl.pseudonyms import Pseudonyms
from etl.reasons import Reason
from etl.refusals import Refusals
from etl.sources import Chunk
from graph.records import LABEL_COLUMNS


@dataclass(frozen=True, slots=True)
class LabelContract:
    """The contract of label files. The window holds for the moment at which a label became known."""

    mapping: Mapping
    files: LabelFiles
    pseudonyms: Pseudonyms
    clock: Clock
    window: Window

    @property
    def kind(self) -> str:
        """What the rows are."""
        return "label"

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns of the transaction's id."""
        return self.files.transaction_id

    @property
    def columns(self) -> list[str]:
        """Every column that a label file must have."""
        source = self.files.source.column if self.files.source else None
        own = [*self.files.transaction_id, self.files.is_fraud.column, self.files.known_at.column]
        return [*own, *([source] if source else [])]

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's labels; the table has `LABEL_COLUMNS`."""
        how, table = self.files, chunk.table
        known = cleaning.times(column_of(table, how.known_at.column), how.known_at)
        refusals = Refusals(chunk, self.kind, self.window.outside(known))
        transaction_id = joined_ids(table, how.transaction_id)
        refusals.refuse(cleaning.nulls(transaction_id), Reason.MISSING_TRANSACTION_ID, how.transaction_id)
        refusals.refuse(cleaning.too_long(transaction_id), Reason.ID_TOO_LONG, how.transaction_id)
        value = cleaning.label_values(column_of(table, how.is_fraud.column), how.is_fraud.fraud, how.is_fraud.genuine)
        refusals.refuse(value == cleaning.UNLABELLED, Reason.MISSING_LABEL, [how.is_fraud.column])
        refusals.refuse(value == cleaning.UNREADABLE, Reason.BAD_LABEL, [how.is_fraud.column])
        refusals.refuse(known.missing, Reason.MISSING_LABEL_TIME, [how.known_at.column])
        bad = known.bad | self.clock.ancient(known) | self.clock.future(known)
        refusals.refuse(bad, Reason.BAD_LABEL_TIME, [how.known_at.column])
        source = self._source(refusals, table)
        accepted = refusals.accepted()
        columns = {
            "transaction_id": self.pseudonyms("transaction_id", transaction_id),
            "is_fraud": pa.array(value == cleaning.FRAUD),
            "known_at": timestamps(known.values),
            "source": source,
        }
        result = pa.table(columns, schema=LABEL_COLUMNS).take(pa.array(accepted))
        newest = int(known.values[accepted].max()) if len(accepted) else None
        return CheckedRows(result, accepted, refusals, newest)

    def _source(self, refusals: Refusals, table: pa.Table) -> pa.Array:
        named = self.files.source
        if named is None or named.column is None:
            name = self.mapping.name if named is None else named.name
            return pa.array([name] * table.num_rows, pa.string())
        values = cleaning.categories(column_of(table, named.column))
        refusals.refuse(cleaning.too_long(values), Reason.TEXT_TOO_LONG, [named.column])
        return pc.fill_null(values, self.mapping.name)


@dataclass(frozen=True, slots=True)
class AttributeContract:
    """The contract of one entity type's attribute files."""

    entity: str
    files: AttributeFiles
    pseudonyms: Pseudonyms

    @property
    def kind(self) -> str:
        """What the rows are."""
        return f"attributes:{self.entity}"

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns of the entity's key."""
        return self.files.key

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's rows; the table has `key` and the attributes, text trimmed and empty text null."""
        table = chunk.table
        refusals = Refusals(chunk, self.kind, np.zeros(table.num_rows, dtype=np.bool_))
        keys = joined_ids(table, self.files.key)
        refusals.refuse(cleaning.nulls(keys), Reason.MISSING_KEY, self.files.key)
        refusals.refuse(cleaning.too_long(keys), Reason.ID_TOO_LONG, self.files.key)
        columns = {"key": self.pseudonyms(self.entity, keys)}
        for name in table.column_names:
            if name not in self.files.key:
                columns["key_" if name == "key" else name] = self._attribute(refusals, table, name)
        accepted = refusals.accepted()
        return CheckedRows(pa.table(columns).take(pa.array(accepted)), accepted, refusals, None)

    def _attribute(self, refusals: Refusals, table: pa.Table, name: str) -> pa.Array:
        array = column_of(table, name)
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type):
            return array
        values = cleaning.categories(array)
        refusals.refuse(cleaning.too_long(values), Reason.TEXT_TOO_LONG, [name])
        return values
