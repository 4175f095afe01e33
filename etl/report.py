"""What became of every row of a load, in numbers that must add up."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.contract import CheckedRows
from graph.errors import QuipuError
from graph.store import Outcome


class Unbalanced(QuipuError):
    """A load's rows do not add up: a fault of Quipu, never of the data."""


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
        self.refuse(checked.refusals.reasons())

    def refuse(self, reasons: Counter[str]) -> None:
        """Counts rows that go to quarantine."""
        self.reasons += reasons
        self.quarantined += reasons.total()

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

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "read": self.read,
            "loaded": self.loaded,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
            "newly_quarantined": self.newly_quarantined,
            "outside_window": self.outside,
            "reasons": dict(self.reasons.most_common()),
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
    started_at: float = field(default_factory=time.time)
    seconds: float = 0.0

    def note(self, table: pa.Table, unreadable: Counter[str]) -> None:
        """Takes times and missing values from accepted transactions."""
        self.unreadable += unreadable
        if not table.num_rows:
            return
        self.accepted += table.num_rows
        for name in set(table.column_names) - self.unmapped:
            self.missing[name] += table.column(name).null_count
        occurred = table.column("occurred_at").combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
        first, last = int(occurred.min()), int(occurred.max())
        self.first_at = first if self.first_at is None else min(first, self.first_at)
        self.last_at = last if self.last_at is None else max(last, self.last_at)

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
            "mapping": self.mapping,
            "files": self.files,
            "dry_run": self.dry_run,
            "started_at": datetime.fromtimestamp(self.started_at, UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(rows / self.seconds) if self.seconds > 0 else None,
            **self.transactions.as_dict(),
            "labels": self.labels.as_dict(),
            "label_files": self.label_files.as_dict(),
            "attributes": {entity: tally.as_dict() for entity, tally in self.attributes.items()},
            "first_occurred_at": _iso(self.first_at),
            "last_occurred_at": _iso(self.last_at),
            "new_entities": self.new_entities,
            "missing": {name: round(n / self.accepted, 6) for name, n in sorted(self.missing.items()) if n},
            "unreadable": dict(self.unreadable),
        }


def _iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1e6, UTC).isoformat().replace("+00:00", "Z")
