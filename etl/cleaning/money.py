"""Columns of amounts of money."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, mask, matches, noted, nulls
from etl.cleaning.money_text import read_money
from etl.cleaning.numeric import MAX_AMOUNT, is_number
from etl.mapping import AmountColumn
from etl.steps import Step
from graph.ids import NO_CATEGORY

_PLAIN = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_GROUPED_BY_DOTS = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$"
_NONE = sorted(NO_CATEGORY - {"nan"})  # which is a number that went wrong, as it is in a typed column
_SCALE = {"units": 2, "cents": 0}


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts read from a column of n rows.

    Attributes:
        values: int64[n], hundredths, never negative; meaningless where `ok` is false.
        ok: the amount could be read, and is not absurdly large (`MAX_AMOUNT`).
        missing: there was none. Neither `ok` nor `missing`: there was one that could not be read.
        negative: it is below zero: with a minus sign before or behind it, or in parentheses.
        currency: the ISO 4217 codes that stood with the amounts; null where none did, or an ambiguous sign (`$`).
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
    """Amounts as integer hundredths: exact, and where there are more decimals, halves to even.

    Text may be grouped (`1,234.50`, `1.234,50`, `1 234,50`, `1,23,456.00`), carry a currency before or behind it
    (`S/ 12`, `12 PEN`), and be negative by a sign on either side or by parentheses. Each value is read by itself:
    of two kinds of separators the last is the decimal sign; a single comma before exactly three digits groups
    (`1,234`), and so does a single point where a currency stands with it (`S/ 1.234`). Without one, `1.234` is a
    number as computers write it, and means what it would mean in a typed column. `how.decimal` decides both.
    """
    n, scale = len(array), _SCALE[how.unit]
    currency = pa.nulls(n, pa.string())
    if is_number(array):
        written = pc.cast(array, pa.string())
        values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        missing = nulls(array)
        signed, ok = _hundredths(np.where(missing, np.nan, values), written, scale)
        return Amounts(np.abs(signed), ok, missing, signed < 0, currency, {})
    text = as_text(array)
    null_like = mask(pc.is_in(pc.utf8_lower(text), value_set=pa.array(_NONE)))
    missing = nulls(text) | null_like
    plain = matches(text, _PLAIN)
    if how.decimal == ",":
        plain &= ~matches(text, _GROUPED_BY_DOTS)
    other = ~plain & ~missing
    written = pc.if_else(pa.array(plain), text, pa.scalar(None, pa.string()))
    if other.any():
        money = read_money(text.filter(pa.array(other)), how.decimal)
        written = pc.replace_with_mask(written, pa.array(other), money.written)
        currency = pc.replace_with_mask(currency, pa.array(other), money.currency)
    values = pc.cast(written, pa.float64()).to_numpy(zero_copy_only=False)
    signed, ok = _hundredths(values, written, scale)
    steps = {Step.AMOUNT_FORM: other & ok, Step.NULL_LIKE: null_like & mask(pc.not_equal(text, ""))}
    return Amounts(np.abs(signed), ok, missing, signed < 0, currency, noted(steps))


def _hundredths(
    values: NDArray[np.float64], written: pa.Array, scale: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Signed hundredths of amounts whose decimals are shifted by `scale`, and which of them are finite and possible.

    A float is near enough to tell to which hundredth the decimal that it stands for is nearest, except close to
    the middle of two: there the written form decides, exactly.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = values * 10.0**scale
        ok = np.abs(shifted) <= MAX_AMOUNT
    shifted = np.where(ok, shifted, 0.0)
    result = np.rint(shifted).astype(np.int64)
    error = np.abs(shifted) * 5e-16 + 1e-12
    doubtful = np.abs(np.abs(shifted - np.floor(shifted)) - 0.5) <= error
    if doubtful.any():
        encoded = pc.dictionary_encode(written.filter(pa.array(doubtful)))
        exact = [_rounded(text, scale) for text in encoded.dictionary.to_pylist()]
        result[doubtful] = np.array(exact, dtype=np.int64)[encoded.indices.to_numpy()]
    return result, ok


def _rounded(written: str, scale: int) -> int:
    return int(Decimal(written).scaleb(scale).to_integral_value(ROUND_HALF_EVEN))
