"""A store that came by the import tool is the one that the driver would have made, now and after more is loaded."""

import json
import math
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import neo4j
import pyarrow as pa
import pytest

from deploy.local import neo4j_server
from graph import neo4j_sums
from graph.bulk import entities
from graph.bulk.export import export
from graph.embedding_records import EmbeddingRefresh, TypeEmbeddings
from graph.errors import InputError
from graph.neo4j_url import Address
from graph.records import Decision, GraphSchema
from graph.store import Store, embeddings_of, open_store
from tests.graph.conftest import sqlite_url
from tests.graph.store_facts import START, decision, facts, label, labels, row, table
from tests.graph.test_embedding_store import unit
from tests.neo4j import Neo4j, short_lived

SCHEMA = GraphSchema(("user", "device", "loyalty_id"), ("payment",), ("age",))
LONG = "x" * 5_000
FIRST = 120
"""How many transactions come first."""
TEXTS = ["u1", "a, \"b\"; 'c' \\ \n d\t", "", " ", "ñandú 🎏", LONG]


def world(first: int, last: int) -> pa.Table:
    """Transactions with every kind of value and of gap."""
    rng = random.Random(first)
    rows = [
        row(f"t{i}" if i % 29 else LONG + str(i), rng.choice([*TEXTS, "u2", "u3"]), rng.randrange(10**9),
            amount=rng.choice([0, 5, 2**40]), device=rng.choice([None, "hub", "hub", *TEXTS]),
            loyalty_id=rng.choice([None, "l1"]), payment=rng.choice([None, "visa", ""]),
            age=rng.choice([None, 1.5, -0.0, math.inf, 0.1]), currency=rng.choice([None, "PEN", ""]))
        for i in range(first, last)
    ]  # fmt: skip
    return table(rows, SCHEMA)


def judgements(first: int, last: int) -> pa.Table:
    rng = random.Random(last)
    found = [label(f"t{i}", rng.random() < 0.3, rng.randrange(100), "bank") for i in range(first, last)]
    found += [label(f"t{i}", rng.random() < 0.5, rng.randrange(100), 'a "user"\n') for i in range(first, last, 7)]
    return labels([*found, label(LONG + "never"), label("t5000", fraud=False)])


def fill(store: Store) -> None:
    store.extend_schema(SCHEMA)
    store.write_decisions([decision("t3", band="block"), decision("t4", band="review"), decision("t9999"),
                           Decision(LONG, b"x", START, 0.5, "approve", "m", b"")])  # fmt: skip
    store.upsert_transactions(world(0, FIRST))
    store.upsert_labels(judgements(0, FIRST + 10))
    store.upsert_attributes(
        "user",
        pa.table({"key": ["u1", "alone", ""], "city": ["Lima", "Cusco", ""], "vip": [True, None, False],
                  "amount": ["mine", None, None], "score": [1, None, 2]}),
    )  # fmt: skip
    store.upsert_attributes("user", pa.table({"key": ["u2"], "score": ["many"], "list": [[1, 2]]}))
    store.upsert_attributes("device", pa.table({"key": ["bare"]}))
    users = TypeEmbeddings("user", ["u2", LONG, "alone", "nobody"], unit(4, 6))
    devices = TypeEmbeddings("device", ["hub", "bare"], unit(2, 6, seed=5))
    embeddings_of(store).write_embeddings(EmbeddingRefresh(START, "model-1", (users, devices)))


def more(store: Store) -> None:
    """What comes after the first load."""
    store.extend_schema(GraphSchema(("user", "ip"), (), ("speed",)))
    store.upsert_transactions(world(FIRST - 10, FIRST + 60))
    store.upsert_labels(judgements(FIRST - 40, FIRST + 80))
    store.upsert_transactions(table([row("t5000", "u9", device="hub")], SCHEMA))
    store.write_decisions([decision(f"t{FIRST + 50}", band="block"), decision("t3", band="block")])
    store.upsert_attributes("user", pa.table({"key": ["u1"], "city": ["Arequipa"]}))


def everything(store: Store) -> dict[str, object]:
    """All that a store says: contract level, the feeds with their numbers, and what is kept beside them."""
    users = [key for part in store.entity_keys() for kind, key in zip(part.kinds, part.keys, strict=True) if kind == 0]
    return {
        **facts(store),
        "watermark": store.watermark(),
        "keys": [(p.first, p.kinds.tolist(), p.keys) for p in store.entity_keys()],
        "feed": [(p.seq.tolist(), p.arrived_at.tolist(), p.ids.tolist(), p.transaction_ids, p.currency)
                 for p in store.transaction_changes(with_ids=True)],
        "label feed": [(p.seq.tolist(), p.transaction_seq.tolist()) for p in store.label_changes()],
        "labels": [(p.transaction_ids, p.known_at.tolist(), p.source) for p in store.every_label()],
        "decisions": list(store.every_decision()),
        "attributes": [list(store.every_attribute(entity)) for entity in store.schema().entities],
        "recent": {key: store.recent_transactions("user", key) for key in users},
        "hub": store.recent_transactions("device", "hub", limit=40),
    }  # fmt: skip


def nodes(url: str) -> list[str]:
    """All nodes and relationships with their properties, as text, without what a database gives them itself."""
    address = Address.of(url)
    with neo4j.GraphDatabase.driver(address.server, auth=(address.user, address.password)) as driver:
        found = driver.execute_query(
            "MATCH (n) WHERE NOT n:QuipuMigration AND NOT n:QuipuTestDatabase"
            " RETURN labels(n) AS l, properties(n) AS p, '' AS a, '' AS b"
            " UNION ALL MATCH (a)-[r]->(b) RETURN [type(r)] AS l, properties(r) AS p,"
            " coalesce(a.number, a.seq) AS a, coalesce(b.number, b.seq) AS b",
        ).records
    return sorted(json.dumps([sorted(names), _plain(p), a, b], default=str, sort_keys=True) for names, p, a, b in found)


def _plain(properties: dict[str, object]) -> dict[str, object]:
    """Empty bytes are the same as none: the import tool knows no empty lists; so is a lock once taken."""
    return {name: value for name, value in properties.items() if value != b"" and name != "locked"}


@pytest.fixture(autouse=True)
def small_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities with more than 12 transactions are hubs already."""
    for module in (neo4j_sums, entities):
        monkeypatch.setattr(module, "HUB", 12)


@pytest.fixture
def imported_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server of its own, whose database came by the import tool from a SQLite store."""
    request.getfixturevalue("neo4j_server_url")  # skips or fails where there can be none
    store = open_store(sqlite_url(tmp_path))
    fill(store)
    counts = export(store, tmp_path / "files")
    assert counts["transactions"] == store.watermark().transaction
    store.close()
    with tempfile.TemporaryDirectory(prefix="quipu-import-") as folder:
        home = Path(folder)
        try:
            with short_lived():
                neo4j_server.import_files(tmp_path / "files", home)
                ports = {"bolt": neo4j_server.free_port(), "http": neo4j_server.free_port()}
                url = neo4j_server.start(home, **ports, heap="512m")
            yield url
        finally:
            neo4j_server.stop(home)


def test_imported_is_as_loaded(imported_url: str, neo4j_database: Neo4j) -> None:
    loaded_url = neo4j_database.empty()
    loaded, imported = open_store(loaded_url), open_store(imported_url)
    fill(loaded)
    assert everything(imported) == everything(loaded)
    assert nodes(imported_url) == nodes(loaded_url)
    assert sum('["HubTransaction"]' in node for node in nodes(imported_url)) > 25
    more(loaded)
    more(imported)
    assert everything(imported) == everything(loaded)
    assert nodes(imported_url) == nodes(loaded_url)
    alike = [embeddings_of(store).similar("user", LONG) for store in (loaded, imported)]
    assert alike[0] == alike[1]
    assert alike[0]
    for store in (loaded, imported):
        store.close()
    structure = "SHOW CONSTRAINTS YIELD name RETURN collect(name) AS names"
    address = Address.of(imported_url)
    with neo4j.GraphDatabase.driver(address.server, auth=(address.user, address.password)) as driver:
        names = set(driver.execute_query(structure).records[0]["names"])
        vectors = driver.execute_query("SHOW VECTOR INDEXES YIELD name RETURN collect(name) AS names").records[0][
            "names"
        ]
    assert names >= {"quipu_Transaction_id", "quipu_Device_id", "quipu_LoyaltyId_number", "quipu_IP_id"}
    assert set(vectors) == {"quipu_user_embedding", "quipu_device_embedding"}


def test_only_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "mine").write_text("precious")
    store = open_store(sqlite_url(tmp_path))
    with pytest.raises(InputError, match="not empty"):
        export(store, tmp_path / "files")
    store.close()


def test_a_folder_that_was_cut_off_cannot_be_imported(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path))
    store.extend_schema(GraphSchema(("user",), (), ("a:b",)))
    with pytest.raises(InputError, match="a:b"):
        export(store, tmp_path / "files")
    store.close()
    with pytest.raises(neo4j_server.LocalServerError, match=r"import\.args"):
        neo4j_server.import_files(tmp_path / "files", tmp_path / "home")
