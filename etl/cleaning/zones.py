"""Time zones as they stand in text: offsets, abbreviations that mean one thing, and names of the tz database."""

import re
from zoneinfo import ZoneInfo

_HOURS = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "msk": 3,
    "sgt": 8, "hkt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
    "art": -3, "brt": -3, "uyt": -3, "clst": -3, "clt": -4, "bot": -4, "vet": -4, "edt": -4, "pet": -5, "cot": -5,
    "mdt": -6, "pdt": -7, "akdt": -8, "akst": -9, "hst": -10,
}  # fmt: skip
"""Hours east of UTC. Abbreviations of several zones (CST, EST, IST, PST …) are left out: nobody can tell them."""
_OFFSET = re.compile(r"(?:utc|gmt)? ?([-+])([0-9]{1,2}):?([0-9]{2})?")
_MOST = 18 * 60  # minutes; the widest offset in use is 14 hours


def offset_or_zone(text: str) -> int | str | None:
    """Of a zone in lower case: its offset in minutes east of UTC, or its name in the tz database; None: unknown."""
    if text in _HOURS:
        return _HOURS[text] * 60
    found = _OFFSET.fullmatch(text)
    if found:
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        if minutes > _MOST or int(found[3] or 0) > 59:
            return None
        return -minutes if found[1] == "-" else minutes
    if "/" not in text:
        return None
    name = re.sub(r"[a-z]+", lambda word: word[0].title(), text)
    for spelled in (name, name.replace("_Of_", "_of_").replace("_Es_", "_es_"), text.upper()):
        try:
            return ZoneInfo(spelled).key
        except (KeyError, ValueError, OSError):
            continue
    return None
