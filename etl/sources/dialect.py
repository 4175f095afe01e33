"""How a CSV file is written, recognised from its beginning."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from etl.mapping import Csv

DELIMITERS = (",", ";", "\t", "|")
_LINES = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """A CSV file's signs.

    Attributes:
        delimiter, quote: one character each.
        backslash: a quote sign inside quotes has a backslash before it, rather than being doubled. Both are read; this
            is what is tried first where a line can be read either way.
    """

    delimiter: str
    quote: str
    backslash: bool

    def reader(self, lines: Iterable[str], *, blanks: bool = False, strict: bool = True) -> Iterator[list[str]]:
        """Records of lines; `blanks` before a field's quotes are left out. Quotes in quotes are doubled."""
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=strict, skipinitialspace=blanks)


def recognise(beginning: str, given: Csv, preferred: str = ",") -> Dialect:
    """The dialect of a file.

    The delimiter is the one that gives most lines as many fields as the first, and then the one that gives most
    fields; `preferred` where there is none.
    """
    lines = [line for line in beginning.splitlines(keepends=True)[:_LINES] if line.strip()]
    quote = given.quote or _quote(lines)
    delimiter = given.delimiter
    if delimiter is None:
        order = sorted(DELIMITERS, key=lambda sign: sign != preferred)
        delimiter = max(order, key=lambda sign: _fit(lines, Dialect(sign, quote, backslash=False)))
    doubled = Dialect(delimiter, quote, backslash=False)
    if "\\" + quote not in beginning:
        return doubled
    plain = [undone(line, quote) for line in lines]
    return Dialect(delimiter, quote, backslash=_fit(plain, doubled) > _fit(lines, doubled))


def undone(line: str, quote: str) -> str:
    """A line with quotes after a backslash doubled instead."""
    return re.sub(
        r"\\(.)", lambda found: quote * 2 if found[1] == quote else "\\" if found[1] == "\\" else found[0], line
    )


def _fit(lines: Sequence[str], dialect: Dialect) -> tuple[float, int]:
    """Share of records with the width of the first one, and that width; nothing fits a single column."""
    try:
        widths = [len(row) for row in dialect.reader(lines, blanks=True, strict=False)]
    except csv.Error:
        return 0.0, 0
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(lines), widths[0]


def _quote(lines: Sequence[str]) -> str:
    """The sign that fields stand in: an apostrophe only where those that begin a field nearly always end it, too."""
    text = "".join(lines)
    signs = "".join(map(re.escape, DELIMITERS))
    begun = len(re.findall(rf"(?:^|[{signs}])'", text, re.M))
    whole = len(re.findall(rf"(?:^|[{signs}])'(?:[^'\n]|'')*'(?=[{signs}\r]|$)", text, re.M))
    doubled = re.search(rf'(?:^|[{signs}])"', text, re.M)
    return "'" if whole >= 2 and whole >= 0.9 * begun and not doubled else '"'
