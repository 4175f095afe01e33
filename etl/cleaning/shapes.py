"""Text by its shape: the same characters in the same places, but for the digits.

A column of times or amounts has millions of texts and few shapes. What a shape means is found once, in Python; the
digits of all its rows are then read at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.ids import HIDDEN

_ZERO, _NINE = ord("0"), ord("9")
EXACT_DIGITS = 18
"""Numbers of so many digits fit into int64."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """Rows of one shape.

    Attributes:
        shape: their text, with 0 for every digit.
        rows: int64[n], where they stand in the column, ascending.
        content: uint8[n, bytes], their UTF-8.
    """

    shape: str
    rows: NDArray[np.int64]
    content: NDArray[np.uint8]

    def number(self, places: Sequence[int]) -> NDArray[np.int64]:
        """The numbers that the digits at these places make (zero without any; at most `EXACT_DIGITS`)."""
        result: NDArray[np.int64] = np.zeros(len(self.rows), dtype=np.int64)
        for place in places:
            result = result * 10 + (self.content[:, place] - _ZERO)
        return result

    def fraction(self, places: Sequence[int], digits: int) -> NDArray[np.int64]:
        """The digits behind a decimal sign as a number of so many digits, the rest cut off."""
        kept = places[:digits]
        result: NDArray[np.int64] = self.number(kept) * 10 ** (digits - len(kept))
        return result

    def part(self, rows: NDArray[np.bool_]) -> "Shaped":
        """Some of the rows."""
        return Shaped(self.shape, self.rows[rows], self.content[rows])


def by_shape(text: pa.Array, rows: NDArray[np.bool_]) -> Iterator[Shaped]:
    """These rows of a column of text (none of them null), one shape after the other."""
    places = np.flatnonzero(rows)
    if not len(places):
        return
    chosen = pa.concat_arrays([text.take(pa.array(places))])
    _, offsets, data = chosen.buffers()
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    plain = np.where((content >= _ZERO) & (content <= _NINE), np.uint8(_ZERO), content)
    shapes = pc.dictionary_encode(pa.StringArray.from_buffers(len(chosen), offsets, pa.py_buffer(plain)))
    codes = shapes.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.frombuffer(offsets, dtype=np.int32)[: len(chosen)]
    ends = np.searchsorted(codes[order], np.arange(len(shapes.dictionary)), side="right")
    begin = 0
    for shape, end in zip(shapes.dictionary.to_pylist(), ends.tolist(), strict=True):
        here = order[begin:end]
        width = len(shape.encode())
        yield Shaped(shape, places[here], content[starts[here][:, None] + np.arange(width)])
        begin = end


@dataclass(frozen=True, slots=True)
class Spelled:
    """Text without what means nothing, and from which byte of the original each of its characters comes."""

    text: str
    places: tuple[int, ...]

    def digits(self, span: tuple[int, int]) -> list[int]:
        """The places of the digits in a part of the text."""
        return [self.places[i] for i in range(*span) if "0" <= self.text[i] <= "9"]

    def cut(self, start: int, end: int) -> "Spelled":
        """A part of the text."""
        return Spelled(self.text[start:end], self.places[start:end])

    def without(self, characters: str) -> "Spelled":
        """The text without these characters."""
        kept = [i for i, character in enumerate(self.text) if character not in characters]
        return Spelled("".join(self.text[i] for i in kept), tuple(self.places[i] for i in kept))

    def trimmed(self) -> "Spelled":
        """The text without blanks at its ends, and with one where there are several."""
        kept = [i for i, c in enumerate(self.text) if c != " " or (i > 0 and self.text[i - 1] != " ")]
        if kept and self.text[kept[-1]] == " ":
            kept.pop()
        return Spelled("".join(self.text[i] for i in kept), tuple(self.places[i] for i in kept))


def spelled(shape: str) -> Spelled:
    """A shape as people see it: without invisible characters, with plain blanks and minus signs."""
    characters: list[str] = []
    places: list[int] = []
    place = 0
    for character in shape:
        form = HIDDEN.get(ord(character), character)
        if form is not None:
            characters.append("-" if form in "−–" else form)
            places.append(place)
        place += len(character.encode())
    return Spelled("".join(characters), tuple(places)).trimmed()
