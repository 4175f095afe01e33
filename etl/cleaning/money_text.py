"""Amounts as people write them: grouped, signed, with the currency beside them."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from etl.cleaning.currency_names import currency_code
from etl.cleaning.shapes import Spelled, spelled

DecimalSign = Literal[".", ","] | None

_APOSTROPHES = str.maketrans("’`´", "'''")
_PARENTHESES = re.compile(r"[^()]*\([^()]*\)[^()]*\Z")
_SOL = re.compile(r"[-+ ]*s/(\.)", re.IGNORECASE)  # the point belongs to the sign: `S/.50` is fifty soles
_PARTS = re.compile(
    r"(?P<sign>[-+]?) ?(?P<before>[^-+0-9()]*?) ?(?P<inside>[-+]?) ?"
    r"(?P<body>[0-9][0-9.,' ]*|[.,][0-9]+)(?P<exponent>(?:e[-+]?[0-9]{1,3})?) ?"
    r"(?P<after>-?) ?(?P<behind>[^-+0-9()]*?) ?(?P<last>-?)\Z",
    re.IGNORECASE,
)
_SIGNS = ("sign", "inside", "after", "last")
# Bodies with a decimal point, and with a decimal comma. A group never begins with a zero.
_GROUP = "[1-9][0-9]{0,2}"
_POINT = re.compile(
    rf"(?:{_GROUP}(?:,[0-9]{{3}})+|{_GROUP}(?: [0-9]{{3}})+|{_GROUP}(?:'[0-9]{{3}})+"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}|[0-9]+)(?:(?P<decimal>\.)[0-9]*)?\Z|(?P<bare>\.)[0-9]+\Z"
)
_COMMA = re.compile(
    rf"(?:{_GROUP}(?:\.[0-9]{{3}})+|{_GROUP}(?: [0-9]{{3}})+|{_GROUP}(?:'[0-9]{{3}})+"
    r"|[0-9]+)(?:(?P<decimal>,)[0-9]+)?\Z|(?P<bare>,)[0-9]+\Z"
)
_GROUPED_BY_POINT = re.compile(rf"{_GROUP}\.[0-9]{{3}}\Z")
_PLAIN = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MoneyForm:
    """What a shape of text means as an amount.

    Attributes:
        whole, fraction: the places (bytes) of the digits before and behind the decimal sign.
        exponent: as it is written (of a shape, without its value); empty without one.
        negative: a sign, or parentheses, say so.
        currency: the ISO 4217 code that stands with it, if any.
        plain: a number as computers write it.
    """

    whole: tuple[int, ...]
    fraction: tuple[int, ...]
    exponent: str
    negative: bool
    currency: str | None
    plain: bool


def _form(text: str, decimal: DecimalSign, leading_zero: bool) -> MoneyForm | None:
    """How text is read (see `etl.cleaning.amounts`); None: it is no amount."""
    seen = spelled(text)
    seen = Spelled(seen.text.translate(_APOSTROPHES), seen.places)
    in_parentheses = _PARENTHESES.match(seen.text) is not None
    if in_parentheses:
        seen = seen.without("()").trimmed()
    sol = _SOL.match(seen.text)
    if sol:
        seen = Spelled(f"{seen.text[: sol.start(1)]} {seen.text[sol.end(1) :]}", seen.places).trimmed()
    found = _PARTS.match(seen.text)
    if not found or in_parentheses + sum(found[sign] != "" for sign in _SIGNS) > 1:
        return None
    codes = [currency_code(name) for name in (found["before"], found["behind"]) if name]
    named = {code for code, _ in codes if code}
    if len(named) > 1 or not all(known for _, known in codes):
        return None
    body = seen.cut(found.start("body"), found.start("body") + len(found["body"].rstrip()))
    point = _decimal_point(body.text if leading_zero else _first_not_zero(body.text), decimal, bool(codes))
    if point is None:
        return None
    return MoneyForm(
        tuple(body.digits((0, point))),
        tuple(body.digits((point, len(body.text)))),
        found["exponent"],
        in_parentheses or any(found[sign] == "-" for sign in _SIGNS),
        named.pop() if named else None,
        _PLAIN.match(text) is not None and "." not in body.text[:point],
    )


@lru_cache(maxsize=4096)
def money_form(shape: str, decimal: DecimalSign, leading_zero: bool) -> MoneyForm | None:
    """How texts of a shape, whose digits are all zeros, are read; None: they are no amounts.

    The first digit counts as a zero only where `leading_zero` says so.
    """
    return _form(shape, decimal, leading_zero)


def read_amount(text: str, decimal: DecimalSign = None) -> Decimal | None:
    """The amount that one text says, exactly; None where it is none."""
    first = next((character for character in text if "0" <= character <= "9"), "")
    form = _form(text, decimal, first == "0")
    if form is None:
        return None
    content = text.encode()
    whole, fraction = (bytes(content[i] for i in places).decode() for places in (form.whole, form.fraction))
    return Decimal(f"{'-' if form.negative else ''}{whole}.{fraction}{form.exponent}")


def _first_not_zero(body: str) -> str:
    return "1" + body[1:] if body[0] == "0" else body


def _decimal_point(body: str, decimal: DecimalSign, named: bool) -> int | None:
    """Where the whole digits end; None where the groups make no sense."""
    point, comma = _POINT.match(body), _COMMA.match(body)
    if comma and (decimal == "," or (decimal is None and named and _GROUPED_BY_POINT.match(body))):
        point = None
    found = point or comma
    if found is None:
        return None
    place = max(found.start("decimal"), found.start("bare"))
    return place if place >= 0 else len(body)
