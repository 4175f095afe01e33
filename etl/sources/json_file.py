"""JSON: one object a line, or one array of objects. Values keep their types; nested ones stay JSON text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from etl.sources import text
from etl.sources.rechunking import Piece
from etl.sources.rows import BrokenLine
from etl.sources.values import ColumnTypes
from graph.errors import InputError

_PIECE_ROWS = 20_000
_ELEMENT_CHARACTERS = 64 << 20
_BLANK = " \t\r\n"
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """What a whole file was found to hold.

    Attributes:
        array: one array of objects, rather than one object a line.
        columns: every key of any object, in order of appearance.
        types: types of their values, by key.
        rows: objects, and lines that should be some.
    """

    encoding: text.Encoding
    array: bool
    columns: tuple[str, ...]
    types: dict[str, set[type]]
    rows: int


def recognise(path: Path, encoding_name: str | None) -> JsonFormat:
    """Reads a file once, since any object may have a key that none before it has.

    Raises:
        InputError: it is empty, holds no object, or is no JSON.
        One of compressed.READ_ERRORS: it cannot be read.
    """
    encoding = text.recognise(path, encoding_name)
    beginning = next((block.lstrip() for block in text.blocks(path, encoding) if block.strip()), b"")
    if not beginning:
        raise InputError(f"{path} is empty", hint="a file without rows should not be named")
    array = beginning.startswith(b"[")
    types: dict[str, set[type]] = {}
    rows = objects = 0
    for value in _values(path, encoding, array=array):
        rows += 1
        if isinstance(value, dict):
            objects += 1
            for key, inner in value.items():
                types.setdefault(key, set()).add(_type(inner))
    if rows and not objects:
        raise InputError(
            f"{path} holds no JSON object that stands in one line",
            hint="write one object a line, or one array of objects",
        )
    return JsonFormat(encoding, array, tuple(types), types, rows)


def _type(value: Any) -> type:
    """Numbers too large for 64 bits are text."""
    return str if type(value) is int and not -(2**63) <= value < 2**63 else type(value)


def pieces(path: Path, how: JsonFormat) -> Iterator[Piece]:
    """The objects in order, numbered from 1; what is no object is a broken line. Blank lines are not counted.

    Raises:
        InputError, or one of compressed.READ_ERRORS: the file cannot be read to its end.
    """
    columns = ColumnTypes(how.columns, how.types)
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []
    broken: list[BrokenLine] = []
    number = 0

    def piece() -> Piece:
        rows = [[value.get(name) for name in how.columns] for value in objects]
        return Piece(columns.table(rows), np.array(numbers, dtype=np.int64), broken)

    for number, value in enumerate(_values(path, how.encoding, array=how.array), 1):
        if isinstance(value, dict):
            objects.append(value)
            numbers.append(number)
        else:
            broken.append(BrokenLine(number, value if isinstance(value, str) else json.dumps(value)))
        if len(objects) + len(broken) >= _PIECE_ROWS:
            yield piece()
            objects, numbers, broken = [], [], []
    if objects or broken:
        yield piece()


def _values(path: Path, encoding: text.Encoding, *, array: bool) -> Iterator[Any]:
    """Objects; of anything else its text."""
    return _elements(path, encoding) if array else _lines(path, encoding)


def _lines(path: Path, encoding: text.Encoding) -> Iterator[dict[str, Any] | str]:
    for block in text.blocks(path, encoding):
        for line in block.split(b"\n"):
            if line.strip():
                yield _object(line)


def _object(line: bytes) -> dict[str, Any] | str:
    try:
        value = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _lenient(line)
    return value if isinstance(value, dict) else line.decode("utf-8", "backslashreplace").strip()


def _lenient(line: bytes) -> Any:
    """Python writes NaN and Infinity, which JSON does not have."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _elements(path: Path, encoding: text.Encoding) -> Iterator[Any]:
    """The elements of an array that may be larger than memory."""
    decoder = json.JSONDecoder()
    blocks = text.blocks(path, encoding)
    rest, place, number = "", 0, 0
    opened = ended = False
    for block in blocks:
        rest, place = rest[place:] + block.decode("utf-8", "backslashreplace"), 0
        while True:
            while place < len(rest) and rest[place] in (_BLANK + "," if opened else _BLANK):
                place += 1
            if place == len(rest) or ended:
                break
            if not opened:
                opened, place = True, place + 1  # the bracket by which the array was told
                continue
            if rest[place] == "]":
                ended, place = True, place + 1
                continue
            try:
                value, place = decoder.raw_decode(rest, place)
            except (ValueError, RecursionError) as error:
                if len(rest) - place > _ELEMENT_CHARACTERS:
                    raise _no_array(path, number) from error
                break  # it goes on in the next block
            number += 1
            yield value
    if not ended:
        raise _no_array(path, number)


def _no_array(path: Path, number: int) -> InputError:
    return InputError(
        f"{path} cannot be read: after element {number} of its array comes what is no JSON, or the array never ends",
        hint="is the file complete? one object a line (.jsonl) loses only the broken ones",
    )
