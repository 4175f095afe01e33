"""A sound store passes every check; whatever is damaged behind the store's back is found, and said where."""

import sqlite3
from pathlib import Path

import pytest

from graph.invariants import Checked, check
from graph.store import Store, open_store
from tests.graph.conftest import sqlite_url
from tests.graph.store_facts import label, labels
from tests.graph.test_bulk_import import fill
from tests.graph.test_copying import fill_rings
from tests.neo4j import Neo4j


def failed(store: Store, **options: int | None) -> list[Checked]:
    return [checked for checked in check(store, **options) if not checked.holds]


def test_sound_stores(store: Store) -> None:
    assert failed(store) == []
    fill_rings(store)
    results = check(store)
    assert [c.name for c in results if not c.holds and "decided on" not in c.name] == []
    assert sum(c.looked_at for c in results) > 50
    assert any("rings" in c.name and c.looked_at for c in results)


def test_a_decision_without_its_transaction(store: Store) -> None:
    fill(store)
    (only,) = failed(store, sample=4)
    assert only.name == "transactions that were decided on are there"
    assert "t9999" in only.examples


DAMAGE = {
    "DELETE FROM transactions WHERE seq = 7": {"without gaps", "as many", "labels belong", "sums of entities"},
    "UPDATE totals SET amount = amount + 1 WHERE entity = 0": {"sums of entities"},
    "UPDATE totals SET fraud_known = fraud_known + 1 WHERE entity = 0": {"sums of entities"},
    "UPDATE labels SET transaction_seq = 8 WHERE transaction_seq = 9": {"labels belong"},
    "UPDATE labels SET transaction_seq = NULL WHERE transaction_seq = 9": {"no label waits"},
    "UPDATE entities SET kind = 1 WHERE id = 0": {"of its type", "sums of entities"},
    "UPDATE ring_members SET joined = 0 WHERE seq IN (SELECT max(seq) FROM ring_members)": {"joined and left"},
    "UPDATE rings SET content = replace(content, '\"u1\"', '\"nobody\"')": {"members of rings", "joined and left"},
}


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage_in_sqlite_is_found(tmp_path: Path, statement: str) -> None:
    url = sqlite_url(tmp_path)
    store = open_store(url)
    (fill_rings if "ring" in statement else fill)(store)
    before = {c.name for c in failed(store, sample=None)}
    store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()
    store = open_store(url)
    found = {c.name for c in failed(store, sample=None)} - before
    for words in DAMAGE[statement]:
        assert any(words in name for name in found), found
    store.close()


def test_damage_in_neo4j_is_found(neo4j_database: Neo4j) -> None:
    store = open_store(neo4j_database.empty())
    fill(store)
    before = failed(store, sample=None)
    for statement, words in [
        ("MATCH (:User)-[r:USES]->() WITH r LIMIT 1 SET r.amount = r.amount + 1", "links to each device"),
        ("MATCH (:User)-[r:HAS_LOYALTY_ID]->() WITH r LIMIT 1 DELETE r", "links to each loyalty_id"),
        ("MATCH (d:Device {id: 'hub'}) SET d.transactions = d.transactions - 1", "sums of entities"),
    ]:
        neo4j_database.run(statement)
        (found, *_) = [c for c in failed(store, sample=None) if c not in before and words in c.name]
        assert found.wrong == 1
        assert found.examples
    store.close()


def test_two_labels_at_one_moment(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path))
    fill(store)
    store.upsert_labels(labels([label("t1", True, 10**6, "a"), label("t1", False, 10**6, "b")]))
    assert [c for c in failed(store, sample=None) if "sums" in c.name] == []
    store.close()
