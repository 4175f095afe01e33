"""A mapping for somebody's table, guessed from the names of its columns and from what stands in them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from etl import cleaning
from etl.contract.checked import Clock, Window
from etl.contract.layout import fit
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.transactions import TransactionContract
from etl.guessing.draft import Draft, Finding
from etl.guessing.features import find_amount, find_categories, find_features, group
from etl.guessing.keys import find_composite_id, find_entities, find_transaction_id, find_user_at_last, personal
from etl.guessing.labels import find_known_at, find_label, set_apart_leaks
from etl.guessing.profile import profile_columns
from etl.guessing.times import PLACEHOLDER, find_occurred_at, find_other_times
from etl.mapping import Mapping
from etl.sources import Chunk
from graph.errors import InputError


@dataclass(frozen=True, slots=True)
class Guess:
    """What a table was taken for.

    Attributes:
        rows: rows of the sample.
        columns: the table's columns, in order.
        transaction, label: the mapping's blocks of these names, as a YAML file would hold them; label is None where
            the table has none.
        findings: what each column was taken as, and what is missing.
        personal: mapped identifiers whose raw values a person may not want in the graph.
    """

    rows: int
    columns: tuple[str, ...]
    transaction: dict[str, Any]
    label: dict[str, Any] | None
    findings: tuple[Finding, ...]
    personal: tuple[str, ...]

    @property
    def lacking(self) -> list[str]:
        """What a mapping must have and the table does not: such a mapping cannot be loaded before somebody says it."""
        return [key for key in ("occurred_at", "amount") if self.transaction.get(key) == PLACEHOLDER]

    @property
    def unlabelled(self) -> bool:
        """Nothing says what was fraud."""
        return self.label is None and all(finding.taken_as != "labels" for finding in self.findings)

    @property
    def fitness(self) -> int:
        """How much of a table of transactions this is, to choose the one among several."""
        sure = {finding.taken_as for finding in self.findings if finding.columns}
        wanted = ("transaction_id", "occurred_at", "user_id", "amount")
        return sum(key in sure for key in wanted) * 2 + ("restaurant_id" in sure) + ("device_id" in sure)


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the sample's rows under the guessed mapping.

    Attributes:
        rows: rows of the sample.
        accepted: of these, the rows that would be loaded, or are duplicates of such.
        repeated: of the accepted rows, those with the id of an earlier one.
        reasons: why the others would go to quarantine: rows by reason code.
        limit: the share of such rows above which a load stops.
        fraud, genuine: the accepted rows' labels.
        unusable_labels: labels of accepted rows that cannot be used.
        unreadable: further values that cannot be read and count as missing, by column.
    """

    rows: int
    accepted: int
    repeated: int
    reasons: dict[str, int]
    limit: float
    fraud: int = 0
    genuine: int = 0
    unusable_labels: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)


def guess(table: pa.Table, now: int, label_delay: str | None = None) -> Guess:
    """Guesses what a table's columns mean.

    Args:
        table: a sample of the rows, text where the source is text.
        now: the present, microseconds UTC.
        label_delay: how long after a transaction its label is known, as in mappings (`7d`); None to look for a
            column that says it, or to assume something.

    Raises:
        InputError: the sample has no rows or no columns.
    """
    if not table.num_rows or not any(table.column_names):
        raise InputError("the sample has no rows", hint="give a file or table with some rows in it")
    draft = Draft(profile_columns(table, now), table.num_rows)
    find_label(draft)
    find_occurred_at(draft)
    find_transaction_id(draft)
    find_entities(draft)
    find_amount(draft)
    find_known_at(draft, label_delay)
    set_apart_leaks(draft)
    find_other_times(draft)
    find_categories(draft)
    find_user_at_last(draft)
    find_composite_id(draft)
    find_features(draft)
    group(draft)
    return Guess(
        table.num_rows,
        tuple(table.column_names),
        draft.transaction,
        draft.label,
        tuple(draft.findings),
        tuple(dict.fromkeys(personal(draft))),
    )


def try_out(mapping: Mapping, table: pa.Table, clock: Clock) -> Trial:
    """Runs the contract of a mapping over a sample, as loading would.

    Raises:
        MappingError: the mapping does not fit the sample's columns.
    """
    layout = fit(mapping, table.column_names, "the sample")
    contract = TransactionContract(mapping, layout, Pseudonyms(mapping), clock, Window())
    chunk = Chunk("sample", table, np.arange(1, table.num_rows + 1, dtype=np.int64))
    checked = contract.check(chunk)
    ids = checked.table.column("transaction_id")
    labels = checked.labels.value if checked.labels is not None else np.zeros(0, dtype=np.int8)
    faults: Counter[str] = Counter()
    if checked.labels is not None:
        faults.update({reason.value: int(rows.sum()) for reason, rows in checked.labels.faults.items()})
    return Trial(
        table.num_rows,
        checked.table.num_rows,
        checked.table.num_rows - len(ids.unique()),
        dict(checked.refusals.reasons().most_common()),
        mapping.quarantine.limit,
        int((labels == cleaning.FRAUD).sum()),
        int((labels == cleaning.GENUINE).sum()),
        sum(faults.values()),
        dict(checked.unreadable),
    )
