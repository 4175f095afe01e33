"""Which rows of a chunk are refused, why, and what they looked like."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning import column_of
from etl.contract.reasons import Reason
from etl.ledger import QuarantinedRow
from etl.sources import Chunk

BROKEN_LINE = "line"
"""The only key of a broken line's raw row: its text, in which no columns could be told apart."""
_SHOWN = 200


@dataclass
class Refusals:
    """Which rows of a chunk are refused; the first reason of a row holds."""

    chunk: Chunk
    kind: str
    outside: NDArray[np.bool_]
    place: NDArray[np.int16] = field(init=False)
    places: list[tuple[Reason, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = np.full(self.chunk.table.num_rows, -1, dtype=np.int16)

    def refuse(self, rows: NDArray[np.bool_], reason: Reason, columns: Sequence[str]) -> None:
        """Refuses those of these rows that are neither refused already nor outside the window."""
        fresh = rows & (self.place < 0) & ~self.outside
        if fresh.any():
            self.place[fresh] = len(self.places)
            self.places.append((reason, tuple(columns)))

    def read(self) -> int:
        """Rows read, whatever became of them."""
        return self.chunk.rows

    def accepted(self) -> NDArray[np.int64]:
        """Positions of the rows that may be loaded."""
        return np.flatnonzero((self.place < 0) & ~self.outside)

    def positions(self) -> NDArray[np.int64]:
        """Positions of the refused rows in the chunk, in order."""
        return np.flatnonzero(self.place >= 0)

    def reasons(self) -> Counter[str]:
        """Rows by reason code."""
        counts: Counter[str] = Counter()
        for position, (reason, _columns) in enumerate(self.places):
            counts[reason.value] += int((self.place == position).sum())
        if self.chunk.broken:
            counts[Reason.BROKEN_ROW.value] += len(self.chunk.broken)
        return counts

    def rows(self, limit: int | None = None) -> Iterator[QuarantinedRow]:
        """The refused rows (at most `limit`) with all that a person needs to judge them."""
        for line in self.chunk.broken[:limit]:
            raw = json.dumps({BROKEN_LINE: line.text}, ensure_ascii=False)
            yield QuarantinedRow(
                self.kind, self.chunk.file, line.number, Reason.BROKEN_ROW.value, "", line.text[:_SHOWN], raw
            )
        positions = self.positions()[:limit]
        yield from self.quarantined(positions, [self.places[self.place[p]] for p in positions])

    def quarantined(
        self, positions: NDArray[np.int64], causes: Sequence[tuple[Reason, tuple[str, ...]]]
    ) -> Iterator[QuarantinedRow]:
        """These rows of the chunk, each with its cause."""
        for position, raw, (reason, columns) in zip(
            positions, raw_rows(self.chunk.table, positions), causes, strict=True
        ):
            value = ", ".join("" if raw[column] is None else str(raw[column]) for column in columns)
            yield QuarantinedRow(
                self.kind,
                self.chunk.file,
                int(self.chunk.numbers[position]),
                reason.value,
                ", ".join(columns),
                value[:_SHOWN],
                json.dumps(raw, ensure_ascii=False, sort_keys=True, default=str),
            )


def raw_rows(table: pa.Table, positions: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Rows as the source has them, in values that JSON can hold (times and decimals as text)."""
    if not len(positions):
        return []
    taken = table.take(pa.array(positions))
    columns = {name: _plain(column_of(taken, name)) for name in taken.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return list(pc.cast(array, pa.string()).to_pylist())
    if pa.types.is_floating(kind):
        return [repr(v) if v is not None and not np.isfinite(v) else v for v in array.to_pylist()]
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in array.to_pylist()]
