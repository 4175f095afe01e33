"""Tables of facts, checked and taken apart into arrays: what every store implementation writes from."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.errors import InputError
from graph.records import (
    LABEL_COLUMNS,
    USER,
    GraphSchema,
    category_column,
    entity_column,
    numeric_column,
    transaction_columns,
)

_FEW = 256


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
        columns = _columns(table, _transaction_fields(schema), "extend the store's schema first (extend_schema)")
        n = table.num_rows
        numeric = np.full((n, len(schema.numeric)), np.nan)
        for position, name in enumerate(schema.numeric):
            if (column := columns.get(numeric_column(name))) is not None:
                numeric[:, position] = column.to_numpy(zero_copy_only=False)
        names = [entity_column(name) for name in schema.entities] + [category_column(n) for n in schema.categories]
        currency: list[Any] = _texts(columns, "currency") if "currency" in columns else [None] * n
        return cls(
            transaction_ids=_texts(columns, "transaction_id"),
            occurred_at=_integers(columns, "occurred_at"),
            arrived_at=_integers(columns, "arrived_at"),
            amount=_integers(columns, "amount"),
            currency=currency,
            keys=[_keys(columns, name) if name in columns else None for name in names],
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
        columns = _columns(
            table, tuple(LABEL_COLUMNS), "labels have transaction_id, is_fraud, known_at and source, nothing else"
        )
        return cls(
            transaction_ids=_texts(columns, "transaction_id"),
            is_fraud=columns["is_fraud"].to_pylist(),
            known_at=_integers(columns, "known_at").tolist(),
            source=_texts(columns, "source"),
        )


@lru_cache(maxsize=16)
def _transaction_fields(schema: GraphSchema) -> tuple[pa.Field, ...]:
    return tuple(transaction_columns(schema))


def _columns(table: pa.Table, fields: tuple[pa.Field, ...], hint: str) -> dict[str, pa.Array]:
    """The table's columns by name, each in one piece, of its field's type and without forbidden nulls.

    Single transactions take this way too, on the scoring path: hence one pass, and no table-wide
    operations of Arrow.
    """
    columns: dict[str, pa.Array] = {}
    by_name = {field.name: field for field in fields}
    for name, column in zip(table.column_names, table.itercolumns(), strict=True):
        field = by_name.get(name)
        if field is None:
            raise InputError(f"the table has the unknown column {name!r}", hint=hint)
        if name in columns:
            raise InputError(f"the table has the column {name!r} twice")
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if array.type != field.type:
            try:
                array = array.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise InputError(f"column {name!r} is {array.type}, not {field.type}: {error}") from error
        if array.null_count and not field.nullable:
            raise InputError(f"column {name!r} has {array.null_count} empty values, but needs all")
        columns[name] = array
    for name in _REQUIRED.intersection(by_name).difference(columns):
        raise InputError(f"the table lacks the column {name!r}")
    return columns


_REQUIRED = frozenset(
    ["transaction_id", "occurred_at", "arrived_at", "amount", entity_column(USER), *LABEL_COLUMNS.names]
)


def _integers(columns: dict[str, pa.Array], name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = columns[name].view(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _texts(columns: dict[str, pa.Array], name: str) -> list[Any]:
    return _listed(columns[name], name)


def _listed(array: pa.Array, name: str) -> list[Any]:
    try:
        texts: list[Any] = array.to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"column {name!r} has text that is not UTF-8") from error
    return texts


def _keys(columns: dict[str, pa.Array], name: str) -> KeyColumn:
    array = columns[name]
    if len(array) <= _FEW:  # Arrow's set-up costs more than the work
        values = _listed(array, name)
        keys = list(dict.fromkeys(value for value in values if value is not None))
        code = {key: i for i, key in enumerate(keys)}
        return KeyColumn(np.array([-1 if v is None else code[v] for v in values], dtype=np.int32), keys)
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return KeyColumn(codes, _listed(encoded.dictionary, name))
