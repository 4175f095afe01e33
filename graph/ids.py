"""Keys of entities, as people and devices send them: one canonical form for each, however it is spelled.

Loading (`etl.cleaning.identifiers`) and the service use this one definition, so that a device is the same device
wherever it is met.
"""

import re

from graph.addresses import address_range, is_address_shaped, is_plain_v4, parse_address

__all__ = ["address_range", "canonical", "category", "examine", "is_missing", "visible"]

_DEVICE, _IP = "device", "ip"

INVISIBLE, NULL_LIKE, CASE, SEPARATORS, ADDRESS, BAD_ADDRESS = 1, 2, 4, 8, 16, 32
"""What `examine` did, as bits: characters that nobody sees removed; none meant; case folded; separators removed;
an address written canonically; an address that is none."""

NULL_WORDS = frozenset(
    {"", "-", "--", "?", "null", "(null)", "<null>", "none", "(none)", "nil", "nan", "na", "n/a", "#n/a", "<na>", "nat"}
    | {"\\n", "unknown", "undefined", "missing", "not set", "(not set)", "not available"}
    | {"desconocido", "desconocida", "ninguno", "ninguna", "no disponible", "sin dato", "sin datos"}
)
"""Words, casefolded, that say that there is no key."""
NULL_IDS = frozenset(
    {"0.0.0.0", "::"}  # noqa: S104
    | {"9774d56d682e549c"}  # the ANDROID_ID that a whole generation of devices shared
    | {"02:00:00:00:00:00", "020000000000"}  # the hardware address that phones give to every app
)
"""Keys, casefolded, that are well formed, and shared by everyone."""
NO_CATEGORY = frozenset({"", "null", "none", "nan", "nil", "n/a", "#n/a", "\\n", "<na>", "nat"})
"""Spellings, in lower case, of a categorical value that is missing; `unknown` is a value like any other."""
_REPEATED = re.compile(r"(?:[0\s.:_{}-]+|[f\s.:_{}-]+)\Z")
_MOST_NULL = 64

ASCII_BLANKS = " \t\n\r\v\f"
_BLANKS = [*range(0x09, 0x0E), *range(0x1C, 0x20), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]
_BLANKS += [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_UNSEEN = [*range(0x09), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0), 0xAD, 0x34F, 0x61C]
_UNSEEN += [0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F)]
_UNSEEN += [*range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC)]
_UNSEEN += [*range(0xE0000, 0xE0080)]
HIDDEN: dict[int, str | None] = {**dict.fromkeys(_UNSEEN), **dict.fromkeys(_BLANKS, " ")}
"""By code point: characters that nobody sees (None), and blanks of other kinds than the plain one."""

_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
SEPARATOR_CHARACTERS = "-_:.{} ‐‑‒–—−"
"""What stands between the groups of a device's id, and means nothing."""
_WITHOUT_SEPARATORS = str.maketrans("", "", SEPARATOR_CHARACTERS)
LEAST_ALPHANUMERICS = 8
"""A device's id without separators has at least so many; else `1-23` and `12-3` would be one device."""


def visible(text: str) -> str:
    """Text without characters that nobody sees, blanks of all kinds as plain ones, and none at its ends."""
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    return text.translate(HIDDEN).strip(" ")


def is_missing(key: str) -> bool:
    """Whether a key says that there is none: `unknown`, `null`, an all-zero advertising id, the address 0.0.0.0.

    Such a key is a missing value: kept, it would link strangers through one giant shared device.
    A short zero (`0`, `000`) is a key like any other, since numbered sources start there.
    """
    text = key.strip()
    if len(text) > _MOST_NULL:
        return False
    folded = text.casefold()
    if (folded.count("0") >= 8 or folded.count("f") >= 8) and _REPEATED.match(folded):
        return True
    return folded in NULL_WORDS or folded in NULL_IDS


def canonical(entity: str, key: str) -> str | None:
    """The one form of an entity's key, whatever its spelling; None where it says that there is none.

    All keys: without invisible characters and blanks at the ends, whole numbers without `.0`, null-like ones
    (`is_missing`) None. Devices: lower case, and without separators where at least eight letters and digits remain.
    IP addresses: `parse_address`; what is shaped like an address and is none is None, and other tokens (hashed
    addresses) stay as they are. Applying it twice changes nothing more.
    """
    return examine(entity, key)[0]


def category(value: str) -> str | None:
    """The one form of a categorical value, as `canonical` for keys; None where it is spelled as missing."""
    text = visible(value)
    if text[-1:] == "0" and (whole := _WHOLE.fullmatch(text)):
        return whole[1]
    return None if text.lower() in NO_CATEGORY else text


def examine(entity: str, key: str) -> tuple[str | None, int]:
    """The canonical key, and what was done to it: bits of `INVISIBLE` … `BAD_ADDRESS`."""
    if entity == _IP and is_plain_v4(key):
        return (None, NULL_LIKE) if key in NULL_IDS else (key, 0)
    text, changes = key, 0
    if not (key.isascii() and key.isprintable()):
        trimmed = key.strip(ASCII_BLANKS)
        text = trimmed.translate(HIDDEN)
        changes = INVISIBLE if text != trimmed else 0
    text = text.strip(" ")
    if text[-1:] == "0" and (whole := _WHOLE.fullmatch(text)):
        text = whole[1]
    if not text:
        return None, changes
    address = parse_address(text) if entity == _IP else None
    if address is not None:
        if address in NULL_IDS:
            return None, changes | NULL_LIKE
        return address, changes | ADDRESS if address != text else changes
    if is_missing(text):
        return None, changes | NULL_LIKE
    if entity == _DEVICE:
        return _device(text, changes)
    if entity == _IP and is_address_shaped(text):
        return None, changes | BAD_ADDRESS
    return text, changes


def _device(text: str, changes: int) -> tuple[str | None, int]:
    if not text.isalnum():
        bare = text.translate(_WITHOUT_SEPARATORS)
        if bare != text and sum(map(str.isalnum, bare)) >= LEAST_ALPHANUMERICS:
            text, changes = bare, changes | SEPARATORS
            if is_missing(text):
                return None, changes | NULL_LIKE
    if not text.islower():
        lower = text.lower()
        if lower != text:
            text, changes = lower, changes | CASE
    return text, changes
