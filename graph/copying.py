"""Moving all that a store holds into another one, whatever kinds they are.

It goes through the port, in batches that can be repeated: a copy that was cut off is run again, and finds what is
there already. Integer ids are given anew; everything else comes out as it was.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from graph.parts import Part
from graph.progress import Progress, Silent
from graph.records import (
    LABEL_COLUMNS,
    TIMESTAMP,
    GraphSchema,
    category_column,
    entity_column,
    numeric_column,
    transaction_columns,
)
from graph.ring_copying import copy_rings
from graph.store import EmbeddingStore, Outcome, RingStore, Store, TransactionChanges, WholeStore, whole

BATCH = 10_000
_SCALARS = {bool: "bool", int: "int", float: "float", str: "str"}


def copy(
    source: Store, target: Store, *, only: Part | None = None, progress: Progress | None = None
) -> dict[str, dict[str, int]]:
    """Copies a store into another one, which may hold something already.

    Args:
        source: read as of the moment of this call.
        target: written to.
        only: one part; all by default.
        progress: told of how far it is.

    Returns:
        Of `transactions`, `labels`, `decisions`: how many were `loaded`, `duplicates` and `conflicts` (the
        target's stay). Of `attributes`: `entities`. Of `embeddings`: those `loaded`, none where the target has these or
        later ones. Of `rings`: refreshes and verdicts `loaded`.

    Raises:
        StoreError: the source cannot be read as a whole, or one of the two fails.
    """
    progress = progress or Silent()
    everything = whole(source)
    done: dict[str, dict[str, int]] = {}
    if only in (None, Part.FACTS):
        schema = source.schema()
        target.extend_schema(schema)
        done["transactions"] = _copy_transactions(source, target, schema, progress)
        done["labels"] = _copy_labels(everything, target, progress)
        done["attributes"] = {"entities": _copy_attributes(everything, target, schema, progress)}
    if only in (None, Part.DECISIONS):
        done["decisions"] = _copy_decisions(everything, target, progress)
    if only in (None, Part.EMBEDDINGS) and isinstance(source, EmbeddingStore) and isinstance(target, EmbeddingStore):
        done["embeddings"] = {"loaded": _copy_embeddings(source, target, progress)}
    if only in (None, Part.RINGS) and isinstance(source, RingStore) and isinstance(target, RingStore):
        done["rings"] = copy_rings(source, target, progress)
    return done


def differences(source: Store, target: Store) -> dict[str, tuple[int, int]]:
    """Counts in which two stores differ: what the first and the second have."""
    first, second = counts(source), counts(target)
    names = dict.fromkeys((*first, *second))
    return {n: (first.get(n, 0), second.get(n, 0)) for n in names if first.get(n, 0) != second.get(n, 0)}


def counts(store: Store) -> dict[str, int]:
    """All that can be counted in a store: its status, labels of known transactions, embeddings, and rings."""
    found = {**store.status(), "labels of known transactions": sum(len(part.seq) for part in store.label_changes())}
    if isinstance(store, EmbeddingStore):
        there = store.embeddings()
        found["embeddings"] = sum(there.counts.values()) if there else 0
    if isinstance(store, RingStore):
        rings = store.rings(limit=None)
        found["rings"] = len(rings)
        found["ring events"] = sum(len(store.ring_events(ring.ring_id)) for ring in rings)
        found["changes of ring members"] = sum(1 for _ in store.memberships())
    return found


def _copy_transactions(source: Store, target: Store, schema: GraphSchema, progress: Progress) -> dict[str, int]:
    tally = _Tally()
    end = source.watermark().transaction
    keys = Keys(source)
    with progress.stage("copying transactions", total=end) as advance:
        for part in source.transaction_changes(with_ids=True, chunk=BATCH):
            keys.extend_to(int(part.ids.max(initial=-1)))
            tally.add(target.upsert_transactions(table_of(part, schema, keys.keys)))
            advance(len(part.seq))
    return tally.counts


class Keys:
    """Keys of a store by integer id, read as far as they are needed."""

    def __init__(self, source: Store) -> None:
        self._source = source
        self.keys = pa.chunked_array([], pa.string())

    def extend_to(self, number: int) -> None:
        """Reads on where the key of this integer id is not there yet."""
        if number >= len(self.keys):
            more = [pa.array(part.keys, pa.string()) for part in self._source.entity_keys(len(self.keys))]
            self.keys = pa.chunked_array([*self.keys.chunks, *more], pa.string())


def table_of(part: TransactionChanges, schema: GraphSchema, keys: pa.ChunkedArray) -> pa.Table:
    """A part of the feed as a table of transactions."""
    columns: dict[str, Any] = {
        "transaction_id": part.transaction_ids,
        "occurred_at": part.occurred_at,
        "arrived_at": part.arrived_at,
        "amount": part.amount,
        "currency": part.currency,
    }
    names = [*map(entity_column, schema.entities), *map(category_column, schema.categories)]
    for name, ids in zip(names, part.ids.T, strict=False):
        numbers, which = np.unique(ids, return_inverse=True)
        texts = keys.take(pa.array(numbers, mask=numbers < 0)).combine_chunks()
        columns[name] = texts.take(pa.array(which))
    for name, values in zip(map(numeric_column, schema.numeric), part.numeric.T, strict=False):
        columns[name] = pa.array(values, from_pandas=True)
    fields = [field for field in transaction_columns(schema) if field.name in columns]
    return pa.table([pa.array(columns[field.name], field.type) for field in fields], schema=pa.schema(fields))


def _copy_labels(source: WholeStore, target: Store, progress: Progress) -> dict[str, int]:
    tally = _Tally()
    with progress.stage("copying labels") as advance:
        for rows in source.every_label(chunk=BATCH):
            columns = [rows.transaction_ids, rows.is_fraud, rows.known_at, rows.source]
            types = (pa.string(), pa.bool_(), TIMESTAMP, pa.string())
            arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
            tally.add(target.upsert_labels(pa.table(arrays, schema=LABEL_COLUMNS)))
            advance(len(rows.source))
    return tally.counts


def _copy_attributes(source: WholeStore, target: Store, schema: GraphSchema, progress: Progress) -> int:
    written = 0
    with progress.stage("copying attributes") as advance:
        for entity in schema.entities:
            for given in source.every_attribute(entity, chunk=BATCH):
                for table in _attribute_tables(given):
                    target.upsert_attributes(entity, table)
                written += len(given)
                advance(len(given))
    return written


def _attribute_tables(given: dict[str, dict[str, Any]]) -> Iterator[pa.Table]:
    """Tables of entities with the same attributes, so that each column has one type."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for key, attributes in given.items():
        signature = tuple((name, _kind(value)) for name, value in sorted(attributes.items()))
        groups.setdefault(signature, []).append(key)
    for signature, keys in groups.items():
        names = [name for name, _ in signature if name != "key"]
        columns = [pa.array(keys, pa.string()), *(pa.array([given[key][name] for key in keys]) for name in names)]
        yield pa.table(columns, names=["key", *names])


def _kind(value: Any) -> str:
    return _SCALARS.get(type(value)) or str(pa.array([value]).type)


def _copy_decisions(source: WholeStore, target: Store, progress: Progress) -> dict[str, int]:
    tally = _Tally()
    with progress.stage("copying decisions") as advance:
        for rows in source.every_decision(chunk=1_000):
            tally.add(target.write_decisions(rows))
            advance(len(rows))
    return tally.counts


def _copy_embeddings(source: EmbeddingStore, target: EmbeddingStore, progress: Progress) -> int:
    """Replaces the target's embeddings where the source's are later, or more of the same; returns how many."""
    mine, there = source.embeddings(), target.embeddings()
    if mine is None or (there is not None and (there.at > mine.at or there == mine)):
        return 0
    with progress.stage("copying embeddings") as advance:
        refresh = source.every_embedding()
        written = 0 if refresh is None else sum(target.write_embeddings(refresh).values())
        advance(written)
    return written


class _Tally:
    """What became of rows."""

    def __init__(self) -> None:
        self.counts = {"loaded": 0, "duplicates": 0, "conflicts": 0}

    def add(self, outcomes: Any) -> None:
        for name, outcome in zip(self.counts, Outcome, strict=True):
            self.counts[name] += int((outcomes == outcome).sum())
