"""What became of every row of a load, in numbers that must add up."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning.steps import Step
from etl.contract.checked import CheckedRows
from etl.contract.reasons import Reason
from etl.contract.refusals import Refusals
from etl.ledger import QuarantinedRow
from etl.reporting.histogram import Histogram
from etl.reporting.profile import Profile
from graph.errors import QuipuError
from graph.records import DAY
from graph.store import Outcome


class Unbalanced(QuipuError):
    """A load's rows do not add up: a fault of Quipu, never of the data."""


EXAMPLES = 3
"""Rows shown for each reason."""
SHOWN = 32
"""Characters shown of an offending value: enough to see what is wrong with it, too few for a life story."""


@dataclass
class Tally:
    """Outcomes of the rows of one kind. `outside` rows lie outside the asked window and count nowhere else."""

    read: int = 0
    loaded: int = 0
    duplicates: int = 0
    quarantined: int = 0
    newly_quarantined: int = 0
    outside: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[QuarantinedRow]] = field(default_factory=dict)

    def count(self, outcomes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Counts what a store did with rows; returns which are in conflict, and so for quarantine."""
        self.loaded += int((outcomes == Outcome.LOADED).sum())
        self.duplicates += int((outcomes == Outcome.DUPLICATE).sum())
        conflicts: NDArray[np.bool_] = outcomes == Outcome.CONFLICT
        return conflicts

    def note(self, checked: CheckedRows) -> None:
        """Counts the rows that were read, and those that their contract refused or found outside the window."""
        outside = int(checked.refusals.outside.sum())
        self.read += checked.refusals.read() - outside
        self.outside += outside
        self.refuse(checked.refusals.reasons(), _few_of_each(checked.refusals, self.examples))

    def refuse(self, reasons: Counter[str], rows: Iterable[QuarantinedRow] = ()) -> None:
        """Counts rows that go to quarantine; `rows` are examples of them (or all)."""
        self.reasons += reasons
        self.quarantined += reasons.total()
        for row in rows:
            shown = self.examples.setdefault(row.reason, [])
            if len(shown) < EXAMPLES and (row.column, row.value) not in {(r.column, r.value) for r in shown}:
                shown.append(row)

    def prove(self, what: str) -> None:
        """Checks that every row read has exactly one outcome.

        Raises:
            Unbalanced: it does not add up.
        """
        if self.read != self.loaded + self.duplicates + self.quarantined or self.quarantined != self.reasons.total():
            raise Unbalanced(
                f"{what}: {self.read} rows read, but {self.loaded} loaded, {self.duplicates} duplicates and "
                f"{self.quarantined} quarantined",
                hint="this is a fault in Quipu; please report it",
            )

    def as_dict(self, private: frozenset[str] = frozenset()) -> dict[str, Any]:
        """For machines; values of the columns `private` are left out of the examples."""
        return {
            "read": self.read,
            "loaded": self.loaded,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
            "newly_quarantined": self.newly_quarantined,
            "outside_window": self.outside,
            "reasons": dict(self.reasons.most_common()),
            "examples": {
                reason: [
                    {"file": row.file, "row": row.row, "column": row.column, "value": shown_value(row, private)}
                    for row in rows
                ]
                for reason, rows in self.examples.items()
            },
        }


@dataclass
class LabelTally:
    """Labels that stand in transactions' rows. `found` = loaded + duplicates + unusable; the others say nothing."""

    found: int = 0
    loaded: int = 0
    duplicates: int = 0
    unusable: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    inferred: int = 0

    def prove(self) -> None:
        """Checks that every label found has exactly one outcome.

        Raises:
            Unbalanced: it does not add up.
        """
        if self.found != self.loaded + self.duplicates + self.unusable.total():
            raise Unbalanced(
                f"labels: {self.found} found, but {self.loaded} loaded, {self.duplicates} duplicates and "
                f"{self.unusable.total()} unusable",
                hint="this is a fault in Quipu; please report it",
            )

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "found": self.found,
            "loaded": self.loaded,
            "duplicates": self.duplicates,
            "unusable": self.unusable.total(),
            "unusable_reasons": dict(self.unusable.most_common()),
            "unlabelled": self.unlabelled,
            "inferred_genuine": self.inferred,
        }


@dataclass(frozen=True, slots=True)
class Outlier:
    """An amount that lies far from those of its group.

    Attributes:
        transaction_id: as in the graph.
        amount, median: its own, and that of its group, in hundredths.
        group: what it was compared with, for people: `restaurant R1, card`.
        z: robust z-score.
        iqr: interquartile ranges beyond the nearer quartile.
    """

    transaction_id: str
    amount: int
    median: int
    group: str
    z: float
    iqr: float

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "transaction_id": self.transaction_id,
            "amount": self.amount / 100,
            "median": self.median / 100,
            "group": self.group,
            "z": round(self.z, 1),
            "iqr": round(self.iqr, 1),
        }


@dataclass(frozen=True, slots=True)
class OutlierCounts:
    """Outliers among a load's amounts.

    Attributes:
        judged: transactions that could be compared with enough others.
        marked: of these, outliers.
        worst: the farthest of them, worst first.
    """

    judged: int
    marked: int
    worst: tuple[Outlier, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {"judged": self.judged, "marked": self.marked, "worst": [outlier.as_dict() for outlier in self.worst]}


@dataclass
class LoadReport:
    """A load in numbers.

    Attributes:
        transactions, label_files, attributes: outcomes of rows by kind.
        labels: labels in transactions' rows, and genuine ones inferred from silence.
        first_at, last_at: event times covered, microseconds UTC.
        unmapped: columns of the graph that the mapping leaves out, and whose absence is nothing to report.
        missing: rows without a value, by column of the graph; `unreadable`: of these, values that could not be read.
        new_entities: entities that the load brought, by type.
        number: of the load in the ledger; None for a dry run.
        private: source columns whose values no report may show (those that the mapping pseudonymises).
        days: accepted rows by day (UTC), counted from 1970.
        amounts: of accepted rows, in hundredths, by currency (`""` where none is named).
        steps: values of accepted rows that cleaning changed, by source column and step.
        imputed: values filled in, by the name of the value in the mapping.
        outliers: None where they were not looked for.
        profile: what the load's new rows look like in the graph; None for a dry run.
        seconds: the whole load's duration.
    """

    mapping: str
    files: list[str]
    dry_run: bool = False
    unmapped: frozenset[str] = frozenset()
    transactions: Tally = field(default_factory=Tally)
    labels: LabelTally = field(default_factory=LabelTally)
    label_files: Tally = field(default_factory=Tally)
    attributes: dict[str, Tally] = field(default_factory=dict)
    first_at: int | None = None
    last_at: int | None = None
    accepted: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    new_entities: dict[str, int] = field(default_factory=dict)
    number: int | None = None
    private: frozenset[str] = frozenset()
    days: Counter[int] = field(default_factory=Counter)
    amounts: dict[str, Histogram] = field(default_factory=dict)
    steps: Counter[tuple[str, Step]] = field(default_factory=Counter)
    imputed: Counter[str] = field(default_factory=Counter)
    outliers: OutlierCounts | None = None
    profile: Profile | None = None
    started_at: float = field(default_factory=time.time)
    seconds: float = 0.0

    def note(
        self,
        table: pa.Table,
        unreadable: Counter[str],
        steps: Mapping[tuple[str, Step], int] | None = None,
        imputed: Mapping[str, int] | None = None,
    ) -> None:
        """Takes what there is to tell of a batch of accepted transactions.

        Args:
            table: the rows as they go to the store, filled-in values included.
            unreadable: optional values that could not be read, by column.
            steps: values that cleaning changed, by source column and step.
            imputed: values that were filled in, by the name of the value in the mapping.
        """
        self.unreadable += unreadable
        self.steps.update(steps or {})
        self.imputed.update(imputed or {})
        if not table.num_rows:
            return
        self.accepted += table.num_rows
        for name in set(table.column_names) - self.unmapped:
            self.missing[name] += table.column(name).null_count
        occurred = table.column("occurred_at").combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
        first, last = int(occurred.min()), int(occurred.max())
        self.first_at = first if self.first_at is None else min(first, self.first_at)
        self.last_at = last if self.last_at is None else max(last, self.last_at)
        self._note_days(occurred)
        self._note_amounts(table)

    def _note_days(self, occurred: NDArray[np.int64]) -> None:
        first = int(occurred.min()) // DAY
        rows = np.bincount(occurred // DAY - first)
        self.days.update({first + int(day): int(rows[day]) for day in np.flatnonzero(rows)})

    def _note_amounts(self, table: pa.Table) -> None:
        amounts = table.column("amount").to_numpy()
        codes = table.column("currency").combine_chunks().dictionary_encode()
        names = [*codes.dictionary.to_pylist(), ""]
        which = codes.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
        for place in np.unique(which).tolist():
            mine = amounts if len(names) == 1 else amounts[which == place]
            self.amounts.setdefault(names[place], Histogram()).add(mine)

    def prove(self) -> None:
        """Checks that all rows add up.

        Raises:
            Unbalanced: they do not.
        """
        self.transactions.prove("transactions")
        self.labels.prove()
        self.label_files.prove("label files")
        for entity, tally in self.attributes.items():
            tally.prove(f"attributes of {entity}")

    def as_dict(self) -> dict[str, Any]:
        """For machines: transactions' outcomes at the top, everything else below names of its own."""
        rows = self.transactions.read
        return {
            "number": self.number,
            "mapping": self.mapping,
            "files": self.files,
            "dry_run": self.dry_run,
            "started_at": datetime.fromtimestamp(self.started_at, UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(rows / self.seconds) if self.seconds > 0 else None,
            **self.transactions.as_dict(self.private),
            "labels": self.labels.as_dict(),
            "label_files": self.label_files.as_dict(self.private),
            "attributes": {entity: tally.as_dict(self.private) for entity, tally in self.attributes.items()},
            "first_occurred_at": _iso(self.first_at),
            "last_occurred_at": _iso(self.last_at),
            "new_entities": self.new_entities,
            "missing": {name: round(n / self.accepted, 6) for name, n in sorted(self.missing.items()) if n},
            "unreadable": dict(self.unreadable),
            "accepted": self.accepted,
            "days": {_day(day): rows for day, rows in sorted(self.days.items())},
            "amounts": {currency: _amounts(found) for currency, found in sorted(self.amounts.items())},
            "steps": self._steps(),
            "imputed": dict(self.imputed.most_common()),
            "outliers": self.outliers.as_dict() if self.outliers else None,
            "profile": self.profile.as_dict() if self.profile else None,
        }

    def _steps(self) -> dict[str, dict[str, int]]:
        steps: dict[str, dict[str, int]] = {}
        for (column, step), values in self.steps.most_common():
            if values:
                steps.setdefault(column, {})[step.value] = values
        return steps


def _few_of_each(refusals: Refusals, known: Mapping[str, Sequence[QuarantinedRow]]) -> list[QuarantinedRow]:
    """Some refused rows of every reason that lacks examples; raw rows are costly to make, hence only these."""
    found: list[QuarantinedRow] = []
    if refusals.chunk.broken and len(known.get(Reason.BROKEN_ROW, ())) < EXAMPLES:
        found += islice(refusals.rows(EXAMPLES), min(EXAMPLES, len(refusals.chunk.broken)))
    for place, (reason, columns) in enumerate(refusals.places):
        if len(known.get(reason, ())) < EXAMPLES:
            positions = np.flatnonzero(refusals.place == place)[: 4 * EXAMPLES]
            found += refusals.quarantined(positions, [(reason, columns)] * len(positions))
    return found


def shown_value(row: QuarantinedRow, private: frozenset[str]) -> str | None:
    """What a report may show of the value for which a row was refused; None where that is nothing.

    A line that could not be taken apart may hold anything, so it is never shown.
    """
    if row.reason == Reason.BROKEN_ROW or private & set(row.column.split(", ")):
        return None
    return row.value if len(row.value) <= SHOWN else row.value[: SHOWN - 1] + "…"


def _amounts(found: Histogram) -> dict[str, Any]:
    """An amount's figures in units of its currency."""
    return {
        "rows": found.count,
        "zeros": found.zeros,
        "sum": found.total / 100,
        "median": found.quantile(0.5) / 100,
        "p99": found.quantile(0.99) / 100,
        "largest": found.largest / 100,
        "bars": [{**bar, "from": bar["from"] / 100, "to": bar["to"] / 100} for bar in found.bars()],
    }


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY / 1e6, UTC).date().isoformat()


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1e6, UTC).isoformat().replace("+00:00", "Z")
