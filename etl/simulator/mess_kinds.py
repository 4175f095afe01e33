"""The ways in which rows are damaged: what a value becomes, in which rows that can happen, and its fate."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning import MAX_TEXT
from etl.reasons import Reason

Texts = NDArray[np.object_]
"""Texts of n rows; None is a missing value."""
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_ZERO_IDS = ("00000000-0000-0000-0000-000000000000", "00000000", "0000000000000000", "00:00:00:00:00:00:00:00")
_NULL_LIKE = ("null", "NULL", "None", "unknown", "N/A", "undefined", "-", "(null)", "nan")
_NO_VALUE = ("null", "NULL", "None", "N/A", "nan")
_NOTHING = (None, "", "   ")
_INVISIBLE = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u00ad")
_BLANKS = ((" ", ""), ("", "  "), ("\t", ""), ("  ", " "))
_LIMA_HOURS = -5


class Fate(StrEnum):
    """What must become of a damaged value, or of its row.

    REPAIRED: the graph holds what it would without the damage. LOST: the value is missing, the rest of the row is
    loaded. QUARANTINED: the row is refused, under the reason that stands beside. DUPLICATE: the row adds nothing.
    """

    REPAIRED = "repaired"
    LOST = "lost"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"


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


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to damage a value.

    Attributes:
        name: a stable code.
        columns: columns that it can happen to.
        fate, reason: what is owed to it.
        spell: the damaged texts of a column of some rows.
        weight: how often it happens beside the others, in the rows that it fits: large where these are few.
        fits: rows that it can happen to, among those that have a value; all where None.
        beside: another column that changes with it, and what that one becomes: the two are one damage.
    """

    name: str
    columns: tuple[str, ...]
    fate: Fate
    spell: Spell
    reason: Reason | None = None
    weight: float = 1.0
    fits: Fits | None = None
    beside: tuple[str, Spell] | None = None


def _constant(*options: str | None) -> Spell:
    return lambda rows, _column: rows.one_of(options)


def _mapped(*forms: Callable[[str], str]) -> Spell:
    """One of these forms of the text, a row."""

    def spell(rows: Rows, column: str) -> Texts:
        chosen = rows.rng.integers(0, len(forms), len(rows)).tolist()
        return _array([forms[form](text) for form, text in zip(chosen, rows.text(column).tolist(), strict=True)])

    return spell


def _array(texts: list[str] | list[str | None]) -> Texts:
    result = np.empty(len(texts), dtype=object)
    result[:] = texts
    return result


def _around(rows: Rows, column: str) -> Texts:
    places = rows.rng.integers(0, len(_BLANKS), len(rows)).tolist()
    return _array([_BLANKS[p][0] + t + _BLANKS[p][1] for p, t in zip(places, rows.text(column).tolist(), strict=True)])


def _invisible(rows: Rows, column: str) -> Texts:
    texts = rows.text(column).tolist()
    places = (rows.rng.random(len(rows)) * [len(text) + 1 for text in texts]).astype(np.int64).tolist()
    signs = rows.one_of(_INVISIBLE).tolist()
    return _array([t[:p] + sign + t[p:] for t, p, sign in zip(texts, places, signs, strict=True)])


def _huge(rows: Rows, column: str) -> Texts:
    lengths = rows.rng.integers(2 * MAX_TEXT, 4 * MAX_TEXT, len(rows)).tolist()  # still too long without separators
    return _array([(f"{t}x" * n)[:n] for t, n in zip(rows.text(column).tolist(), lengths, strict=True)])


# Times


def _time_forms(*forms: tuple[str, float]) -> Spell:
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


def _whole_seconds(rows: Rows, column: str) -> Flags:
    result: Flags = rows.times(column) % 1_000_000 == 0
    return result


def _after_the_twelfth(rows: Rows, column: str) -> Flags:
    """Day-first dates that cannot be read month-first."""
    days: Ints = pc.day(pa.array(rows.times(column)).view(pa.timestamp("us"))).to_numpy()
    return _whole_seconds(rows, column) & (days > 12)


def _epoch(units: int) -> Spell:
    return lambda rows, column: _array([str(t) for t in (rows.times(column) // units).tolist()])


def _moved(low: int, high: int) -> Spell:
    """Some years away, in the form of before."""

    def spell(rows: Rows, column: str) -> Texts:
        years = rows.rng.integers(low, high, len(rows)).tolist()
        # Through February the 28th at most, which every year has.
        return _array(
            [
                f"{int(t[:4]) + y}{t[4:].replace('-02-29', '-02-28')}"
                for t, y in zip(rows.text(column).tolist(), years, strict=True)
            ]
        )

    return spell


_TIMES = ("occurred_at", "account_created_at")
_UNREADABLE_TIMES = (
    "yesterday", "########", "0000-00-00 00:00:00", "2025-13-45T10:00:00Z", "2025-02-30T10:00:00Z",
    "2025-03-04T27:61:00Z", "31/31/2025 10:00:00", "#VALUE!", "soon",
)  # fmt: skip

# Amounts


def _units(cents: int, group: str, point: str) -> str:
    whole, rest = divmod(abs(cents), 100)
    return ("-" if cents < 0 else "") + f"{whole:,}".replace(",", group) + f"{point}{rest:02d}"


def _amounts(*forms: Callable[[int, str, str], str]) -> Spell:
    """One of these forms of (hundredths, currency's sign, currency's code)."""

    def spell(rows: Rows, _column: str) -> Texts:
        chosen = rows.rng.integers(0, len(forms), len(rows)).tolist()
        codes = rows.texts["currency"].to_pylist() if "currency" in rows.texts.column_names else [None] * len(rows)
        return _array(
            [
                forms[form](cents, _SIGNS.get(code or "", ""), code or "")
                for form, cents, code in zip(chosen, rows.cents().tolist(), codes, strict=True)
            ]
        )

    return spell


_WITH_SIGN = _amounts(
    lambda c, sign, _: f"{sign} {_units(c, ',', '.')}",
    lambda c, sign, _: f"{sign}{_units(c, '', '.')}",
    lambda c, sign, _: f"{sign}{_units(c, ',', '.')}",
    lambda c, sign, _: f"{_units(c, ',', '.')} {sign}",
)
_WITH_CODE = _amounts(
    lambda c, _, code: f"{_units(c, '', '.')} {code}",
    lambda c, _, code: f"{code} {_units(c, ',', '.')}",
    lambda c, _, code: f"{_units(c, '.', ',')} {code.lower()}",
)
_SIGNS = {"PEN": "S/", "USD": "US$", "EUR": "€", "GBP": "£", "BRL": "R$"}


def _signed_currency(rows: Rows, _column: str) -> Flags:
    """Amounts not below zero in a currency that has a sign of its own."""
    if "currency" not in rows.texts.column_names:
        return np.zeros(len(rows), np.bool_)
    known: Flags = np.isin(rows.text("currency").astype(str), list(_SIGNS))
    return known & _not_negative(rows, "amount")


def _not_negative(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() >= 0
    return result


def _positive(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() > 0
    return result


def _thousands(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() >= 100_000
    return result


def _below_zero(rows: Rows, _column: str) -> Flags:
    result: Flags = rows.cents() < 0
    return result


def _text_is(value: str) -> Fits:
    return lambda rows, column: rows.text(column) == value


def _not_refund(rows: Rows, _column: str) -> Flags:
    """A refund's type is told by its amount as well, so nothing that happens to it is lost."""
    return _not_negative(rows, "amount")


def _octets(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def _in_hexadecimal(text: str) -> str:
    a, b, c, d = _octets(text)
    return f"::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}"


def _version_4(rows: Rows, column: str) -> Flags:
    return rows.matches(column, r"^\d{1,3}(\.\d{1,3}){3}$")


def _hyphened(text: str, sign: str) -> str:
    """Another separator: in the place of hyphens, or after every fourth character where there are none."""
    return text.replace("-", sign) if "-" in text else sign.join(text[i : i + 4] for i in range(0, len(text), 4))


_IDS = ("transaction_id", "user_id")
_CATEGORIES = ("payment_method", "transaction_type", "city")
_REPAIRED, _LOST, _REFUSED = Fate.REPAIRED, Fate.LOST, Fate.QUARANTINED

KINDS = (
    Kind("blanks", (*_IDS, "occurred_at", "restaurant_id", "device_id", "ip", "amount", "currency", *_CATEGORIES),
         _REPAIRED, _around, weight=5),
    # Times
    Kind("time_offset", _TIMES, _REPAIRED, _time_forms(
        ("%Y-%m-%dT%H:%M:%S-05:00", _LIMA_HOURS), ("%Y-%m-%d %H:%M:%S+02:00", 2), ("%Y-%m-%dT%H:%M:%S+05:30", 5.5),
        ("%Y-%m-%d %H:%M:%S -0500", _LIMA_HOURS), ("%Y-%m-%dT%H:%M:%S+09", 9),
    ), weight=3, fits=_whole_seconds),
    Kind("time_without_zone", _TIMES, _REPAIRED, _time_forms(
        ("%Y-%m-%d %H:%M:%S", 0), ("%Y-%m-%dT%H:%M:%S", 0), ("%Y/%m/%d %H:%M:%S", 0), ("%Y-%m-%d %H:%M:%S UTC", 0),
    ), weight=3, fits=_whole_seconds),
    Kind("time_compact", _TIMES, _REPAIRED, _time_forms(("%Y%m%dT%H%M%SZ", 0), ("%Y%m%d%H%M%S", 0)),
         fits=_whole_seconds),
    Kind("time_in_words", _TIMES, _REPAIRED, _time_forms(
        ("%a, %d %b %Y %H:%M:%S GMT", 0), ("%d %b %Y %H:%M:%S", 0), ("%d-%b-%Y %H:%M:%S", 0),
        ("%b %d, %Y %I:%M:%S %p", 0), ("%a, %d %b %Y %H:%M:%S -0500", _LIMA_HOURS),
    ), weight=2, fits=_whole_seconds),
    Kind("time_month_first", _TIMES, _REPAIRED,
         _time_forms(("%m/%d/%Y %H:%M:%S", 0), ("%m/%d/%Y %I:%M:%S %p", 0)), weight=2, fits=_whole_seconds),
    Kind("time_day_first", _TIMES, _REPAIRED,
         _time_forms(("%d/%m/%Y %H:%M:%S", 0), ("%d-%m-%Y %H:%M:%S", 0), ("%d.%m.%Y %H:%M:%S", 0)),
         weight=2, fits=_after_the_twelfth),
    Kind("time_epoch_seconds", _TIMES, _REPAIRED, _epoch(1_000_000), fits=_whole_seconds),
    Kind("time_epoch_milliseconds", _TIMES, _REPAIRED, _epoch(1_000), fits=_whole_seconds),
    Kind("time_future", ("occurred_at",), _REFUSED, _moved(20, 60), Reason.FUTURE_TIME, weight=2),
    Kind("time_ancient", ("occurred_at",), _REFUSED,
         _constant("1970-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "1899-12-30 00:00:00", "1969-12-31T19:00:00-05:00"),
         Reason.ANCIENT_TIME),
    Kind("time_unreadable", ("occurred_at",), _REFUSED, _constant(*_UNREADABLE_TIMES), Reason.BAD_TIME, weight=2),
    Kind("time_missing", ("occurred_at",), _REFUSED, _constant(*_NOTHING), Reason.MISSING_TIME),
    Kind("time_unreadable", ("account_created_at",), _LOST, _constant(*_UNREADABLE_TIMES)),
    Kind("time_missing", ("account_created_at",), _LOST, _constant(*_NOTHING)),
    # Amounts
    Kind("amount_sign", ("amount",), _REPAIRED, _WITH_SIGN, weight=3, fits=_signed_currency),
    Kind("amount_code", ("amount",), _REPAIRED, _WITH_CODE, weight=3, fits=_signed_currency),
    Kind("amount_decimal_comma", ("amount",), _REPAIRED,
         _amounts(lambda c, *_: _units(c, "", ","), lambda c, *_: _units(c, ".", ",")), weight=3),
    Kind("amount_grouped", ("amount",), _REPAIRED,
         _amounts(*(lambda c, *_, group=group: _units(c, group, ".") for group in (",", " ", "\u00a0", "'"))),
         weight=15, fits=_thousands),
    Kind("amount_accounting", ("amount",), _REPAIRED, _amounts(
        lambda c, *_: f"({_units(-c, '', '.')})", lambda c, *_: f"({_units(-c, ',', '.')})",
        lambda c, *_: f"\u2212{_units(-c, '', '.')}", lambda c, *_: f"{_units(-c, '', '.')}-",
    ), weight=30, fits=_below_zero),
    Kind("amount_negative", ("amount",), _REFUSED, _amounts(
        lambda c, *_: f"({_units(c, '', '.')})", lambda c, *_: f"-{_units(c, '', '.')}",
        lambda c, *_: f"-{_units(c, ',', '.')}",
    ), Reason.NEGATIVE_AMOUNT, weight=2, fits=_positive),
    Kind("amount_missing", ("amount",), _REFUSED, _constant(*_NOTHING, *_NO_VALUE), Reason.MISSING_AMOUNT, weight=1.5),
    Kind("amount_absurd", ("amount",), _REFUSED, _constant("99999999999999.99", "1e16", "9" * 30), Reason.BAD_AMOUNT),
    Kind("amount_text", ("amount",), _REFUSED,
         _constant("gratis", "doce", "abc", "12.50.30", "#REF!", "inf", "S/", "12..5"), Reason.BAD_AMOUNT,
         weight=1.5),
    # Currencies
    Kind("currency_case", ("currency",), _REPAIRED, _mapped(str.lower, str.capitalize), weight=1.5),
    Kind("currency_name", ("currency",), _REPAIRED, _constant("soles", "Nuevos Soles", "sol", "S/", "S/."),
         weight=1.5, fits=_text_is("PEN")),
    Kind("currency_name", ("currency",), _REPAIRED, _constant("dollars", "US Dollar", "US$", "dólares"),
         weight=1.5, fits=_text_is("USD")),
    Kind("currency_unknown", ("currency",), _REFUSED, _constant("XQZ", "credits", "??", "¤", "P3N"),
         Reason.UNKNOWN_CURRENCY),
    # Without a currency an amount cannot be converted; "$" is the sign of several.
    Kind("currency_missing", ("currency",), _REFUSED, _constant(*_NOTHING, *_NO_VALUE, "$"), Reason.UNKNOWN_CURRENCY),
    Kind("currency_in_amount", ("currency",), _REPAIRED, _constant(*_NOTHING), weight=1.5, fits=_signed_currency,
         beside=("amount", _WITH_CODE)),
    # Identifiers
    Kind("device_case", ("device_id",), _REPAIRED, _mapped(str.swapcase, str.upper, str.title), weight=2),
    Kind("device_separators", ("device_id",), _REPAIRED, _mapped(
        lambda t: t.replace("-", ""), lambda t: _hyphened(t, ":"), lambda t: _hyphened(t, "_"),
        lambda t: _hyphened(t, " "), lambda t: "{" + t + "}", lambda t: _hyphened(t, "-"),
    ), weight=3),
    Kind("device_invisible", ("device_id",), _REPAIRED, _invisible, weight=2),
    Kind("device_null_like", ("device_id",), _LOST, _constant(*_NULL_LIKE, *_ZERO_IDS, *_NOTHING), weight=4),
    Kind("address_leading_zeros", ("ip",), _REPAIRED,
         _mapped(lambda t: ".".join(f"{part:03d}" for part in _octets(t))), weight=1.5, fits=_version_4),
    Kind("address_in_version_6", ("ip",), _REPAIRED,
         _mapped(lambda t: f"::ffff:{t}", lambda t: f"::FFFF:{t}", _in_hexadecimal), weight=2, fits=_version_4),
    Kind("address_port", ("ip",), _REPAIRED, _mapped(lambda t: f"{t}:443", lambda t: f"{t}:51820"), weight=1.5,
         fits=_version_4),
    Kind("address_malformed", ("ip",), _LOST, _mapped(
        lambda t: f"{t}.7", lambda t: t.rpartition(".")[0] + ".999", lambda t: t.rpartition(".")[0],
        lambda t: t.replace(".", "..", 1),
    ), weight=2, fits=_version_4),
    Kind("address_null_like", ("ip",), _LOST, _constant("0.0.0.0", "::", *_NULL_LIKE, *_NOTHING), weight=2),  # noqa: S104
    Kind("restaurant_null_like", ("restaurant_id",), _LOST, _constant(*_NULL_LIKE, *_NOTHING)),
    Kind("id_missing", ("transaction_id",), _REFUSED, _constant(*_NOTHING, *_NULL_LIKE), Reason.MISSING_TRANSACTION_ID),
    Kind("id_missing", ("user_id",), _REFUSED, _constant(*_NOTHING, *_NULL_LIKE, *_ZERO_IDS), Reason.MISSING_USER),
    Kind("huge_text", (*_IDS, "restaurant_id", "device_id"), _REFUSED, _huge, Reason.ID_TOO_LONG),
    # Categories
    Kind("huge_text", ("payment_method", "city"), _REFUSED, _huge, Reason.TEXT_TOO_LONG, weight=0.5),
    Kind("category_null_like", ("payment_method", "city"), _LOST, _constant(*_NO_VALUE, *_NOTHING), weight=2),
    Kind("category_null_like", ("transaction_type",), _LOST, _constant(*_NO_VALUE, *_NOTHING), fits=_not_refund),
)  # fmt: skip
"""Every way to damage a value in its place; rows are damaged as wholes in `etl.simulator.mess`."""
