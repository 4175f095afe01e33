"""What every store promises (`graph.store.Store`), on each store of `conftest.STORES`."""

import itertools
import random
from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import InputError, StoreError
from graph.records import GraphSchema
from graph.store import Watermark, open_store
from tests.graph.store_facts import (
    CONFLICT,
    DUPLICATE,
    LOADED,
    SCHEMA,
    START,
    decision,
    facts,
    label,
    labels,
    row,
    table,
    transactions,
)


def test_empty_store(store):
    assert store.schema() == GraphSchema()
    assert store.watermark() == Watermark(0, 0)
    assert [*store.transaction_changes(), *store.label_changes(), *store.entity_keys()] == []
    assert store.status() == {"transactions": 0, "labels": 0, "decisions": 0, "entities": 0, "entities:user": 0}
    assert store.entity("user", "u1") is None
    assert store.entity("unheard_of", "x") is None
    assert store.neighbourhood("user", "u1") == {"nodes": [], "links": [], "truncated": False}
    assert store.recent_transactions("user", "u1") == []
    assert store.decisions(["t1"]) == store.sequence_numbers(["t1"]) == store.labels_of(["t1"]) == {}
    assert store.entity_ids("user", ["u1"]) == store.entity_ids("unheard_of", []) == {}


def test_empty_batches(store):
    store.extend_schema(SCHEMA)
    assert store.upsert_transactions(table([])).tolist() == []
    assert store.upsert_labels(labels([])).tolist() == []
    assert store.write_decisions([]).tolist() == []
    assert store.upsert_attributes("user", pa.table({"key": pa.array([], pa.string())})) == 0


def test_writing_again_changes_nothing(store):
    store.extend_schema(SCHEMA)
    batch = table([row(f"t{i}", f"u{i % 3}", i, device=f"d{i % 2}", age=i / 3) for i in range(50)])
    given_labels = labels([label(f"t{i}", i % 5 == 0, i) for i in range(60)])  # 10 without a transaction
    assert set(store.upsert_labels(given_labels)) == {LOADED}
    assert set(store.upsert_transactions(batch)) == {LOADED}
    before = facts(store), store.watermark()
    assert set(store.upsert_labels(given_labels)) == {DUPLICATE}
    assert set(store.upsert_transactions(batch)) == {DUPLICATE}
    assert (facts(store), store.watermark()) == before


def test_the_feed_in_chunks_and_from_a_position(store):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row(f"t{i}", f"u{i}", i) for i in range(10)]))
    store.upsert_labels(labels([label(f"t{i}") for i in range(10)]))
    assert [p.seq.tolist() for p in store.transaction_changes(2, chunk=3)] == [[3, 4, 5], [6, 7, 8], [9, 10]]
    assert [p.seq.tolist() for p in store.label_changes(7, chunk=2)] == [[8, 9], [10]]
    assert [(p.first, p.keys) for p in store.entity_keys(7, chunk=2)] == [(7, ["u7", "u8"]), (9, ["u9"])]
    assert [*store.transaction_changes(10), *store.label_changes(10), *store.entity_keys(10)] == []
    assert transactions(store, chunk=3) == transactions(store)


def test_the_feed_ends_where_it_was_when_asked(store):
    store.upsert_transactions(table([row(f"t{i}") for i in range(4)], GraphSchema()))
    feed = store.transaction_changes(chunk=2)
    first = next(feed)
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row("later", device="d")]))
    rest = list(feed)
    assert [x for part in [first, *rest] for x in part.seq.tolist()] == [1, 2, 3, 4]
    assert {part.ids.shape[1] for part in [first, *rest]} == {1}


@pytest.mark.parametrize("key", ["ñandú 🎏", "a\0b", "'; DROP TABLE x --", "x" * 10_000, "", " ", "\u202e%_*"])
def test_any_text_is_an_id(store, key):
    store.extend_schema(SCHEMA)
    rows = [row(key, key, device=key, payment=key, currency=key), row(key + "x", key + "x")]
    for expected in (LOADED, DUPLICATE):
        assert store.upsert_transactions(table(rows)).tolist() == [expected] * 2
        assert store.upsert_labels(labels([label(key, source=key)])).tolist() == [expected]
        assert store.write_decisions([decision(key)]).tolist() == [expected]
    assert transactions(store)[key][2] == {("user", key), ("device", key), ("payment", key)}
    assert store.entity("device", key)["key"] == key
    assert store.recent_transactions("user", key)[0]["transaction_id"] == key
    assert store.neighbourhood("user", key)["links"][0]["target"] == f"device:{key}"
    assert store.decisions([key])[key].transaction_id == key
    assert store.labels_of([key])[key] == [(START, True, key)]


def test_text_that_no_store_can_hold_is_refused(store):
    with pytest.raises(InputError, match="Unicode"):
        store.entity("user", "\ud800")


def test_extreme_numbers(store):
    store.extend_schema(SCHEMA)
    most = 2**63 - 1
    rows = [row("a", amount=0, age=float("inf")), row("b", "u2", amount=most, age=-0.0), row("c", "u3", at=-START * 2)]
    assert store.upsert_transactions(table(rows)).tolist() == [LOADED] * 3
    assert store.upsert_transactions(table([*rows[:2], {**rows[1], "age": 0.0}])).tolist() == [DUPLICATE] * 3
    (part,) = store.transaction_changes()
    assert part.amount.tolist() == [0, most, 100]
    assert part.occurred_at[2] == -START


def test_many_ids_at_once(store):
    ids = [f"t{i}" for i in range(4_000)]
    store.extend_schema(SCHEMA)
    rows = [row(id_, f"u{id_}", device=f"d{i % 5}" if i % 2 else None) for i, id_ in enumerate(ids)]
    assert set(store.upsert_transactions(table(rows))) == {LOADED}
    assert set(store.upsert_transactions(table(rows[::-1]))) == {DUPLICATE}
    (part,) = store.transaction_changes()
    assert (part.ids[:, 1] >= 0).tolist() == [i % 2 == 1 for i in range(4_000)]
    assert store.sequence_numbers(ids[::-1]) == {id_: i + 1 for i, id_ in enumerate(ids)}
    assert len(store.entity_ids("user", [f"u{i}" for i in ids])) == 4_000


def test_what_does_not_wait_for_the_disk_is_written_all_the_same(store, url):
    store.extend_schema(SCHEMA)
    batch = table([row(f"t{i}", f"u{i % 3}", i) for i in range(20)])
    assert set(store.upsert_transactions(batch, durable=False)) == {LOADED}
    assert store.write_decisions([decision()], durable=False).tolist() == [LOADED]
    with closing(open_store(url)) as other:
        assert facts(other) == facts(store)
        other.settle()
    store.settle()
    assert set(store.upsert_transactions(batch)) == {DUPLICATE}
    assert store.write_decisions([decision()]).tolist() == [DUPLICATE]
    before = facts(store)
    store.close()
    with closing(open_store(url)) as again:
        again.settle()
        assert facts(again) == before
        assert again.decisions(["t1"]) == {"t1": decision()}


def test_reopened_store_has_everything(store, url):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row(device="d1")]))
    store.write_decisions([decision()])
    before = facts(store)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.status()
    again = open_store(url)
    assert facts(again) == before
    assert again.decisions(["t1"]) == {"t1": decision()}
    again.close()


def _world(seed):
    """Up to twelve transactions and their labels, some of transactions that never come."""
    rng = random.Random(seed)
    rows = [
        row(f"t{i}", f"u{rng.randrange(3)}", rng.randrange(100), amount=rng.randrange(1000),
            device=rng.choice([None, "d1", "d2"]), payment=rng.choice([None, "visa"]), age=rng.choice([None, 1.5]))
        for i in range(rng.randrange(1, 12))
    ]  # fmt: skip
    histories = {(f"t{rng.randrange(14)}", rng.randrange(4), rng.choice("ab")) for _ in range(rng.randrange(12))}
    return rows, [label(t, rng.random() < 0.5, k, s) for t, k, s in sorted(histories)]


def test_any_order_any_split_any_repeats_give_the_same_facts(new_url, request):
    examples = 10 if request.node.callspec.params["new_url"] == "neo4j" else 40  # a server takes longer

    @settings(max_examples=examples, deadline=None)
    @given(data=st.data(), seed=st.integers(0, 10_000))
    def holds(data, seed):
        rows, given_labels = _world(seed)
        plain = open_store(new_url())
        plain.extend_schema(SCHEMA)
        plain.upsert_transactions(table(rows))
        plain.upsert_labels(labels(given_labels))
        expected = facts(plain)
        plain.close()
        everything = [("transaction", r) for r in rows] + [("label", x) for x in given_labels]
        repeats = data.draw(st.lists(st.sampled_from(everything), max_size=8))
        order = data.draw(st.permutations(everything + repeats))
        sizes = data.draw(st.lists(st.integers(1, 9), min_size=1))
        shuffled = open_store(new_url())
        shuffled.extend_schema(SCHEMA)
        loaded = 0
        left = iter(order)
        for size in itertools.cycle(sizes):
            part = list(itertools.islice(left, size))
            if not part:
                break
            outcomes = [
                *shuffled.upsert_transactions(table([r for kind, r in part if kind == "transaction"])),
                *shuffled.upsert_labels(labels([x for kind, x in part if kind == "label"])),
            ]
            assert CONFLICT not in outcomes
            loaded += outcomes.count(LOADED)
        assert loaded == len(everything)
        assert facts(shuffled) == expected
        shuffled.close()

    holds()
