"""Amounts as people write them: grouped, signed, with the currency beside them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import mask, matches, nulls
from etl.cleaning.currency_names import currency_code
from graph.ids import visible

_SOL = r"(?i)^([-+ ]*)S/\.[ ]*"  # the point belongs to the sign: `S/.50` is fifty soles
_PARENTHESES = r"^[^()]*\([^()]*\)[^()]*$"
_PARTS = (
    r"^(?P<sign>[-+]?)[ ]*(?P<before>[^-+0-9()]*?)[ ]*(?P<sign_inside>[-+]?)[ ]*"
    r"(?P<body>[0-9][0-9.,' ]*|[.,][0-9]+)(?P<exponent>(?:[eE][-+]?[0-9]{1,3})?)[ ]*"
    r"(?P<sign_behind>-?)[ ]*(?P<behind>[^-+0-9()]*?)[ ]*(?P<sign_last>-?)$"
)
_SIGNS = ("sign", "sign_inside", "sign_behind", "sign_last")
# Bodies with a decimal point, and with a decimal comma. A group never begins with a zero.
_POINT = (
    r"^(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+|[1-9][0-9]{0,2}(?:'[0-9]{3})+"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}|[0-9]+)(?:\.[0-9]*)?$|^\.[0-9]+$"
)
_COMMA = (
    r"^(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3})+|[1-9][0-9]{0,2}(?:'[0-9]{3})+"
    r"|[0-9]+)(?:,[0-9]+)?$|^,[0-9]+$"
)
_GROUP_BY_POINT = r"^[1-9][0-9]{0,2}\.[0-9]{3}$"


@dataclass(frozen=True, slots=True)
class Money:
    """What n texts say.

    Attributes:
        written: the amounts as plain signed decimal numbers in text; null where they cannot be read.
        currency: ISO 4217 codes; null where none is named.
    """

    written: pa.Array
    currency: pa.Array


def read_money(text: pa.Array, decimal: Literal[".", ","] | None) -> Money:
    """Reads amounts; see `etl.cleaning.amounts` for what each form means."""
    text = _plain_characters(text)
    in_parentheses = matches(text, _PARENTHESES)
    text = pc.if_else(pa.array(in_parentheses), pc.replace_substring_regex(text, r"[()]", ""), text)
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), _SOL, r"\1S/ ")
    found = pc.extract_regex(text, _PARTS)
    readable = ~nulls(found)
    part = {name: pc.struct_field(found, name) for name in (*_SIGNS, "before", "body", "exponent", "behind")}
    signs = [mask(pc.not_equal(part[name], "")) for name in _SIGNS]
    minus = np.logical_or.reduce([mask(pc.equal(part[name], "-")) for name in _SIGNS]) | in_parentheses
    readable &= np.sum([in_parentheses, *signs], axis=0) <= 1
    before, before_known = _codes(part["before"])
    behind, behind_known = _codes(part["behind"])
    readable &= before_known & behind_known & ~mask(pc.not_equal(before, behind))
    currency = pc.coalesce(before, behind)
    named = mask(pc.not_equal(pc.binary_join_element_wise(part["before"], part["behind"], ""), ""))
    number = _number(pc.utf8_rtrim_whitespace(part["body"]), decimal, named)
    readable &= ~nulls(number)
    sign = pa.array(np.where(minus, "-", ""))
    number = pc.binary_join_element_wise(sign, number, part["exponent"], "")
    none, usable = pa.scalar(None, pa.string()), pa.array(readable)
    return Money(pc.if_else(usable, number, none), pc.if_else(usable, currency, none))


def _plain_characters(text: pa.Array) -> pa.Array:
    odd = matches(text, r"[^ -~]")
    if odd.any():
        encoded = pc.dictionary_encode(text.filter(pa.array(odd)))
        seen = [visible(value) for value in encoded.dictionary.to_pylist()]
        text = pc.replace_with_mask(text, pa.array(odd), pa.array(seen, pa.string()).take(encoded.indices))
    return pc.replace_substring_regex(pc.replace_substring_regex(text, "[−–]", "-"), "[’`´]", "'")


def _codes(names: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """The codes of currencies' names, and which of the names are known (or empty)."""
    encoded = pc.dictionary_encode(pc.fill_null(names, ""))
    found = [(None, True) if not name else currency_code(name) for name in encoded.dictionary.to_pylist()]
    known = np.array([is_known for _, is_known in found], dtype=np.bool_)[encoded.indices.to_numpy()]
    return pa.array([code for code, _ in found], pa.string()).take(encoded.indices), known


def _number(body: pa.Array, decimal: Literal[".", ","] | None, named: NDArray[np.bool_]) -> pa.Array:
    """Digits with a point for the decimal sign; null where the groups make no sense."""
    point, comma = matches(body, _POINT), matches(body, _COMMA)
    if decimal == ",":
        point &= ~comma
    elif decimal is None:
        point &= ~(named & matches(body, _GROUP_BY_POINT))
    with_point = pc.replace_substring_regex(body, "[,' ]", "")
    with_comma = pc.replace_substring(pc.replace_substring_regex(body, r"[.' ]", ""), ",", ".")
    none = pa.scalar(None, pa.string())
    return pc.if_else(pa.array(point), with_point, pc.if_else(pa.array(comma), with_comma, none))
