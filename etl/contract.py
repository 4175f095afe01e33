"""What a row must be to be loaded: chunks of a source in, tables in the graph's columns out."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl import cleaning
from etl.cleaning import Parsed, column_of
from etl.layout import Layout
from etl.mapping import Delay, Mapping, TimeColumn
from etl.pseudonyms import Pseudonyms
from etl.quarantine import QuarantinedRow
from etl.reasons import Reason
from etl.refusals import Refusals
from etl.sources import Chunk
from etl.steps import Step
from graph.records import TIMESTAMP, USER, category_column, entity_column, numeric_column, transaction_columns


@dataclass(frozen=True, slots=True)
class Window:
    """Event times to load: from `since` (included) to `until` (not included), microseconds UTC."""

    since: int | None = None
    until: int | None = None

    def outside(self, times: Parsed) -> NDArray[np.bool_]:
        """Rows whose time is known to lie outside."""
        result = np.zeros(len(times.values), dtype=np.bool_)
        if self.since is not None:
            result |= times.ok & (times.values < self.since)
        if self.until is not None:
            result |= times.ok & (times.values >= self.until)
        return result


@dataclass(frozen=True, slots=True)
class Clock:
    """What counts as a possible time, in microseconds UTC: from 1990 to `now` and a tolerance."""

    now: int
    tolerance: int = 0

    def ancient(self, times: Parsed) -> NDArray[np.bool_]:
        """Rows whose time lies before 1990."""
        result: NDArray[np.bool_] = times.ok & (times.values < cleaning.EARLIEST)
        return result

    def future(self, times: Parsed) -> NDArray[np.bool_]:
        """Rows whose time has not come yet."""
        result: NDArray[np.bool_] = times.ok & (times.values > self.now + self.tolerance)
        return result


@dataclass(frozen=True, slots=True)
class RowLabels:
    """The labels that stand in n transactions' own rows.

    Attributes:
        value: int8[n], FRAUD, GENUINE, UNLABELLED or UNREADABLE of `cleaning` (the last also where the
            time at which the label became known cannot be used).
        known_at: int64[n], microseconds UTC; meaningless without a usable label.
        faults: why labels cannot be used: rows by reason.
    """

    value: NDArray[np.int8]
    known_at: NDArray[np.int64]
    faults: dict[Reason, NDArray[np.bool_]] = field(default_factory=dict)

    def unreadable(self, rows: NDArray[np.int64] | None = None) -> Counter[str]:
        """Labels of these rows (of all where None) that cannot be used, by reason."""
        counts = {r.value: int((hit if rows is None else hit[rows]).sum()) for r, hit in self.faults.items()}
        return +Counter(counts)


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """What a contract makes of a chunk.

    Attributes:
        table: the accepted rows, in the graph's columns.
        positions: where the accepted rows stood in the chunk.
        refusals: the others, and those outside the window.
        newest: the latest moment (microseconds UTC) that the accepted rows name; None without rows.
        labels: of a chunk of transactions.
        unreadable: optional values that could not be read and count as missing, by column.
        steps: values of accepted rows that cleaning changed, by source column and step.
        imputable: of the accepted rows, those whose value is missing and to be filled in (bool[n]), by the name
            of the value in the mapping (`amount`, `city` …).
    """

    table: pa.Table
    positions: NDArray[np.int64]
    refusals: Refusals
    newest: int | None
    labels: RowLabels | None = None
    unreadable: Counter[str] = field(default_factory=Counter)
    steps: Counter[tuple[str, Step]] = field(default_factory=Counter)
    imputable: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Roughly the memory that this takes."""
        chunk = self.refusals.chunk
        return int(self.table.nbytes) + int(chunk.table.nbytes) + sum(len(line.text) for line in chunk.broken)

    def conflicting(self, rows: NDArray[np.int64], columns: tuple[str, ...], reason: Reason) -> list[QuarantinedRow]:
        """These accepted rows, as the store refused them: their id is there with other content."""
        return list(self.refusals.quarantined(self.positions[rows], [(reason, columns)] * len(rows)))


class Contract(Protocol):
    """Checks chunks of one kind of rows."""

    @property
    def kind(self) -> str:
        """What the rows are: `transaction`, `label`, `attributes:user` …"""

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that name a row, and of which a conflict is told."""

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's rows into accepted, refused and outside the window: each is exactly one of these."""


def joined_ids(table: pa.Table, columns: tuple[str, ...]) -> pa.Array:
    """The (perhaps composite) ids in these columns; null where missing."""
    return cleaning.composite([cleaning.ids(column_of(table, name)) for name in columns])


def timestamps(micros: NDArray[np.int64]) -> pa.Array:
    """Microseconds UTC as an Arrow array."""
    return pa.array(micros).view(TIMESTAMP)


@dataclass(frozen=True, slots=True)
class TransactionContract:
    """The contract of transactions."""

    mapping: Mapping
    layout: Layout
    pseudonyms: Pseudonyms
    clock: Clock
    window: Window

    @property
    def kind(self) -> str:
        """What the rows are."""
        return "transaction"

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns of the transaction's id."""
        return self.mapping.transaction.transaction_id

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's transactions; `labels` are those of the accepted ones."""
        tx, table = self.mapping.transaction, chunk.table
        occurred = cleaning.times(column_of(table, tx.occurred_at.column), tx.occurred_at)
        refusals = Refusals(chunk, self.kind, self.window.outside(occurred))
        transaction_id = joined_ids(table, tx.transaction_id)
        refusals.refuse(cleaning.nulls(transaction_id), Reason.MISSING_TRANSACTION_ID, tx.transaction_id)
        refusals.refuse(cleaning.too_long(transaction_id), Reason.ID_TOO_LONG, tx.transaction_id)
        entities = self._entities(refusals, table)
        refusals.refuse(occurred.missing, Reason.MISSING_TIME, [tx.occurred_at.column])
        self._refuse_times(refusals, occurred, tx.occurred_at.column)
        columns = {
            "transaction_id": self.pseudonyms("transaction_id", transaction_id),
            "occurred_at": timestamps(occurred.values),
            "arrived_at": timestamps(self._arrival(refusals, table, occurred)),
            "amount": pa.array(self._amounts(refusals, table)),
            "currency": self._currency(refusals, table),
            **entities,
        }
        for name, column in self.layout.categories.items():
            columns[category_column(name)] = self._category(refusals, table, column)
        accepted = refusals.accepted()
        extra, unreadable = self._numeric(table, occurred, accepted)
        result = pa.table(columns | extra, schema=transaction_columns(self.layout.schema))
        if len(accepted) < table.num_rows:
            result = result.take(pa.array(accepted))
        labels = self._labels(table, occurred, accepted)
        return CheckedRows(result, accepted, refusals, self._newest(occurred, labels, accepted), labels, unreadable)

    def _entities(self, refusals: Refusals, table: pa.Table) -> dict[str, pa.Array]:
        found: dict[str, pa.Array] = {}
        for name, columns in self.layout.entities.items():
            keys = joined_ids(table, columns)
            if name == USER:
                refusals.refuse(cleaning.nulls(keys), Reason.MISSING_USER, columns)
            refusals.refuse(cleaning.too_long(keys), Reason.ID_TOO_LONG, columns)
            found[entity_column(name)] = self.pseudonyms(name, keys)
        return found

    def _refuse_times(self, refusals: Refusals, times: Parsed, column: str) -> None:
        refusals.refuse(times.bad, Reason.BAD_TIME, [column])
        refusals.refuse(self.clock.ancient(times), Reason.ANCIENT_TIME, [column])
        refusals.refuse(self.clock.future(times), Reason.FUTURE_TIME, [column])

    def _arrival(self, refusals: Refusals, table: pa.Table, occurred: Parsed) -> NDArray[np.int64]:
        """When rows arrived. A clock that lags cannot make a row arrive before it occurred."""
        how = self.mapping.transaction.arrived_at
        if how is None:
            return occurred.values
        arrived = cleaning.times(column_of(table, how.column), how)
        self._refuse_times(refusals, arrived, how.column)
        return np.where(arrived.ok, np.maximum(arrived.values, occurred.values), occurred.values)

    def _amounts(self, refusals: Refusals, table: pa.Table) -> NDArray[np.int64]:
        column = self.mapping.transaction.amount.column
        amount = cleaning.numbers(column_of(table, column))
        values = np.where(amount.ok, amount.values, 0.0)
        large = np.abs(values) > cleaning.MAX_AMOUNT / 100
        refusals.refuse(amount.missing, Reason.MISSING_AMOUNT, [column])
        refusals.refuse(amount.bad | large, Reason.BAD_AMOUNT, [column])
        refusals.refuse(values < 0, Reason.NEGATIVE_AMOUNT, [column])
        return cleaning.hundredths(np.where(large, 0.0, values))

    def _currency(self, refusals: Refusals, table: pa.Table) -> pa.Array:
        how = self.mapping.transaction.currency
        if how is None or how.column is None:
            return pa.nulls(table.num_rows, pa.string())
        return pc.utf8_upper(self._category(refusals, table, how.column))

    def _category(self, refusals: Refusals, table: pa.Table, column: str) -> pa.Array:
        values = cleaning.categories(column_of(table, column))
        refusals.refuse(cleaning.too_long(values), Reason.TEXT_TOO_LONG, [column])
        return values

    def _numeric(
        self, table: pa.Table, occurred: Parsed, accepted: NDArray[np.int64]
    ) -> tuple[dict[str, pa.Array], Counter[str]]:
        found: dict[str, pa.Array] = {}
        unreadable: Counter[str] = Counter()
        for name, column in self.layout.numeric.items():
            parsed = cleaning.numbers(column_of(table, column))
            unreadable[column] += int(parsed.bad[accepted].sum())
            found[numeric_column(name)] = pa.array(parsed.values, mask=~parsed.ok)
        for name, how in self.layout.times.items():
            then = cleaning.times(column_of(table, how.column), how)
            unreadable[how.column] += int(then.bad[accepted].sum())
            distance = cleaning.seconds_since(occurred.values, then.values)
            found[numeric_column(name)] = pa.array(distance, mask=~then.ok)
        return found, +unreadable

    def _labels(self, table: pa.Table, occurred: Parsed, accepted: NDArray[np.int64]) -> RowLabels | None:
        label = self.mapping.label
        if label is None:
            return None
        n = len(accepted)
        at = occurred.values[accepted]
        if label.is_fraud is None or label.known_at is None:
            return RowLabels(np.full(n, cleaning.UNLABELLED, dtype=np.int8), at)
        how = label.is_fraud
        value = cleaning.label_values(column_of(table, how.column), how.fraud, how.genuine)[accepted]
        faults = {Reason.BAD_LABEL: value == cleaning.UNREADABLE}
        if isinstance(label.known_at, Delay):
            return RowLabels(value, at + label.known_at.delay // timedelta(microseconds=1), faults)
        known = cleaning.times(column_of(table, label.known_at.column), label.known_at)
        bad = known.bad | self.clock.ancient(known) | self.clock.future(known)
        for rows, reason in (
            (known.missing[accepted], Reason.MISSING_LABEL_TIME),
            (bad[accepted], Reason.BAD_LABEL_TIME),
            (known.ok[accepted] & (known.values[accepted] < at), Reason.LABEL_BEFORE_TRANSACTION),
        ):
            faults[reason] = rows & (value >= 0)
            value[faults[reason]] = cleaning.UNREADABLE
        return RowLabels(value, known.values[accepted], faults)

    def _newest(self, occurred: Parsed, labels: RowLabels | None, accepted: NDArray[np.int64]) -> int | None:
        if not len(accepted):
            return None
        newest = int(occurred.values[accepted].max())
        named = self.mapping.label is not None and isinstance(self.mapping.label.known_at, TimeColumn)
        if labels is not None and named and (labels.value >= 0).any():
            newest = max(newest, int(labels.known_at[labels.value >= 0].max()))
        return newest
