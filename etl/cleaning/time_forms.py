"""The forms in which people and machines write times."""

import re
from dataclasses import dataclass
from functools import lru_cache

from etl.cleaning.shapes import Spelled, spelled
from etl.cleaning.zones import ABBREVIATIONS, zone_name

_YEAR, _SHORT_YEAR, _TWO, _UP_TO_TWO = "(?P<y>[0-9]{4})", "(?P<y>[0-9]{4}|[0-9]{2})", "[0-9]{2}", "[0-9]{1,2}"
_LETTER = r"[^\W\d_]"
_WEEKDAY = rf"(?:{_LETTER}{{2,10}}\.?,? )?"
_NAME = rf"(?P<name>{_LETTER}{{3,10}})\.?"
_DAY = rf"(?P<d>{_UP_TO_TWO})(?:st|nd|rd|th|º|°)?"
_CLOCK = (
    rf"(?P<h>{_UP_TO_TWO})[:.h](?P<mi>{_TWO})(?:[:.](?P<s>{_TWO})(?:[.,:](?P<f>[0-9]+))?)?"
    r"(?: ?(?P<half>[ap])\.? ?m(?:\.|\b))?"
)
_ZONE = r"(?: ?(?P<zone>[a-z]{1,5}|(?:utc|gmt)? ?[-+][0-9]{1,2}(?::?[0-9]{2})?|[a-z_]+/[a-z_/]+))?"
_TIME = rf"(?:(?:,? (?:a las? |at )?|,|t|:|-|_){_CLOCK}{_ZONE})?\Z"
_BASIC_TIME = rf"(?:[t ](?P<h>{_TWO}):?(?P<mi>{_TWO})(?::?(?P<s>{_TWO})(?:[.,](?P<f>[0-9]+))?)?{_ZONE})?\Z"
_HOUR = rf"(?:[t ](?P<h>{_TWO})(?P<zone>z|[-+][0-9]{{2}}(?::?[0-9]{{2}})?)?)\Z"

_ISO = re.compile(
    r"[0-9]{4}-?(?:[0-9]{2}-?[0-9]{2}|w[0-9]{2}(?:-?[0-9])?|[0-9]{3})"
    r"(?:[t ][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?)?(?:z|[-+][0-9]{2}(?::?[0-9]{2})?)?)?\Z"
)
_FORMS = tuple(
    map(
        re.compile,
        (
            rf"{_YEAR}[-/.](?P<mo>{_UP_TO_TWO})[-/.](?P<d>{_UP_TO_TWO}){_TIME}",
            rf"{_YEAR}-(?P<mo>{_TWO})-(?P<d>{_TWO}){_HOUR}",
            rf"(?P<first>{_UP_TO_TWO})[-/.](?P<second>{_UP_TO_TWO})[-/.]{_SHORT_YEAR}{_TIME}",
            r"(?P<epoch>[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.(?P<f>[0-9]+))?\Z",
            rf"{_YEAR}(?P<mo>{_TWO})(?P<d>{_TWO})"
            rf"(?:[t _-]?(?P<h>{_TWO}):?(?P<mi>{_TWO})(?::?(?P<s>{_TWO})"
            rf"(?:[.,](?P<f>[0-9]+)|(?P<joined>[0-9]{{3}}|[0-9]{{6}}))?)?{_ZONE})?\Z",
            rf"{_YEAR}(?P<mo>{_TWO})(?P<d>{_TWO}){_HOUR}",
            rf"{_WEEKDAY}{_DAY}[-/. ]*(?:de )?{_NAME},?[-/. ]*(?:del? )?{_SHORT_YEAR}{_TIME}",
            rf"{_WEEKDAY}{_NAME}[- ]*{_DAY}(?:,? *|-){_YEAR}{_TIME}",
            rf"{_WEEKDAY}{_NAME} {_DAY},? {_CLOCK}{_ZONE},? {_YEAR}\Z",
            rf"{_YEAR}[-/. ]?{_NAME}[-/. ]?(?P<d>{_UP_TO_TWO}){_TIME}",
            rf"{_YEAR}-?w(?P<week>{_TWO})(?:-?(?P<weekday>[0-9]))?{_BASIC_TIME}",
            rf"{_YEAR}-(?P<ordinal>[0-9]{{3}}){_TIME}",
        ),
    )
)
"""In the order in which they are tried: the first that fits is how a text is read."""

# The zone's name behind an offset says nothing new: `GMT-0500 (Peru Standard Time)`, `-0500 PET`,
# `-05:00[America/Lima]`.
_SAID_TWICE = (
    re.compile(r"()(?: ?\([^()]*\))\Z"),
    re.compile(r"( [-+][0-9]{2}:?[0-9]{2}) ?(?:[a-z]{2,5}|[-+][0-9]{2})\Z"),
    re.compile(r"(z|[-+][0-9]{2}:?[0-9]{2}) ?\[[^\[\]]*\]\Z"),
)

_MONTHS = {
    "jan": 1, "january": 1, "feb": 2, "february": 2, "mar": 3, "march": 3, "apr": 4, "april": 4, "may": 5, "jun": 6,
    "june": 6, "jul": 7, "july": 7, "aug": 8, "august": 8, "sep": 9, "sept": 9, "september": 9, "oct": 10,
    "october": 10, "nov": 11, "november": 11, "dec": 12, "december": 12,
    "ene": 1, "enero": 1, "febrero": 2, "marzo": 3, "abr": 4, "abril": 4, "mayo": 5, "junio": 6, "julio": 7,
    "ago": 8, "agosto": 8, "set": 9, "septiembre": 9, "setiembre": 9, "octubre": 10, "noviembre": 11, "dic": 12,
    "diciembre": 12,
}  # fmt: skip
"""English and Spanish names, in lower case."""
_ENGLISH = ("", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORD = re.compile(rf"{_LETTER}+")


@dataclass(frozen=True, slots=True)
class Form:
    """What a shape of text means as a time.

    Attributes:
        digits: by part of the time, the places (bytes) of its digits; parts without digits are absent.
        month: where it stands as a name.
        half: `a` or `p`, of a clock of twelve hours.
        zone: minutes east of UTC, or a name of the tz database; None where it names none, or by digits.
        west: the zone is an offset in digits, to the west of UTC.
        iso: it is ISO 8601.
    """

    digits: dict[str, list[int]]
    month: int | None
    half: str
    zone: int | str | None
    west: bool
    iso: bool


@lru_cache(maxsize=4096)
def form_of(shape: str) -> Form | None:
    """How text of a shape (all digits 0) is read; None: it is no time."""
    seen = _simplified(shape)
    for pattern in _FORMS:
        found = pattern.match(seen.text)
        if found:
            break
    else:
        return None
    parts = {name: text for name, text in found.groupdict().items() if text}
    digits = {{"joined": "f"}.get(name, name): seen.digits(found.span(name)) for name in parts}
    month = _MONTHS.get(parts["name"], 0) if "name" in parts else None
    zone = None
    if "zone" in parts and not digits["zone"]:
        zone = ABBREVIATIONS[parts["zone"]] if parts["zone"] in ABBREVIATIONS else zone_name(parts["zone"])
        if zone is None:
            return None
    if month == 0:
        return None
    return Form(
        {name: places for name, places in digits.items() if places},
        month,
        parts.get("half", ""),
        zone,
        "-" in parts.get("zone", ""),
        _ISO.match(seen.text) is not None,
    )


def _simplified(shape: str) -> Spelled:
    """A shape in lower case, without what changes no time."""
    seen = spelled(shape)
    lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in seen.text)
    seen = Spelled(lower, seen.places)
    for said in _SAID_TWICE:
        found = said.search(seen.text)
        if found:
            seen = seen.cut(0, found.end(1)).trimmed()
    return seen


def english_months(text: str) -> str:
    """Text with the names of months in English, abbreviated."""
    return _WORD.sub(lambda word: _ENGLISH[_MONTHS.get(word[0].lower(), 0)] or word[0], text)
