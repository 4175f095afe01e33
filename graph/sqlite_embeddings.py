"""Embeddings in a SQLite store: vectors in blocks, and an exact search through all of them.

A row holds the vectors of some thousand entities, ascending by their integer ids, so that a hundred thousand
vectors are read in a few dozen steps and compared by one multiplication of matrices a block.
"""

import sqlite3

import numpy as np
from numpy.typing import NDArray

from graph.embedding_records import Alike, EmbeddingRefresh, StoredEmbeddings, TypeEmbeddings
from graph.layout import Layout
from graph.sqlite_database import select_in
from graph.sqlite_reads import find_entity

BLOCK = 4096
"""Vectors a row."""


def write(connection: sqlite3.Connection, layout: Layout, refresh: EmbeddingRefresh) -> dict[str, int]:
    """Replaces all embeddings; returns how many were written, by type. See `graph.store.EmbeddingStore`."""
    connection.execute("DELETE FROM embeddings")
    connection.execute("DELETE FROM embedding_refresh")
    counts = {}
    for of_type in refresh.types:
        kind = layout.entity_kind(of_type.entity)
        if kind is None:
            continue
        known = dict(
            select_in(connection, "SELECT key, id FROM entities WHERE kind = ? AND key IN ({})", of_type.keys, kind)
        )
        ids = np.array([known.get(key, -1) for key in of_type.keys], np.int32)
        order = np.argsort(ids, kind="stable")
        order = order[ids[order] >= 0]
        for first in range(0, len(order), BLOCK):
            block = order[first : first + BLOCK]
            connection.execute(
                "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
                (kind, int(ids[block[0]]), ids[block].tobytes(), of_type.vectors[block].tobytes()),
            )
        counts[of_type.entity] = len(order)
    connection.execute(
        "INSERT INTO embedding_refresh VALUES (1, ?, ?, ?)", (refresh.at, refresh.model, refresh.dimension)
    )
    return counts


def stored(connection: sqlite3.Connection, layout: Layout) -> StoredEmbeddings | None:
    """What is there; None before the first refresh."""
    row = connection.execute("SELECT at, model, dimension FROM embedding_refresh").fetchone()
    if row is None:
        return None
    sizes = dict(connection.execute("SELECT kind, sum(length(entities)) / 4 FROM embeddings GROUP BY kind"))
    names = {name: sizes.get(layout.entity_kind(name), 0) for name in layout.schema.entities}
    at, model, dimension = row
    return StoredEmbeddings(at, model, dimension, {name: count for name, count in names.items() if count})


def every(connection: sqlite3.Connection, layout: Layout) -> EmbeddingRefresh | None:
    """All that are there; None where there are none."""
    there = stored(connection, layout)
    if there is None or not there.counts:
        return None
    types = []
    for name in there.counts:
        kind = layout.entity_kind(name)
        rows = connection.execute("SELECT entities, vectors FROM embeddings WHERE kind = ? ORDER BY first", (kind,))
        entities, vectors = zip(*rows, strict=True)
        ids = np.frombuffer(b"".join(entities), np.int32)
        keys = dict(select_in(connection, "SELECT id, key FROM entities WHERE id IN ({})", ids.tolist()))
        matrix = np.frombuffer(b"".join(vectors), np.float32).reshape(len(ids), there.dimension)
        types.append(TypeEmbeddings(name, [keys[number] for number in ids.tolist()], matrix))
    return EmbeddingRefresh(there.at, there.model, tuple(types))


def similar(connection: sqlite3.Connection, layout: Layout, entity: str, key: str, limit: int) -> list[Alike] | None:
    """The entities most like this one, the most alike first; None where it has no embedding."""
    kind, id_ = layout.entity_kind(entity), find_entity(connection, layout, entity, key)
    mine = None if id_ is None else _vector(connection, kind, id_)
    if id_ is None or mine is None:
        return None
    best_ids, best = np.empty(0, np.int32), np.empty(0, np.float32)
    for entities, vectors in connection.execute("SELECT entities, vectors FROM embeddings WHERE kind = ?", (kind,)):
        ids = np.frombuffer(entities, np.int32)
        cosine = np.frombuffer(vectors, np.float32).reshape(len(ids), -1) @ mine
        cosine[ids == id_] = -np.inf
        best_ids, best = np.concatenate([best_ids, ids]), np.concatenate([best, cosine])
        if len(best) > limit:
            kept = np.argpartition(-best, limit)[:limit]
            best_ids, best = best_ids[kept], best[kept]
    found = {int(number): float(value) for number, value in zip(best_ids, best, strict=True) if np.isfinite(value)}
    keys = select_in(connection, "SELECT id, key FROM entities WHERE id IN ({})", list(found))
    alike = [Alike(text, max(-1.0, min(1.0, found[number]))) for number, text in keys]
    return sorted(alike, key=lambda other: (-other.similarity, other.key))


def _vector(connection: sqlite3.Connection, kind: int | None, id_: int) -> NDArray[np.float32] | None:
    row = connection.execute(
        "SELECT entities, vectors FROM embeddings WHERE kind = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        (kind, id_),
    ).fetchone()
    if row is None:
        return None
    ids = np.frombuffer(row[0], np.int32)
    place = int(np.searchsorted(ids, id_))
    if place == len(ids) or ids[place] != id_:
        return None
    vector: NDArray[np.float32] = np.frombuffer(row[1], np.float32).reshape(len(ids), -1)[place]
    return vector
