"""What a transaction must be to be loaded: chunks of a source in, tables in the graph's columns out."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl import cleaning
from etl.cleaning import Amounts, Parsed
from etl.cleaning.rates import Rates
from etl.cleaning.steps import Step
from etl.contract.checked import CheckedRows, Clock, RowLabels, Window, timestamps
from etl.contract.layout import IP_RANGE, ORIGINAL_CURRENCY, TRANSACTION_TYPE, Layout, imputed_mark
from etl.contract.parsing import MISSING, Values, arrow, integers, read_column, reading, refuse
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.refunds import REFUND, contradict_refund
from etl.contract.refusals import Refusals
from etl.mapping import Mapping, TimeColumn
from etl.sources import Chunk
from graph.records import category_column, entity_column, numeric_column, transaction_columns

if TYPE_CHECKING:
    from etl.contract.schema import Schema


@dataclass(frozen=True)
class TransactionContract:
    """The contract of transactions.

    Raises:
        InputError: the mapping's rates cannot be read.
    """

    mapping: Mapping
    layout: Layout
    pseudonyms: Pseudonyms
    clock: Clock
    window: Window

    def __post_init__(self) -> None:
        _ = self._rates  # what is wrong with them is told before anything is loaded

    @property
    def kind(self) -> str:
        """What the rows are."""
        return "transaction"

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns of the transaction's id."""
        return self.mapping.transaction.transaction_id

    @cached_property
    def _rates(self) -> Rates:
        return Rates.read(self.mapping)

    @cached_property
    def _schema(self) -> "Schema":
        from etl.contract.schema import transaction_schema

        return transaction_schema(self.mapping, self.layout, self.clock.latest)

    def check(self, chunk: Chunk) -> CheckedRows:
        """Sorts a chunk's transactions; `labels` are those of the accepted ones."""
        values = Values(chunk.table)
        occurred = values.time("occurred_at", self.mapping.transaction.occurred_at)
        refusals = Refusals(chunk, self.kind, self.window.outside(occurred))
        columns = self._facts(values, occurred)
        missing = self._missing(values, columns)
        for name, rows in missing.items():
            columns[numeric_column(imputed_mark(name))] = pa.array(rows.astype(np.float64))
        refuse(refusals, self._schema, values)
        accepted = refusals.accepted()
        result = pa.table(columns, schema=transaction_columns(self.layout.schema))
        if len(accepted) < chunk.table.num_rows:
            result = result.take(pa.array(accepted))
        labels = self._labels(values, occurred, accepted)
        return CheckedRows(
            result,
            accepted,
            refusals,
            self._newest(occurred, labels, accepted),
            labels,
            values.unreadable(accepted),
            values.steps(accepted),
            {name: rows[accepted] for name, rows in missing.items()},
        )

    def _facts(self, values: Values, occurred: Parsed) -> dict[str, pa.Array]:
        """The graph's columns of all rows, whatever is wrong with them, but for the marks of values filled in."""
        tx = self.mapping.transaction
        transaction_id = values.key("transaction_id", "transaction_id", tx.transaction_id)
        facts = {
            "transaction_id": self.pseudonyms("transaction_id", transaction_id),
            "occurred_at": timestamps(occurred.values),
            "arrived_at": timestamps(self._arrival(values, occurred)),
        }
        for name, sources in self.layout.entities.items():
            keys = values.key(entity_column(name), name, sources)
            facts[entity_column(name)] = self.pseudonyms(name, keys)
            if name == "ip" and IP_RANGE in self.layout.categories:
                facts[category_column(IP_RANGE)] = cleaning.address_ranges(keys)
        for name, column in self.layout.categories.items():
            if column is not None:
                facts[category_column(name)] = values.category(category_column(name), column)
        self._add_money(facts, values, occurred)
        for name, column in self.layout.numeric.items():
            facts[numeric_column(name)] = values.number(numeric_column(name), column)
        for name, how in self.layout.times.items():
            facts[numeric_column(name)] = values.distance(occurred, how)
        return facts

    def _arrival(self, values: Values, occurred: Parsed) -> NDArray[np.int64]:
        """When rows arrived. A clock that lags cannot make a row arrive before it occurred."""
        how = self.mapping.transaction.arrived_at
        if how is None:
            return occurred.values
        arrived = values.time("arrived_at", how)
        return np.where(arrived.ok, np.maximum(arrived.values, occurred.values), occurred.values)

    def _add_money(self, facts: dict[str, pa.Array], values: Values, occurred: Parsed) -> None:
        """Adds amount and currency, in the base currency where the mapping names one, and what a refund is."""
        how = self.mapping.transaction.amount
        amounts = values.amount(how)
        codes = self._codes(values, amounts)
        stored = np.where(amounts.ok, amounts.values, 0)
        if self.mapping.currencies is not None:
            stored, converted, unrated = self._rates.convert(stored, codes, occurred.values)
            facts[category_column(ORIGINAL_CURRENCY)] = codes
            codes = pa.array([self.mapping.currencies.base] * len(stored), pa.string())
            values.note(how.column, {Step.CURRENCY_CONVERTED: converted & amounts.ok})
            values.checked[read_column("rate")] = reading(unrated & amounts.ok, np.zeros_like(unrated))
        values.checked[read_column("amount")] = reading(amounts.missing, amounts.bad)
        values.checked["amount"] = integers(stored, amounts.ok)
        negative = amounts.negative
        facts |= {"amount": pa.array(stored), "currency": codes}
        if how.negative == "refund":
            name = category_column(TRANSACTION_TYPE)
            types = facts.get(name, pa.nulls(len(stored), pa.string()))
            negative = negative & contradict_refund(types)
            refund = amounts.ok & amounts.negative & ~negative
            values.note(how.column, {Step.REFUND: refund})
            facts[name] = pc.if_else(pa.array(refund), pa.scalar(REFUND), types)
            values.checked[name] = arrow(facts[name])
        values.checked["amount.positive"] = ~negative

    def _codes(self, values: Values, amounts: Amounts) -> pa.Array:
        """ISO 4217 codes: the column of currencies holds before what stands with the amount, and that before the
        default; null where nothing is said."""
        how = self.mapping.transaction.currency
        if how is None:
            return amounts.currency
        codes, bad = amounts.currency, np.zeros(len(amounts.ok), dtype=np.bool_)
        if how.column is not None:
            named, bad = values.currency(how.column)
            codes = pc.coalesce(named, codes)
        if how.default is not None:
            codes = pc.fill_null(codes, how.default)
        values.checked[read_column("currency")] = reading(cleaning.nulls(codes), bad)
        return codes

    def _missing(self, values: Values, facts: dict[str, pa.Array]) -> dict[str, NDArray[np.bool_]]:
        """The rows whose value is to be filled in, by the value's name in the mapping."""
        unread = {"amount": values.checked[read_column("amount")] == MISSING}
        names = self.layout.imputed
        return {n: unread[n] if n in unread else cleaning.nulls(facts[self.layout.graph_column(n)]) for n in names}

    def _labels(self, values: Values, occurred: Parsed, accepted: NDArray[np.int64]) -> RowLabels | None:
        label = self.mapping.label
        if label is None:
            return None
        from etl.contract.row_labels import read_labels

        at = occurred.values[accepted]
        if label.is_fraud is None or label.known_at is None:
            return RowLabels(np.full(len(accepted), cleaning.UNLABELLED, dtype=np.int8), at)
        return read_labels(label.is_fraud, label.known_at, self.clock.latest, values, occurred, accepted)

    def _newest(self, occurred: Parsed, labels: RowLabels | None, accepted: NDArray[np.int64]) -> int | None:
        if not len(accepted):
            return None
        newest = int(occurred.values[accepted].max())
        named = self.mapping.label is not None and isinstance(self.mapping.label.known_at, TimeColumn)
        if labels is not None and named and (labels.value >= 0).any():
            newest = max(newest, int(labels.known_at[labels.value >= 0].max()))
        return newest
