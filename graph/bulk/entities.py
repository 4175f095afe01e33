"""Entities as nodes of an import, with their sums and attributes; pairs of them; categories and hubs."""

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.attributes import as_text
from graph.bulk.embeddings import FIELDS, Embedded
from graph.bulk.files import ImportFiles
from graph.bulk.texts import ids, moments
from graph.bulk.transactions import Facts
from graph.neo4j_attributes import plain
from graph.neo4j_hubs import HUB
from graph.neo4j_names import CATEGORY, HUB_TRANSACTION
from graph.neo4j_state import Columns
from graph.records import EntityType
from graph.store import Store, WholeStore
from graph.sums import Sums

_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}
_SUMS = {"transactions": "long", "amount": "long", "first_at": "datetime", "last_at": "datetime", "fraud_known": "long"}
_CHUNK = 131_072

Attributed = dict[tuple[tuple[str, str], ...], dict[int, tuple[str, dict[str, Any]]]]
"""Attributes (as text, and the plain ones by name) by integer id, by names and types of the plain ones."""


def write_entities(
    store: Store,
    source: WholeStore,
    columns: Columns,
    files: ImportFiles,
    facts: Facts,
    kinds: NDArray[np.int16],
    keys: pa.ChunkedArray,
    embedded: Embedded,
) -> int:
    """Writes the entities of all types, those with the same attributes into one file; returns how many."""
    written = 0
    for position, kind in enumerate(columns.types):
        numbers = np.flatnonzero(kinds == position)
        linked = facts.ids[:, position]
        there = linked >= 0
        sums = Sums.of(
            linked[there].astype(np.int64), facts.occurred_at[there], facts.amount[there], facts.fraud[there]
        )
        attributed = _attributes(store, source, kind.name)
        with_attributes = np.zeros(len(kinds), dtype=np.bool_)
        for signature, group in attributed.items():
            mine = np.array(sorted(group), dtype=np.int64)
            with_attributes[mine] = True
            for part in _by_embedding(embedded, mine):
                values = [group[int(n)] for n in part]
                _write_group(files, kind, keys, part, sums, dict(signature), values, embedded)
        for part in _by_embedding(embedded, numbers[~with_attributes[numbers]]):
            _write_group(files, kind, keys, part, sums, {}, None, embedded)
        written += len(numbers)
    return written


def write_categories(columns: Columns, files: ImportFiles, kinds: NDArray[np.int16], keys: pa.ChunkedArray) -> None:
    """Writes the values of categorical columns."""
    first = len(columns.types)
    file = files.nodes(CATEGORY, {"name": "string", "id": "string", "long_id": "string", "number": "long"})
    names = pa.array(columns.schema.categories, pa.string())
    numbers = np.flatnonzero(kinds >= first)
    for at in range(0, len(numbers), _CHUNK):
        mine = numbers[at : at + _CHUNK]
        texts = keys.take(pa.array(mine)).to_pylist()
        file.write([names.take(pa.array(kinds[mine] - first)), *ids(texts), pa.array(mine)])


def write_pairs(columns: Columns, files: ImportFiles, facts: Facts) -> None:
    """Writes the relationships from users to what they used, with sums over the transactions of each pair."""
    for position, kind in enumerate(columns.types[1:], 1):
        file = files.relationships(kind.aggregate, {":START_ID(entity)": "", ":END_ID(entity)": "", **_SUMS})
        there = np.flatnonzero(facts.ids[:, position] >= 0)
        user, other = facts.ids[there, 0].astype(np.int64), facts.ids[there, position].astype(np.int64)
        pairs = Sums.of((user << 32) | other, facts.occurred_at[there], facts.amount[there], facts.fraud[there])
        for at in range(0, len(pairs.keys), _CHUNK):
            rows = slice(at, at + _CHUNK)
            key = pairs.keys[rows]
            file.write([pa.array(key >> 32), pa.array(key & 0xFFFFFFFF), *_sums(pairs, np.arange(at, at + len(key)))])


def write_hubs(columns: Columns, files: ImportFiles, facts: Facts) -> None:
    """Writes the order of the transactions of entities that have many; see `graph.neo4j_hubs`."""
    file = files.nodes(HUB_TRANSACTION, {"hub": "long", "at": "long", "seq": "long"})
    for position in range(len(columns.types)):
        linked = facts.ids[:, position]
        rows = np.flatnonzero((linked >= 0) & _large(linked)[linked])
        for at in range(0, len(rows), _CHUNK):
            mine = rows[at : at + _CHUNK]
            file.write([pa.array(linked[mine]), pa.array(facts.occurred_at[mine]), pa.array(mine + 1)])


def _large(linked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """By integer id, whether so many transactions have it that it counts as a hub; never for what is missing."""
    counts = np.bincount(linked[linked >= 0])
    return np.append(counts > HUB, False)


def _attributes(store: Store, source: WholeStore, entity: str) -> Attributed:
    found: Attributed = defaultdict(dict)
    for given in source.every_attribute(entity):
        numbers = store.entity_ids(entity, list(given))
        for key, attributes in given.items():
            if attributes:
                shown = plain(attributes)
                signature = tuple((name, _TYPES[type(value)]) for name, value in sorted(shown.items()))
                found[signature][numbers[key]] = (as_text(attributes), shown)
    return found


def _by_embedding(embedded: Embedded, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Those with an embedding and those without, where there are any."""
    there = embedded.there(numbers)
    return [part for part in (numbers[there], numbers[~there]) if part.size]


def _write_group(
    files: ImportFiles,
    kind: EntityType,
    keys: pa.ChunkedArray,
    numbers: NDArray[np.int64],
    sums: Sums,
    attributes: dict[str, str],
    values: list[tuple[str, dict[str, Any]]] | None,
    embedded: Embedded,
) -> None:
    """Writes entities with the same attributes (name and type each), all with an embedding or all without."""
    vectors = bool(embedded.there(numbers[:1]).any())
    fields = {":ID(entity)": "", "id": "string", "long_id": "string", "number": "long", **_SUMS, "hub": "boolean"}
    if values is not None:
        fields |= {"attributes": "string", **attributes}
    if vectors:
        fields |= FIELDS
    file = files.nodes(kind.label, fields)
    for at in range(0, len(numbers), _CHUNK):
        mine = numbers[at : at + _CHUNK]
        number = pa.array(mine)
        place = np.searchsorted(sums.keys, mine)
        place[place == len(sums.keys)] = -1
        place[(sums.keys[place] != mine) if len(sums.keys) else slice(None)] = -1
        totals = _sums(sums, place)
        hub = np.append(sums.transactions, 0)[place] > HUB
        row = [
            number, *ids(keys.take(number).to_pylist()), number, *totals, pa.array(hub, mask=~hub)
        ]  # fmt: skip
        if values is not None:
            some = values[at : at + _CHUNK]
            row.append(pa.array([text for text, _ in some]))
            row += [pa.array([shown[name] for _, shown in some]) for name in attributes]
        if vectors:
            row += embedded.properties(kind.name, mine)
        file.write(row)


def _sums(sums: Sums, place: NDArray[np.int64]) -> list[pa.Array]:
    """The sums at these places; where one is -1 there are none: counts of 0, no times."""
    missing = place < 0

    def counts(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.append(values, 0)[place]  # the last stands for none

    return [
        pa.array(counts(sums.transactions)), pa.array(counts(sums.amount)),
        moments(counts(sums.first_at), missing), moments(counts(sums.last_at), missing),
        pa.array(counts(sums.fraud_known)),
    ]  # fmt: skip
