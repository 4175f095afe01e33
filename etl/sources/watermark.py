"""Where reading a query ended: the watermark's value as text that says its type, so that it comes back as it was.

Type and value matter alike: a database uses its index only where the value it is asked for has the column's type.
"""

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from graph.errors import InputError

_ISO_SECOND = len("2024-01-01T00:00:00")

_READ: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "decimal": Decimal,
    "float": float,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "date": date.fromisoformat,
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "text": json.loads,
}
_SQL: dict[str, sa.types.TypeEngine[Any]] = {
    "integer": sa.BigInteger(),
    "decimal": sa.Numeric(),
    "float": sa.Double(),
    "timestamp": sa.DateTime(),
    "timestamptz": sa.DateTime(timezone=True),
    "date": sa.Date(),
    "uuid": sa.Uuid(),
    "bytes": sa.LargeBinary(),
    "text": sa.String(),
}


def to_text(value: Any) -> str:
    """A watermark's value as text.

    Raises:
        InputError: values of this type have no order that could be read on from.
    """
    kind = _kind(value)
    match kind:
        case "timestamp" | "timestamptz" | "date":
            text = value.isoformat()
        case "float":
            text = repr(value)
        case "bytes":
            text = bytes(value).hex()
        case "text":
            text = json.dumps(value)
        case _:
            text = str(value)
    return f"{kind}:{text}"


def bound(text: str, overlap: timedelta = timedelta(0), *, written: bool = False) -> "sa.BindParameter[Any]":
    """The value from which to read on, `overlap` before where the last load ended, as a typed parameter.

    Args:
        written: SQLAlchemy writes the value into the statement, since the driver cannot take parameters beside
            whatever else a query says.

    Raises:
        InputError: the text is no watermark, or its type has no times to go back in.
    """
    kind, _, value = text.partition(":")
    try:
        read = _READ[kind](value)
    except (KeyError, ValueError, ArithmeticError) as error:
        raise InputError(f"{text!r} is no watermark") from error
    value_type = _Bytea() if kind == "bytes" and written else _SQL[kind]
    return sa.bindparam(
        "since", _earlier(read, overlap) if overlap else read, type_=value_type, literal_execute=written
    )


class _Bytea(sa.types.UserDefinedType[bytes]):
    """Bytes as PostgreSQL writes them."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """The type's name."""
        return "bytea"

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[bytes], str]:  # noqa: ARG002
        """Two digits a byte."""
        return lambda value: rf"'\x{value.hex()}'"


def _kind(value: Any) -> str:
    match value:
        case bool():
            pass
        case int():
            return "integer"
        case float():
            return "float"
        case Decimal():
            return "decimal"
        case datetime():
            return "timestamp" if value.tzinfo is None else "timestamptz"
        case date():
            return "date"
        case UUID():
            return "uuid"
        case bytes() | bytearray() | memoryview():
            return "bytes"
        case str():
            return "text"
    raise InputError(
        f"the watermark column holds values of type {type(value).__name__}, which reading cannot go on from",
        hint="use a column of times or of growing numbers",
    )


def _earlier(value: Any, overlap: timedelta) -> Any:
    """A moment so much earlier. Text is taken for ISO 8601, and keeps its form, since text is compared as text."""
    try:
        if isinstance(value, date):  # a datetime is one, too
            return value - overlap
        if isinstance(value, str):
            moment = datetime.fromisoformat(value) - overlap
            if len(value) <= _ISO_SECOND - len("T00:00:00"):
                return moment.date().isoformat()
            fraction = value[_ISO_SECOND : _ISO_SECOND + 1] in {".", ","}
            zone = "Z" if value.endswith("Z") else ""
            said = moment.replace(tzinfo=None) if zone else moment
            return said.isoformat(value[10], "microseconds" if fraction else "seconds") + zone
    except (ValueError, OverflowError, IndexError) as error:
        raise _no_times(value) from error
    raise _no_times(value)


def _no_times(value: Any) -> InputError:
    return InputError(
        f"sql.overlap needs a watermark column of times, and this one holds {value!r}",
        hint="leave overlap out, or use another watermark",
    )
