"""Pieces of any size to chunks of the size that was asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.sources.rows import BrokenLine, Chunk

_CHUNK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows with their numbers, and the broken lines between them."""

    table: pa.Table
    numbers: NDArray[np.int64]
    broken: list[BrokenLine] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows read, broken ones included."""
        return len(self.numbers) + len(self.broken)

    def split(self, rows: int) -> tuple["Piece", "Piece"]:
        """The first so many rows, and the others."""
        cut = np.sort(np.concatenate([self.numbers, [line.number for line in self.broken]]))[rows - 1]
        here = int(np.searchsorted(self.numbers, cut, side="right"))
        gone = [line for line in self.broken if line.number <= cut]
        return (
            Piece(self.table.slice(0, here), self.numbers[:here], gone),
            Piece(self.table.slice(here), self.numbers[here:], self.broken[len(gone) :]),
        )


def chunked(name: str, pieces: Iterable[Piece], size: int) -> Iterator[Chunk]:
    """Pieces as chunks of `size` rows, fewer where these would be very large, and in the last."""
    waiting: list[Piece] = []
    rows, volume = 0, 0
    for piece in pieces:
        rest = piece
        while rows + rest.rows >= size:
            head, rest = rest.split(size - rows)
            yield _chunk(name, [*waiting, head])
            waiting, rows, volume = [], 0, 0
        if rest.rows:
            waiting.append(rest)
            rows += rest.rows
            volume += rest.table.nbytes
        if volume >= _CHUNK_BYTES:
            yield _chunk(name, waiting)
            waiting, rows, volume = [], 0, 0
    if rows:
        yield _chunk(name, waiting)


def _chunk(name: str, pieces: list[Piece]) -> Chunk:
    table = pa.concat_tables([piece.table for piece in pieces], promote_options="permissive")
    numbers = np.concatenate([piece.numbers for piece in pieces]).astype(np.int64)
    return Chunk(name, table, numbers, [line for piece in pieces for line in piece.broken])
