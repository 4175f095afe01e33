"""Checked rows between the two passes of a load, so that nothing is read and checked twice.

A small source stays in memory; the rest lies in a temporary file without a name, which is nobody else's to read and
gone with the process, however that ends.
"""

import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from etl.contract.checked import CheckedRows
from graph.errors import StoreError

_IN_MEMORY = 96 << 20


class KeptRows:
    """Batches of checked rows, to be read again in the order in which they were put aside."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._batches: list[CheckedRows] = []
        self._room = in_memory
        self._file: IO[bytes] | None = None
        self._on_disk = 0

    def append(self, checked: CheckedRows) -> None:
        """Puts a batch aside.

        Raises:
            StoreError: the folder of temporary files is full.
        """
        self._room -= checked.nbytes
        if self._file is None and self._room >= 0:
            self._batches.append(checked)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="quipu-")  # noqa: SIM115 (closed by close)
            _Pickler(self._file, protocol=5).dump(checked)
            self._on_disk += 1
        except OSError as error:
            raise StoreError(
                f"checked rows cannot be put aside: {error.strerror}; nothing was changed",
                hint="make room in the folder of temporary files, or set TMPDIR to another",
            ) from error

    def __iter__(self) -> Iterator[CheckedRows]:
        yield from self._batches
        if self._file is not None:
            self._file.seek(0)
            for _ in range(self._on_disk):
                checked: CheckedRows = pickle.load(self._file)  # noqa: S301 (our own file, which has no name)
                yield checked

    def close(self) -> None:
        """Gives memory and disk back."""
        self._batches.clear()
        if self._file is not None:
            self._file.close()


class _Pickler(pickle.Pickler):
    """Tables as Arrow writes them: of a slice only its own rows, and compressed."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, pa.Table):
            return NotImplemented
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(sink, value.schema, options=options) as writer:
            writer.write_table(value)
        return _table, (pickle.PickleBuffer(sink.getvalue()),)


def _table(data: Any) -> pa.Table:
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_all()
