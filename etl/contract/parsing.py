"""The values of a chunk, read and cleaned column by column: for the graph, for the schema, and counted by step."""

from collections import Counter
from collections.abc import Mapping as Named
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from etl import cleaning
from etl.cleaning import Amounts, Parsed, column_of
from etl.cleaning.steps import Step
from etl.contract.refusals import Refusals
from etl.mapping import AmountColumn, TimeColumn

if TYPE_CHECKING:
    from etl.contract.schema import Schema

READ, MISSING, UNREADABLE = 0, 1, 2
"""How a value was read, in a column of its own (`read_column`)."""


def read_column(name: str) -> str:
    """The schema's column that says how the values of another one were read."""
    return f"{name}.read"


def attribute_column(name: str) -> str:
    """A frame's column of an attribute, which may have any name."""
    return f"attribute:{name}"


def reading(missing: NDArray[np.bool_], bad: NDArray[np.bool_]) -> NDArray[np.int8]:
    """READ, MISSING or UNREADABLE a row."""
    result = np.zeros(len(missing), dtype=np.int8)
    result[missing] = MISSING
    result[bad] = UNREADABLE
    return result


def integers(values: NDArray[np.int64], ok: NDArray[np.bool_]) -> Any:
    """Whole numbers for a schema; missing where not `ok`."""
    return pd.arrays.IntegerArray(values, ~ok)


def arrow(values: pa.Array) -> Any:
    """An Arrow array for a schema, without copying it."""
    return pd.arrays.ArrowExtensionArray(values)


class Values:
    """The values of one chunk as they are read. Methods return them; the schema's columns and steps are kept.

    Attributes:
        checked: what the schema checks, by its columns.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.checked: dict[str, Any] = {}
        self._steps: list[tuple[str, Step, NDArray[np.bool_]]] = []
        self._unreadable: list[tuple[str, NDArray[np.bool_]]] = []

    def key(self, name: str, entity: str, columns: Sequence[str]) -> pa.Array:
        """The canonical keys in these columns; null where missing."""
        text = cleaning.keys_of(entity, [column_of(self.table, column) for column in columns])
        self.checked[name] = arrow(text.values)
        self.note(", ".join(columns), text.steps)
        return text.values

    def time(self, name: str, how: TimeColumn) -> Parsed:
        """Times, microseconds UTC."""
        times = self._times(how)
        self.checked[read_column(name)] = reading(times.missing, times.bad)
        self.checked[name] = integers(times.values, times.ok)
        self.note(", ".join(how.column), times.steps)
        return times

    def amount(self, how: AmountColumn) -> Amounts:
        """Amounts as they stand, for the caller to check: in hundredths, and of any currency."""
        amounts = cleaning.amounts(column_of(self.table, how.column), how)
        self.note(how.column, amounts.steps)
        return amounts

    def currency(self, column: str) -> tuple[pa.Array, NDArray[np.bool_]]:
        """Codes of currencies, null where there is none; and where something stands that is no currency."""
        text = cleaning.currencies(column_of(self.table, column))
        self.note(column, text.steps)
        return text.values, text.bad

    def category(self, name: str, column: str) -> pa.Array:
        """Categorical values; null where missing."""
        text = cleaning.texts(column_of(self.table, column))
        self.checked[name] = arrow(text.values)
        self.note(column, text.steps)
        return text.values

    def number(self, name: str, column: str) -> pa.Array:
        """Optional numbers; null where missing or unreadable."""
        parsed = cleaning.optional_numbers(column_of(self.table, column))
        self._optional(column, parsed)
        values = pa.array(parsed.values, mask=~parsed.ok)
        self.checked[name] = arrow(values)
        return values

    def distance(self, occurred: Parsed, how: TimeColumn) -> pa.Array:
        """Seconds from optional times to `occurred`; null where missing or unreadable."""
        then = self._times(how)
        self._optional(", ".join(how.column), then)
        return pa.array(cleaning.seconds_since(occurred.values, then.values), mask=~then.ok)

    def _times(self, how: TimeColumn) -> Parsed:
        parts = [column_of(self.table, column) for column in how.column]
        return cleaning.times(cleaning.joined_times(parts, formatted=how.format is not None), how)

    def _optional(self, column: str, parsed: Parsed) -> None:
        bad = parsed.bad
        self.note(column, {**parsed.steps, Step.UNREADABLE: bad})
        self._unreadable.append((column, bad))

    def note(self, column: str, steps: Named[Step, NDArray[np.bool_]]) -> None:
        """Keeps which rows' values in a column cleaning changed."""
        self._steps += [(column, step, rows) for step, rows in steps.items() if rows.any()]

    def steps(self, accepted: NDArray[np.int64]) -> Counter[tuple[str, Step]]:
        """Values that cleaning changed in these rows, by column and step."""
        counts: Counter[tuple[str, Step]] = Counter()
        for column, step, rows in self._steps:
            counts[column, step] += int(rows[accepted].sum())
        return +counts

    def unreadable(self, accepted: NDArray[np.int64]) -> Counter[str]:
        """Optional values of these rows that could not be read, by column."""
        counts: Counter[str] = Counter()
        for column, rows in self._unreadable:
            counts[column] += int(rows[accepted].sum())
        return +counts


def refuse(refusals: Refusals, schema: "Schema", values: Values) -> None:
    """Refuses the rows that a schema finds wrong."""
    from etl.contract.schema import failures

    for rows, reason, columns in failures(schema, values.checked, values.table.num_rows):
        refusals.refuse(rows, reason, columns)
