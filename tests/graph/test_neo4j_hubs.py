"""An entity that becomes a hub: its latest transactions stay right, and few nodes are touched to find them."""

import random
from typing import Any

import neo4j

from graph.neo4j_hubs import HUB, latest
from graph.neo4j_state import Columns
from graph.neo4j_url import Address
from graph.store import open_store
from tests.graph.store_facts import SCHEMA, row, table
from tests.neo4j import Neo4j


def touched(url: str, columns: Columns, position: int, number: int) -> int:
    """What the server itself says that it touches for the latest 20 transactions of an entity ("database hits")."""
    address = Address.of(url)
    with neo4j.GraphDatabase.driver(address.server, auth=(address.user, address.password)) as driver:
        statement = f"PROFILE {latest(columns, position)} RETURN t.seq"
        plan: Any = driver.execute_query(statement, number=number, limit=20).summary.profile
    return _hits(plan)


def _hits(plan: dict[str, Any]) -> int:
    return int(plan["dbHits"]) + sum(map(_hits, plan.get("children", ())))


def test_the_latest_of_a_hub(neo4j_database: Neo4j) -> None:
    url = neo4j_database.empty()
    store = open_store(url)
    store.extend_schema(SCHEMA)
    rng = random.Random(3)
    times = rng.sample(range(10**6), HUB + 700)
    rows = [row(f"t{i}", f"u{i % 50}", at, device="hub" if i % 40 else "other") for i, at in enumerate(times)]
    for first, last in [(0, HUB - 300), (HUB - 300, HUB + 300), (HUB + 300, len(rows))]:
        store.upsert_transactions(table(rows[first:last]))
        store.upsert_transactions(table(rows[:50]))  # again: nothing is noted twice
        mine = sorted((r for r in rows[:last] if r["device"] == "hub"), key=lambda r: -r["occurred_at"])
        found = store.recent_transactions("device", "hub", limit=300)
        assert [t["transaction_id"] for t in found] == [r["transaction_id"] for r in mine[:300]]
        assert store.entity("device", "hub")["transactions"] == len(mine)
        (noted,) = neo4j_database.run("MATCH (h:HubTransaction) RETURN count(h)")[0]
        assert noted == (len(mine) if len(mine) > HUB else 0)
    assert len(mine) > HUB
    columns = Columns.of(("entity:user", "entity:device"))
    assert touched(url, columns, 1, store.entity_ids("device", ["hub"])["hub"]) < 400
    assert len(store.recent_transactions("device", "other", limit=10)) == 10
    store.close()
