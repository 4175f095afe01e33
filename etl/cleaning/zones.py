"""Time zones as they stand in text."""

import re
from zoneinfo import ZoneInfo

_HOURS = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "cest": 2, "eet": 2, "eest": 3, "msk": 3,
    "sgt": 8, "hkt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
    "art": -3, "brt": -3, "uyt": -3, "clst": -3, "clt": -4, "bot": -4, "vet": -4, "edt": -4, "pet": -5, "cot": -5,
    "mdt": -6, "pdt": -7, "akdt": -8, "akst": -9, "hst": -10,
}  # fmt: skip
ABBREVIATIONS = {name: hours * 60 for name, hours in _HOURS.items()}
"""Minutes east of UTC. Those of several zones (CST, EST, IST, PST …) are left out: nobody can tell them."""
MOST_MINUTES = 18 * 60
"""No offset is wider; the widest in use is 14 hours."""


def zone_name(text: str) -> str | None:
    """The name in the tz database of a zone written in lower case; None: there is none."""
    if "/" not in text:
        return None
    name = re.sub(r"[a-z]+", lambda word: word[0].title(), text)
    for small in ("Of", "Es", "Au"):
        name = name.replace(f"_{small}_", f"_{small.lower()}_")
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return None
