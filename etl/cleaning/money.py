"""Columns of amounts of money."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, mask, noted, nulls
from etl.cleaning.money_text import DecimalSign, MoneyForm, money_form, read_amount
from etl.cleaning.numeric import MAX_AMOUNT, is_number
from etl.cleaning.shapes import EXACT_DIGITS, Shaped, by_shape
from etl.cleaning.steps import Step
from etl.mapping import AmountColumn
from graph.ids import NO_CATEGORY

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
    scale, n = _SCALE[how.unit], len(array)
    if is_number(array):
        return _typed(array, scale)
    text = as_text(array)
    null_like = mask(pc.is_in(pc.utf8_lower(text), value_set=pa.array(_NONE)))
    missing = nulls(text) | null_like
    signed, ok, other_form = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    codes = np.zeros(n, dtype=np.int32)
    names: list[str | None] = [None]
    for shaped in by_shape(text, ~missing):
        for form, part in _forms(shaped, how.decimal):
            if form.exponent or len(form.whole) + scale > EXACT_DIGITS:
                values, readable = _one_by_one(text.take(pa.array(part.rows)), how.decimal, scale)
            else:
                values, readable = _shifted(part, form, scale)
            signed[part.rows], ok[part.rows], other_form[part.rows] = values, readable, not form.plain
            if form.currency is not None:
                if form.currency not in names:
                    names.append(form.currency)
                codes[part.rows] = names.index(form.currency)
    currency = pa.array(names, pa.string()).take(pa.array(np.where(ok, codes, 0)))
    steps = {Step.AMOUNT_FORM: other_form & ok, Step.NULL_LIKE: null_like & mask(pc.not_equal(text, ""))}
    return Amounts(np.abs(signed), ok, missing, signed < 0, currency, noted(steps))


def _forms(shaped: Shaped, decimal: DecimalSign) -> Iterator[tuple[MoneyForm, Shaped]]:
    """The forms of a shape, with its rows: an amount that begins with a zero is never grouped behind it."""
    place = shaped.shape.encode().find(b"0")
    forms = money_form(shaped.shape, decimal, leading_zero=False), money_form(shaped.shape, decimal, leading_zero=True)
    if forms[0] == forms[1]:
        if forms[0] is not None:
            yield forms[0], shaped
        return
    zero = shaped.content[:, place] == ord("0")
    for form, rows in zip(forms, (~zero, zero), strict=True):
        if form is not None and rows.any():
            yield form, shaped.part(rows)


def _one_by_one(text: pa.Array, decimal: DecimalSign, scale: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """As `_shifted`, of numbers that int64 may not hold."""
    encoded = pc.dictionary_encode(text)
    amounts_read = [read_amount(value, decimal) for value in encoded.dictionary.to_pylist()]
    exact = [None if amount is None else _rounded(amount, scale) for amount in amounts_read]
    codes = encoded.indices.to_numpy()
    found = np.array([value or 0 for value in exact], dtype=np.int64)
    return found[codes], np.array([value is not None for value in exact], dtype=np.bool_)[codes]


def _shifted(shaped: Shaped, form: MoneyForm, scale: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Signed hundredths of rows of one form, exact, halves to even; and which of them are not absurdly large."""
    result = shaped.number(form.whole) * 10**scale + shaped.fraction(form.fraction, scale)
    rest = form.fraction[scale:]
    if rest:
        first, more = shaped.number(rest[:1]), (shaped.content[:, list(rest[1:])] != ord("0")).any(axis=1)
        result += (first > 5) | ((first == 5) & (more | (result % 2 == 1)))
    return (-result if form.negative else result), result <= MAX_AMOUNT


def _typed(array: pa.Array, scale: int) -> Amounts:
    """Amounts of a typed column.

    A float is near enough to tell to which hundredth the decimal that it stands for is nearest, except close to
    the middle of two: there its shortest decimal form decides, as it would in text.
    """
    values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    missing = nulls(array)
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = values * 10.0**scale
        ok = ~missing & (np.abs(shifted) <= MAX_AMOUNT)
    shifted = np.where(ok, shifted, 0.0)
    signed = np.rint(shifted).astype(np.int64)
    doubtful = np.abs(np.abs(shifted - np.floor(shifted)) - 0.5) <= np.abs(shifted) * 5e-16 + 1e-12
    if doubtful.any():
        written = pc.cast(array.filter(pa.array(doubtful)), pa.string())
        exact = [_rounded(Decimal(text), scale) or 0 for text in written.to_pylist()]
        signed[doubtful] = np.array(exact, dtype=np.int64)
    return Amounts(np.abs(signed), ok, missing, signed < 0, pa.nulls(len(array), pa.string()), {})


def _rounded(value: Decimal, scale: int) -> int | None:
    """Hundredths, halves to even; None where there are absurdly many."""
    shifted = value.scaleb(scale)
    return int(shifted.to_integral_value(ROUND_HALF_EVEN)) if abs(shifted) <= MAX_AMOUNT else None
