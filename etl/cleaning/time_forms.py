"""The forms in which people and machines write times, each as a pattern of its parts."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import matches
from graph.ids import visible

Parts = dict[str, pa.Array]
"""Texts (empty where absent) of n times by part; the names are those of the groups in the patterns."""

_YEAR, _SHORT_YEAR, _TWO, _UP_TO_TWO = "(?P<y>[0-9]{4})", "(?P<y>[0-9]{4}|[0-9]{2})", "[0-9]{2}", "[0-9]{1,2}"
_WEEKDAY = r"(?:\p{L}{2,10}\.?,? +)?"
_NAME = r"(?P<name>\p{L}{3,10})\.?"
_DAY = rf"(?P<d>{_UP_TO_TWO})(?:st|nd|rd|th|º|°)?"
_CLOCK = (
    rf"(?P<h>{_UP_TO_TWO})[:.h](?P<mi>{_TWO})(?:[:.](?P<s>{_TWO})(?:[.,:](?P<f>[0-9]+))?)?"
    r"(?: ?(?P<half>[ap])\.? ?m(?:\.|\b))?"
)
_ZONE = r"(?: ?(?P<zone>[a-z]{1,5}|(?:utc|gmt)? ?[-+][0-9]{1,2}(?::?[0-9]{2})?|[a-z_]+/[-+/a-z0-9_]+))?"
_TIME = rf"(?:(?:,? (?:a las? |at )?|,|t|:|-|_){_CLOCK}{_ZONE})?$"
_BASIC_TIME = rf"(?:[t ](?P<h>{_TWO}):?(?P<mi>{_TWO})(?::?(?P<s>{_TWO})(?:[.,](?P<f>[0-9]+))?)?{_ZONE})?$"
_HOUR = rf"(?:[t ](?P<h>{_TWO})(?P<zone>z|[-+][0-9]{{2}}(?::?[0-9]{{2}})?)?)$"

ISO = (
    r"^[0-9]{4}-?(?:[0-9]{2}-?[0-9]{2}|w[0-9]{2}(?:-?[1-7])?|[0-9]{3})"
    r"(?:[t ][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?(?:z|[-+][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
"""What counts as ISO 8601, in lower case; a blank may stand for its T."""
FORMS = (
    rf"^{_YEAR}[-/.](?P<mo>{_UP_TO_TWO})[-/.](?P<d>{_UP_TO_TWO}){_TIME}",
    rf"^{_YEAR}-(?P<mo>{_TWO})-(?P<d>{_TWO}){_HOUR}",
    rf"^(?P<first>{_UP_TO_TWO})[-/.](?P<second>{_UP_TO_TWO})[-/.]{_SHORT_YEAR}{_TIME}",
    r"^(?P<epoch>[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.(?P<f>[0-9]+))?$",
    rf"^{_YEAR}(?P<mo>{_TWO})(?P<d>{_TWO})"
    rf"(?:[t _-]?(?P<h>{_TWO}):?(?P<mi>{_TWO})(?::?(?P<s>{_TWO})(?:[.,]?(?P<f>[0-9]+))?)?{_ZONE})?$",
    rf"^{_YEAR}(?P<mo>{_TWO})(?P<d>{_TWO}){_HOUR}",
    rf"^{_WEEKDAY}{_DAY}[-/. ]*(?:de )?{_NAME},?[-/. ]*(?:del? )?{_SHORT_YEAR}{_TIME}",
    rf"^{_WEEKDAY}{_NAME}[- ]*{_DAY}(?:,? *|-){_YEAR}{_TIME}",
    rf"^{_WEEKDAY}{_NAME} +{_DAY},? {_CLOCK}{_ZONE},? {_YEAR}$",
    rf"^{_YEAR}[-/. ]?{_NAME}[-/. ]?(?P<d>{_UP_TO_TWO}){_TIME}",
    rf"^{_YEAR}-?w(?P<week>{_TWO})(?:-?(?P<weekday>[1-7]))?{_BASIC_TIME}",
    rf"^{_YEAR}-(?P<ordinal>[0-9]{{3}}){_TIME}",
)
"""In the order in which they are tried: the first that fits is how a text is read."""

_MONTHS = {
    "jan": 1, "january": 1, "feb": 2, "february": 2, "mar": 3, "march": 3, "apr": 4, "april": 4, "may": 5, "jun": 6,
    "june": 6, "jul": 7, "july": 7, "aug": 8, "august": 8, "sep": 9, "sept": 9, "september": 9, "oct": 10,
    "october": 10, "nov": 11, "november": 11, "dec": 12, "december": 12,
    "ene": 1, "enero": 1, "febrero": 2, "marzo": 3, "abr": 4, "abril": 4, "mayo": 5, "junio": 6, "julio": 7,
    "ago": 8, "agosto": 8, "set": 9, "septiembre": 9, "setiembre": 9, "octubre": 10, "noviembre": 11, "dic": 12,
    "diciembre": 12,
}  # fmt: skip
_ENGLISH = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LETTERS = re.compile(r"[^\W\d_]+")


def month_numbers(names: pa.Array) -> NDArray[np.int64]:
    """Months 1 to 12 of English and Spanish names in lower case; 0 where there is no such month."""
    encoded = pc.dictionary_encode(names)
    months = [_MONTHS.get(name, 0) for name in encoded.dictionary.to_pylist()]
    result: NDArray[np.int64] = np.array(months, dtype=np.int64)[encoded.indices.to_numpy()]
    return result


def english_months(text: str) -> str:
    """Text with the names of months in English, abbreviated."""
    return _LETTERS.sub(lambda word: _ENGLISH[_MONTHS.get(word[0].lower(), 0)] or word[0], text)


def simplified(text: pa.Array) -> pa.Array:
    """Text in lower case, without what changes no time: invisible characters, comments, accents, doubled blanks."""
    odd = matches(text, r"[^ -~]")
    if odd.any():
        encoded = pc.dictionary_encode(text.filter(pa.array(odd)))
        seen = [visible(value) for value in encoded.dictionary.to_pylist()]
        text = pc.replace_with_mask(text, pa.array(odd), pa.array(seen, pa.string()).take(encoded.indices))
    text = pc.utf8_lower(pc.replace_substring_regex(text, "[−–]", "-"))
    # The zone's name behind an offset says nothing new: `GMT-0500 (Peru Standard Time)`, `-0500 PET`,
    # `-05:00[America/Lima]`.
    text = pc.replace_substring_regex(text, r" ?\([^()]*\)$", "")
    text = pc.replace_substring_regex(text, r"( [-+][0-9]{2}:?[0-9]{2}) ?(?:[a-z]{2,5}|[-+][0-9]{2})$", r"\1")
    text = pc.replace_substring_regex(text, r"(z|[-+][0-9]{2}:?[0-9]{2}) ?\[[^\[\]]*\]$", r"\1")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r" {2,}", " "))
