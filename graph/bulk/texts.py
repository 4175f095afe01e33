"""Values as the import tool reads them, a column at a time: date-times, byte arrays, ids, numbers."""

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.errors import InputError
from graph.neo4j_names import bounded

LONGEST = 1_000
"""Bytes of an id that is always short enough for an index; see `graph.neo4j_names.bounded`."""
_HASHED = "… sha256:"
_YEAR_0, _YEAR_10000 = -62_167_219_200_000_000, 253_402_300_800_000_000


def moments(at: NDArray[np.int64], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Times (microseconds UTC) as ISO 8601 text.

    Raises:
        InputError: a time is outside the years 0 to 9999.
    """
    there = at if missing is None else at[~missing]
    if there.size and (there.min() < _YEAR_0 or there.max() >= _YEAR_10000):
        raise InputError("a time outside the years 0 to 9999 cannot be imported", hint="use quipu graph copy")
    texts = pa.array(at, pa.int64(), mask=missing).cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(texts, 10, 11, "T"), "Z", "")


@cache
def _bytes() -> pa.Array:
    return pa.array([str(value) for value in range(-128, 128)])


def fixed_blobs(matrix: NDArray[Any]) -> pa.Array:
    """The bytes of each row of a matrix as text: signed numbers with semicolons between them."""
    width = matrix.shape[1] * matrix.itemsize
    flat = np.ascontiguousarray(matrix).view(np.int8).ravel() if width else np.zeros(0, dtype=np.int8)
    return _joined(flat, np.arange(len(matrix) + 1, dtype=np.int64) * width)


def blobs(values: list[bytes]) -> pa.Array:
    """The bytes of each value as text, likewise."""
    flat = np.frombuffer(b"".join(values), dtype=np.int8)
    return _joined(flat, np.concatenate(([0], np.cumsum(list(map(len, values)), dtype=np.int64))).astype(np.int64))


def _joined(flat: NDArray[np.int8], offsets: NDArray[np.int64]) -> pa.Array:
    texts = _bytes().take(pa.array(flat.astype(np.int16) + 128))
    return pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets), texts), ";")


def ids(texts: list[str]) -> tuple[pa.Array, pa.Array]:
    """Ids as an index can hold them, and the whole of those that were shortened (else null).

    Raises:
        UnicodeEncodeError: a text has a lone surrogate.
    """
    whole = pa.array(texts, pa.string())
    odd = pc.or_(pc.greater(pc.binary_length(whole), LONGEST), pc.match_substring(whole, _HASHED))
    if not pc.any(odd).as_py():
        return whole, pa.nulls(len(texts), pa.string())
    short = [bounded(text) if is_odd else text for text, is_odd in zip(texts, odd.to_pylist(), strict=True)]
    long_ids = [None if a == b else b for a, b in zip(short, texts, strict=True)]
    return pa.array(short, pa.string()), pa.array(long_ids, pa.string())


def numbers(values: NDArray[np.float64]) -> pa.Array:
    """Numbers as text that reads back to the same, null for NaN."""
    texts = pa.array(values, pa.float64(), from_pandas=True).cast(pa.string())
    if not np.isinf(values).any():
        return texts
    return pc.replace_substring(texts, "inf", "Infinity")
