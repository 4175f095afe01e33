"""What a contract makes of a chunk: accepted rows, refused ones, and those outside the window."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning import Parsed
from etl.cleaning.steps import Step
from etl.contract.reasons import Reason
from etl.contract.refusals import Refusals
from etl.ledger import QuarantinedRow
from etl.sources import Chunk
from graph.records import TIMESTAMP


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

    @property
    def latest(self) -> int:
        """What lies later has not come yet."""
        return self.now + self.tolerance


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
        table: the accepted rows, in the graph's columns. An amount that is to be filled in is 0 until then.
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


def timestamps(micros: NDArray[np.int64]) -> pa.Array:
    """Microseconds UTC as an Arrow array."""
    return pa.array(micros).view(TIMESTAMP)
