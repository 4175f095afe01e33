"""What every store that keeps embeddings promises (`graph.store.EmbeddingStore`)."""

import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from graph.embedding_records import EmbeddingRefresh, Overview, TypeEmbeddings
from graph.errors import StoreError
from graph.records import Decision, GraphSchema, transaction_columns
from graph.store import Store, embeddings_of, open_store
from tests.neo4j import Neo4j

AT = 1_700_000_000_000_001
SCHEMA = GraphSchema(("user", "device"), ("city",))
LONG = "ñ" * 2_000
"""A key that Neo4j keeps shortened."""
USERS = [*(f"u{i}" for i in range(300)), LONG, "x'); DROP"]


def fill(store: Store) -> None:
    """Users, each with a device of its own."""
    store.extend_schema(SCHEMA)
    columns = transaction_columns(SCHEMA)
    n = len(USERS)
    table = {
        "transaction_id": [f"t{i}" for i in range(n)],
        "occurred_at": [AT - n + i for i in range(n)],
        "arrived_at": [AT - n + i for i in range(n)],
        "amount": [100] * n,
        "currency": ["PEN"] * n,
        "entity:user": USERS,
        "entity:device": [f"d{i}" for i in range(n)],
        "category:city": ["Cusco"] * n,
    }
    store.upsert_transactions(pa.table([pa.array(table[f.name], f.type) for f in columns], columns))


def unit(n: int, dimension: int = 16, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(n, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def refresh(seed: int = 0, *, users: list[str] = USERS, dimension: int = 16, at: int = AT) -> EmbeddingRefresh:
    devices = TypeEmbeddings("device", ["d0", "d1", "d2"], unit(3, dimension, seed + 1))
    return EmbeddingRefresh(at, "model-1", (TypeEmbeddings("user", users, unit(len(users), dimension, seed)), devices))


def expected(of_type: TypeEmbeddings, key: str, limit: int) -> dict[str, float]:
    """The closest by brute force, in double precision."""
    vectors = of_type.vectors.astype(np.float64)
    mine = of_type.keys.index(key)
    cosine = vectors @ vectors[mine]
    order = [i for i in np.argsort(-cosine) if i != mine][:limit]
    return {of_type.keys[i]: float(cosine[i]) for i in order}


@pytest.fixture
def filled(store: Store) -> Store:
    fill(store)
    return store


def test_before_the_first_refresh(filled: Store) -> None:
    kept = embeddings_of(filled)
    assert kept.embeddings() is None
    assert kept.similar("user", "u1") is None
    assert kept.every_embedding() is None


def test_all_are_read_as_they_were_written(filled: Store) -> None:
    kept, given = embeddings_of(filled), refresh()
    kept.write_embeddings(refresh(seed=3, at=AT - 5))
    kept.write_embeddings(given)
    found = kept.every_embedding()
    assert found is not None
    assert (found.at, found.model) == (given.at, given.model)
    for there, wanted in zip(found.types, given.types, strict=True):
        assert there.entity == wanted.entity
        row = {key: number for number, key in enumerate(wanted.keys)}
        assert (there.vectors == wanted.vectors[[row[key] for key in there.keys]]).all()
        assert len(there.keys) == len(wanted.keys)


def test_the_closest_come_first_with_their_cosine(filled: Store) -> None:
    kept, given = embeddings_of(filled), refresh()
    assert kept.write_embeddings(given) == {"user": len(USERS), "device": 3}
    for key, limit in itertools.product(("u0", LONG, "x'); DROP"), (1, 10, 25)):
        found = kept.similar("user", key, limit=limit)
        assert found is not None
        wanted = expected(given.types[0], key, limit)
        assert [alike.key for alike in found] == list(wanted)
        assert [alike.similarity for alike in found] == pytest.approx(list(wanted.values()), abs=1e-5)


def test_what_is_there_and_who_has_none(filled: Store) -> None:
    kept = embeddings_of(filled)
    kept.write_embeddings(refresh())
    there = kept.embeddings()
    assert there is not None
    assert (there.at, there.model, there.dimension) == (AT, "model-1", 16)
    assert there.counts == {"user": len(USERS), "device": 3}
    # Only entities of the type, and never the entity itself.
    assert {alike.key for alike in kept.similar("device", "d1", limit=50) or []} == {"d0", "d2"}
    assert kept.similar("device", "d1", limit=0) == []
    for entity, key in (("device", "d7"), ("user", "nobody"), ("city", "Cusco"), ("planet", "u1")):
        assert kept.similar(entity, key) is None


def test_a_later_refresh_replaces_all_of_the_earlier_one(filled: Store) -> None:
    kept = embeddings_of(filled)
    kept.write_embeddings(refresh())
    fewer = EmbeddingRefresh(AT + 5, "model-2", (TypeEmbeddings("user", USERS[:50], unit(50, seed=9)),))
    assert kept.write_embeddings(fewer) == {"user": 50}
    there = kept.embeddings()
    assert there is not None
    assert (there.at, there.model, there.counts) == (AT + 5, "model-2", {"user": 50})
    assert kept.similar("user", "u60") is None
    assert kept.similar("device", "d1") is None
    found = kept.similar("user", "u3", limit=300)
    assert found is not None
    assert {alike.key for alike in found} == set(USERS[:50]) - {"u3"}
    assert dict(found) == pytest.approx(expected(fewer.types[0], "u3", 49), abs=1e-5)


def test_writing_again_changes_nothing_and_fewer_leave_none_of_the_others(filled: Store) -> None:
    kept = embeddings_of(filled)
    counts = kept.write_embeddings(refresh())
    before = [kept.similar("user", f"u{i}") for i in range(5)], kept.embeddings()
    assert kept.write_embeddings(refresh()) == counts
    assert ([kept.similar("user", f"u{i}") for i in range(5)], kept.embeddings()) == before
    kept.write_embeddings(refresh(users=USERS[:20]))
    assert kept.similar("user", "u25") is None
    assert len(kept.similar("user", "u5", limit=300) or []) == 19


def test_another_dimension(filled: Store) -> None:
    kept, wide = embeddings_of(filled), refresh(dimension=48)
    kept.write_embeddings(refresh())
    kept.write_embeddings(wide)
    assert dict(kept.similar("user", "u8") or []) == pytest.approx(expected(wide.types[0], "u8", 10), abs=1e-5)


def test_what_the_store_does_not_know_is_left_out(filled: Store) -> None:
    kept = embeddings_of(filled)
    users = TypeEmbeddings("user", ["u1", "stranger", "u2"], unit(3))
    given = EmbeddingRefresh(AT, "m", (users, TypeEmbeddings("planet", ["earth"], unit(1))))
    assert kept.write_embeddings(given) == {"user": 2}
    found = kept.similar("user", "u1")
    assert found is not None
    assert [alike.key for alike in found] == ["u2"]


def test_they_are_there_when_the_store_is_opened_again(url: str) -> None:
    store = open_store(url)
    fill(store)
    embeddings_of(store).write_embeddings(refresh())
    before = embeddings_of(store).similar("user", "u1")
    store.close()
    again = open_store(url)
    assert embeddings_of(again).similar("user", "u1") == before
    again.close()


def test_more_vectors_than_one_block_or_batch(store: Store) -> None:
    """Both stores write in parts; who is closest may stand in another part."""
    store.extend_schema(GraphSchema(("user",)))
    columns = transaction_columns(GraphSchema(("user",)))
    n = 5_200
    names = [f"p{i}" for i in range(n)]
    table = dict.fromkeys(("transaction_id", "entity:user"), names)
    table |= {"occurred_at": [AT] * n, "arrived_at": [AT] * n, "amount": [1] * n, "currency": [None] * n}
    store.upsert_transactions(pa.table([pa.array(table[f.name], f.type) for f in columns], columns))
    given = TypeEmbeddings("user", names[::-1], unit(n, 8))
    kept = embeddings_of(store)
    assert kept.write_embeddings(EmbeddingRefresh(AT, "m", (given,))) == {"user": n}
    for key in ("p0", "p4500", "p5199"):
        found, wanted = dict(kept.similar("user", key) or []), expected(given, key, 10)
        # The index of Neo4j searches approximately.
        assert len(found.keys() & wanted.keys()) >= 9
        assert all(found[other] == pytest.approx(wanted[other], abs=1e-5) for other in found.keys() & wanted.keys())


def test_a_store_without_embeddings_says_so() -> None:
    class Plain:
        url = "plain://"

    with pytest.raises(StoreError, match="keeps no embeddings"):
        embeddings_of(Plain())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TypeEmbeddings("user", ["a", "a"], unit(2)),
        lambda: TypeEmbeddings("user", ["a"], unit(2)),
        lambda: TypeEmbeddings("user", ["a"], 2 * unit(1)),
        lambda: TypeEmbeddings("user", ["a"], np.full((1, 4), np.nan, np.float32)),
        lambda: TypeEmbeddings("user", ["a"], unit(1).astype(np.float64)),
        lambda: EmbeddingRefresh(AT, "m", ()),
        lambda: EmbeddingRefresh(AT, "m", (TypeEmbeddings("user", ["a"], unit(1)),) * 2),
        lambda: EmbeddingRefresh(
            AT, "m", (TypeEmbeddings("user", ["a"], unit(1)), TypeEmbeddings("device", ["a"], unit(1, 8)))
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"vector|twice|dimension"):
        wrong()


def test_neo4j_has_them_for_browser(neo4j_database: Neo4j) -> None:
    """The properties and indexes by which Browser asks for users like another."""
    store = open_store(neo4j_database.empty())
    fill(store)
    given = refresh(dimension=24)
    embeddings_of(store).write_embeddings(given)
    properties = "MATCH (u:User {id: 'u4'}) RETURN size(u.embedding), u.embedding_model, u.embedded_at.microsecond"
    assert neo4j_database.run(properties) == [[24, "model-1", 1]]
    indexes = dict(
        neo4j_database.run(
            "SHOW VECTOR INDEXES YIELD name, options"
            " RETURN name, options.indexConfig['vector.dimensions'] + options.indexConfig['vector.similarity_function']"
        )
    )
    assert indexes["quipu_user_embedding"] == "24COSINE"
    assert indexes["quipu_device_embedding"] == "24COSINE"
    asked = neo4j_database.run(
        "MATCH (u:User {id: 'u4'}) CALL db.index.vector.queryNodes('quipu_user_embedding', 11, u.embedding)"
        " YIELD node, score WHERE node <> u RETURN node.id ORDER BY score DESC"
    )
    assert [id_ for (id_,) in asked] == list(expected(given.types[0], "u4", 10))
    embeddings_of(store).write_embeddings(refresh(users=USERS[:4]))
    assert neo4j_database.run("MATCH (u:User {id: 'u4'}) RETURN u.embedding, u.embedding_model, u.embedded_at") == [
        [None, None, None]
    ]
    store.close()


def test_without_its_index_neo4j_compares_with_all(neo4j_database: Neo4j) -> None:
    """As while many are written."""
    store = open_store(neo4j_database.empty())
    fill(store)
    given = refresh()
    embeddings_of(store).write_embeddings(given)
    neo4j_database.run("DROP INDEX quipu_user_embedding")
    found = dict(embeddings_of(store).similar("user", "u4") or [])
    assert found == pytest.approx(expected(given.types[0], "u4", 10), abs=1e-5)
    embeddings_of(store).write_embeddings(given)
    assert neo4j_database.run("SHOW VECTOR INDEXES YIELD name, state WHERE name = 'quipu_user_embedding' RETURN state")
    store.close()


def test_overviews(filled: Store) -> None:
    decided = [("t1", "review"), ("t9999", "block")]
    filled.write_decisions([Decision(id_, b"", AT, 0.5, band, "m", b"") for id_, band in decided])
    kept = embeddings_of(filled)
    found = kept.overviews("user", ["u1", "u2", LONG, "nobody"])
    assert list(found) == ["u1", "u2", LONG]
    n = len(USERS)
    assert found["u1"] == Overview(1, 0, AT - n + 1, AT - n + 1, frozenset({"review"}))
    assert found["u2"].bands == found[LONG].bands == frozenset()
    assert kept.overviews("user", ["u1"], latest=0)["u1"].bands == frozenset()
    assert kept.overviews("card", ["u1"]) == {}
