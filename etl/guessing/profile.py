"""What the values of a sample's columns look like: numbers, times, identifiers, categories, money."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl import cleaning
from etl.guessing.names import ColumnName, column_name
from etl.guessing.time_readings import TimeReading, read_times
from etl.mapping import AmountColumn

_IP = r"^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}(\d{1,3}(\.\d{1,3}){3})?)$"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_HEX = r"^\{?([0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,128})\}?$"
_MONEY = r"[$€£¥₹₽₱₩]\s*[-(]?\d|^\s*-?(S/\.?|[A-Z]{3})\s*-?\d|\d\s*([A-Z]{3}|[$€£¥₹₽₱₩])$"
_CURRENCY = r"^([A-Za-z]{3}|S/\.?|US\$|[$€£¥₹])$"
_CODE = r"^0\d+$"
_COORDINATES = r"^\(?-?\d{1,3}\.\d+\s*[,;]\s*-?\d{1,3}\.\d+\)?$"
_COMMA = r"\d,\d{1,2}$"
_METHOD = (
    r"(?i)^(visa|master ?card|amex|american express|discover|paypal|(credit|debit)([ _-]?card)?|cash|efectivo|yape|"
    r"plin|tarjeta.*|bank[ _-]?transfer|wallet|apple ?pay|google ?pay|upi|ach|wire)$"
)
_LOOKED_AT = 5_000
MANY = 50
"""As many different values as a column may have to be listed value by value."""


@dataclass(frozen=True)
class Column:
    """One column of a sample of n rows.

    Attributes:
        name: what its name says.
        text: its values as trimmed text; null where there is none.
        array: its values as the source has them.
        numbers: float64[n]; NaN where there is no number.
        number_share: of the values that are there, the share that are plain numbers.
        time: how its values can be read as times; None if they are none.
    """

    name: ColumnName
    array: pa.Array
    text: pa.Array
    numbers: NDArray[np.float64]
    number_share: float
    time: TimeReading | None
    _uniques: pa.Array = field(repr=False)

    @property
    def rows(self) -> int:
        """How many rows the sample has."""
        return len(self.array)

    @cached_property
    def there(self) -> NDArray[np.bool_]:
        """Where there is a value."""
        return ~cleaning.nulls(self.text)

    @cached_property
    def filled(self) -> float:
        """Share of rows with a value."""
        return float(self.there.mean()) if self.rows else 0.0

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(self._uniques)

    @cached_property
    def uniqueness(self) -> float:
        """Different values over values: 1 where none repeats."""
        return self.distinct / max(1, int(self.there.sum()))

    @property
    def constant(self) -> bool:
        """It says the same of every row, of enough rows to believe it."""
        return self.distinct == 0 or (self.distinct == 1 and self.rows >= 20 and self.filled > 0.999)

    @property
    def numeric(self) -> bool:
        """It holds numbers."""
        return self.number_share >= 0.9 and self.distinct > 0

    @cached_property
    def whole(self) -> bool:
        """All its numbers are whole."""
        known = self.numbers[np.isfinite(self.numbers)]
        return self.numeric and bool((known == np.floor(known)).all())

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each value occurs, the most frequent first; empty where there are more than `MANY`."""
        if self.distinct > MANY:
            return {}
        pairs = ((str(p["values"]), int(p["counts"])) for p in pc.value_counts(self.text.drop_null()).to_pylist())
        return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def top_share(self) -> float:
        """The share of the most frequent value among all."""
        if not self.distinct:
            return 0.0
        return float(pc.max(pc.value_counts(self.text.drop_null()).field("counts")).as_py()) / int(self.there.sum())

    @cached_property
    def code(self) -> bool:
        """Some of its numbers begin with zeros, as codes do and quantities don't."""
        return self.share(_CODE) > 0

    @property
    def two_valued(self) -> bool:
        """It has two different values (or, in a small sample, one)."""
        return 1 <= self.distinct <= 2

    @property
    def nested(self) -> bool:
        """It holds lists or records."""
        return bool(pa.types.is_nested(self.array.type))

    @cached_property
    def looks_like_ip(self) -> float:
        """Share of different values in the form of an IP address."""
        return self.share(_IP) if not self.numeric else 0.0

    @cached_property
    def looks_like_email(self) -> float:
        """Share of different values in the form of an e-mail address."""
        return self.share(_EMAIL)

    @cached_property
    def looks_like_hash(self) -> float:
        """Share of different values that are UUIDs or long hexadecimal numbers."""
        return self.share(_HEX)

    @cached_property
    def looks_like_currency(self) -> float:
        """Share of different values that could be a currency's code or sign."""
        return self.share(_CURRENCY)

    @cached_property
    def looks_like_coordinates(self) -> float:
        """Share of different values that are pairs of latitude and longitude."""
        return self.share(_COORDINATES)

    @cached_property
    def looks_like_method(self) -> float:
        """Share of different values that are ways to pay: brands of cards, cash, wallets."""
        return self.share(_METHOD) if not self.numeric else 0.0

    @cached_property
    def has_money_signs(self) -> float:
        """Share of different values with a currency beside the number."""
        return self.share(_MONEY) if not self.numeric else 0.0

    @cached_property
    def decimal_comma(self) -> bool:
        """Its numbers have a decimal comma."""
        return not self.numeric and self.share(_COMMA) > 0.5

    @cached_property
    def two_decimals(self) -> float:
        """Share of numbers that are whole hundredths."""
        known = self.numbers[np.isfinite(self.numbers)]
        return float((np.abs(known * 100 - np.rint(known * 100)) < 1e-6).mean()) if len(known) else 0.0

    @cached_property
    def words_a_value(self) -> float:
        """How many words a value has on average."""
        looked = self._uniques.slice(0, _LOOKED_AT)
        if not len(looked):
            return 0.0
        return float(pc.mean(pc.add(pc.count_substring_regex(looked, r"\S\s+\S"), 1)).as_py())

    @cached_property
    def longest(self) -> int:
        """The most characters of a value."""
        return int(pc.max(pc.utf8_length(self._uniques)).as_py() or 0) if self.distinct else 0

    def share(self, pattern: str) -> float:
        """Share of (the first few thousand) different values that match a pattern."""
        looked = self._uniques.slice(0, _LOOKED_AT)
        return float(pc.mean(pc.match_substring_regex(looked, pattern)).as_py()) if len(looked) else 0.0

    def repeats(self, least: int) -> bool:
        """It has enough different values to tell people or things apart, as far as the sample can show."""
        return self.distinct >= min(least, max(1, self.rows // 20))

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """int64[n]: the same number for the same value, -1 where there is none."""
        codes: NDArray[np.int64] = pd.factorize(self.text.to_pandas())[0].astype(np.int64)
        return codes


def profile_columns(table: pa.Table, now: int) -> dict[str, Column]:
    """Looks at every column of a sample.

    Args:
        now: the present, microseconds UTC: what lies after it is no time of anything that happened.
    """
    return {name: profile_column(name, cleaning.column_of(table, name), now) for name in table.column_names if name}


def profile_column(text: str, array: pa.Array, now: int) -> Column:
    """Looks at one column."""
    name = column_name(text)
    values = cleaning.categories(array)
    uniques = values.drop_null().unique()
    parsed = cleaning.optional_numbers(array)
    numbers = np.where(parsed.ok, parsed.values, np.nan)
    share = float(parsed.ok[~parsed.missing].mean()) if not parsed.missing.all() else 0.0
    time = None if pa.types.is_nested(array.type) else read_times(name, array, uniques, numbers, share, now)
    return Column(name, array, values, numbers, share, time, uniques)


def money(column: Column, how: AmountColumn) -> tuple[float, float]:
    """Shares of values that can be read as amounts, and of those that are negative."""
    read = cleaning.amounts(column.array, how)
    there = int((~read.missing).sum())
    return (float(read.ok.sum()) / there, float(read.negative.sum()) / there) if there else (0.0, 0.0)
