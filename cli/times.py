"""Times and durations as people type them."""

import re
from datetime import UTC, datetime

from graph.errors import InputError

# Spelt out here: the graph's vocabulary would load Arrow only to read a command line.
SECOND = 1_000_000
DAY = 86_400 * SECOND
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}


def moment(text: str) -> int:
    """A date or time in ISO 8601 as microseconds since the epoch; UTC where it names no zone.

    Raises:
        InputError: it is neither.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a time", hint="write 2018-08-08 or 2018-08-08T12:00:00Z") from None
    at = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * SECOND)


def duration(text: str) -> int:
    """A duration such as 7d, 12h or 30m in microseconds.

    Raises:
        InputError: it is none, or not positive.
    """
    match = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if not match or int(match[1]) == 0:
        raise InputError(f"{text!r} is not a duration", hint="write a number and a unit: 12h, 7d, 2w")
    return int(match[1]) * _UNITS[match[2]]
