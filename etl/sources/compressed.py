"""Bytes of files that may be compressed, which their first bytes tell, not their names."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa

from graph.errors import InputError

SUFFIXES = {".gz", ".bz2", ".xz", ".zst", ".zip"}
READ_ERRORS = (
    OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
    pa.ArrowException,
)  # fmt: skip
"""What reading damaged, truncated or encrypted files raises, by kind of compression."""
_MAGIC = {
    b"\x1f\x8b": "gz",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
_LONGEST_MAGIC = 10


class Readable(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def compression(path: Path) -> str | None:
    """How a file is compressed: gz, bz2, xz, zst or zip, or None.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST_MAGIC)
    if start[:3] == b"BZh" and start[4:] == b"1AY&SY":
        return "bz2"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """The file's bytes, decompressed.

    Raises:
        InputError: it is an archive of several files.
        One of READ_ERRORS: it cannot be read, then or later.
    """
    match compression(path):
        case "gz":
            with gzip.open(path) as file:
                yield file
        case "bz2":
            with bz2.open(path) as file:
                yield file
        case "xz":
            with lzma.open(path) as file:
                yield file
        case "zst":
            with pa.CompressedInputStream(str(path), "zstd") as stream:
                yield stream
        case "zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only(path, archive)) as member:
                yield member
        case _:
            with path.open("rb") as file:
                yield file


def inner_suffix(path: Path) -> str:
    """The suffix of what a file holds: `.csv` of `a.csv`, of `a.csv.gz`, and of `a.zip` with `b.csv` in it."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return suffix
    inner = Path(path.stem).suffix.lower()
    if not inner and suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                return PurePosixPath(_only(path, archive)).suffix.lower()
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} cannot be read: {error}", hint="is the file complete?") from error
    return inner


def _only(path: Path, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if not _beside(PurePosixPath(name)) and not name.endswith("/")]
    if len(names) != 1:
        raise InputError(
            f"{path} holds {len(names)} files", hint="unpack it, and name the folder: an archive is read with one in it"
        )
    return names[0]


def _beside(name: PurePosixPath) -> bool:
    """What archivers put in of their own."""
    return "__MACOSX" in name.parts or name.name.startswith(".")
