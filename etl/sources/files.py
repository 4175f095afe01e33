"""Files of rows, read in chunks of bounded size: CSV (every value as text, as it was written) and Parquet."""

import csv
import glob
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etl.sources.rows import CHUNK_ROWS, BrokenLine, Chunk
from graph.errors import InputError

_CHUNK_CHARACTERS = 64 << 20
_FIELD_CHARACTERS = 1 << 20
_CSV = {".csv"}
_PARQUET = {".parquet", ".pq"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: its columns, and its number of rows where that is known without reading it."""

    path: Path
    columns: tuple[str, ...]
    rows: int | None

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The file's rows in order, at most `size` a chunk.

        Raises:
            InputError: the file cannot be read to its end.
        """
        reader = _csv_chunks if self.path.suffix.lower() in _CSV else _parquet_chunks
        try:
            yield from reader(self, size)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self.path} cannot be read: {_line(error)}", hint="is the file complete?") from error


def expand(patterns: Sequence[str], folder: Path) -> list[Path]:
    """The files that patterns name, sorted within each, none twice.

    A relative pattern holds from `folder`; where it matches nothing there, from the current directory.

    Raises:
        InputError: a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matched = _matches(pattern, folder) or _matches(pattern, Path())
        if not matched:
            raise InputError(
                f"no file matches {pattern!r}", hint=f"it was looked for in {folder.resolve()} and {Path.cwd()}"
            )
        found.update(dict.fromkeys(matched))
    return list(found)


def _matches(pattern: str, folder: Path) -> list[Path]:
    if (folder / pattern).is_file():
        return [folder / pattern]
    # The folder is a name, whatever signs are in it; only the pattern is a pattern.
    full = Path(glob.escape(str(folder))) / pattern
    found = glob.glob(str(full), recursive=True)  # noqa: PTH207 (Path.glob refuses absolute patterns)
    return sorted(path for path in map(Path, found) if path.is_file())


def open_file(path: Path) -> SourceFile:
    """Looks at a file's header.

    Raises:
        InputError: it is missing, empty, damaged, of a kind that cannot be read, or has a column twice.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix not in _CSV | _PARQUET:
        raise InputError(f"{path} is neither .csv nor .parquet", hint="convert it, or rename it")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="a file without rows still needs its header")
    try:
        if suffix in _CSV:
            with _opened(path) as lines:
                columns, rows = _header(path, csv.reader(lines)), None
        else:
            with pq.ParquetFile(path) as file:
                columns, rows = tuple(file.schema_arrow.names), file.metadata.num_rows
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {_line(error)}", hint="is the file complete?") from error
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise InputError(f"{path} has the column {min(twice)!r} twice", hint="rename one of them")
    return SourceFile(path, columns, rows)


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _header(path: Path, reader: Iterator[list[str]]) -> tuple[str, ...]:
    for row in reader:
        if row:
            return tuple(name.strip() for name in row)
    raise InputError(f"{path} is empty", hint="a file without rows still needs its header")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _parquet_chunks(source: SourceFile, size: int) -> Iterator[Chunk]:
    first = 1
    with pq.ParquetFile(source.path) as file:
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            yield Chunk(
                str(source.path),
                pa.Table.from_batches([batch]),
                np.arange(first, first + batch.num_rows, dtype=np.int64),
            )
            first += batch.num_rows


class _Lines:
    """Lines of a CSV file that remembers those of the record being read, so that they can be given back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self.record: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self.record.append(line)
        return line

    def give_back_all_but_first(self) -> str:
        """The record's first line; the others will be read again, as records of their own."""
        first, *rest = self.record
        self._again.extendleft(reversed(rest))
        return first


def _csv_chunks(source: SourceFile, size: int) -> Iterator[Chunk]:
    """A stray quote swallows the lines after it; the line it stands in is broken, the others are read again."""
    csv.field_size_limit(_FIELD_CHARACTERS)
    width, number, characters = len(source.columns), 0, 0
    rows: list[list[str]] = []
    numbers: list[int] = []
    broken: list[BrokenLine] = []
    with _opened(source.path) as file:
        lines = _Lines(file)
        reader = csv.reader(lines, strict=True)
        _header(source.path, reader)
        while True:
            lines.record.clear()
            try:
                row = next(reader, None)
            except csv.Error:
                row = []
            if row is None:
                break
            if not row and not "".join(lines.record).strip():
                continue
            number += 1
            if len(row) == width:
                rows.append(row)
                numbers.append(number)
            else:
                broken.append(BrokenLine(number, lines.give_back_all_but_first().rstrip("\r\n")))
            characters += sum(map(len, lines.record))
            if len(rows) + len(broken) >= size or characters >= _CHUNK_CHARACTERS:
                yield _csv_chunk(source, rows, numbers, broken)
                rows, numbers, broken, characters = [], [], [], 0
    if rows or broken:
        yield _csv_chunk(source, rows, numbers, broken)


def _csv_chunk(source: SourceFile, rows: list[list[str]], numbers: list[int], broken: list[BrokenLine]) -> Chunk:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(source.columns)
    table = pa.table([pa.array(c, pa.string()) for c in columns], names=list(source.columns))
    return Chunk(str(source.path), table, np.array(numbers, dtype=np.int64), broken)
