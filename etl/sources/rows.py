"""Rows as a source has them, in chunks of bounded size."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no row: its number of fields differs from the header's, or its quotes never close."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of one file.

    Attributes:
        file: the file's name as the reader knows it.
        table: the rows as the source has them, all columns.
        numbers: int64[n], row numbers in the file; the first row (after a CSV's header) is 1.
        broken: lines between them that are no rows; they are numbered as well.
        watermark: of a query read in order of a watermark column: its largest value up to here, as text.
    """

    file: str
    table: pa.Table
    numbers: NDArray[np.int64]
    broken: list[BrokenLine] = field(default_factory=list)
    watermark: str | None = None

    @property
    def rows(self) -> int:
        """Rows read, broken ones included."""
        return len(self.numbers) + len(self.broken)


class Rows(Protocol):
    """Rows of one file or one query, which can be read as often as one likes."""

    @property
    def name(self) -> str:
        """What people call it: a file's path, or `sql:` and the variable that holds a database's URL."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of every chunk's table."""

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is known without reading them."""

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows in order, at most `size` a chunk.

        Raises:
            InputError: they cannot be read to their end.
        """
