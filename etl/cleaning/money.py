"""Columns of amounts of money."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cleaning.numeric import MAX_AMOUNT, hundredths, numbers
from etl.mapping import AmountColumn
from etl.steps import Step


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts read from a column of n rows.

    Attributes:
        values: int64[n], hundredths, never negative; meaningless where `ok` is false.
        ok: the amount could be read, and is not absurdly large.
        missing: there was none. Neither `ok` nor `missing`: there was one that could not be read.
        negative: it stood with a minus sign, or in parentheses.
        currency: the ISO 4217 codes that stood with the amounts; null where none did.
        steps: the rows (bool[n]) that cleaning read other than as they stood, by step.
    """

    values: NDArray[np.int64]
    ok: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    currency: pa.Array
    steps: dict[Step, NDArray[np.bool_]]

    @property
    def bad(self) -> NDArray[np.bool_]:
        """There was an amount that could not be read."""
        result: NDArray[np.bool_] = ~self.ok & ~self.missing
        return result


def amounts(array: pa.Array, how: AmountColumn) -> Amounts:
    """Amounts as integer hundredths, halves to even."""
    parsed = numbers(array)
    scale = 0.01 if how.unit == "cents" else 1.0
    units = np.where(parsed.ok, parsed.values, 0.0) * scale
    ok = parsed.ok & (np.abs(units) <= MAX_AMOUNT / 100)
    values = np.abs(hundredths(np.where(ok, units, 0.0)))
    return Amounts(values, ok, parsed.missing, ok & (units < 0), pa.nulls(len(array), pa.string()), {})
