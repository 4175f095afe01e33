"""The contract as pandera schemas over the parsed values of a chunk: every check is named by the reason it refuses for.

A frame has a column for every value that is checked, named as in the graph. Beside a time or an amount there
is how it was read (`occurred_at.read`: READ, MISSING or UNREADABLE), so that a missing value, one that cannot
be read and one that cannot be true are different columns' failures. Columns stand in the order of the
reasons: of a row's failures the first holds.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from numpy.typing import NDArray
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaError

from etl.cleaning import EARLIEST, MAX_AMOUNT, MAX_TEXT
from etl.contract.layout import Layout
from etl.contract.parsing import MISSING, UNREADABLE, attribute_column, read_column
from etl.contract.reasons import Reason
from etl.mapping import ENTITY_FIELDS, LabelFiles, Mapping, TimeColumn
from graph.records import USER, category_column, entity_column, numeric_column

_TEXT = pd.ArrowDtype(pa.string())
_INTEGER = pd.Int64Dtype()
_NUMBER = pd.ArrowDtype(pa.float64())
Schema = pandera.DataFrameSchema
Columns = dict[str, pandera.Column]
Sources = Sequence[str]
_REASONS = {reason.value: reason for reason in Reason}


def transaction_schema(mapping: Mapping, layout: Layout, latest: int) -> Schema:
    """The schema of transactions; times after `latest` (microseconds UTC) have not come yet."""
    tx = mapping.transaction
    columns: Columns = {}
    columns["transaction_id"] = _key(tx.transaction_id, Reason.MISSING_TRANSACTION_ID)
    for name, sources in layout.entities.items():
        missing = Reason.MISSING_USER if name == USER else _demanded(layout, ENTITY_FIELDS.get(name, name))
        columns[entity_column(name)] = _key(sources, missing)
    columns |= _time("occurred_at", tx.occurred_at, latest, missing=Reason.MISSING_TIME)
    if tx.arrived_at is not None:
        columns |= _time("arrived_at", tx.arrived_at, latest)
    columns |= _money(mapping, layout)
    for name, column in layout.categories.items():
        if column is not None:
            columns[category_column(name)] = _category([column], _demanded(layout, name))
    for name, column in layout.numeric.items():
        if _demanded(layout, name):
            columns[numeric_column(name)] = _column(_NUMBER, [column], [_present(Reason.MISSING_VALUE)])
    return _schema("transaction", columns)


def row_label_schema(column: str, known_at: TimeColumn | None, latest: int) -> Schema:
    """The schema of the labels in transactions' own rows, of those rows that hold one."""
    columns: Columns = {read_column("is_fraud"): _read([column], unreadable=Reason.BAD_LABEL)}
    if known_at is not None:
        columns |= _known_at(known_at, latest)
        columns["known_after"] = _column(_INTEGER, known_at.column, [_at_least(0, Reason.LABEL_BEFORE_TRANSACTION)])
    return _schema("label", columns)


def label_schema(files: LabelFiles, latest: int) -> Schema:
    """The schema of label files."""
    columns: Columns = {"transaction_id": _key(files.transaction_id, Reason.MISSING_TRANSACTION_ID)}
    columns[read_column("is_fraud")] = _read(
        [files.is_fraud.column], missing=Reason.MISSING_LABEL, unreadable=Reason.BAD_LABEL
    )
    columns |= _known_at(files.known_at, latest)
    if files.source is not None and files.source.column is not None:
        columns["source"] = _category([files.source.column])
    return _schema("label", columns)


def attribute_schema(key: Sources, texts: Sources) -> Schema:
    """The schema of attribute files with these columns of text."""
    columns: Columns = {"key": _key(key, Reason.MISSING_KEY)}
    columns |= {attribute_column(name): _category([name]) for name in texts}
    return _schema("attributes", columns)


def failures(
    schema: Schema, values: dict[str, Any], rows: int
) -> Iterator[tuple[NDArray[np.bool_], Reason, tuple[str, ...]]]:
    """Checks values: for every check that fails, in order, which rows, why, and the source's columns at fault.

    Raises:
        TypeError: the values are not those that the schema describes: a fault of Quipu, never of the data.
    """
    frame = pd.DataFrame({name: values[name] for name in schema.columns}, index=pd.RangeIndex(rows), copy=False)
    _require_columns(schema, frame)
    for name, column in schema.columns.items():
        for check in column.checks:
            # Called one by one, since validate() would also format every failing value into a report nobody reads.
            failing = ~check(frame[name]).check_output.to_numpy(dtype=np.bool_)
            if failing.any():
                yield failing, _REASONS[str(check.name)], column.metadata["sources"]


def _require_columns(schema: Schema, frame: pd.DataFrame) -> None:
    """Checks that the columns are those of the schema, in order and of their types."""
    try:
        # The environment cannot switch validation off, as pandera would allow.
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_ONLY):
            schema.validate(frame.head(0), inplace=True)
    except SchemaError as error:
        raise TypeError(f"the values are not those of the contract {schema.name}: {error}") from error


def _schema(name: str, columns: Columns) -> Schema:
    return pandera.DataFrameSchema(columns, name=name, strict=True, ordered=True)


def _column(dtype: Any, sources: Sources, checks: Sequence[pandera.Check]) -> pandera.Column:
    return pandera.Column(dtype, list(checks), nullable=True, metadata={"sources": tuple(sources)})


def _check(reason: Reason, holds: Callable[[pd.Series], pd.Series]) -> pandera.Check:
    return pandera.Check(holds, name=reason.value, description=reason.description, ignore_na=False, n_failure_cases=1)


def _present(reason: Reason) -> pandera.Check:
    return _check(reason, lambda series: series.notna())


def _short(reason: Reason) -> pandera.Check:
    return _check(reason, lambda series: (series.str.len() <= MAX_TEXT).fillna(True))


def _at_least(least: int, reason: Reason) -> pandera.Check:
    return _check(reason, lambda series: (series >= least).fillna(True))


def _at_most(most: int, reason: Reason) -> pandera.Check:
    return _check(reason, lambda series: (series <= most).fillna(True))


def _key(sources: Sources, missing: Reason | None) -> pandera.Column:
    present = [_present(missing)] if missing is not None else []
    return _column(_TEXT, sources, [*present, _short(Reason.ID_TOO_LONG)])


def _category(sources: Sources, missing: Reason | None = None) -> pandera.Column:
    present = [_present(missing)] if missing is not None else []
    return _column(_TEXT, sources, [_short(Reason.TEXT_TOO_LONG), *present])


def _demanded(layout: Layout, name: str) -> Reason | None:
    return Reason.MISSING_VALUE if layout.policies.get(name) == "quarantine" else None


def _read(sources: Sources, *, missing: Reason | None = None, unreadable: Reason | None = None) -> pandera.Column:
    """How a value was read."""
    checks = [_check(missing, lambda series: series != MISSING)] if missing is not None else []
    checks += [_check(unreadable, lambda series: series != UNREADABLE)] if unreadable is not None else []
    return _column("int8", sources, checks)


def _time(
    name: str,
    how: TimeColumn,
    latest: int,
    *,
    missing: Reason | None = None,
    bad: Reason = Reason.BAD_TIME,
    ancient: Reason = Reason.ANCIENT_TIME,
    future: Reason = Reason.FUTURE_TIME,
) -> Columns:
    return {
        read_column(name): _read(how.column, missing=missing, unreadable=bad),
        name: _column(_INTEGER, how.column, [_at_least(EARLIEST, ancient), _at_most(latest, future)]),
    }


def _known_at(how: TimeColumn, latest: int) -> Columns:
    bad = Reason.BAD_LABEL_TIME
    return _time("known_at", how, latest, missing=Reason.MISSING_LABEL_TIME, bad=bad, ancient=bad, future=bad)


def _money(mapping: Mapping, layout: Layout) -> Columns:
    tx = mapping.transaction
    sources = [tx.amount.column]
    missing = None if "amount" in layout.imputed else Reason.MISSING_AMOUNT
    possible = [_at_least(0, Reason.BAD_AMOUNT), _at_most(int(MAX_AMOUNT), Reason.BAD_AMOUNT)]
    columns: Columns = {
        read_column("amount"): _read(sources, missing=missing, unreadable=Reason.BAD_AMOUNT),
        "amount": _column(_INTEGER, sources, possible),
        "amount.positive": _column("bool", sources, [_check(Reason.NEGATIVE_AMOUNT, lambda series: series)]),
    }
    if tx.currency is not None:
        named = [tx.currency.column or tx.amount.column]
        nowhere = Reason.UNKNOWN_CURRENCY if mapping.currencies is not None else _demanded(layout, "currency")
        columns[read_column("currency")] = _read(named, missing=nowhere, unreadable=Reason.UNKNOWN_CURRENCY)
        if mapping.currencies is not None:
            columns[read_column("rate")] = _read([*named, *tx.occurred_at.column], missing=Reason.MISSING_RATE)
    return columns
