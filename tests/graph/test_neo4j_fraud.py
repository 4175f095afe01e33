"""`:Fraud` on transactions, so that Neo4j Browser shows at a glance what is known to be fraud."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from graph.neo4j_names import FRAUD, LEDGER
from graph.store import Store, open_store
from tests.graph.store_facts import SCHEMA, label, labels, row, table
from tests.neo4j import Neo4j

DAY = 86_400_000_000


@pytest.fixture
def store(neo4j_database: Neo4j) -> Iterator[Store]:
    with closing(open_store(neo4j_database.empty())) as opened:
        opened.extend_schema(SCHEMA)
        yield opened


def shown(database: Neo4j) -> list[object]:
    """Ids of the transactions that have the label."""
    return [id_ for (id_,) in database.run(f"MATCH (t:Transaction:{FRAUD}) RETURN t.id ORDER BY t.id")]


def test_what_the_last_known_label_says_is_shown(store: Store, neo4j_database: Neo4j) -> None:
    store.upsert_transactions(table([row("t1"), row("t2"), row("t3")]))
    store.upsert_labels(labels([label("t1", True, DAY), label("t2", False, DAY), label("t4", True, DAY)]))
    assert shown(neo4j_database) == ["t1"]
    store.upsert_labels(labels([label("t1", False, 2 * DAY), label("t2", True, 2 * DAY)]))
    assert shown(neo4j_database) == ["t2"]
    store.upsert_labels(labels([label("t1", True, 5), label("t2", False, 5)]))
    assert shown(neo4j_database) == ["t2"], "what was known earlier does not count"
    store.upsert_transactions(table([row("t4")]))
    assert shown(neo4j_database) == ["t2", "t4"], "a label that waited"


def test_a_store_from_before_is_labelled_when_it_is_opened(store: Store, neo4j_database: Neo4j) -> None:
    store.upsert_transactions(table([row("t1"), row("t2")]))
    store.upsert_labels(labels([label("t1", True, DAY), label("t2", False, DAY)]))
    neo4j_database.run(f"MATCH (t:{FRAUD}) REMOVE t:{FRAUD}")
    neo4j_database.run(f"MATCH (m:{LEDGER} {{id: 4}}) DELETE m")
    open_store(neo4j_database.url).close()
    assert shown(neo4j_database) == ["t1"]
    assert neo4j_database.run(f"MATCH (m:{LEDGER} {{id: 4}}) RETURN count(m)") == [[1]]
