"""From wall-clock times to UTC."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Instants:
    """Instants of n rows.

    Attributes:
        micros: int64[n], microseconds since 1970, UTC.
        shifted: bool[n], where the wall clock showed that time twice, or never.
    """

    micros: NDArray[np.int64]
    shifted: NDArray[np.bool_]


def to_utc(wall: NDArray[np.int64], zone: str) -> Instants:
    """Wall-clock microseconds in a time zone to UTC.

    Where clocks go back, the earlier of two instants; where they go forward, the instant of the change.
    """
    if zone == "UTC" or not len(wall):
        return Instants(wall, np.zeros(len(wall), dtype=np.bool_))
    stamps = pa.array(wall).view(pa.timestamp("us"))
    chosen = _assume(stamps, zone, "earliest", "latest")
    return Instants(chosen, chosen != _assume(stamps, zone, "latest", "earliest"))


def _assume(stamps: pa.Array, zone: str, ambiguous: str, nonexistent: str) -> NDArray[np.int64]:
    aware = pc.assume_timezone(stamps, zone, ambiguous=ambiguous, nonexistent=nonexistent)
    result: NDArray[np.int64] = aware.view(pa.int64()).to_numpy()
    return result
