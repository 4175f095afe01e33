"""One file of rows: CSV, JSON or Parquet, the first two compressed as well."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etl.mapping import Csv
from etl.sources import compressed, csv_file, json_file, paths
from etl.sources.csv_file import CsvFormat
from etl.sources.json_file import JsonFormat
from etl.sources.rechunking import Piece, chunked
from etl.sources.rows import CHUNK_ROWS, Chunk
from graph.errors import InputError


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: its columns, and its number of rows where that is known without reading it.

    Attributes:
        how: of CSV and JSON, what was recognised; None for Parquet.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int | None
    how: CsvFormat | JsonFormat | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The file's rows in order, at most `size` a chunk.

        Raises:
            InputError: the file cannot be read to its end.
        """
        try:
            if self.how is None:
                yield from _parquet(self, size)
            else:
                yield from chunked(self.name, self._pieces(self.how), size)
        except compressed.READ_ERRORS as error:
            raise _unreadable(self.path, error) from error

    def _pieces(self, how: CsvFormat | JsonFormat) -> Iterator[Piece]:
        if isinstance(how, CsvFormat):
            return csv_file.pieces(self.path, how)
        return json_file.pieces(self.path, how)


def open_file(path: Path, csv: Csv | None = None) -> SourceFile:
    """Looks at a file: at its beginning, or all of it where it is JSON, whose columns are told nowhere else.

    Args:
        csv: how CSV is written, where it is not to be recognised.

    Raises:
        InputError: it is missing, empty, damaged, of a kind that cannot be read, or has a column twice.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    given = csv or Csv()
    suffix = compressed.inner_suffix(path)
    if suffix not in paths.CSV | paths.JSON | paths.PARQUET:
        raise InputError(
            f"{path} is neither CSV (.csv, .tsv, .txt) nor JSON (.jsonl, .ndjson, .json) nor Parquet (.parquet)",
            hint="convert it, or rename it; CSV and JSON may be compressed (.gz, .bz2, .xz, .zst, .zip)",
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", hint="a file without rows still needs its header")
    try:
        opened = _opened(path, suffix, given)
    except compressed.READ_ERRORS as error:
        raise _unreadable(path, error) from error
    twice = {name for name in opened.columns if opened.columns.count(name) > 1}
    if twice:
        raise InputError(f"{path} has the column {min(twice)!r} twice", hint="rename one of them")
    return opened


def _opened(path: Path, suffix: str, given: Csv) -> SourceFile:
    if suffix in paths.CSV:
        how = csv_file.recognise(path, given)
        return SourceFile(path, how.columns, None, how)
    if suffix in paths.JSON:
        found = json_file.recognise(path, given.encoding)
        return SourceFile(path, found.columns, found.rows, found)
    if path.suffix.lower() in compressed.SUFFIXES:
        raise InputError(f"{path} is Parquet that was compressed again", hint="decompress it")
    with pq.ParquetFile(path) as file:
        return SourceFile(path, tuple(file.schema_arrow.names), file.metadata.num_rows)


def _unreadable(path: Path, error: Exception) -> InputError:
    message = " ".join(str(error).split())
    return InputError(f"{path} cannot be read: {message}", hint="is the file complete?")


def _parquet(source: SourceFile, size: int) -> Iterator[Chunk]:
    first = 1
    with pq.ParquetFile(source.path) as file:
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
            yield Chunk(source.name, pa.Table.from_batches([batch]), numbers)
            first += batch.num_rows
