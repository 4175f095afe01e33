"""Times that count units from an instant."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import as_text, matches, nulls
from etl.cleaning.numeric import Parsed, numbers
from graph.records import SECOND

Unit = Literal["ns", "us", "ms", "s", "m", "h", "d"]
_UNIT_US = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}
_FAR = 253_402_300_800 * SECOND  # the year 10,000
_WHOLE = r"^[-+]?[0-9]{1,18}$|^[-+]?[1-8][0-9]{18}$"  # what int64 holds


def epoch_times(array: pa.Array, unit: Unit, origin_us: int) -> Parsed:
    """Microseconds since 1970 of numbers of `unit` since `origin_us`; fractions count, to the nearest microsecond.

    Whole numbers are exact, in text as well as typed; nanoseconds are cut to microseconds.
    """
    parsed = numbers(array)
    whole, fraction = _split(array, parsed)
    if unit == "ns":
        micros, ok = whole // 1_000, parsed.ok & (np.abs(whole) < np.iinfo(np.int64).max)
    else:
        factor = _UNIT_US[unit]
        ok = parsed.ok & (np.abs(whole) < _FAR // factor)
        micros = np.where(ok, whole, 0) * factor + np.rint(fraction * factor).astype(np.int64)
    ok = ok & (np.abs(micros) < _FAR)
    return Parsed(np.where(ok, micros, 0) + origin_us, ok, parsed.missing)


def _split(array: pa.Array, parsed: Parsed) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whole parts and fractions (from 0 to 1) of numbers; where a number is far too large, the largest int64."""
    values = np.where(parsed.ok, parsed.values, 0.0)
    floor = np.floor(values)
    within = np.abs(floor) < 2.0**63
    whole = np.where(within, floor, 0.0).astype(np.int64)
    whole[~within] = np.iinfo(np.int64).max
    text = as_text(array)
    exact = matches(text, _WHOLE) & parsed.ok & ~nulls(text)
    readable = pc.if_else(pa.array(exact), pc.utf8_ltrim(text, characters="+"), "0")
    whole = np.where(exact, pc.cast(readable, pa.int64()).to_numpy(), whole)
    return whole, np.where(exact, 0.0, values - floor)
