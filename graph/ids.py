"""Keys of entities, as people and devices send them."""

import re

_NULL_LIKE = frozenset(
    {"", "-", "--", "null", "(null)", "<null>", "none", "(none)", "nil", "nan", "na", "n/a", "#n/a"}
    | {"unknown", "undefined", "missing", "not set", "(not set)", "not available"}
)
_ZEROS = re.compile(r"[0\s.:_{}-]+\Z")
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
