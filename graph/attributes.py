"""Attributes of entities as every store keeps them: plain JSON values by name."""

import json
from datetime import date
from datetime import time as clock
from typing import Any

import pyarrow as pa

from graph.errors import InputError

Attributes = dict[str, Any]


def given_attributes(table: pa.Table) -> dict[str, Attributes]:
    """The attributes that a table gives, by key; the last row of a key wins.

    An empty value (NaN too) is left out; times become ISO 8601 text.

    Raises:
        InputError: the table has no usable column `key`.
    """
    if "key" not in table.column_names:
        raise InputError("the table of attributes lacks the column 'key'")
    given: dict[str, Attributes] = {}
    for row in table.to_pylist():
        key = row.pop("key")
        if not isinstance(key, str):
            raise InputError(f"column 'key' must be text without empty values, not {key!r}")
        given.setdefault(key, {}).update((k, v) for k, v in row.items() if v is not None and v == v)  # noqa: PLR0124
    return {key: json.loads(json.dumps(values, default=_text)) for key, values in given.items()}


def as_text(attributes: Attributes) -> str:
    """Attributes as JSON text, the same for the same attributes."""
    return json.dumps(attributes, ensure_ascii=False, sort_keys=True)


def _text(value: Any) -> str:
    return str(value.isoformat()) if isinstance(value, date | clock) else str(value)
