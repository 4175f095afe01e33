"""Identifiers and categorical values."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import Text, as_written, mask, matches, noted, nulls
from etl.cleaning.steps import Step
from graph import ids as keys
from graph.addresses import PLAIN_V4
from graph.ids import address_range

_STEPS = {
    keys.INVISIBLE: Step.INVISIBLE,
    keys.NULL_LIKE: Step.NULL_LIKE,
    keys.CASE: Step.CASE,
    keys.SEPARATORS: Step.SEPARATORS,
    keys.ADDRESS: Step.ADDRESS,
    keys.BAD_ADDRESS: Step.BAD_ADDRESS,
}
_TRANSACTION = "transaction"
# What is plainly canonical, or made so by Arrow alone; all else goes to `graph.ids.examine`, each distinct value once.
_PLAIN = r"^[!-~]*[1-9][!-~]*$"
_DOUBTFUL = r"(?i)\.0+$|^(?:" + "|".join(key.replace(".", r"\.") for key in sorted(keys.NULL_IDS)) + ")$"
_SEPARATORS = r"[-_:.{}]+"
_UNSEEN = "[" + re.escape("".join(chr(code) for code, form in keys.HIDDEN.items() if form is None or code > 0x7F)) + "]"
_ENOUGH = rf"^(?:[^0-9A-Za-z]*[0-9A-Za-z]){{{keys.LEAST_ALPHANUMERICS}}}"


def identifiers(entity: str, array: pa.Array) -> Text:
    """Identifiers of one entity type in their canonical form, as `graph.ids.canonical`; null where missing.

    For `transaction`, and whatever is neither device nor ip, this means: without invisible characters and blanks
    at the ends, and null where null-like. `bad` is never set: an address that is none is `Step.BAD_ADDRESS`.
    """
    text = as_written(array)
    if entity == "ip":
        plain = matches(text, f"^(?:{PLAIN_V4})$") & ~mask(pc.equal(text, "0.0.0.0"))  # noqa: S104
        return _finished(entity, text, text, plain, {})
    plain = matches(text, _PLAIN) & ~matches(text, _DOUBTFUL)
    if entity != "device":
        return _finished(entity, text, text, plain, {})
    bare = pc.replace_substring_regex(text, _SEPARATORS, "")
    parted = mask(pc.not_equal(bare, text)) & matches(bare, _ENOUGH)
    bare = pc.if_else(pa.array(parted), bare, text)
    lower = pc.utf8_lower(bare)
    plain &= ~matches(lower, _DOUBTFUL)
    steps = {Step.SEPARATORS: parted & plain, Step.CASE: mask(pc.not_equal(lower, bare)) & plain}
    return _finished(entity, text, lower, plain, steps)


def _finished(
    entity: str, text: pa.Array, made: pa.Array, plain: NDArray[np.bool_], steps: dict[Step, NDArray[np.bool_]]
) -> Text:
    """What was made of the plain values, and of the others one by one."""
    bad = np.zeros(len(text), dtype=np.bool_)
    others = ~plain & ~nulls(text)
    if not others.any():
        made = pc.if_else(pa.array(plain), made, pa.scalar(None, pa.string()))
        return Text(made, noted(steps), bad)
    encoded = pc.dictionary_encode(text.filter(pa.array(others)))
    found = [keys.examine(entity, key) for key in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy()
    values = pa.array([key for key, _ in found], pa.string()).take(encoded.indices)
    changes = np.array([change for _, change in found], dtype=np.int64)[codes]
    made = pc.replace_with_mask(made, pa.array(others), values)
    for bit, step in _STEPS.items():
        rows = steps.get(step, np.zeros(len(text), dtype=np.bool_))
        rows[others] |= (changes & bit) != 0
        steps[step] = rows
    return Text(made, noted(steps), bad)


def ids(array: pa.Array) -> pa.Array:
    """Identifiers that are no device's and no address: trimmed; null where missing or null-like."""
    return identifiers(_TRANSACTION, array).values


def keys_of(entity: str, parts: Sequence[pa.Array]) -> Text:
    """The canonical keys of one entity type, of one or more columns (`composite`); null where all are missing."""
    if len(parts) == 1:
        return identifiers(entity, parts[0])
    cleaned = [identifiers(_TRANSACTION, part) for part in parts]
    joined = identifiers(entity, composite([part.values for part in cleaned]))
    steps = dict(joined.steps)
    for part in cleaned:
        for step, rows in part.steps.items():
            steps[step] = steps[step] | rows if step in steps else rows
    return Text(joined.values, steps, joined.bad)


def composite(parts: Sequence[pa.Array]) -> pa.Array:
    """One id of several parts, joined by `|` (which is escaped inside them); null where all parts are missing."""
    if len(parts) == 1:
        return parts[0]
    missing = np.logical_and.reduce([nulls(part) for part in parts])
    escaped = [
        pc.replace_substring(pc.replace_substring(pc.fill_null(part, ""), "\\", "\\\\"), "|", "\\|") for part in parts
    ]
    joined = pc.binary_join_element_wise(*escaped, "|")
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), joined)


def texts(array: pa.Array) -> Text:
    """Categorical values in the form of `graph.ids.category`; null where empty or spelled as missing."""
    text, n = as_written(array), len(array)
    odd = matches(text, r"[^ -~]|^ | $|\.0+$")
    seen = text
    if odd.any():
        encoded = pc.dictionary_encode(text.filter(pa.array(odd)))
        distinct = pa.array([keys.category(value) for value in encoded.dictionary.to_pylist()], pa.string())
        seen = pc.replace_with_mask(text, pa.array(odd), distinct.take(encoded.indices))
    null_like = mask(pc.is_in(pc.utf8_lower(seen), value_set=pa.array(sorted(keys.NO_CATEGORY))))
    null_like |= nulls(seen) & ~nulls(text)
    values = pc.if_else(pa.array(null_like), pa.scalar(None, pa.string()), seen)
    invisible = odd & matches(text, _UNSEEN)
    steps = {Step.INVISIBLE: invisible, Step.NULL_LIKE: null_like & matches(text, r"[!-~]")}
    return Text(values, noted(steps), np.zeros(n, dtype=np.bool_))


def categories(array: pa.Array) -> pa.Array:
    """The values of `texts`."""
    return texts(array).values


def address_ranges(addresses: pa.Array) -> pa.Array:
    """`graph.ids.address_range` of canonical addresses; null where there is none, or something else."""
    encoded = pc.dictionary_encode(addresses)
    ranges = [address_range(key) if key is not None else None for key in encoded.dictionary.to_pylist()]
    return pa.array(ranges, pa.string()).take(encoded.indices)
