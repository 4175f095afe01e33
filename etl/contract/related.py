"""The contracts of files beside the transactions: labels, and attributes of entities."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl import cleaning
from etl.cleaning import column_of
from etl.contract.checked import CheckedRows, Clock, Window, timestamps
from etl.contract.parsing import Values, attribute_column, read_column, reading, refuse
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.refusals import Refusals
from etl.mapping import AttributeFiles, LabelFiles, Mapping
from etl.sources import Chunk
from graph.records import LABEL_COLUMNS

if TYPE_CHECKING:
    from etl.contract.schema import Schema


@dataclass(frozen=True)
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
        own = [*self.files.transaction_id, self.files.is_fraud.column, *self.files.known_at.column]
        return [*own, *([source] if source else [])]

    @cached_property
    def _schema(self) -> "Schema":
        from etl.contract.schema import label_schema

        return label_schema(self.files, self.clock.latest)

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's labels; the table has `LABEL_COLUMNS`."""
        how, values = self.files, Values(chunk.table)
        known = values.time("known_at", how.known_at)
        refusals = Refusals(chunk, self.kind, self.window.outside(known))
        transaction_id = values.key("transaction_id", "transaction_id", how.transaction_id)
        verdict = cleaning.label_values(
            column_of(chunk.table, how.is_fraud.column), how.is_fraud.fraud, how.is_fraud.genuine
        )
        values.checked[read_column("is_fraud")] = reading(
            verdict == cleaning.UNLABELLED, verdict == cleaning.UNREADABLE
        )
        columns = {
            "transaction_id": self.pseudonyms("transaction_id", transaction_id),
            "is_fraud": pa.array(verdict == cleaning.FRAUD),
            "known_at": timestamps(known.values),
            "source": self._source(values),
        }
        refuse(refusals, self._schema, values)
        accepted = refusals.accepted()
        result = pa.table(columns, schema=LABEL_COLUMNS).take(pa.array(accepted))
        newest = int(known.values[accepted].max()) if len(accepted) else None
        return CheckedRows(result, accepted, refusals, newest, steps=values.steps(accepted))

    def _source(self, values: Values) -> pa.Array:
        named = self.files.source
        if named is None or named.column is None:
            name = self.mapping.name if named is None else named.name
            return pa.array([name] * values.table.num_rows, pa.string())
        return pc.fill_null(values.category("source", named.column), self.mapping.name)


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
        """Sorts a chunk's rows; the table has `key` and every attribute, numbers typed and empty text null."""
        from etl.contract.schema import attribute_schema

        values = Values(chunk.table)
        refusals = Refusals(chunk, self.kind, np.zeros(chunk.table.num_rows, dtype=np.bool_))
        columns = {"key": self.pseudonyms(self.entity, values.key("key", self.entity, self.files.key))}
        texts: list[str] = []
        for name in chunk.table.column_names:
            if name in self.files.key:
                continue
            array = column_of(chunk.table, name)
            kind = array.type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                array = values.category(attribute_column(name), name)
                texts.append(name)
            columns["key_" if name == "key" else name] = array
        refuse(refusals, attribute_schema(self.files.key, texts), values)
        accepted = refusals.accepted()
        result = pa.table(columns).take(pa.array(accepted))
        return CheckedRows(result, accepted, refusals, None, steps=values.steps(accepted))
