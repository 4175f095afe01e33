"""`quipu rings` over a store with a ring in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.records import LABEL_COLUMNS, GraphSchema, transaction_columns
from graph.ring_records import RingStatus
from graph.store import Store, open_store, rings_of
from tests.cli.conftest import Quipu
from tests.graph.ring_world import AS_OF, HOSTILE, RING_ID, fill, keep_ring


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Store]:
    """The store that `quipu` works on, with the ring."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    fill(store)
    keep_ring(store)
    yield store
    store.close()


def test_list(quipu: Quipu, world: Store) -> None:
    (listed,) = quipu("rings", "list", "--json").json()["rings"]
    assert listed["ring_id"] == RING_ID
    assert (listed["users"], listed["members"], listed["transactions"], listed["amount"]) == (3, 6, 5, 1054.0)
    assert listed["last_at"] == "2025-03-09T17:00:00Z"
    text = quipu("rings", "list").out
    assert RING_ID in text
    assert "3 users pay from 2 devices" in text
    assert quipu("rings", "list", "--status", "confirmed", "--json").json() == {"rings": []}
    assert quipu("rings", "list", "--over", "--json").json() == {"rings": []}
    assert "no such rings" in quipu("rings", "list", "--over").out


def test_before_the_first_refresh(quipu: Quipu) -> None:
    assert "not been looked for yet" in quipu("rings", "list").out


def test_show(quipu: Quipu, world: Store, tmp_path: Path) -> None:
    shown = quipu("rings", "show", RING_ID, "--json").json()
    assert [member["key"] for member in shown["members"]] == ["u1", "u2", HOSTILE, "d1", "d2", "10.0.0.1"]
    assert shown["reasons"][0]["evidence"] == {"devices": ["d1", "d2"]}
    assert "html" not in shown
    text = quipu("rings", "show", RING_ID).out
    for words in (
        "score 0.88",
        "3 users, 6 members",
        "5 transactions",
        "2 known to be fraud",
        "10.0.0.1",
        "2025-03-09",
    ):
        assert words in text
    page = tmp_path / "ring.html"
    assert quipu("rings", "show", RING_ID, "--html", page, "--json").json()["html"] == str(page)
    assert f"<title>Ring {RING_ID}" in page.read_text(encoding="utf-8")
    assert page.stat().st_mode & 0o077 == 0


def test_verdict_makes_labels_known_now_and_history(quipu: Quipu, world: Store) -> None:
    ids = ["t1", "t2", "t3", "t4", HOSTILE]
    before = world.labels_of(["t6", "t7", "t8", *ids])
    said = quipu("rings", "verdict", RING_ID, "confirmed", "--by", "Ana", "--note", "one phone", "--json").json()
    assert (said["changed"], said["labels"], said["ring"]["status"]) == (True, 5, "confirmed")
    (verdict,) = [e for e in rings_of(world).ring_events(RING_ID) if e.kind == "verdict"]
    after = world.labels_of(["t6", "t7", "t8", *ids])
    assert {id_: history[-1] for id_, history in after.items()} == dict.fromkeys(
        ids, (verdict.at, True, f"ring:{RING_ID}")
    )
    assert all(after[id_][:-1] == before.get(id_, []) for id_ in ids)
    assert verdict.at > AS_OF
    events = quipu("rings", "history", RING_ID, "--json").json()["events"]
    assert [event["kind"] for event in events] == ["found", "grew", "verdict"]
    assert events[-1]["text"] == "confirmed by Ana: one phone"
    assert "confirmed by Ana: one phone" in quipu("rings", "history", RING_ID).out


def test_the_same_verdict_again_changes_nothing(quipu: Quipu, world: Store) -> None:
    assert "5 transactions are known to be fraud now" in quipu("rings", "verdict", RING_ID, "confirmed").out
    mark, rings = world.watermark(), rings_of(world).ring_watermark()
    again = quipu("rings", "verdict", RING_ID, "confirmed", "--note", "still", "--json").json()
    assert (again["changed"], again["labels"]) == (False, 0)
    assert "already" in quipu("rings", "verdict", RING_ID, "confirmed").out
    assert (world.watermark(), rings_of(world).ring_watermark()) == (mark, rings)


def test_dismissing_a_confirmed_ring_takes_back_what_nobody_else_says(quipu: Quipu, world: Store) -> None:
    quipu("rings", "verdict", RING_ID, "confirmed")
    said = quipu("rings", "verdict", RING_ID, "dismissed", "--json").json()
    assert (said["changed"], said["labels"]) == (True, 3)
    last = {id_: history[-1][1] for id_, history in world.labels_of(["t1", "t2", "t3", "t4", HOSTILE]).items()}
    assert last == {"t1": True, "t2": True, "t3": False, "t4": False, HOSTILE: False}
    assert world.entity("user", "u2")["fraud_known"] == 0
    again = quipu("rings", "verdict", RING_ID, "confirmed", "--json").json()
    assert again["labels"] == 5
    assert world.entity("user", "u2")["fraud_known"] == 2


def test_dismissing_a_ring_that_was_never_confirmed_labels_nothing(quipu: Quipu, world: Store) -> None:
    mark = world.watermark()
    assert quipu("rings", "verdict", RING_ID, "dismissed", "--json").json()["labels"] == 0
    assert world.watermark() == mark
    assert rings_of(world).ring(RING_ID).status is RingStatus.DISMISSED


@pytest.mark.parametrize("command", [["show"], ["history"], ["verdict"]])
def test_a_ring_that_is_not_there(quipu: Quipu, world: Store, command: list[str]) -> None:
    more = ["confirmed"] if command == ["verdict"] else []
    ran = quipu("rings", *command, "ring-nope", *more)
    assert ran.status == 1
    assert "there is no ring 'ring-nope'" in ran.complaint()
    assert "quipu rings list" in ran.complaint()


def test_wrong_use(quipu: Quipu, world: Store, tmp_path: Path) -> None:
    for arguments in (["verdict", RING_ID, "guilty"], ["list", "--status", "odd"], ["list", "--limit", "0"], ["show"]):
        assert quipu("rings", *arguments).status == 2
    assert "is a folder" in quipu("rings", "show", RING_ID, "--html", tmp_path).complaint()
    assert json.loads(quipu("rings", "list", "--json").out)["rings"][0]["status"] == "new"


DAY = 86_400_000_000
BEGIN = 1_740_000_000_000_000


@pytest.fixture
def phones(tmp_path: Path) -> Store:
    """Four accounts on one phone, opened and used within hours, two of them known for fraud; and everyday users."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    schema = GraphSchema(("user", "device"))
    store.extend_schema(schema)
    columns = transaction_columns(schema)
    rows = [(f"e{u}-{i}", f"e{u}", f"own{u}", BEGIN + i * DAY + u) for u in range(40) for i in range(10)]
    rows += [
        (f"r{u}-{i}", f"r{u}", "phone", BEGIN + 5 * DAY + (4 * i + u) * 600_000_000) for u in range(4) for i in (1, 2)
    ]
    by_name = dict(
        zip(("transaction_id", "entity:user", "entity:device", "occurred_at"), zip(*rows, strict=True), strict=True)
    )
    by_name |= {"arrived_at": by_name["occurred_at"], "amount": [5_000] * len(rows), "currency": ["PEN"] * len(rows)}
    store.upsert_transactions(pa.table([pa.array(by_name[f.name], f.type) for f in columns], columns))
    fraud = [f"r{u}-{i}" for u in (0, 1) for i in (1, 2)]
    labels = [{"transaction_id": t, "is_fraud": True, "known_at": BEGIN + 6 * DAY, "source": "bank"} for t in fraud]
    store.upsert_labels(pa.Table.from_pylist(labels, LABEL_COLUMNS))
    store.close()
    return store


def test_find_keeps_what_it_finds_and_the_id(quipu: Quipu, phones: Store) -> None:
    early = quipu("rings", "find", "--at", "2025-02-22", "--json").json()
    assert early["rings"] == []
    first = quipu("rings", "find", "--at", "2025-02-27", "--json").json()
    assert (first["at"], first["written"], first["events"]) == ("2025-02-27T00:00:00Z", True, {"found": 1})
    (found,) = first["rings"]
    assert (found["users"], found["transactions"], found["fraud_known"]) == (4, 8, 4)
    shown = quipu("rings", "show", found["ring_id"], "--json").json()
    assert [member["key"] for member in shown["members"]] == ["r0", "r1", "r2", "r3", "phone"]
    assert shown["reasons"]
    again = quipu("rings", "find", "--at", "2025-02-27", "--json").json()
    assert (again["written"], again["rings"]) == (False, first["rings"])
    quipu("rings", "verdict", found["ring_id"], "confirmed")
    later = quipu("rings", "find", "--json").json()
    assert later["at"] > first["at"]
    assert [(r["ring_id"], r["status"]) for r in later["rings"]] == [(found["ring_id"], "confirmed")]
    assert "nothing has changed" in quipu("rings", "find").out


def test_find_takes_scores(quipu: Quipu, phones: Store, tmp_path: Path) -> None:
    ids = [f"r{u}-{i}" for u in range(4) for i in (1, 2)]
    scores = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"transaction_id": ids, "probability": [0.97] * 8, "band": ["block"] * 8}), scores)
    without = quipu("rings", "find", "--at", "2025-02-26", "--json").json()["rings"]
    (found,) = quipu("rings", "find", "--at", "2025-02-27", "--scores", scores, "--json").json()["rings"]
    assert found["score"] > max((ring["score"] for ring in without), default=0)
    shown = quipu("rings", "show", found["ring_id"], "--json").json()
    assert {member["band"] for member in shown["members"]} == {"block"}


def test_find_refuses_what_it_cannot_use(quipu: Quipu, phones: Store, tmp_path: Path) -> None:
    quipu("rings", "find", "--at", "2025-02-27")
    assert "before the latest refresh" in quipu("rings", "find", "--at", "2025-02-26").complaint()
    assert "is not a time" in quipu("rings", "find", "--at", "soon").complaint()
    broken = tmp_path / "scores.parquet"
    for content in (b"", b"no parquet"):
        broken.write_bytes(content)
        assert "cannot be read as Parquet" in quipu("rings", "find", "--scores", broken).complaint()
    assert "cannot be read" in quipu("rings", "find", "--scores", tmp_path / "nope.parquet").complaint()
    pq.write_table(pa.table({"transaction_id": ["t"]}), broken)
    assert "has no column probability" in quipu("rings", "find", "--scores", broken).complaint()


def test_find_in_an_empty_store(quipu: Quipu) -> None:
    assert "no transactions" in quipu("rings", "find").complaint()
    assert "not been looked for yet" in quipu("rings", "list").out
    assert quipu("rings", "find", "--at", "2025-02-27", "--json").json()["rings"] == []
