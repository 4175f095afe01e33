"""Rings in Neo4j beyond the contract: as investigators walk them, written without scans, read only when complete."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import neo4j
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph import neo4j_migrations, neo4j_ring_reads, neo4j_rings
from graph.errors import InputError
from graph.neo4j_database import Database
from graph.neo4j_names import LEDGER
from graph.neo4j_state import Columns, State
from graph.neo4j_url import Address
from graph.records import DAY, GraphSchema, transaction_columns
from graph.ring_content import RefreshContent
from graph.ring_records import (
    Refresh,
    Ring,
    RingEvent,
    RingEventKind,
    RingLink,
    RingMember,
    RingReason,
    RingStatus,
    Verdict,
)
from graph.store import Store, open_store, rings_of
from tests.graph.ring_world import HOSTILE, RING_ID, fill, keep_ring, the_ring
from tests.graph.test_ring_store import START, refresh, ring
from tests.neo4j import Neo4j

DEADLINE = 60


@pytest.fixture
def url(neo4j_database: Neo4j) -> str:
    return neo4j_database.empty()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def test_a_ring_as_investigators_see_it(store: Store, neo4j_database: Neo4j) -> None:
    fill(store)
    kept = keep_ring(store)
    assert kept == the_ring()
    run = neo4j_database.run
    (row,) = run(
        "MATCH (r:Ring) RETURN r.id, r.status, r.score, r.active, r.transactions, r.amount, r.fraud_known, r.users,"
        " r.why, toString(r.first_at), toString(r.found_at), toString(r.refreshed_at), r.last_at < r.refreshed_at"
    )
    why = "\n".join(reason.text for reason in kept.reasons)
    times = ["2025-03-01T09:00:00Z", "2025-03-12T09:00:00Z", "2025-03-13T09:00:00Z"]
    assert row == [RING_ID, "new", 0.875, True, 5, 105_400, 2, 3, why, *times, True]
    members = run(
        "MATCH (n)-[m:MEMBER_OF]->(:Ring) RETURN labels(n), n.id, m.transactions, m.band, toString(m.since)"
        " ORDER BY m.since, n.id"
    )
    assert members == [
        [["IP"], "10.0.0.1", 4, "block", "2025-03-01T09:00:00Z"],
        [["Device"], "d1", 3, "block", "2025-03-01T09:00:00Z"],
        [["User"], "u1", 2, "block", "2025-03-01T09:00:00Z"],
        [["User"], "u2", 2, "review", "2025-03-02T16:00:00Z"],
        [["Device"], "d2", 2, "approve", "2025-03-03T21:00:00Z"],
        [["User"], HOSTILE, 1, None, "2025-03-09T17:00:00Z"],
    ]
    assert run("MATCH (:User)-[m:MEMBER_OF]->(r:Ring)<-[:MEMBER_OF]-(d:Device) RETURN count(*)") == [[6]]


def test_verdicts_are_labels(store: Store, neo4j_database: Neo4j) -> None:
    rings = rings_of(store)

    def labels() -> list[list[object]]:
        return neo4j_database.run("MATCH (r:Ring) UNWIND labels(r) AS l WITH l WHERE l <> 'Ring' RETURN l")

    rings.write_refresh(refresh(1, ring("r1", "u1")))
    assert labels() == []
    rings.write_verdict(Verdict("r1", START, RingStatus.CONFIRMED))
    assert labels() == [["Confirmed"]]
    rings.write_refresh(refresh(2, ring("r1", "u1", day=2)))
    assert labels() == [["Confirmed"]]
    rings.write_verdict(Verdict("r1", START, RingStatus.DISMISSED))
    assert labels() == [["Dismissed"]]
    returned = RingEvent("r1", START + 3 * DAY, RingEventKind.RETURNED)
    rings.write_refresh(refresh(3, ring("r1", "u1", day=3), events=(returned,)))
    assert labels() == []


def test_relationships_follow_the_latest_refresh_that_found_a_ring(store: Store, neo4j_database: Neo4j) -> None:
    load(store, [f"u{i}" for i in range(5)])
    rings = rings_of(store)

    def related(kind: str) -> list[list[object]]:
        return neo4j_database.run(f"MATCH (a)-[:{kind}]->(r:Ring) RETURN r.id, a.id ORDER BY r.id, a.id")

    rings.write_refresh(refresh(1, ring("a", "u1", "u2"), ring("b", "u3", "unheard-of")))
    assert related("MEMBER_OF") == [["a", "u1"], ["a", "u2"], ["b", "u3"]]
    rings.write_refresh(refresh(2, ring("a", "u2", "u4", day=2, came_from=("b", "unheard-of"))))
    assert related("MEMBER_OF") == [["a", "u2"], ["a", "u4"], ["b", "u3"]]  # b as it was when last found
    assert related("CAME_FROM") == [["b", "a"]]
    rings.write_refresh(refresh(3, ring("b", "u1", day=3)))
    assert related("MEMBER_OF") == [["a", "u2"], ["a", "u4"], ["b", "u1"]]
    again = replace(ring("b", "u0", day=4), members=(ring("b", "u0").members[0],) * 2)
    rings.write_refresh(refresh(4, again, ring("a", "u2", day=4)))
    assert related("MEMBER_OF") == [["a", "u2"], ["b", "u0"]]
    assert related("CAME_FROM") == []


def load(store: Store, users: list[str]) -> None:
    schema = GraphSchema(("user", "device"))
    store.extend_schema(schema)
    columns = transaction_columns(schema)
    rows = {
        "transaction_id": [f"t-{user}" for user in users],
        "occurred_at": [START] * len(users),
        "arrived_at": [START] * len(users),
        "amount": [100] * len(users),
        "currency": [None] * len(users),
        "entity:user": users,
        "entity:device": [None] * len(users),
    }
    store.upsert_transactions(pa.table([pa.array(rows[f.name], f.type) for f in columns], columns))


def test_ids_longer_than_an_index_holds(store: Store) -> None:
    load(store, ["u" * 3_000])
    long = ["r" * 2_000 + end for end in ("", "x")]
    rings = tuple(ring(name, "u" * 3_000, came_from=(long[0],)) for name in long)
    found = tuple(RingEvent(name, START + DAY, RingEventKind.FOUND) for name in long)
    kept = rings_of(store)
    kept.write_refresh(refresh(1, *rings, events=found))
    assert kept.rings(limit=None) == list(rings)
    assert [kept.ring(name) for name in long] == list(rings)
    assert [kept.ring_events(name) for name in long] == [[found[0]], [found[1]]]
    assert (
        {change.ring_id for change in kept.memberships()} == set(long) == {mark.ring_id for mark in kept.ring_marks()}
    )
    kept.write_verdict(Verdict(long[1], START, RingStatus.CONFIRMED))
    kept.write_refresh(refresh(2, rings[1]))
    ended = kept.ring(long[0])
    assert ended is not None
    assert ended.became == (long[1],)
    assert [r.status for r in kept.rings(active=True)] == ["confirmed"]


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
figures = st.floats(allow_nan=False, allow_infinity=False)
# The years that date-times of Neo4j and of people have in common.
moments = st.integers(-(2**55), 2**55)
plain = st.recursive(
    st.none() | st.booleans() | integers | figures | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
members = st.builds(
    RingMember, st.sampled_from(["user", "device", "ip"]) | texts, texts, moments, integers, st.none() | texts
)
links = st.builds(RingLink, texts, texts, texts, integers, moments, moments)
reasons = st.builds(RingReason, texts, texts, st.dictionaries(texts, plain, max_size=3))
any_rings = st.builds(
    Ring,
    ring_id=texts, status=st.just(RingStatus.NEW), score=figures, found_at=moments, refreshed_at=moments,
    members=st.lists(members, max_size=4).map(tuple), links=st.lists(links, max_size=4).map(tuple),
    transactions=integers, amount=integers, fraud_known=integers, first_at=moments, last_at=moments,
    structure=st.dictionaries(texts, figures, max_size=3), reasons=st.lists(reasons, max_size=3).map(tuple),
    came_from=st.lists(texts, max_size=3).map(tuple), became=st.just(()), active=st.just(True),
)  # fmt: skip


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(given_rings=st.lists(any_rings, min_size=1, max_size=5, unique_by=lambda r: r.ring_id))
def test_any_ring_comes_back_as_it_was(store: Store, given_rings: list[Ring]) -> None:
    kept = rings_of(store)
    before = kept.refreshed_at()
    at = START if before is None else before + 1
    first = given_rings[0]
    grew = RingEvent(first.ring_id, at, RingEventKind.GREW, dict(first.structure))
    assert kept.write_refresh(Refresh(at, tuple(given_rings), (grew,)))
    found = kept.rings(active=True, limit=None)
    assert {r.ring_id: r for r in found} == {r.ring_id: r for r in given_rings}
    assert [r.score for r in found] == sorted((r.score for r in given_rings), reverse=True)
    assert kept.ring(first.ring_id) == first
    assert kept.ring_events(first.ring_id)[-1] == grew
    changes = list(kept.memberships())
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    there = {(change.ring_id, change.entity, change.key): change.joined for change in changes}
    assert {who for who, joined in there.items() if joined} == {
        (r.ring_id, m.entity, m.key) for r in given_rings for m in r.members
    }


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_refused(store: Store, figure: float) -> None:
    kept = rings_of(store)
    with pytest.raises(InputError, match="cannot be kept"):
        kept.write_refresh(refresh(1, ring("a", "u1", structure={"density": figure})))
    assert kept.ring_watermark() == 0


class Recorder:
    """A transaction that remembers the statements run in it."""

    def __init__(self, tx: neo4j.ManagedTransaction) -> None:
        self._tx = tx
        self.statements: dict[str, dict[str, Any]] = {}

    def run(self, statement: str, values: dict[str, Any] | None = None, **more: Any) -> neo4j.Result:
        self.statements[statement] = {**(values or {}), **more}
        return self._tx.run(statement, values, **more)


def operators(plan: dict[str, Any]) -> set[str]:
    return {plan["operatorType"].partition("@")[0]}.union(*(operators(child) for child in plan.get("children", ())))


def test_nothing_is_scanned(store: Store, url: str) -> None:
    load(store, [f"u{i}" for i in range(400)])
    days = [
        refresh(day, *(ring(f"r{i}", f"u{i}", f"u{i + day}", day=day, came_from=(f"r{i - 1}",)) for i in range(300)))
        for day in (1, 2)
    ]
    rings_of(store).write_refresh(days[0])
    database = Database(Address.of(url))
    statements: dict[str, dict[str, Any]] = {}

    def writes(tx: neo4j.ManagedTransaction, state: State) -> None:
        seen: Any = Recorder(tx)
        assert neo4j_rings.write_refresh(seen, Columns.of(state.columns), RefreshContent.of(days[1]))
        neo4j_rings.write_verdict(seen, Verdict("r7", START, RingStatus.CONFIRMED))
        statements.update(seen.statements)

    def reads(tx: neo4j.ManagedTransaction) -> None:
        seen: Any = Recorder(tx)
        neo4j_ring_reads.RingState.read(seen)
        assert neo4j_ring_reads.find(seen, "r7")
        assert neo4j_ring_reads.events(seen, "r7")
        assert neo4j_ring_reads.select(seen, active=True, status=None, limit=10)
        assert neo4j_ring_reads.select(seen, active=True, status=RingStatus.CONFIRMED, limit=None)
        statements.update(seen.statements)

    database.write(writes)
    database.read(reads)
    assert len(statements) > 15
    used = set()
    for statement, values in statements.items():
        plan = database.read(lambda tx, s=statement, v=values: tx.run(f"EXPLAIN {s}", v).consume().plan)  # type: ignore[misc]
        found = operators(plan)
        used |= found
        assert not {o for o in found if "Scan" in o and o != "NodeIndexScan"}, statement
    assert "NodeUniqueIndexSeek" in used or "NodeUniqueIndexSeek(Locking)" in used
    database.close()


def test_a_store_from_before_rings_gets_them(neo4j_database: Neo4j) -> None:
    url = neo4j_database.clear()
    database = Database(Address.of(url))
    neo4j_migrations.migrate(database, neo4j_migrations.MIGRATIONS[:1])
    database.close()
    assert neo4j_database.run(f"MATCH (m:{LEDGER}) RETURN count(m)") == [[1]]
    opened = open_store(url)
    assert rings_of(opened).write_refresh(refresh(1, ring("r1", "u1")))
    opened.close()
    constraints = neo4j_database.run("SHOW CONSTRAINTS YIELD name WHERE name STARTS WITH 'quipu_Ring' RETURN count(*)")
    assert constraints == [[5]]


def test_a_reader_waits_for_all_that_the_counters_tell(store: Store, url: str, neo4j_database: Neo4j) -> None:
    """Counters may be seen a moment before the nodes they count: while their writer still holds them, readers wait."""
    kept = rings_of(store)
    kept.write_refresh(refresh(1, ring("r1", "u1")))
    address = Address.of(url)
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(kept.rings()))
    with (
        neo4j.GraphDatabase.driver(address.server, auth=(address.user, address.password)) as driver,
        driver.session(database=address.database) as session,
        session.begin_transaction() as writer,
    ):
        writer.run("MATCH (s:QuipuStore {name: 'rings'}) SET s.locked = true").consume()
        reader.start()
        deadline = time.monotonic() + DEADLINE
        blocked = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*)"
        while neo4j_database.run(blocked) == [[0]]:
            assert reader.is_alive(), found
            assert time.monotonic() < deadline
        assert not found
        writer.commit()
    reader.join(DEADLINE)
    assert found == [[ring("r1", "u1")]]
    assert neo4j_database.run("MATCH (s:QuipuStore {name: 'rings'}) RETURN s.settled") == [[1]]
    assert kept.rings() == found[0]  # without a lock from now on
