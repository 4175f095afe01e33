"""What every store promises of entities: attributes, sums, latest transactions and neighbourhoods."""

import random

import pyarrow as pa
import pytest

from graph.errors import InputError
from graph.records import GraphSchema
from tests.graph.store_facts import SCHEMA, START, decision, label, labels, row, table


def test_attributes(store):
    store.upsert_transactions(table([row()], GraphSchema()))
    given = pa.table({"key": ["u1", "ñandú"], "city": ["Lima", None], "age": [30, 40]})
    assert store.upsert_attributes("user", given) == 2
    assert store.upsert_attributes("user", pa.table({"key": ["u1"], "city": [None], "tier": ["gold"]})) == 1
    assert store.entity("user", "u1")["attributes"] == {"city": "Lima", "age": 30, "tier": "gold"}
    alone = store.entity("user", "ñandú")
    assert (alone["attributes"], alone["transactions"], alone["first_at"]) == ({"age": 40}, 0, None)
    assert store.upsert_attributes("user", given) == 2
    assert store.entity("user", "u1")["attributes"]["tier"] == "gold"
    since = pa.array([START], pa.timestamp("us", tz="UTC"))
    store.upsert_attributes("user", pa.table({"key": ["u2"], "since": since, "score": [float("nan")]}))
    assert store.entity("user", "u2")["attributes"] == {"since": "2023-11-14T22:13:20+00:00"}
    with pytest.raises(InputError, match="'shoe'"):
        store.upsert_attributes("shoe", given)
    with pytest.raises(InputError, match="'key'"):
        store.upsert_attributes("user", pa.table({"city": ["Lima"]}))


def test_entity_sums_over_all_its_transactions(store):
    store.extend_schema(SCHEMA)
    for batch in ([row("a", at=50, amount=1), row("b", at=10, amount=2)], [row("c", "u2", 5), row("d", at=99)]):
        store.upsert_transactions(table([{**r, "device": "d1"} for r in batch]))
    assert store.entity("user", "u1") == {
        "type": "user", "key": "u1", "attributes": {}, "transactions": 3, "first_at": START + 10,
        "last_at": START + 99, "amount": 103, "fraud_known": 0,
    }  # fmt: skip
    assert store.entity("device", "d1")["transactions"] == 4
    assert store.entity("payment", "visa") is None  # a category links nothing


def test_recent_transactions_by_event_time(store):
    store.extend_schema(SCHEMA)
    times = list(range(20))
    random.Random(1).shuffle(times)
    store.upsert_transactions(table([row(f"t{i}", at=i, device="d1", payment="visa", age=1.0) for i in times]))
    store.upsert_labels(labels([label("t19", known_at=3), label("t19", False, 2), label("t18", False)]))
    store.write_decisions([decision("t18")])
    latest = store.recent_transactions("device", "d1", limit=3)
    assert [t["transaction_id"] for t in latest] == ["t19", "t18", "t17"]
    assert [(t["is_fraud"], t["band"]) for t in latest] == [(True, None), (False, "review"), (None, None)]
    assert latest[0] == {
        "transaction_id": "t19", "occurred_at": START + 19, "arrived_at": START + 24, "amount": 100, "currency": None,
        "entities": {"user": "u1", "device": "d1"}, "categories": {"payment": "visa"}, "numeric": {"age": 1.0},
        "is_fraud": True, "band": None,
    }  # fmt: skip
    assert store.recent_transactions("device", "d1", limit=0) == []


def test_neighbourhood_by_steps(store):
    schema = store.extend_schema(GraphSchema(("user", "device", "ip")))
    rows = [row("a", "u1", 1, device="d1", ip="i1"), row("b", "u1", 2, device="d1"), row("c", "u2", 3, device="d1"),
            row("d", "u2", 4, device="d2"), row("e", "u3", 5, device="d2")]  # fmt: skip
    store.upsert_transactions(table(rows, schema))
    store.upsert_labels(labels([label("b")]))

    def around(entity, key, depth, **more):
        found = store.neighbourhood(entity, key, depth=depth, **more)
        return {n["id"]: n["depth"] for n in found["nodes"]}, {(x["source"], x["target"]) for x in found["links"]}

    one = {"user:u1": 0, "device:d1": 1, "ip:i1": 1}
    links = {("user:u1", "device:d1"), ("user:u1", "ip:i1")}
    assert around("user", "u1", 1) == (one, links)
    assert around("user", "u1", 2) == (one | {"user:u2": 2}, links | {("user:u2", "device:d1")})
    assert around("device", "d2", 1)[0] == {"device:d2": 0, "user:u2": 1, "user:u3": 1}
    assert around("user", "u1", 3)[0] == one | {"user:u2": 2, "device:d2": 3}
    found = store.neighbourhood("user", "u1", depth=2)
    assert not found["truncated"]
    (link,) = [x for x in found["links"] if (x["source"], x["target"]) == ("user:u1", "device:d1")]
    assert link == {  # counted once, though both ends were walked
        "source": "user:u1", "target": "device:d1", "relationship": "USES", "transactions": 2, "amount": 200,
        "first_at": START + 1, "last_at": START + 2, "fraud_known": 1,
    }  # fmt: skip
    assert {n["type"] for n in found["nodes"]} == {"user", "device", "ip"}
    assert [n["transactions"] for n in found["nodes"] if n["id"] == "device:d1"] == [3]
    few = store.neighbourhood("user", "u1", depth=3, limit=2)
    assert len(few["nodes"]) == 2
    assert few["truncated"]


def test_neighbourhood_of_a_hub_is_cut_and_says_so(store):
    store.extend_schema(SCHEMA)
    rows = [row(f"t{i}", f"u{i % 7}", i, device="hub") for i in range(3000)]
    store.upsert_transactions(table(rows))
    found = store.neighbourhood("device", "hub", depth=3)
    assert found["truncated"]
    assert 0 < sum(link["transactions"] for link in found["links"]) <= 3000
    assert max(link["last_at"] for link in found["links"]) == START + 2999
    assert store.entity("device", "hub")["transactions"] == 3000
