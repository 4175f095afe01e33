"""Exchange rates by day."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, column_of, mask, nulls
from etl.cleaning.currency import currencies
from etl.cleaning.moments import times
from etl.cleaning.money_text import read_amount
from etl.cleaning.numeric import MAX_AMOUNT, Parsed, is_number, numbers
from etl.mapping import Mapping, Source, TimeColumn
from etl.sources import Rows, open_rows
from graph.errors import InputError
from graph.records import SECOND

_DAY = 86_400 * SECOND
_HINT = "a file of rates has a line for each day and currency: date, currency, rate (units of the base for one)"


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of one base currency for one unit of others, by day.

    Attributes:
        base: the ISO 4217 code of the base; None where nothing is to be converted.
        days, rates: by currency, days since 1970 (UTC, ascending) and the rate that holds from each on.
    """

    base: str | None
    days: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    rates: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def read(cls, mapping: Mapping) -> "Rates":
        """Reads the files that the mapping names; without `currencies` in it, nothing is converted.

        Raises:
            InputError: a file is missing or damaged, lacks a column, holds a date, currency or rate that cannot be
                read, or two rates for one day; the message names file and row.
        """
        how = mapping.currencies
        if how is None:
            return cls(None)
        found: dict[tuple[str, int], tuple[float, str]] = {}
        for rows in open_rows(Source(files=how.rates), mapping.folder):
            _collect(rows, how.base, found)
        days: dict[str, list[int]] = {}
        rates: dict[str, list[float]] = {}
        for (code, day), (rate, _) in sorted(found.items()):
            days.setdefault(code, []).append(day)
            rates.setdefault(code, []).append(rate)
        return cls(
            how.base,
            {code: np.array(values, dtype=np.int64) for code, values in days.items()},
            {code: np.array(values, dtype=np.float64) for code, values in rates.items()},
        )

    def convert(
        self, hundredths: NDArray[np.int64], codes: pa.Array, occurred_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Amounts in the base currency.

        Args:
            hundredths: int64[n].
            codes: n ISO 4217 codes.
            occurred_us: int64[n], microseconds UTC; the latest rate dated at or before that day holds.

        Returns:
            The amounts (hundredths, halves to even; as they were where there is no rate), the rows that were
            converted, and those for which there is no rate, or no code.
        """
        n = len(hundredths)
        result, converted = hundredths.copy(), np.zeros(n, dtype=np.bool_)
        if self.base is None:
            return result, converted, np.zeros(n, dtype=np.bool_)
        missing = nulls(codes)
        for code in pc.unique(codes.drop_null()).to_pylist():
            if code == self.base:
                continue
            here = mask(pc.equal(codes, code))
            days = self.days.get(code, np.empty(0, dtype=np.int64))
            latest = np.searchsorted(days, occurred_us[here] // _DAY, side="right") - 1
            dated = np.flatnonzero(here)[latest >= 0]
            if len(dated):
                exchanged = hundredths[dated] * self.rates[code][latest[latest >= 0]]
                result[dated] = np.rint(np.clip(exchanged, -2 * MAX_AMOUNT, 2 * MAX_AMOUNT)).astype(np.int64)
            converted[dated] = True
            missing |= here & ~converted
        return result, converted, missing


def _collect(rows: Rows, base: str, found: dict[tuple[str, int], tuple[float, str]]) -> None:
    """Adds the rates of one file by currency and day, each with the place where it stands."""
    name = Path(rows.name).name
    columns = {column.strip().lower(): column for column in rows.columns}
    lacking = [column for column in ("date", "currency", "rate") if column not in columns]
    if lacking:
        has = ", ".join(rows.columns) or "none"
        raise InputError(f"rates: {name} has no column {', '.join(lacking)}; its columns are {has}", hint=_HINT)
    for chunk in rows.chunks():
        if chunk.broken:
            place = f"{name}, row {chunk.broken[0].number}"
            raise InputError(f"rates: {place}: it has another number of fields than the header", hint=_HINT)
        dates = column_of(chunk.table, columns["date"])
        codes = column_of(chunk.table, columns["currency"])
        values = column_of(chunk.table, columns["rate"])
        dated, coded, rated = times(dates, TimeColumn(column="date")), currencies(codes), _rates(values)
        numbers_of_rows = chunk.numbers.tolist()
        for column, array, bad in (
            ("date", dates, ~dated.ok),
            ("currency", codes, nulls(coded.values)),
            ("rate", values, ~rated.ok | (rated.values <= 0)),
        ):
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                value = as_text(array)[row].as_py()
                raise InputError(f"rates: {name}, row {numbers_of_rows[row]}: {column} {value!r} is none", hint=_HINT)
        days = (dated.values // _DAY).tolist()
        for code, day, rate, number in zip(
            coded.values.to_pylist(), days, rated.values.tolist(), numbers_of_rows, strict=True
        ):
            place = f"{name}, row {number}"
            before = found.setdefault((code, day), (rate, place))
            if before[0] != rate:
                raise InputError(f"rates: {place}: {before[1]} has another rate for {code} on that day", hint=_HINT)
            if code == base and rate != 1:
                raise InputError(f"rates: {place}: the base {base} is worth {rate} of itself", hint=_HINT)


def _rates(array: pa.Array) -> Parsed:
    """Rates, with a decimal comma too."""
    if is_number(array):
        return numbers(array)
    read = [None if text is None else read_amount(text) for text in as_text(array).to_pylist()]
    return numbers(pa.array([None if value is None else float(value) for value in read], pa.float64()))
