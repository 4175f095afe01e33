"""Tables of facts, checked and taken apart into arrays: what every store implementation writes from."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.errors import InputError
from graph.records import (
    LABEL_COLUMNS,
    GraphSchema,
    category_column,
    entity_column,
    numeric_column,
    transaction_columns,
)


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of keys, each distinct key once.

    Attributes:
        codes: int32[n], positions in `keys`; -1 is missing.
        keys: distinct keys in order of appearance.
    """

    codes: NDArray[np.int32]
    keys: list[str]


@dataclass(frozen=True, slots=True)
class TransactionBatch:
    """n transactions as arrays.

    Attributes:
        transaction_ids: n ids, repeats possible.
        occurred_at, arrived_at: int64[n], microseconds UTC.
        amount: int64[n], hundredths.
        currency: n texts or None.
        keys: as many as `schema.keyed`, in its order; None for a column that the table lacks.
        numeric: float64[n, len(schema.numeric)], NaN is missing.
    """

    transaction_ids: list[str]
    occurred_at: NDArray[np.int64]
    arrived_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    currency: list[str | None]
    keys: list[KeyColumn | None]
    numeric: NDArray[np.float64]

    @classmethod
    def of(cls, table: pa.Table, schema: GraphSchema) -> "TransactionBatch":
        """Takes a table apart.

        Raises:
            InputError: a required column is missing or has empty values, a type does not fit, or
                a column is not in the schema.
        """
        expected = transaction_columns(schema)
        _refuse_unknown(table, expected, "extend the store's schema first (extend_schema)")
        n = table.num_rows

        def keys(name: str) -> KeyColumn | None:
            if name not in table.column_names:
                return None
            encoded = _column(table, expected.field(name)).dictionary_encode()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            return KeyColumn(codes, _texts(encoded.dictionary, name))

        def numbers(name: str) -> NDArray[np.float64]:
            if name not in table.column_names:
                return np.full(n, np.nan)
            values: NDArray[np.float64] = _column(table, expected.field(name)).to_numpy(zero_copy_only=False)
            return values

        numeric = np.full((n, len(schema.numeric)), np.nan)
        for position, name in enumerate(schema.numeric):
            numeric[:, position] = numbers(numeric_column(name))
        currency: list[str | None] = [None] * n
        if "currency" in table.column_names:
            currency = [*_texts(_column(table, expected.field("currency")), "currency")]
        return cls(
            transaction_ids=_texts(_column(table, expected.field("transaction_id")), "transaction_id"),
            occurred_at=_integers(table, expected.field("occurred_at")),
            arrived_at=_integers(table, expected.field("arrived_at")),
            amount=_integers(table, expected.field("amount")),
            currency=currency,
            keys=[
                *(
                    _required(keys(entity_column(name)), name) if i == 0 else keys(entity_column(name))
                    for i, name in enumerate(schema.entities)
                ),
                *(keys(category_column(name)) for name in schema.categories),
            ],
            numeric=numeric,
        )


@dataclass(frozen=True, slots=True)
class LabelBatch:
    """n labels: transaction id, fraud or not, when it became known (microseconds UTC), and who says so."""

    transaction_ids: list[str]
    is_fraud: list[bool]
    known_at: list[int]
    source: list[str]

    @classmethod
    def of(cls, table: pa.Table) -> "LabelBatch":
        """Takes a table of `LABEL_COLUMNS` apart.

        Raises:
            InputError: a column is missing, unknown or has empty values, or a type does not fit.
        """
        _refuse_unknown(table, LABEL_COLUMNS, "labels have transaction_id, is_fraud, known_at and source")
        return cls(
            transaction_ids=_texts(_column(table, LABEL_COLUMNS.field("transaction_id")), "transaction_id"),
            is_fraud=_column(table, LABEL_COLUMNS.field("is_fraud")).to_pylist(),
            known_at=_integers(table, LABEL_COLUMNS.field("known_at")).tolist(),
            source=_texts(_column(table, LABEL_COLUMNS.field("source")), "source"),
        )


def _refuse_unknown(table: pa.Table, expected: pa.Schema, hint: str) -> None:
    unknown = [name for name in table.column_names if name not in expected.names]
    if unknown:
        raise InputError(f"the table has unknown columns: {', '.join(map(repr, unknown))}", hint=hint)
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise InputError(f"the table has columns twice: {', '.join(map(repr, sorted(twice)))}")


def _column(table: pa.Table, field: pa.Field) -> pa.Array:
    if field.name not in table.column_names:
        raise InputError(f"the table lacks the column {field.name!r}")
    column = table.column(field.name)
    if column.type != field.type:
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column {field.name!r} is {column.type}, not {field.type}: {error}") from error
    if column.null_count and not field.nullable:
        raise InputError(f"column {field.name!r} has {column.null_count} empty values")
    return column.combine_chunks()


def _integers(table: pa.Table, field: pa.Field) -> NDArray[np.int64]:
    values: NDArray[np.int64] = _column(table, field).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _texts(array: pa.Array, name: str) -> list[str]:
    try:
        texts: list[str] = array.to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"column {name!r} has text that is not UTF-8") from error
    return texts


def _required(column: KeyColumn | None, name: str) -> KeyColumn:
    if column is None:
        raise InputError(f"the table lacks the column {entity_column(name)!r}")
    return column
