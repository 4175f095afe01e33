"""Chunks put aside, so that what came from a database once can be read again.

The file has no name from the beginning: it is nobody else's to read, and gone with the process, however that ends.
"""

import mmap
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa

from etl.sources.rows import Chunk


@dataclass(frozen=True, slots=True)
class _Kept:
    start: int
    length: int
    first: int
    watermark: str | None


class Spool:
    """Chunks of one source, in order. Numbers of rows are consecutive and there are no broken lines.

    Raises:
        OSError: the temporary folder (`TMPDIR`) is full or cannot be written.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="quipu-")  # noqa: SIM115 (closed by close)
        self._kept: list[_Kept] = []
        self._end = 0

    def append(self, chunk: Chunk) -> None:
        """Puts a chunk aside."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(sink, chunk.table.schema, options=options) as writer:
            writer.write_table(chunk.table)
        data = sink.getvalue()
        self._file.write(data)
        self._kept.append(_Kept(self._end, data.size, int(chunk.numbers[0]), chunk.watermark))
        self._end += data.size

    def chunks(self, name: str, size: int) -> Iterator[Chunk]:
        """Everything put aside, at most `size` rows a chunk; a part of a chunk has the watermark before it."""
        if not self._kept:
            return
        self._file.flush()
        mapped = pa.py_buffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        before: str | None = None
        for kept in self._kept:
            with pa.ipc.open_stream(mapped.slice(kept.start, kept.length)) as reader:
                table = reader.read_all()
            for offset in range(0, table.num_rows, size):
                part = table.slice(offset, size)
                first = kept.first + offset
                numbers = np.arange(first, first + part.num_rows, dtype=np.int64)
                whole = offset + part.num_rows == table.num_rows
                yield Chunk(name, part, numbers, watermark=kept.watermark if whole else before)
            before = kept.watermark or before

    def close(self) -> None:
        """Gives the space back."""
        self._file.close()
