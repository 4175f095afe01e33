"""Which lines of a block of CSV are plain rows, seen for all of them at once.

What counts is a line's own bytes, never its neighbours or where a block happens to end.
"""

import codecs
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from etl.sources.dialect import Dialect

_LF, _CR, _BACKSLASH = 10, 13, 92


class Kind(IntEnum):
    """What a line is, taken for the beginning of a record."""

    ROW = 0
    """A record of the header's width, in a form that all CSV readers agree on."""
    BLANK = 1
    BROKEN = 2
    """Without quotes, and of another width."""
    UNSURE = 3
    """To be looked at closely: odd quotes, a record of several lines, bytes of another encoding."""
    CONTINUED = 4
    """Belongs to the record before."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a block: where they begin, where the next one does, and what they are."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int8]


def survey(block: bytes, dialect: Dialect, width: int, *, valid: bool) -> Lines:
    """Sorts the lines of a block that begins where a line does; `valid` where it is known to be UTF-8."""
    data = np.frombuffer(block, np.uint8)
    breaks = np.flatnonzero(data == _LF)
    ends = breaks + 1
    if data[-1] != _LF:
        breaks, ends = np.append(breaks, len(data)), np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    kinds = np.full(len(starts), Kind.ROW, np.int8)
    delimiters = np.flatnonzero(data == ord(dialect.delimiter)) if ord(dialect.delimiter) < 128 else None
    if delimiters is None or ord(dialect.quote) > 127:
        kinds[:] = Kind.UNSURE  # signs of several bytes
        return Lines(starts, ends, kinds)
    quotes = np.flatnonzero(data == ord(dialect.quote))
    unsure = np.zeros(len(starts), np.bool_)
    returns = np.flatnonzero(data == _CR)
    if len(returns):
        lone = returns[(returns + 1 >= len(data)) | (data[np.minimum(returns + 1, len(data) - 1)] != _LF)]
        unsure[np.searchsorted(ends, lone, side="right")] = True
    if len(quotes):
        odd, inside = _quoted(data, starts, ends, quotes, delimiters)
        unsure |= odd
        delimiters = delimiters[~inside]
    counts = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts)
    kinds[counts != width - 1] = Kind.BROKEN
    if len(quotes):
        # Of a quoted line that seems too short or too long, the closer look has the last word.
        quoted = np.searchsorted(quotes, ends) > np.searchsorted(quotes, starts)
        unsure |= quoted & (kinds == Kind.BROKEN)
    kinds[unsure if valid else unsure | _undecodable(block, ends)] = Kind.UNSURE
    stops = breaks - ((breaks > starts) & (data[np.maximum(breaks - 1, 0)] == _CR))
    kinds[stops == starts] = Kind.BLANK
    return Lines(starts, ends, kinds)


def _quoted(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    quotes: NDArray[np.int64],
    delimiters: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which lines have quotes that do not simply enclose fields, and which delimiters stand inside quotes."""
    number = np.arange(len(starts))
    sign = data[quotes[0]]
    before_line = np.searchsorted(quotes, starts)
    many = np.searchsorted(quotes, ends) - before_line
    line = np.repeat(number, many)
    opens = (np.arange(len(quotes)) - np.repeat(before_line, many)) % 2 == 0
    previous, following = data[np.maximum(quotes - 1, 0)], data[np.minimum(quotes + 1, len(data) - 1)]
    if quotes[0] == 0:
        previous[0] = _LF
    if quotes[-1] == len(data) - 1:
        following[-1] = _LF
    delimiter = data[delimiters[0]] if len(delimiters) else _LF
    fits = np.where(
        opens,
        (previous == delimiter) | (previous == _LF) | (previous == sign),
        (following == delimiter) | (following == _LF) | (following == _CR) | (following == sign),
    )
    odd = many % 2 == 1
    odd[line[~fits | (previous == _BACKSLASH)]] = True
    parity = np.bitwise_xor.accumulate((data == sign).view(np.uint8))
    separated = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts)
    inside = parity[delimiters] != np.repeat(before_line & 1, separated)
    return odd, inside


def _undecodable(block: bytes, ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Lines that are no UTF-8."""
    bad = np.zeros(len(ends), np.bool_)
    rest, offset = memoryview(block), 0
    while offset < len(block):
        try:
            codecs.utf_8_decode(rest[offset:], "strict", True)
        except UnicodeDecodeError as error:
            line = int(np.searchsorted(ends, offset + error.start, side="right"))
            bad[line] = True
            offset = int(ends[line])
        else:
            break
    return bad
