"""Columns of plain numbers."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, is_text, mask, noted, nulls
from etl.cleaning.steps import Step
from graph.ids import NULL_WORDS

MAX_AMOUNT = 1e15
"""Largest amount, in hundredths: integers of this size are exact as float64, and their sums as int64."""

_NULL_WORDS = pa.array(sorted(NULL_WORDS))
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class Parsed:
    """Numbers read from a column of n rows.

    Attributes:
        values: n numbers; what stands where `ok` is false has no meaning.
        ok: the value could be read.
        steps: the rows (bool[n]) that cleaning read other than as they stood, by step.
        missing: there was no value. Neither `ok` nor `missing`: there was one, and it could not be read.
    """

    values: NDArray[Any]
    ok: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    steps: dict[Step, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def bad(self) -> NDArray[np.bool_]:
        """There was a value that could not be read."""
        result: NDArray[np.bool_] = ~self.ok & ~self.missing
        return result


def numbers(array: pa.Array) -> Parsed:
    """Float64 values. Text that is not a plain decimal number is bad; NaN and infinity are bad too."""
    kind = array.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        missing = nulls(array)
        whole = pc.cast(array, pa.int8()) if pa.types.is_boolean(kind) else array
        values = pc.cast(whole, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    elif pa.types.is_temporal(kind):
        missing = nulls(array)
        values = np.full(len(array), np.nan)
    else:
        text = as_text(array)
        missing = no_text(text)
        readable = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, pa.scalar(None, pa.string()))
        values = pc.cast(readable, pa.float64()).to_numpy(zero_copy_only=False)
    return Parsed(values, np.isfinite(values) & ~missing, missing)


def optional_numbers(array: pa.Array) -> Parsed:
    """As `numbers`, of a column that need not have a value: NaN and words for nothing (`NA`, `null`) are missing."""
    parsed = numbers(array)
    if not parsed.bad.any():
        return parsed
    if is_text(array):
        spelled = parsed.bad & mask(pc.is_in(pc.utf8_lower(as_text(array)), value_set=_NULL_WORDS))
        return Parsed(parsed.values, parsed.ok, parsed.missing | spelled, noted({Step.NULL_LIKE: spelled}))
    return Parsed(parsed.values, parsed.ok, parsed.missing | (is_number(array) & np.isnan(parsed.values)))


def no_text(text: pa.Array) -> NDArray[np.bool_]:
    """Null or empty. Spelled-out nulls (`nan`) in a column of numbers are values that cannot be read."""
    result: NDArray[np.bool_] = pc.fill_null(pc.equal(text, ""), True).to_numpy(zero_copy_only=False)
    return result


def hundredths(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Currency units to integer hundredths, halves to even; finite amounts up to `MAX_AMOUNT` hundredths."""
    result: NDArray[np.int64] = np.rint(amounts * 100.0).astype(np.int64)
    return result


def is_number(array: pa.Array) -> bool:
    """Whether a column came as numbers."""
    kind = array.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
