"""What every store promises of transactions: kept once, as they were, under a schema that grows."""

import numpy as np
import pyarrow as pa
import pytest

from graph.errors import InputError
from graph.records import GraphSchema
from graph.store import Watermark
from tests.graph.store_facts import CONFLICT, DUPLICATE, LOADED, SCHEMA, START, facts, row, table, transactions


def test_a_transaction_comes_back_as_it_was(store):
    store.extend_schema(SCHEMA)
    store.upsert_transactions(table([row(device="d1", payment="visa", age=1.5, amount=7), row("t2", at=9)]))
    (part,) = store.transaction_changes(with_ids=True)
    assert part.seq.tolist() == [1, 2]
    assert part.occurred_at.tolist() == [START, START + 9]
    assert part.arrived_at.tolist() == [START + 5, START + 14]
    assert part.amount.tolist() == [7, 100]
    assert part.transaction_ids == ["t1", "t2"]
    ids = [store.entity_ids(*x) for x in (("user", ["u1", "u2"]), ("device", ["d1"]), ("payment", ["visa"]))]
    assert part.ids.tolist() == [[ids[0]["u1"], ids[1]["d1"], ids[2]["visa"]], [ids[0]["u1"], -1, -1]]
    np.testing.assert_array_equal(part.numeric, [[1.5], [np.nan]])
    assert (part.ids.dtype, part.numeric.dtype, part.seq.dtype) == (np.int32, np.float64, np.int64)
    assert next(iter(store.transaction_changes())).transaction_ids is None
    assert store.sequence_numbers(["t2", "nope", "t1"]) == {"t1": 1, "t2": 2}
    (keys,) = store.entity_keys()
    assert (keys.first, keys.kinds.tolist(), keys.keys) == (0, [0, 1, 2], ["u1", "d1", "visa"])


@pytest.mark.parametrize(
    "change",
    [{"amount": 101}, {"user": "u2"}, {"at": 1}, {"device": "d2"}, {"device": None}, {"payment": "new"},
     {"age": 3.0}, {"age": None}, {"currency": "USD"}, {"currency": None}],
    ids=str,
)  # fmt: skip
def test_other_content_under_the_same_id_is_a_conflict(store, change):
    store.extend_schema(SCHEMA)
    original = row(device="d1", age=2.0, currency="PEN")
    changed = {**original, **change, "occurred_at": START + change.get("at", 0)}
    assert store.upsert_transactions(table([original])).tolist() == [LOADED]
    before = facts(store)
    assert store.upsert_transactions(table([changed, original])).tolist() == [CONFLICT, DUPLICATE]
    assert store.upsert_transactions(table([row("t9"), row("t9", amount=5)])).tolist() == [LOADED, CONFLICT]
    after = facts(store)
    assert after["transactions"]["t1"] == before["transactions"]["t1"]
    assert after["status"]["entities"] == before["status"]["entities"]  # what only a conflict names is not kept


def test_repeats_within_one_batch(store):
    store.extend_schema(SCHEMA)
    rows = [row("a"), row("b"), row("a"), row("b", amount=1), row("a", "u2"), row("c")]
    expected = [LOADED, LOADED, DUPLICATE, CONFLICT, CONFLICT, LOADED]
    assert store.upsert_transactions(table(rows)).tolist() == expected
    assert store.sequence_numbers(["a", "b", "c"]) == {"a": 1, "b": 2, "c": 3}
    assert store.entity("user", "u1")["transactions"] == 3


def test_a_later_delivery_is_the_same_transaction(store):
    store.upsert_transactions(table([row()], GraphSchema()))
    again = {**row(), "arrived_at": START + 10**9}
    assert store.upsert_transactions(table([again], GraphSchema())).tolist() == [DUPLICATE]
    assert [part.arrived_at.tolist() for part in store.transaction_changes()] == [[START + 5]]


def test_the_schema_grows_in_the_middle(store):
    """Old rows read as missing in new columns, an equal old row is a duplicate, ids stay what they were."""
    store.extend_schema(GraphSchema(("user",), ("payment",), ("age",)))
    old = row("old", payment="visa", age=4.0)
    store.upsert_transactions(table([old], GraphSchema(("user",), ("payment",), ("age",))))
    visa = store.entity_ids("payment", ["visa"])
    grown = store.extend_schema(GraphSchema(("user", "device", "ip"), ("city",), ("speed",)))
    assert grown == GraphSchema(("user", "device", "ip"), ("payment", "city"), ("age", "speed")) == store.schema()
    assert store.extend_schema(GraphSchema()) == grown
    new = row("new", "u2", device="d", ip="i", payment="visa", city="Lima", speed=2.5)
    assert store.upsert_transactions(table([new, old], grown)).tolist() == [LOADED, DUPLICATE]
    assert store.upsert_transactions(table([{**old, "city": "Cusco"}], grown)).tolist() == [CONFLICT]
    (part,) = store.transaction_changes()
    assert store.entity_ids("payment", ["visa"]) == visa
    assert part.ids[0].tolist() == [0, -1, -1, visa["visa"], -1]
    assert part.ids[1, 3] == visa["visa"]
    assert (part.ids[1] >= 0).all()
    np.testing.assert_array_equal(part.numeric, [[4.0, np.nan], [np.nan, 2.5]])
    feed = transactions(store)
    assert feed["old"][2] == {("user", "u1"), ("payment", "visa")}
    assert feed["new"][2] == {("user", "u2"), ("device", "d"), ("ip", "i"), ("payment", "visa"), ("city", "Lima")}
    assert store.recent_transactions("user", "u1")[0]["numeric"] == {"age": 4.0}


def test_columns_that_the_batch_lacks_are_missing_and_their_order_does_not_matter(store):
    store.extend_schema(SCHEMA)
    whole = table([row()])
    narrow = whole.select([name for name in reversed(whole.column_names) if "age" not in name and "dev" not in name])
    assert store.upsert_transactions(narrow).tolist() == [LOADED]
    assert store.upsert_transactions(whole).tolist() == [DUPLICATE]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: t.drop_columns("amount"), "lacks the column 'amount'"),
        (lambda t: t.drop_columns("entity:user"), "lacks the column 'entity:user'"),
        (lambda t: t.append_column("entity:shoe", pa.array(["x"])), "unknown column 'entity:shoe'"),
        (lambda t: t.set_column(3, "amount", pa.array(["many"])), "'amount'"),
        (lambda t: t.set_column(5, "entity:user", pa.array([None], pa.string())), "'entity:user' has 1 empty"),
        (lambda t: t.set_column(5, "entity:user", pa.array([b"\xff"]).view(pa.string())), "UTF-8"),
    ],
)
def test_unusable_tables_are_refused(store, spoil, says):
    store.extend_schema(SCHEMA)
    with pytest.raises(InputError, match=says):
        store.upsert_transactions(spoil(table([row()])))
    assert store.watermark() == Watermark()
