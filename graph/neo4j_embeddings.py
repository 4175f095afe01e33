"""Embeddings in the Neo4j store: a property of the entities' nodes, and a vector index a label.

`(:User {embedding, embedding_model, embedded_at})`, index `quipu_user_embedding` by cosine, so that Browser can ask
for users like another with `db.index.vector.queryNodes`. Vectors are written some thousand at a time, each time in
one transaction; what is asked meanwhile compares only vectors of one refresh.

An index is filled several times as quickly when its vectors are there already, so it is dropped before many are
written and made again after. While it is not there, an entity is compared with all others.
"""

from typing import Any

import neo4j
import numpy as np

from graph.embedding_records import Alike, EmbeddingRefresh, StoredEmbeddings, TypeEmbeddings
from graph.neo4j_database import Database
from graph.neo4j_names import STORE, bounded, quoted
from graph.neo4j_state import State
from graph.neo4j_times import split
from graph.records import EntityType

_BATCH = 5_000
_AWAIT_SECONDS = 600
_WIDER = 10
_MANY = 1_000
_LEAST = 100
"""The index's search is approximate, and the better the more it is asked for."""


def index_of(kind: EntityType) -> str:
    """Name of the vector index over an entity type's nodes."""
    return f"quipu_{kind.label.lower()}_embedding"


def write(database: Database, types: tuple[EntityType, ...], refresh: EmbeddingRefresh) -> dict[str, int]:
    """Replaces all embeddings; returns how many were written, by type. See `graph.store.EmbeddingStore`."""
    given = {of_type.entity: of_type for of_type in refresh.types}
    counts = {}
    for kind in types:
        of_type = given.get(kind.name)
        if of_type is not None:
            _drop_index(database, kind, refresh.dimension, many=len(of_type.keys) > _MANY)
        _remove(database, kind, set() if of_type is None else {bounded(key) for key in of_type.keys})
        if of_type is not None:
            counts[kind.name] = _write_type(database, kind, refresh, of_type)
            _make_index(database, kind, refresh.dimension)
    for kind in types:
        if kind.name in given:
            database.run("CALL db.awaitIndex($name, $seconds)", name=index_of(kind), seconds=_AWAIT_SECONDS)
    database.run(
        f"MATCH (s:{STORE} {{name: 'store'}}) SET s.embeddings_at = $at, s.embeddings_model = $model,"
        " s.embeddings_dimension = $dimension, s.embeddings_types = $types, s.embeddings_counts = $counts",
        at=refresh.at, model=refresh.model, dimension=refresh.dimension,
        types=list(counts), counts=list(counts.values()),
    )  # fmt: skip
    return counts


def _remove(database: Database, kind: EntityType, kept: set[str]) -> None:
    """Takes the embeddings off all nodes of a type but these."""
    label = quoted(kind.label)
    there = database.run(f"MATCH (n:{label}) WHERE n.embedded_at IS NOT NULL RETURN n.id")
    gone = [id_ for (id_,) in there if id_ not in kept]
    for first in range(0, len(gone), _BATCH):
        part = gone[first : first + _BATCH]

        def work(tx: neo4j.ManagedTransaction, _: State, part: list[str] = part) -> None:
            tx.run(
                f"UNWIND $ids AS id MATCH (n:{label} {{id: id}}) REMOVE n.embedding, n.embedding_model, n.embedded_at",
                ids=part,
            ).consume()

        database.write(work)


def _drop_index(database: Database, kind: EntityType, dimension: int, *, many: bool) -> None:
    """Drops the vector index of a type before many vectors, or where its vectors had another dimension."""
    found = database.run(
        "SHOW VECTOR INDEXES YIELD name, options WHERE name = $name RETURN options", name=index_of(kind)
    )
    if found and (many or found[0][0]["indexConfig"].get("vector.dimensions") != dimension):
        database.run(f"DROP INDEX {quoted(index_of(kind))} IF EXISTS")


def _make_index(database: Database, kind: EntityType, dimension: int) -> None:
    """Makes the vector index of a type where it is not there; the server goes on to fill it by itself."""
    config = {
        "vector.dimensions": dimension,
        "vector.similarity_function": "cosine",
        "vector.quantization.enabled": False,  # similarities are exact without it
    }
    settings = ", ".join(
        f"`{setting}`: {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for setting, value in config.items()
    )
    database.define(
        f"CREATE VECTOR INDEX {quoted(index_of(kind))} IF NOT EXISTS FOR (n:{quoted(kind.label)}) ON (n.embedding)"
        f" OPTIONS {{indexConfig: {{{settings}}}}}"
    )


def _write_type(database: Database, kind: EntityType, refresh: EmbeddingRefresh, of_type: TypeEmbeddings) -> int:
    seconds, nanoseconds = split(np.array([refresh.at], np.int64))
    written = 0
    for first in range(0, len(of_type.keys), _BATCH):
        keys = [bounded(key) for key in of_type.keys[first : first + _BATCH]]
        rows = [
            [key, vector] for key, vector in zip(keys, of_type.vectors[first : first + _BATCH].tolist(), strict=True)
        ]

        def work(tx: neo4j.ManagedTransaction, _: State, rows: list[list[Any]] = rows) -> int:
            return int(
                tx.run(
                    f"UNWIND $rows AS row MATCH (n:{quoted(kind.label)} {{id: row[0]}})"
                    " CALL db.create.setNodeVectorProperty(n, 'embedding', row[1])"
                    " SET n.embedding_model = $model, n.embedded_at = datetime.fromEpoch($seconds, $nanoseconds)"
                    " RETURN count(*)",
                    rows=rows, model=refresh.model, seconds=seconds[0], nanoseconds=nanoseconds[0],
                ).single(strict=True).value()
            )  # fmt: skip

        written += database.write(work)
    return written


def stored(tx: neo4j.ManagedTransaction) -> StoredEmbeddings | None:
    """What is there; None before the first refresh."""
    record = tx.run(
        f"MATCH (s:{STORE} {{name: 'store'}}) RETURN s.embeddings_at, s.embeddings_model, s.embeddings_dimension,"
        " s.embeddings_types, s.embeddings_counts"
    ).single(strict=True)
    at, model, dimension, types, counts = record.values()
    return None if at is None else StoredEmbeddings(at, model, dimension, dict(zip(types, counts, strict=True)))


def every(tx: neo4j.ManagedTransaction, types: tuple[EntityType, ...]) -> EmbeddingRefresh | None:
    """All of the latest refresh that are there; None where there are none."""
    there = stored(tx)
    if there is None:
        return None
    seconds, nanoseconds = split(np.array([there.at], np.int64))
    found = []
    for kind in types:
        rows = tx.run(
            f"MATCH (n:{quoted(kind.label)}) WHERE n.embedding IS NOT NULL AND n.embedding_model = $model"
            " AND n.embedded_at = datetime.fromEpoch($seconds, $nanoseconds)"
            " RETURN coalesce(n.long_id, n.id), n.embedding ORDER BY n.number",
            model=there.model, seconds=seconds[0], nanoseconds=nanoseconds[0],
        ).values()  # fmt: skip
        if rows:
            keys, vectors = zip(*rows, strict=True)
            found.append(TypeEmbeddings(kind.name, list(keys), np.array(vectors, np.float32)))
    return EmbeddingRefresh(there.at, there.model, tuple(found)) if found else None


def index_imported(database: Database, types: tuple[EntityType, ...]) -> None:
    """Makes the vector indexes of embeddings that came by the import tool, which makes none."""
    there = database.read(stored)
    for kind in types:
        if there is not None and there.counts.get(kind.name):
            _make_index(database, kind, there.dimension)


def similar(tx: neo4j.ManagedTransaction, kind: EntityType, key: str, limit: int) -> list[Alike] | None:
    """The entities most like this one, the most alike first; None where it has no embedding."""
    has = tx.run(
        f"MATCH (n:{quoted(kind.label)} {{id: $id}}) WHERE n.embedding IS NOT NULL RETURN 1", id=bounded(key)
    ).single()
    if has is None:
        return None
    online = tx.run(
        "SHOW VECTOR INDEXES YIELD name, state WHERE name = $name AND state = 'ONLINE' RETURN 1", name=index_of(kind)
    ).single()
    if online:
        others = "CALL db.index.vector.queryNodes($index, $wide, n.embedding) YIELD node, score WITH n, node"
    else:
        others = f"MATCH (node:{quoted(kind.label)}) WITH n, node"
    rows = tx.run(
        f"MATCH (n:{quoted(kind.label)} {{id: $id}}) {others}"
        " WHERE node <> n AND node.embedding_model = n.embedding_model AND node.embedded_at = n.embedded_at"
        " RETURN coalesce(node.long_id, node.id) AS key,"
        " 2 * vector.similarity.cosine(node.embedding, n.embedding) - 1 AS similarity"
        " ORDER BY similarity DESC, key LIMIT $limit",
        id=bounded(key), index=index_of(kind), wide=max(_LEAST, _WIDER * limit), limit=limit,
    )  # fmt: skip
    return [Alike(text, max(-1.0, min(1.0, similarity))) for text, similarity in rows.values()]
