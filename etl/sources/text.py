"""Text of files in UTF-8, whatever they were written in, in blocks of whole lines."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etl.sources.compressed import Readable, opened
from graph.errors import InputError

BLOCK_BYTES = 4 << 20
_LINE_BYTES = 64 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDECODABLE = "\udcff"
"""Stands where bytes are none of the encoding's: in UTF-8 it is not valid, so that its line is found again."""

codecs.register_error("quipu-mark", lambda error: (_UNDECODABLE, getattr(error, "end", 0)))


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's bytes become text.

    Attributes:
        name: the encoding. A byte order mark decides before what was asked for.
        named: somebody named it: then lines with other bytes stay undecodable. Where nobody did, it is UTF-8, and
            those lines that are not are taken for Windows-1252.
    """

    name: str
    named: bool


def recognise(path: Path, named: str | None) -> Encoding:
    """The encoding of a file.

    Raises:
        InputError: there is no encoding of this name.
        One of compressed.READ_ERRORS: the file cannot be read.
    """
    with opened(path) as file:
        start = file.read(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return Encoding(name, named=name != "utf-8" or named is not None)
    if named is None:
        return Encoding("utf-8", named=False)
    try:
        known = codecs.lookup(named)
        "".encode(named)
    except LookupError as error:
        raise InputError(
            f"there is no encoding {named!r}", hint="common are utf-8, utf-16, latin-1, cp1252; or leave it out"
        ) from error
    return Encoding(known.name, named=True)


def blocks(path: Path, encoding: Encoding, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """A file as UTF-8 without byte order mark, in blocks of about `size` bytes that end where a line does.

    Every line is valid UTF-8 but those with bytes that an encoding that was named does not have.

    Raises:
        InputError: a line is absurdly long.
        One of compressed.READ_ERRORS: the file cannot be read.
    """
    rest = b""
    mac: bool | None = None
    with opened(path) as file:
        for raw in _utf8(file, encoding, size):
            if mac is None:
                mac = b"\n" not in raw and b"\r" in raw[:-1]
            block = rest + (raw.replace(b"\r", b"\n") if mac else raw)
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if len(rest) > _LINE_BYTES:
                raise InputError(f"{path} has a line of more than {_LINE_BYTES >> 20} MiB", hint="is it a text file?")
            if end:
                yield block[:end] if encoding.named else mended(block[:end])
    if rest:
        yield rest if encoding.named else mended(rest)


def _utf8(file: Readable, encoding: Encoding, size: int) -> Iterator[bytes]:
    first = True
    decoder = codecs.getincrementaldecoder(encoding.name)("quipu-mark")
    while True:
        raw = file.read(size)
        if encoding.name != "utf-8":
            raw_text = decoder.decode(raw, final=not raw)
            data = raw_text.encode("utf-8", "surrogatepass")
        else:
            data = raw
        if first and data:
            data, first = data.removeprefix(codecs.BOM_UTF8), False
        if data:
            yield bytes(data)
        if not raw:
            return


def mended(block: bytes) -> bytes:
    """A block with those lines that are no UTF-8 taken for Windows-1252."""
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        return b"".join(map(_mended_line, block.splitlines(keepends=True)))
    return block


def _mended_line(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return western(line).encode()
    return line


def western(line: bytes) -> str:
    """A line as Windows-1252; where it has bytes that this leaves free, as Latin-1, which leaves none."""
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")
