"""Times that stand in several columns: a date and a time of day, or year, month and day."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.cleaning.columns import as_text, matches, null_words

_MIDNIGHT = r"[ T]00:00(:00(\.0+)?)?Z?$"
_NO_DAY = r"^(1899-12-3[01]|1900-01-0[01]|1970-01-01)[ T]"  # what databases and spreadsheets put before a time of day


def joined_times(parts: Sequence[pa.Array], *, formatted: bool) -> pa.Array:
    """One column of times of several: their texts joined by a blank; null where a part is missing.

    A whole number of four digits before two of one or two is a year before month and day, whose midnight is meant
    where nothing follows. A date keeps no midnight before a time of day, and a time of day no made-up date.

    Args:
        formatted: the texts are read by a form of strptime, and so are joined as they stand.
    """
    if len(parts) == 1:
        return parts[0]
    texts = [_present(part) for part in parts]
    if formatted:
        return pc.binary_join_element_wise(*texts, " ")
    first = pc.replace_substring_regex(texts[0], _MIDNIGHT, "")
    rest = [pc.replace_substring_regex(text, _NO_DAY, "") for text in texts[1:]]
    rest = [pc.if_else(pa.array(matches(text, r"^\d$")), pc.utf8_lpad(text, 2, "0"), text) for text in rest]
    plain = pc.binary_join_element_wise(first, *rest, " ")
    if len(rest) < 2:
        return plain
    year_first = matches(first, r"^\d{4}$") & matches(rest[0], r"^\d\d$") & matches(rest[1], r"^\d\d$")
    if not np.any(year_first):
        return plain
    day = pc.binary_join_element_wise(first, rest[0], rest[1], "-")
    dated = pc.binary_join_element_wise(day, *rest[2:], " ") if rest[2:] else day
    return pc.if_else(pa.array(year_first), dated, plain)


def _present(part: pa.Array) -> pa.Array:
    """Text; null where there is none."""
    text = as_text(part)
    nothing = null_words(text) | matches(text, "^$")
    return pc.if_else(pa.array(nothing), pa.scalar(None, pa.string()), text)
