"""How values are spelled otherwise, or spoiled: from some clean rows to the damaged texts of a column."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning import MAX_TEXT

Texts = NDArray[np.object_]
"""Texts of n rows; None is a missing value."""
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_INVISIBLE = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u00ad")
_SPANISH = {"Jan": "ene", "Apr": "abr", "Aug": "ago", "Sep": "set", "Dec": "dic"}
_MONTH = re.compile("|".join(_SPANISH))
_BLANKS = ((" ", ""), ("", "  "), ("\t", ""), ("  ", " "), ("\u00a0", ""), ("", "\u3000"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some clean rows to damage: typed, as text, and the stream of chance to damage them by."""

    table: pa.Table
    texts: pa.Table
    rng: np.random.Generator

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, rows: Ints) -> "Rows":
        """Only these."""
        return Rows(self.table.take(pa.array(rows)), self.texts.take(pa.array(rows)), self.rng)

    def text(self, column: str) -> Texts:
        """A column as it was written before."""
        result: Texts = self.texts[column].to_numpy().astype(object)
        return result

    def times(self, column: str) -> Ints:
        """A column of times, in microseconds since 1970; 0 where missing."""
        result: Ints = pc.fill_null(self.table[column].cast(pa.int64()), 0).to_numpy()
        return result

    def cents(self) -> Ints:
        """Amounts in hundredths; 0 where missing."""
        units = pc.fill_null(self.table["amount"].cast(pa.float64()), 0.0).to_numpy()
        result: Ints = np.rint(units * 100).astype(np.int64)
        return result

    def matches(self, column: str, pattern: str) -> Flags:
        """Where a column's text has this pattern."""
        result: Flags = pc.fill_null(pc.match_substring_regex(self.texts[column], pattern), False).to_numpy()
        return result

    def one_of(self, options: tuple[str | None, ...]) -> Texts:
        """One of these for each row."""
        return np.array(options, dtype=object)[self.rng.integers(0, len(options), len(self))]


Spell = Callable[[Rows, str], Texts]
Fits = Callable[[Rows, str], Flags]


def constant(*options: str | None) -> Spell:
    return lambda rows, _column: rows.one_of(options)


def mapped(*forms: Callable[[str], str]) -> Spell:
    """One of these forms of the text, a row."""

    def spell(rows: Rows, column: str) -> Texts:
        chosen = rows.rng.integers(0, len(forms), len(rows)).tolist()
        return array([forms[form](text) for form, text in zip(chosen, rows.text(column).tolist(), strict=True)])

    return spell


def array(texts: list[str] | list[str | None]) -> Texts:
    result = np.empty(len(texts), dtype=object)
    result[:] = texts
    return result


def around(rows: Rows, column: str) -> Texts:
    places = rows.rng.integers(0, len(_BLANKS), len(rows)).tolist()
    return array([_BLANKS[p][0] + t + _BLANKS[p][1] for p, t in zip(places, rows.text(column).tolist(), strict=True)])


def invisible(rows: Rows, column: str) -> Texts:
    texts = rows.text(column).tolist()
    places = (rows.rng.random(len(rows)) * [len(text) + 1 for text in texts]).astype(np.int64).tolist()
    signs = rows.one_of(_INVISIBLE).tolist()
    return array([t[:p] + sign + t[p:] for t, p, sign in zip(texts, places, signs, strict=True)])


def huge(rows: Rows, column: str) -> Texts:
    lengths = rows.rng.integers(2 * MAX_TEXT, 4 * MAX_TEXT, len(rows)).tolist()  # still too long without separators
    return array([(f"{t}x" * n)[:n] for t, n in zip(rows.text(column).tolist(), lengths, strict=True)])


# Times


def time_forms(*forms: tuple[str, float]) -> Spell:
    """One of these forms (of strftime; hours to add before) of a time."""

    def spell(rows: Rows, column: str) -> Texts:
        chosen = rows.rng.integers(0, len(forms), len(rows))
        result = np.empty(len(rows), dtype=object)
        seconds = rows.times(column) // 1_000_000
        for number, (form, hours) in enumerate(forms):
            here = chosen == number
            local = pa.array(seconds[here] + int(hours * 3_600)).cast(pa.timestamp("s"))
            result[here] = pc.strftime(local, format=form).to_numpy(zero_copy_only=False)
        return result

    return spell


def in_spanish(spell: Spell) -> Spell:
    """The same with the months' names in Spanish."""

    def translated(rows: Rows, column: str) -> Texts:
        return array([_MONTH.sub(lambda found: _SPANISH[found[0]], text) for text in spell(rows, column).tolist()])

    return translated


def whole_seconds(rows: Rows, column: str) -> Flags:
    result: Flags = rows.times(column) % 1_000_000 == 0
    return result


def after_the_twelfth(rows: Rows, column: str) -> Flags:
    """Day-first dates that cannot be read month-first."""
    days: Ints = pc.day(pa.array(rows.times(column)).view(pa.timestamp("us"))).to_numpy()
    return whole_seconds(rows, column) & (days > 12)


def epoch(units: int) -> Spell:
    return lambda rows, column: array([str(t) for t in (rows.times(column) // units).tolist()])


def moved(low: int, high: int) -> Spell:
    """Some years away, in the form of before."""

    def spell(rows: Rows, column: str) -> Texts:
        years = rows.rng.integers(low, high, len(rows)).tolist()
        # Through February the 28th at most, which every year has.
        return array(
            [
                f"{int(t[:4]) + y}{t[4:].replace('-02-29', '-02-28')}"
                for t, y in zip(rows.text(column).tolist(), years, strict=True)
            ]
        )

    return spell


# Amounts


def units(cents: int, group: str, point: str) -> str:
    whole, rest = divmod(abs(cents), 100)
    return ("-" if cents < 0 else "") + f"{whole:,}".replace(",", group) + f"{point}{rest:02d}"


def amounts(*forms: Callable[[int, str, str], str]) -> Spell:
    """One of these forms of (hundredths, currency's sign, currency's code)."""

    def spell(rows: Rows, _column: str) -> Texts:
        chosen = rows.rng.integers(0, len(forms), len(rows)).tolist()
        codes = rows.texts["currency"].to_pylist() if "currency" in rows.texts.column_names else [None] * len(rows)
        return array(
            [
                forms[form](cents, _SIGNS.get(code or "", ""), code or "")
                for form, cents, code in zip(chosen, rows.cents().tolist(), codes, strict=True)
            ]
        )

    return spell


WITH_SIGN = amounts(
    lambda c, sign, _: f"{sign} {units(c, ',', '.')}",
    lambda c, sign, _: f"{sign}{units(c, '', '.')}",
    lambda c, sign, _: f"{sign}{units(c, ',', '.')}",
    lambda c, sign, _: f"{units(c, ',', '.')} {sign}",
)
WITH_CODE = amounts(
    lambda c, _, code: f"{units(c, '', '.')} {code}",
    lambda c, _, code: f"{code} {units(c, ',', '.')}",
    lambda c, _, code: f"{units(c, '.', ',')} {code.lower()}",
)
_SIGNS = {"PEN": "S/", "USD": "US$", "EUR": "€", "GBP": "£", "BRL": "R$"}


def signed_currency(rows: Rows, _column: str) -> Flags:
    """Amounts not below zero in a currency that has a sign of its own."""
    if "currency" not in rows.texts.column_names:
        return np.zeros(len(rows), np.bool_)
    known: Flags = np.isin(rows.text("currency").astype(str), list(_SIGNS))
    return known & not_negative(rows, "amount")


def not_negative(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() >= 0
    return result


def bought(rows: Rows, _column: str) -> Flags:
    """Amounts above zero, of a type where the rows have types."""
    result: Flags = rows.cents() > 0
    if "transaction_type" in rows.texts.column_names:
        result &= rows.texts["transaction_type"].is_valid().to_numpy()
    return result


def thousands(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() >= 100_000
    return result


def below_zero(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() < 0
    return result


def text_is(value: str) -> Fits:
    return lambda rows, column: rows.text(column) == value


def not_refund(rows: Rows, _column: str) -> Flags:
    """A refund's type is told by its amount as well, so nothing that happens to it is lost."""
    return not_negative(rows, "amount")


def octets(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def in_hexadecimal(text: str) -> str:
    a, b, c, d = octets(text)
    return f"::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}"


def version_4(rows: Rows, column: str) -> Flags:
    return rows.matches(column, r"^\d{1,3}(\.\d{1,3}){3}$")


def hyphened(text: str, sign: str) -> str:
    """Another separator: in the place of hyphens, or after every fourth character where there are none."""
    return text.replace("-", sign) if "-" in text else sign.join(text[i : i + 4] for i in range(0, len(text), 4))
