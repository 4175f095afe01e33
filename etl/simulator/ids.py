"""Identifiers as platforms have them. Drawn at random, so that none tells when or for whom it was made."""

import numpy as np
from numpy.typing import NDArray

from graph.errors import InputError

_BASE32 = np.array(list("0123456789abcdefghjkmnpqrstvwxyz"))
_HEX = np.array(list("0123456789abcdef"))

HOME, OFFICE, WIFI, HOTEL, MOBILE, CARRIER_NAT = range(6)
"""Kinds of IP addresses: carriers put their users behind public addresses, or behind those of RFC 6598."""

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
    CARRIER_NAT: [(100, second) for second in range(64, 128)],
}


def random_ids(rng: np.random.Generator, count: int, prefix: str, length: int = 12) -> NDArray[np.str_]:
    """`count` distinct ids such as `usr_7k2m…`: the prefix, then `length` (at most 12) base-32 digits."""
    return _spelled(_distinct(rng, count, 5 * length), prefix, _BASE32, 5, length)


ANDROID, IOS, WEB = range(3)
"""Platforms of devices."""
PLATFORM_WEIGHTS = np.array([0.56, 0.32, 0.12])


def platforms(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Platforms, as often as Peru has them."""
    return rng.choice(3, count, p=PLATFORM_WEIGHTS)


def device_ids(rng: np.random.Generator, platform: NDArray[np.int64]) -> NDArray[np.str_]:
    """One distinct id for each device: on iOS an IDFA (a UUID in capitals), in browsers a UUID in small letters,
    on Android an advertising id (a UUID in small letters) or, more rarely, the 16 hexadecimal digits of ANDROID_ID.
    """
    count = len(platform)
    high, low = _distinct(rng, count, 64), rng.integers(0, 2**64, count, np.uint64)
    # Version 4, variant 1 (RFC 9562), as random UUIDs are.
    high_uuid = (high & ~np.uint64(0xF000)) | np.uint64(0x4000)
    low_uuid = (low & np.uint64(2**62 - 1)) | np.uint64(2**63)
    letters = np.empty((count, 36), "U1")
    letters[:, [8, 13, 18, 23]] = "-"
    digits = [place for place in range(36) if place not in (8, 13, 18, 23)]
    letters[:, digits[:16]] = _digits(high_uuid, _HEX, 4, 16)
    letters[:, digits[16:]] = _digits(low_uuid, _HEX, 4, 16)
    uuids = letters.view("U36").ravel()
    short = _spelled(high, "", _HEX, 4, 16)
    told = np.where(platform == IOS, np.strings.upper(uuids), uuids)
    return np.where((platform == ANDROID) & (rng.random(count) < 0.4), short, told)


def addresses(rng: np.random.Generator, kinds: NDArray[np.int8]) -> NDArray[np.str_]:
    """One distinct IPv4 address for each entry of `kinds`, from the networks that kind is found in.

    Raises:
        InputError: the world needs more addresses than these networks have.
    """
    networks = sorted({network for group in _NETWORKS.values() for network in group})
    taken = np.empty(len(kinds), np.int64)
    for pool in (_LINES, _NETWORKS[MOBILE], _NETWORKS[CARRIER_NAT]):
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
    letters = np.empty((len(numbers), len(prefix) + length), "U1")
    letters[:, : len(prefix)] = list(prefix)
    letters[:, len(prefix) :] = _digits(numbers, alphabet, bits, length)
    return letters.view(f"U{len(prefix) + length}").ravel()


def _digits(numbers: NDArray[np.uint64], alphabet: NDArray[np.str_], bits: int, length: int) -> NDArray[np.str_]:
    shifts = np.arange(length, dtype=np.uint64)[::-1] * np.uint64(bits)
    digits = (numbers[:, None] >> shifts) & np.uint64(2**bits - 1)
    return alphabet[digits.astype(np.int64)]
