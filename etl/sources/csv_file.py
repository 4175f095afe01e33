"""CSV: every value as text, as it was written; lines that are no rows are told apart, one by one.

Lines that every CSV reader would take alike go to Arrow's, all of a block at once. The others are read one after the
other: a stray quote swallows the lines after it, so the line in which it stands is broken, and those are read again.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from etl.mapping import Csv
from etl.sources import compressed, text
from etl.sources import dialect as dialects
from etl.sources.csv_lines import Kind, Lines, survey
from etl.sources.dialect import Dialect
from etl.sources.rechunking import Piece
from etl.sources.rows import BrokenLine
from graph.errors import InputError

_FIELD_CHARACTERS = 1 << 20
_RECORD_BYTES = 4 << 20
_BEGINNING = 64 << 10


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a CSV file is to be read.

    Attributes:
        header_bytes: what of the file's UTF-8 is header, and blank lines before it.
    """

    encoding: text.Encoding
    dialect: Dialect
    columns: tuple[str, ...]
    header_bytes: int


def recognise(path: Path, given: Csv) -> CsvFormat:
    """Looks at a file's beginning.

    Raises:
        InputError: it is empty, or its header never ends; or the encoding named is none.
        One of compressed.READ_ERRORS: it cannot be read.
    """
    encoding = text.recognise(path, given.encoding)
    block, before = b"", 0
    for block in text.blocks(path, encoding):
        if block.strip():
            break
        before += len(block)
    if not block.strip():
        raise InputError(f"{path} is empty", hint="a file without rows still needs its header")
    beginning = block[:_BEGINNING].decode("utf-8", "replace")
    dialect = dialects.recognise(beginning, given, "\t" if compressed.inner_suffix(path) == ".tsv" else ",")
    lines = survey(block, dialect, 1, valid=False)
    line = int(np.flatnonzero(lines.kinds != Kind.BLANK)[0])
    record = _record(_Text(block, lines), line, dialect, None)
    if record is None or record.fields is None:
        raise InputError(f"{path} has a header that cannot be read", hint="does it have a quote that never closes?")
    names = [name.strip().strip("\ufeff").strip() for name in record.fields]
    columns = tuple(name or f"column_{place}" for place, name in enumerate(names, 1))
    return CsvFormat(encoding, dialect, columns, before + int(lines.ends[line + record.lines - 1]))


def pieces(path: Path, how: CsvFormat, block_bytes: int = text.BLOCK_BYTES) -> Iterator[Piece]:
    """The rows after the header, in order, numbered from 1; blank lines are not counted.

    Args:
        block_bytes: how much is read at a time.

    Raises:
        InputError, or one of compressed.READ_ERRORS: the file cannot be read to its end.
    """
    number, skip, rest = 1, how.header_bytes, b""
    source = text.blocks(path, how.encoding, block_bytes)
    block = next(source, None)
    while block is not None:
        following = next(source, None)
        whole = rest + block
        if skip:
            skipped = min(skip, len(whole))
            whole, skip = whole[skipped:], skip - skipped
        if whole:
            piece, used = _piece(whole, how, number, last=following is None)
            number += piece.rows
            rest = whole[used:]
            if piece.rows:
                yield piece
        block = following


@dataclass(frozen=True, slots=True)
class _Record:
    """A record that begins with some line: its fields, None where it is broken, and how many lines it takes."""

    fields: list[str] | None
    lines: int


def _piece(block: bytes, how: CsvFormat, number: int, *, last: bool) -> tuple[Piece, int]:
    """The rows of a block, and how many of its bytes they take: a record that may go on in the next one waits."""
    width = len(how.columns)
    lines = survey(block, how.dialect, width, valid=not how.encoding.named)
    kinds, used = lines.kinds, len(block)
    careful: dict[int, list[str]] = {}
    texts = _Text(block, lines)
    after = 0
    for line in np.flatnonzero(kinds == Kind.UNSURE).tolist():
        if line < after:
            continue
        final = last or len(block) - int(lines.starts[line]) > _RECORD_BYTES
        record = _record(texts, line, how.dialect, width, final=final)
        if record is None:
            used = int(lines.starts[line])
            lines = Lines(lines.starts[:line], lines.ends[:line], kinds[:line])
            kinds = lines.kinds
            break
        after = line + record.lines
        kinds[line + 1 : after] = Kind.CONTINUED
        if record.fields is None:
            kinds[line] = Kind.BROKEN
        else:
            careful[line] = record.fields
    counted = (kinds != Kind.BLANK) & (kinds != Kind.CONTINUED)
    numbers = number - 1 + np.cumsum(counted)
    broken = [
        BrokenLine(int(numbers[line]), texts.shown(line).rstrip("\r\n"))
        for line in np.flatnonzero(kinds == Kind.BROKEN).tolist()
    ]
    rows = np.flatnonzero(kinds == Kind.ROW)
    table = _parsed(block, lines, rows, how)
    if careful:
        positions = np.concatenate([rows, np.fromiter(careful, np.int64)])
        order = np.argsort(positions)
        table = pa.concat_tables([table, _table(list(careful.values()), how.columns)]).take(pa.array(order))
        rows = positions[order]
    return Piece(table, numbers[rows].astype(np.int64), broken), used


def _parsed(block: bytes, lines: Lines, rows: NDArray[np.int64], how: CsvFormat) -> pa.Table:
    """Lines that are plain rows, by Arrow's reader."""
    if not len(rows):
        return _table([], how.columns)
    if len(rows) == len(lines.starts) and int(lines.ends[-1]) == len(block):
        data = block
    else:
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        view = memoryview(block)
        firsts, ends = rows[np.append(0, breaks)], rows[np.append(breaks - 1, len(rows) - 1)]
        data = b"".join(
            view[start:end] for start, end in zip(lines.starts[firsts].tolist(), lines.ends[ends].tolist(), strict=True)
        )
    names = [str(place) for place in range(len(how.columns))]
    table = pc.read_csv(
        pa.BufferReader(data),
        pc.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
        pc.ParseOptions(delimiter=how.dialect.delimiter, quote_char=how.dialect.quote, double_quote=True),
        pc.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )
    return table.rename_columns(how.columns)


def _record(lines: "_Text", line: int, dialect: Dialect, width: int | None, *, final: bool = True) -> _Record | None:
    """The record that begins with a line; None where it goes on behind the block, which is not the `final` one."""
    csv.field_size_limit(_FIELD_CHARACTERS)
    first = lines.shown(line)
    blanks = re.search(f"{re.escape(dialect.delimiter)} +{re.escape(dialect.quote)}", first) is not None
    more = False
    for backslash in sorted({False, "\\" in first}, reverse=dialect.backslash):
        cursor = _Cursor(lines, line, dialect.quote if backslash else None)
        try:
            fields = next(dialect.reader(cursor, blanks=blanks))
        except (csv.Error, UnicodeDecodeError):
            more |= cursor.beyond
            continue
        if width is None or len(fields) == width:
            return _Record(fields, cursor.taken)
    return None if more and not final else _Record(None, 1)


class _Text:
    """Lines of a block as text."""

    def __init__(self, block: bytes, lines: Lines) -> None:
        self._block = block
        self._lines = lines

    @cached_property
    def _bounds(self) -> list[tuple[int, int]]:
        return list(zip(self._lines.starts.tolist(), self._lines.ends.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._bounds)

    def __getitem__(self, line: int) -> str:
        start, end = self._bounds[line]
        return self._block[start:end].decode()

    def shown(self, line: int) -> str:
        """A line for people; bytes that its encoding does not have are shown as such."""
        start, end = self._bounds[line]
        return self._block[start:end].decode("utf-8", "backslashreplace")


class _Cursor:
    """Lines from one on; counts those that were taken, and knows whether more were wanted."""

    def __init__(self, lines: _Text, line: int, undo: str | None) -> None:
        self._lines, self._line, self._undo = lines, line, undo
        self.taken = 0
        self.beyond = False

    def __iter__(self) -> "_Cursor":
        return self

    def __next__(self) -> str:
        line = self._line + self.taken
        if line == len(self._lines):
            self.beyond = True
            raise StopIteration
        self.taken += 1
        read = self._lines[line]
        return dialects.undone(read, self._undo) if self._undo else read


def _table(rows: list[list[str]], names: tuple[str, ...]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))
