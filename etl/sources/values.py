"""Values as Arrow columns, by what they are: database drivers differ in what they say of types, and JSON has few."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

_WIDEST = 38


class ColumnTypes:
    """The types of columns, learnt from the values chunk by chunk.

    A column without values so far is text. One that has had values of several types that no type has in common is
    text from then on: each value as it would be written.

    Args:
        names: the columns, in order.
        known: types of values that are to come, by column.
    """

    def __init__(self, names: Sequence[str], known: Mapping[str, set[type]] | None = None) -> None:
        self._names = tuple(names)
        self._seen: list[set[type]] = [set((known or {}).get(name, ())) for name in names]

    def table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        """Rows as a table: Decimal as decimal, moments as timestamps (with a zone: in UTC), UUIDs and addresses as
        text, JSON and arrays as JSON text, bytes as binary."""
        columns = zip(*rows, strict=True) if rows else iter([()] * len(self._names))
        arrays = [self._array(values, seen) for values, seen in zip(columns, self._seen, strict=True)]
        return pa.Table.from_arrays(arrays, names=list(self._names))

    def _array(self, values: Sequence[Any], seen: set[type]) -> pa.Array:
        seen |= set(map(type, values))
        seen.discard(type(None))
        build = _builder(seen, values)
        try:
            return build(values)
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            return _texts(values)


def _builder(seen: set[type], values: Sequence[Any]) -> Callable[[Sequence[Any]], pa.Array]:
    """How values of these types become an array."""
    if seen == {bool}:
        return lambda v: pa.array(v, pa.bool_())
    if seen == {int}:
        return lambda v: pa.array(v, pa.int64())
    if seen and seen <= {int, float}:
        return lambda v: pa.array([None if x is None else float(x) for x in v], pa.float64())
    if seen and seen <= {int, Decimal}:
        return _decimals
    if seen == {datetime}:
        zoned = {value.tzinfo is not None for value in values if value is not None}
        return _texts if len(zoned) > 1 else lambda v: pa.array(v, pa.timestamp("us", "UTC" if True in zoned else None))
    if seen == {date}:
        return lambda v: pa.array(v, pa.date32())
    if seen == {timedelta}:
        return lambda v: pa.array(v, pa.duration("us"))
    if seen and seen <= {bytes, bytearray, memoryview}:
        return lambda v: pa.array([None if x is None else bytes(x) for x in v], pa.binary())
    return _texts


def _decimals(values: Sequence[Any]) -> pa.Array:
    array = pa.array([None if value is None else Decimal(value) for value in values])
    if pa.types.is_null(array.type):
        return pa.array(values, pa.decimal128(_WIDEST, 2))
    return array


def _texts(values: Sequence[Any]) -> pa.Array:
    if set(map(type, values)) <= {str, type(None)}:
        return pa.array(values, pa.string())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(" ")
        case Decimal():
            return format(value, "f")
        case bytes() | bytearray() | memoryview():
            return _decoded(bytes(value))
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, default=_text)
        case UUID():
            return str(value)
    return str(value)
