"""The ways in which rows are damaged: what a value becomes, in which rows that can happen, and its fate."""

from dataclasses import dataclass
from enum import StrEnum

from etl.contract.reasons import Reason
from etl.simulator.mess.spelling import (
    WITH_CODE,
    WITH_SIGN,
    Fits,
    Spell,
    after_the_twelfth,
    amounts,
    around,
    below_zero,
    bought,
    constant,
    epoch,
    huge,
    hyphened,
    in_hexadecimal,
    in_spanish,
    invisible,
    mapped,
    moved,
    not_refund,
    octets,
    signed_currency,
    text_is,
    thousands,
    time_forms,
    units,
    version_4,
    whole_seconds,
)

_ZERO_IDS = ("00000000-0000-0000-0000-000000000000", "00000000", "0000000000000000", "00:00:00:00:00:00:00:00")
_SHARED_IDS = ("9774d56d682e549c", "02:00:00:00:00:00", "ffffffff-ffff-ffff-ffff-ffffffffffff")
_NULL_LIKE = ("null", "NULL", "None", "unknown", "N/A", "undefined", "-", "(null)", "nan", "desconocido")
_NO_VALUE = ("null", "NULL", "None", "N/A", "nan")
_NOTHING = (None, "", "   ")
_NO_DEVICE = (*_NULL_LIKE, *_ZERO_IDS, *_SHARED_IDS, *_NOTHING)
_LIMA_HOURS = -5
_IDS = ("transaction_id", "user_id")
_CATEGORIES = ("payment_method", "transaction_type", "city")
_TEXTS = (*_IDS, "occurred_at", "restaurant_id", "device_id", "ip", "amount", "currency", *_CATEGORIES)
_TIMES = ("occurred_at", "account_created_at")
_UNREADABLE_TIMES = (
    "yesterday", "########", "0000-00-00 00:00:00", "2025-13-45T10:00:00Z", "2025-02-30T10:00:00Z",
    "2025-03-04T27:61:00Z", "31/31/2025 10:00:00", "#VALUE!", "soon",
)  # fmt: skip


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


_REPAIRED, _LOST, _REFUSED = Fate.REPAIRED, Fate.LOST, Fate.QUARANTINED

KINDS = (
    Kind("blanks", _TEXTS, _REPAIRED, around, weight=5),
    Kind("invisible", _TEXTS, _REPAIRED, invisible, weight=5),
    # Times
    Kind("time_offset", _TIMES, _REPAIRED, time_forms(
        ("%Y-%m-%dT%H:%M:%S-05:00", _LIMA_HOURS), ("%Y-%m-%d %H:%M:%S+02:00", 2), ("%Y-%m-%dT%H:%M:%S+05:30", 5.5),
        ("%Y-%m-%d %H:%M:%S -0500", _LIMA_HOURS), ("%Y-%m-%dT%H:%M:%S+09", 9), ("%Y-%m-%d %H:%M:%S PET", _LIMA_HOURS),
        ("%Y-%m-%dT%H:%M:%S-05:00[America/Lima]", _LIMA_HOURS), ("%Y-%m-%d %H:%M:%S America/Lima", _LIMA_HOURS),
    ), weight=3, fits=whole_seconds),
    Kind("time_without_zone", _TIMES, _REPAIRED, time_forms(
        ("%Y-%m-%d %H:%M:%S", 0), ("%Y-%m-%dT%H:%M:%S", 0), ("%Y/%m/%d %H:%M:%S", 0), ("%Y-%m-%d %H:%M:%S UTC", 0),
    ), weight=3, fits=whole_seconds),
    Kind("time_compact", _TIMES, _REPAIRED, time_forms(("%Y%m%dT%H%M%SZ", 0), ("%Y%m%d%H%M%S", 0)),
         fits=whole_seconds),
    Kind("time_in_words", _TIMES, _REPAIRED, time_forms(
        ("%a, %d %b %Y %H:%M:%S GMT", 0), ("%d %b %Y %H:%M:%S", 0), ("%d-%b-%Y %H:%M:%S", 0),
        ("%b %d, %Y %I:%M:%S %p", 0), ("%a, %d %b %Y %H:%M:%S -0500", _LIMA_HOURS),
        ("%a %b %d %Y %H:%M:%S GMT-0500 (Peru Standard Time)", _LIMA_HOURS),
    ), weight=2, fits=whole_seconds),
    Kind("time_in_spanish", _TIMES, _REPAIRED, in_spanish(time_forms(
        ("%d %b %Y %H:%M:%S", 0), ("%d-%b-%Y %H:%M:%S", 0), ("%d de %b de %Y %H:%M:%S", 0),
    )), weight=1.5, fits=whole_seconds),
    Kind("time_month_first", _TIMES, _REPAIRED,
         time_forms(("%m/%d/%Y %H:%M:%S", 0), ("%m/%d/%Y %I:%M:%S %p", 0)), weight=2, fits=whole_seconds),
    Kind("time_day_first", _TIMES, _REPAIRED,
         time_forms(("%d/%m/%Y %H:%M:%S", 0), ("%d-%m-%Y %H:%M:%S", 0), ("%d.%m.%Y %H:%M:%S", 0)),
         weight=2, fits=after_the_twelfth),
    Kind("time_epoch_seconds", _TIMES, _REPAIRED, epoch(1_000_000), fits=whole_seconds),
    Kind("time_epoch_milliseconds", _TIMES, _REPAIRED, epoch(1_000), fits=whole_seconds),
    Kind("time_epoch_microseconds", _TIMES, _REPAIRED, epoch(1)),
    Kind("time_future", ("occurred_at",), _REFUSED, moved(20, 60), Reason.FUTURE_TIME, weight=2),
    Kind("time_ancient", ("occurred_at",), _REFUSED,
         constant("1970-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "1899-12-30 00:00:00", "1969-12-31T19:00:00-05:00"),
         Reason.ANCIENT_TIME),
    Kind("time_unreadable", ("occurred_at",), _REFUSED, constant(*_UNREADABLE_TIMES), Reason.BAD_TIME, weight=2),
    Kind("time_missing", ("occurred_at",), _REFUSED, constant(*_NOTHING, *_NO_VALUE, "NaT"), Reason.MISSING_TIME),
    Kind("time_unreadable", ("account_created_at",), _LOST, constant(*_UNREADABLE_TIMES)),
    Kind("time_missing", ("account_created_at",), _LOST, constant(*_NOTHING, *_NO_VALUE, "NaT")),
    # Amounts
    Kind("amount_sign", ("amount",), _REPAIRED, WITH_SIGN, weight=3, fits=signed_currency),
    Kind("amount_code", ("amount",), _REPAIRED, WITH_CODE, weight=3, fits=signed_currency),
    Kind("amount_decimal_comma", ("amount",), _REPAIRED,
         amounts(lambda c, *_: units(c, "", ","), lambda c, *_: units(c, ".", ",")), weight=3),
    Kind("amount_grouped", ("amount",), _REPAIRED,
         amounts(*(lambda c, *_, group=group: units(c, group, ".") for group in (",", " ", "\u00a0", "'"))),
         weight=15, fits=thousands),
    Kind("amount_accounting", ("amount",), _REPAIRED, amounts(
        lambda c, *_: f"({units(-c, '', '.')})", lambda c, *_: f"({units(-c, ',', '.')})",
        lambda c, *_: f"\u2212{units(-c, '', '.')}", lambda c, *_: f"{units(-c, '', '.')}-",
    ), weight=30, fits=below_zero),
    Kind("amount_negative", ("amount",), _REFUSED, amounts(
        lambda c, *_: f"({units(c, '', '.')})", lambda c, *_: f"-{units(c, '', '.')}",
        lambda c, *_: f"-{units(c, ',', '.')}",
    ), Reason.NEGATIVE_AMOUNT, weight=2, fits=bought),
    Kind("amount_missing", ("amount",), _REFUSED, constant(*_NOTHING, "null", "N/A", "None"), Reason.MISSING_AMOUNT,
         weight=1.5),
    Kind("amount_absurd", ("amount",), _REFUSED, constant("99999999999999.99", "1e16", "9" * 30), Reason.BAD_AMOUNT),
    Kind("amount_text", ("amount",), _REFUSED,
         constant("gratis", "doce", "abc", "12.50.30", "#REF!", "NaN", "inf", "S/", "12..5"), Reason.BAD_AMOUNT,
         weight=1.5),
    # Currencies
    Kind("currency_case", ("currency",), _REPAIRED, mapped(str.lower, str.capitalize), weight=1.5),
    Kind("currency_name", ("currency",), _REPAIRED, constant("soles", "Nuevos Soles", "sol", "S/", "S/.", "604"),
         weight=1.5, fits=text_is("PEN")),
    Kind("currency_name", ("currency",), _REPAIRED, constant("dollars", "US Dollar", "US$", "dólares", "840"),
         weight=1.5, fits=text_is("USD")),
    Kind("currency_unknown", ("currency",), _REFUSED, constant("XQZ", "credits", "??", "¤", "P3N"),
         Reason.UNKNOWN_CURRENCY),
    # Without a currency an amount cannot be converted; "$" is the sign of several.
    Kind("currency_missing", ("currency",), _REFUSED, constant(*_NOTHING, *_NO_VALUE, "$"), Reason.UNKNOWN_CURRENCY),
    Kind("currency_in_amount", ("currency",), _REPAIRED, constant(*_NOTHING), weight=1.5, fits=signed_currency,
         beside=("amount", WITH_CODE)),
    # Identifiers
    Kind("device_case", ("device_id",), _REPAIRED, mapped(str.swapcase, str.upper, str.title), weight=2),
    Kind("device_separators", ("device_id",), _REPAIRED, mapped(
        lambda t: t.replace("-", ""), lambda t: hyphened(t, ":"), lambda t: hyphened(t, "_"),
        lambda t: hyphened(t, " "), lambda t: "{" + t + "}", lambda t: hyphened(t, "-"),
    ), weight=3),
    Kind("device_null_like", ("device_id",), _LOST, constant(*_NO_DEVICE), weight=4),
    Kind("address_leading_zeros", ("ip",), _REPAIRED,
         mapped(lambda t: ".".join(f"{part:03d}" for part in octets(t))), weight=1.5, fits=version_4),
    Kind("address_in_version_6", ("ip",), _REPAIRED,
         mapped(lambda t: f"::ffff:{t}", lambda t: f"::FFFF:{t}", in_hexadecimal), weight=2, fits=version_4),
    Kind("address_port", ("ip",), _REPAIRED, mapped(
        lambda t: f"{t}:443", lambda t: f"{t}:51820", lambda t: f"[::ffff:{t}]:443", lambda t: f"{t}/32",
    ), weight=1.5, fits=version_4),
    Kind("address_malformed", ("ip",), _LOST, mapped(
        lambda t: f"{t}.7", lambda t: t.rpartition(".")[0] + ".999", lambda t: t.rpartition(".")[0],
        lambda t: t.replace(".", "..", 1),
    ), weight=2, fits=version_4),
    Kind("address_null_like", ("ip",), _LOST, constant("0.0.0.0", "::", *_NULL_LIKE, *_NOTHING), weight=2),  # noqa: S104
    Kind("restaurant_null_like", ("restaurant_id",), _LOST, constant(*_NULL_LIKE, *_NOTHING)),
    Kind("id_missing", ("transaction_id",), _REFUSED, constant(*_NOTHING, *_NULL_LIKE), Reason.MISSING_TRANSACTION_ID),
    Kind("id_missing", ("user_id",), _REFUSED, constant(*_NOTHING, *_NULL_LIKE, *_ZERO_IDS), Reason.MISSING_USER),
    Kind("huge_text", (*_IDS, "restaurant_id", "device_id"), _REFUSED, huge, Reason.ID_TOO_LONG),
    # Categories
    Kind("huge_text", ("payment_method", "city"), _REFUSED, huge, Reason.TEXT_TOO_LONG, weight=0.5),
    Kind("category_null_like", ("payment_method", "city"), _LOST, constant(*_NO_VALUE, *_NOTHING), weight=2),
    Kind("category_null_like", ("transaction_type",), _LOST, constant(*_NO_VALUE, *_NOTHING), fits=not_refund),
)  # fmt: skip
"""Every way to damage a value in its place; rows are damaged as wholes in `etl.simulator.mess.damaging`."""
