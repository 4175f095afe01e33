"""IP addresses: one form for each, and what kind of network it belongs to."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
PLAIN_V4 = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
"""A pattern of IPv4 addresses in canonical form."""

_PLAIN = re.compile(PLAIN_V4)
# With leading zeros, the port of a connection, or the length of a prefix that is one address.
_V4 = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?::[0-9]{1,5}|/32)?")
_V6 = re.compile(r"\[?([0-9a-f:.]*:[0-9a-f.]*:[0-9a-f:.]*)(?:%[^\]\s]*)?(?:/128)?(?:\](?::[0-9]{1,5})?)?")
_SHAPED = re.compile(
    r"[0-9.]*[0-9]\.[0-9.]*(?::[0-9]*)?"  # digits and dots
    r"|[0-9]+(?:\.[0-9]+){3}(?:[^0-9a-z].*)?"  # an address and something behind it
    r"|\[?[0-9a-f:.]*:[0-9a-f.]*:[0-9a-f:.]*(?:[%/\]].*)?"  # hexadecimal digits and colons
    r"|[0-9a-z]{0,4}(?::[0-9a-z]{0,4}){2,}"  # groups of four, if not all hexadecimal
)
_EMBEDDED = re.compile(r"(.*:)([0-9]{1,4}(?:\.[0-9]{1,4}){3})")

_CARRIER_GRADE = ip_network("100.64.0.0/10")
_PRIVATE = [ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")]
_SPECIAL_OCTETS = frozenset({"0", "10", "100", "127", "169", "172", "192", "198", "203", *map(str, range(224, 256))})


def is_plain_v4(text: str) -> bool:
    """Whether text is an IPv4 address in canonical form."""
    return _PLAIN.fullmatch(text) is not None


def parse_address(text: str) -> str | None:
    """The canonical form of an IP address: IPv4 without leading zeros, IPv6 in lower case and compressed (RFC 5952).

    A port, brackets, a zone id and a prefix of full length are left out; IPv4 inside IPv6 is IPv4. None: no address.
    """
    lower = text.lower()
    found = _V4.fullmatch(lower)
    if found:
        octets = [int(octet) for octet in found.groups()]
        return ".".join(map(str, octets)) if max(octets) <= 255 else None
    found = _V6.fullmatch(lower)
    if not found or lower.startswith("[") != ("]" in lower):
        return None
    embedded = _EMBEDDED.fullmatch(found[1])
    try:
        if embedded:
            octets = [int(octet) for octet in embedded[2].split(".")]
            address = IPv6Address(embedded[1] + ".".join(map(str, octets)))
        else:
            address = IPv6Address(found[1])
    except AddressValueError:
        return None
    return str(address.ipv4_mapped or address)


def is_address_shaped(text: str) -> bool:
    """Whether text was meant as an IP address, as `10.0.0.300` was, and a hash was not."""
    return _SHAPED.fullmatch(text.lower()) is not None


@lru_cache(maxsize=65_536)
def address_range(key: str) -> str | None:
    """What kind of network a canonical IP address belongs to; None where the key is no address.

    `public`, `private` (RFC 1918, unique local), `carrier_grade` (RFC 6598, shared by strangers), `loopback`,
    `link_local`, or `reserved` (documentation, multicast, broadcast, future use).
    """
    if _PLAIN.fullmatch(key) and key[: key.index(".")] not in _SPECIAL_OCTETS:
        return "public"
    try:
        address: IPv4Address | IPv6Address = ip_address(key)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link_local"
    if address in _CARRIER_GRADE:
        return "carrier_grade"
    if any(address in network for network in _PRIVATE):
        return "private"
    return "public" if address.is_global and not address.is_multicast else "reserved"
