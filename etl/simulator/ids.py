"""Identifiers as platforms have them. Drawn at random, so that none tells when or for whom it was made."""

import numpy as np
from numpy.typing import NDArray

from graph.errors import InputError

_BASE32 = np.array(list("0123456789abcdefghjkmnpqrstvwxyz"))
_HEX = np.array(list("0123456789abcdef"))

HOME, OFFICE, WIFI, HOTEL, MOBILE = range(5)
"""Kinds of IP addresses."""

_LINES = [
    *((190, second) for second in (*range(40, 44), *range(112, 120), *range(232, 240))),
    *((181, second) for second in (64, 65, 66, 67, 176, 177, 224, 225)),
    *((179, second) for second in (6, 7)),
    *((201, second) for second in (230, 240, 241)),
    *((38, second) for second in (25, 43)),
    *((200, second) for second in (37, 48, 60, 62, 106, 107)),
]
_NETWORKS = {
    HOME: _LINES,
    OFFICE: _LINES,
    WIFI: _LINES,
    HOTEL: _LINES,
    MOBILE: [(161, 132), (45, 232), (187, 155), (191, 97)],
}


def random_ids(rng: np.random.Generator, count: int, prefix: str, length: int = 12) -> NDArray[np.str_]:
    """`count` distinct ids such as `usr_7k2m…`: the prefix, then `length` (at most 12) base-32 digits."""
    return _spelled(_distinct(rng, count, 5 * length), prefix, _BASE32, 5, length)


def device_ids(rng: np.random.Generator, count: int) -> NDArray[np.str_]:
    """`count` distinct device ids: 15 hexadecimal digits after an `a`, like Android's 64-bit ids."""
    return _spelled(_distinct(rng, count, 60), "a", _HEX, 4, 15)


def addresses(rng: np.random.Generator, kinds: NDArray[np.int8]) -> NDArray[np.str_]:
    """One distinct IPv4 address for each entry of `kinds`, from the networks that kind is found in.

    Raises:
        InputError: the world needs more addresses than these networks have.
    """
    networks = sorted({network for group in _NETWORKS.values() for network in group})
    taken = np.empty(len(kinds), np.int64)
    for pool in (_LINES, _NETWORKS[MOBILE]):
        here = np.isin(kinds, [kind for kind, group in _NETWORKS.items() if group is pool])
        wanted, there = int(here.sum()), len(pool) << 16
        if wanted > there:
            raise InputError(f"the world needs {wanted:,} addresses of {there:,}", hint="simulate fewer users or days")
        drawn = rng.choice(there, wanted, replace=False)
        numbers = np.array([networks.index(network) for network in pool], np.int64)
        taken[here] = (numbers[drawn >> 16] << 16) | (drawn & 0xFFFF)
    texts = [f"{a}.{b}" for a, b in networks]
    return np.array([f"{texts[t >> 16]}.{t >> 8 & 255}.{t & 255}" for t in taken.tolist()], np.str_)


def _distinct(rng: np.random.Generator, count: int, bits: int) -> NDArray[np.uint64]:
    numbers = rng.integers(0, 2**bits, count, np.uint64)
    while True:
        first = np.unique(numbers, return_index=True)[1]
        if len(first) == count:
            return numbers
        again = np.setdiff1d(np.arange(count), first)
        numbers[again] = rng.integers(0, 2**bits, len(again), np.uint64)


def _spelled(
    numbers: NDArray[np.uint64], prefix: str, alphabet: NDArray[np.str_], bits: int, length: int
) -> NDArray[np.str_]:
    shifts = np.arange(length, dtype=np.uint64)[::-1] * np.uint64(bits)
    digits = (numbers[:, None] >> shifts) & np.uint64(2**bits - 1)
    letters = np.empty((len(numbers), len(prefix) + length), "U1")
    letters[:, : len(prefix)] = list(prefix)
    letters[:, len(prefix) :] = alphabet[digits.astype(np.int64)]
    return letters.view(f"U{len(prefix) + length}").ravel()
