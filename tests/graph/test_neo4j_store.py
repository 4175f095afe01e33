"""What only the Neo4j store has: its URL, its constraints and ledger, and the graph that investigators walk."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyarrow as pa
import pytest

from deploy.local.neo4j_server import free_port
from graph import neo4j_migrations
from graph.errors import InputError, StoreError, StoreUnavailable
from graph.migrations import Migration
from graph.neo4j_database import Database
from graph.neo4j_names import LEDGER, bounded, types_of
from graph.neo4j_url import Address
from graph.records import GraphSchema
from graph.store import Outcome, open_store
from tests.graph.store_facts import START, decision, label, labels, row, table

SECRET = "not-for-anybody"


@pytest.fixture
def url(neo4j_database):
    return neo4j_database.empty()


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()


def said(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + str(getattr(error, "hint", ""))


@pytest.mark.parametrize(
    ("url", "server", "user", "database", "shown"),
    [
        ("neo4j://ana:s%40y@graph.example:7000/fraud", "neo4j://graph.example:7000", "ana", "fraud",
         "neo4j://ana@graph.example:7000/fraud"),
        ("neo4j+s://:s%40y@graph.example", "neo4j+s://graph.example:7687", "neo4j", "neo4j",
         "neo4j+s://graph.example:7687/neo4j"),
        ("bolt://a%2Fb:s%40y@[::1]:1/", "bolt://[::1]:1", "a/b", "neo4j", "bolt://a%2Fb@[::1]:1/neo4j"),
    ],
)  # fmt: skip
def test_urls(url, server, user, database, shown):
    address = Address.of(url)
    assert (address.server, address.user, address.database, address.shown) == (server, user, database, shown)
    assert address.password == "s@y"
    assert "s@y" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [f"neo4j://u:{SECRET}@host:port/", f"neo4j://u:{SECRET}@host/a/b", f"neo4j://u:{SECRET}@/x", f"neo4j:u:{SECRET}",
     f"neo4j://u:{SECRET}@host/x?y=1", f"neo4j://u:{SECRET}@[host/x", f"neo4j+x://u:{SECRET}@host/"],
)  # fmt: skip
def test_a_wrong_url_is_refused_without_telling_its_password(url):
    with pytest.raises(InputError) as caught:
        open_store(url)
    assert SECRET not in said(caught.value)


def test_the_password_may_come_from_the_settings(monkeypatch, fresh_settings):
    monkeypatch.delenv("QUIPU_NEO4J_PASSWORD", raising=False)
    with pytest.raises(InputError, match="no password"):
        Address.of("neo4j://ana@host/")
    monkeypatch.setenv("QUIPU_NEO4J_PASSWORD", SECRET)
    from graph.settings import settings

    settings.cache_clear()
    assert Address.of("neo4j://ana@host/").password == SECRET
    assert SECRET not in repr(settings())


def test_a_server_that_is_away(url):
    with pytest.raises(StoreUnavailable) as caught:
        open_store(f"bolt://neo4j:{SECRET}@127.0.0.1:{free_port()}/")
    assert SECRET not in said(caught.value)


def test_a_wrong_password_is_refused(url):
    address = Address.of(url)
    wrong = url.replace(address.password, SECRET)
    with pytest.raises(StoreError, match="user or password") as caught:
        open_store(wrong)
    assert SECRET not in said(caught.value)


def test_the_shown_url_has_no_password(store, url):
    assert Address.of(url).password not in store.url


def test_ids_too_long_for_an_index_stay_apart():
    long = "x" * 5_000
    assert len({bounded(t) for t in (long, long + "y", bounded(long), bounded(bounded(long)))}) == 4
    assert bounded("ñandú") == "ñandú"


@pytest.mark.parametrize("names", [("user", "transaction"), ("user", "a_b", "a__b"), ("user", "quipu_store")])
def test_entity_types_that_would_share_a_label_are_refused(names):
    with pytest.raises(InputError, match="cannot be kept"):
        types_of(names)


def test_migrations_from_nothing_and_again(neo4j_database):
    url = neo4j_database.clear()
    open_store(url).close()
    constraints = neo4j_database.run("SHOW CONSTRAINTS YIELD name RETURN name ORDER BY name")
    assert ["quipu_Transaction_id"] in constraints
    ledger = f"MATCH (m:{LEDGER}) RETURN m.id, m.name, m.checksum, m.applied_at"
    before = neo4j_database.run(ledger)
    assert [id_ for id_, *_ in before] == [m.id for m in neo4j_migrations.MIGRATIONS]
    open_store(url).close()
    assert neo4j_database.run(ledger) == before
    assert neo4j_database.run("SHOW CONSTRAINTS YIELD name RETURN name ORDER BY name") == constraints


def test_several_processes_may_make_the_same_store_at_once(neo4j_database):
    url = neo4j_database.clear()
    together = Barrier(4)

    def opened(_: int) -> None:
        together.wait()
        open_store(url).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(opened, range(4)))
    applied = neo4j_database.run(f"MATCH (m:{LEDGER}) RETURN m.id ORDER BY m.id")
    assert applied == [[m.id] for m in neo4j_migrations.MIGRATIONS]


def test_a_migration_that_was_cut_off_is_done_again(url):
    database = Database(Address.of(url))
    good = "CREATE INDEX quipu_test_cut IF NOT EXISTS FOR (n:QuipuTestCut) ON (n.x)"
    shared = neo4j_migrations.MIGRATIONS
    new = len(shared) + 1
    with pytest.raises(StoreError):
        neo4j_migrations.migrate(database, (*shared, Migration(new, "cut", (good, "CREATE NONSENSE"))))
    applied = f"MATCH (m:{LEDGER} {{id: {new}}}) RETURN m.name"
    assert database.run(applied) == []
    neo4j_migrations.migrate(database, (*shared, Migration(new, "cut", (good,))))
    assert database.run(applied) == [["cut"]]
    with pytest.raises(StoreError, match="newer"):
        neo4j_migrations.migrate(database)
    with pytest.raises(StoreError, match="another"):
        neo4j_migrations.migrate(database, (*shared, Migration(new, "other", (good, good))))
    database.run(f"MATCH (m:{LEDGER} {{id: {new}}}) DELETE m")
    database.run("DROP INDEX quipu_test_cut")
    database.close()


def test_a_database_of_somebody_else_is_refused(neo4j_database):
    url = neo4j_database.clear()
    neo4j_database.run("CREATE (:User {name: 'somebody'})")
    with pytest.raises(StoreError, match="not Quipu's"):
        open_store(url)
    assert neo4j_database.run("MATCH (u:User) RETURN u.name") == [["somebody"]]


def test_the_graph_as_investigators_see_it(store, neo4j_database):
    schema = store.extend_schema(GraphSchema(("user", "device", "loyalty_id"), ("payment",), ("age",)))
    rows = [row("a", at=1, device="d1", loyalty_id="l`1", payment="visa", age=1.5), row("b", at=3, device="d1"),
            row("c", "u2", 2, device="d1", amount=50)]  # fmt: skip
    store.write_decisions([decision("b", band="block"), decision("c", band="approve")])
    store.upsert_transactions(table(rows, schema))
    store.write_decisions([decision("a", band="review")])
    store.upsert_labels(labels([label("a"), label("c", fraud=False)]))
    store.upsert_labels(labels([label("b", known_at=1)]))
    run = neo4j_database.run
    assert run("MATCH (u:User)-[:MADE]->(t)-[:ON_DEVICE]->(d:Device) RETURN u.id, t.id, d.id ORDER BY t.id") == [
        ["u1", "a", "d1"], ["u1", "b", "d1"], ["u2", "c", "d1"],
    ]  # fmt: skip
    assert run("MATCH (:Transaction {id: 'a'})-[:WITH_LOYALTY_ID]->(n:LoyaltyId) RETURN n.id") == [["l`1"]]
    micros = "datetime.fromEpoch($s / 1000000, $s % 1000000 * 1000)"
    assert run(
        "MATCH (:User)-[r:USES]->(:Device) RETURN r.transactions, r.amount, r.fraud_known,"
        f" r.first_at = {micros.replace('$s', '$first')}, r.last_at = {micros.replace('$s', '$last')}"
        " ORDER BY r.transactions DESC LIMIT 1",
        first=START + 1, last=START + 3,
    ) == [[2, 200, 2, True, True]]  # fmt: skip
    assert run("MATCH (t:Transaction) RETURN t.id, t:Review, t:Blocked, t.band, t.is_fraud ORDER BY t.id") == [
        ["a", True, False, "review", True], ["b", False, True, "block", True], ["c", False, False, "approve", False],
    ]  # fmt: skip
    assert run("MATCH (t:Transaction {id: 'a'}) RETURN t.payment, t.age") == [["visa", 1.5]]


def test_attributes_are_properties_too(store, neo4j_database):
    store.upsert_transactions(table([row()], GraphSchema()))
    store.upsert_attributes("user", pa.table({"key": ["u1"], "city": ["Lima"], "amount": ["mine"]}))
    assert neo4j_database.run("MATCH (u:User) RETURN u.city, u.amount") == [["Lima", 100]]
    assert store.entity("user", "u1")["attributes"] == {"city": "Lima", "amount": "mine"}


def test_columns_with_the_names_of_own_properties(store):
    schema = store.extend_schema(GraphSchema(("user",), ("band",), ("seq",)))
    assert store.upsert_transactions(table([row("t1", band="x")], schema)).tolist() == [Outcome.LOADED]
    (found,) = store.recent_transactions("user", "u1")
    assert (found["band"], found["categories"], found["amount"]) == (None, {"band": "x"}, 100)
    assert store.sequence_numbers(["t1"]) == {"t1": 1}
