"""Times in Neo4j are native date-times, which people can read; the port's are microseconds since the epoch, UTC."""

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000


def split(at: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Seconds and nanoseconds of times, as `datetime.fromEpoch` takes them."""
    seconds = at // SECOND
    return seconds.tolist(), ((at - seconds * SECOND) * 1_000).tolist()


def from_epoch(name: str) -> str:
    """Cypher for the i-th of times that were `split` into the parameters `<name>_s` and `<name>_n`."""
    return f"datetime.fromEpoch(${name}_s[i], ${name}_n[i])"


def micros(time: str) -> str:
    """Cypher for a date-time as microseconds."""
    return f"{time}.epochSeconds * {SECOND} + {time}.microsecond"
