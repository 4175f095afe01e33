"""Keys of entities, as people and devices send them."""

import re
from ipaddress import ip_address, ip_network

_NULL_LIKE = frozenset(
    {"", "-", "--", "null", "(null)", "<null>", "none", "(none)", "nil", "nan", "na", "n/a", "#n/a"}
    | {"unknown", "undefined", "missing", "not set", "(not set)", "not available"}
)
_ZEROS = re.compile(r"[0\s.:_{}-]+\Z")
_CARRIER_GRADE = ip_network("100.64.0.0/10")
_NO_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104


def is_missing(key: str) -> bool:
    """Whether a key says that there is none: `unknown`, `null`, an all-zero advertising id, the address 0.0.0.0.

    Such a key is a missing value: kept, it would link strangers through one giant shared device.
    A short zero (`0`, `000`) is a key like any other, since numbered sources start there.
    """
    text = key.strip()
    if len(text) > 64:
        return False
    if text.count("0") >= 8 and _ZEROS.match(text):
        return True
    return text in _NO_ADDRESS or text.casefold() in _NULL_LIKE


def canonical(entity: str, key: str) -> str | None:  # noqa: ARG001
    """The one form of an entity's key, whatever spelling it came in; None where it says that there is none."""
    text = key.strip()
    return None if is_missing(text) else text


def address_range(key: str) -> str | None:
    """What kind of network an IP address belongs to; None where the key is no address.

    `public`, `private`, `carrier_grade`, `loopback`, `link_local` or `reserved`.
    """
    try:
        address = ip_address(key)
    except ValueError:
        return None
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link_local"
    if address in _CARRIER_GRADE:
        return "carrier_grade"
    if address.is_reserved or address.is_multicast:
        return "reserved"
    return "private" if address.is_private else "public"
