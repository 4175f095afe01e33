"""Identifiers: the keys of users, devices, addresses and whatever else links transactions."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.cleaning.columns import NULL_TEXT, WHOLE, Text, as_text, nulls
from graph.ids import address_range, is_missing

_DIGIT = r"[1-9]"  # what has one is no spelling of null


def identifiers(entity: str, array: pa.Array) -> Text:
    """Identifiers of one entity type in their canonical form, as `graph.ids.canonical`; null where missing."""
    values = ids(array)
    return Text(values, {}, np.zeros(len(values), dtype=np.bool_))


def keys_of(entity: str, parts: Sequence[pa.Array]) -> Text:
    """The canonical keys of one entity type, of one or more columns (`composite`); null where all are missing."""
    if len(parts) == 1:
        return identifiers(entity, parts[0])
    return identifiers(entity, composite([ids(part) for part in parts]))


def ids(array: pa.Array) -> pa.Array:
    """Identifiers as text; null where missing or null-like (`graph.ids.is_missing`)."""
    text = as_text(array)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return text  # a number cannot look like null
    text = pc.replace_substring_regex(text, WHOLE, r"\1")
    doubtful = pc.filter(text, pc.invert(pc.match_substring_regex(text, _DIGIT))).unique()
    null_like = [key for key in doubtful.to_pylist() if is_missing(key)]
    if not null_like:
        return text
    return pc.if_else(pc.is_in(text, value_set=pa.array(null_like)), pa.scalar(None, pa.string()), text)


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


def categories(array: pa.Array) -> pa.Array:
    """Categorical values as text; null where empty or spelled null."""
    text = as_text(array)
    null_like = pc.is_in(pc.utf8_lower(text), value_set=pa.array(NULL_TEXT))
    return pc.if_else(null_like, pa.scalar(None, pa.string()), text)


def address_ranges(addresses: pa.Array) -> pa.Array:
    """`graph.ids.address_range` of canonical addresses; null where there is none, or something else."""
    encoded = pc.dictionary_encode(addresses)
    ranges = [address_range(key) for key in encoded.dictionary.to_pylist()]
    return pa.array(ranges, pa.string()).take(encoded.indices)
