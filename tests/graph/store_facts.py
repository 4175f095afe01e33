"""Small facts to put into a store, and all that a store says of them."""

import pyarrow as pa

from graph.records import LABEL_COLUMNS, Decision, GraphSchema, transaction_columns
from graph.store import Outcome, Store

LOADED, DUPLICATE, CONFLICT = Outcome.LOADED, Outcome.DUPLICATE, Outcome.CONFLICT
SCHEMA = GraphSchema(("user", "device"), ("payment",), ("age",))
START = 1_700_000_000_000_000


def row(id_="t1", user="u1", at=0, **more):
    """A transaction; `device`, `payment`, `age` and so on are missing unless given."""
    return {"transaction_id": id_, "occurred_at": START + at, "arrived_at": START + at + 5, "amount": 100,
            "user": user, **more}  # fmt: skip


def table(rows, schema=SCHEMA):
    """A table of transactions from rows of plain names."""
    columns = transaction_columns(schema)
    return pa.table({f.name: pa.array([r.get(f.name.split(":")[-1]) for r in rows], f.type) for f in columns}, columns)


def label(id_="t1", fraud=True, known_at=0, source="bank"):
    return {"transaction_id": id_, "is_fraud": fraud, "known_at": START + known_at, "source": source}


def labels(rows):
    return pa.Table.from_pylist(rows, LABEL_COLUMNS)


def decision(id_="t1", digest=b"d", **more):
    return Decision(id_, digest, more.get("at", START), 0.25, more.get("band", "review"), "m1", b'{"a":1}', b"\0\1")


def transactions(store: Store, **options):
    """The transactions of the feed by id, with keys instead of integer ids."""
    names = store.schema().keyed
    keys = {}
    for part in store.entity_keys(**options):
        keys |= {part.first + i: (names[k], key) for i, (k, key) in enumerate(zip(part.kinds, part.keys, strict=True))}
    found = {}
    for part in store.transaction_changes(with_ids=True, **options):
        for i, id_ in enumerate(part.transaction_ids):
            assert id_ not in found
            found[id_] = (
                int(part.occurred_at[i]), int(part.amount[i]),
                {keys[e] for e in part.ids[i].tolist() if e >= 0},
                {n: x for n, x in zip(store.schema().numeric, part.numeric[i].tolist(), strict=True) if x == x},
            )  # fmt: skip
            for position, e in enumerate(part.ids[i].tolist()):
                assert e == -1 or keys[e][0] == names[position]
    return found


def fed_labels(store: Store):
    """The labels of the feed by transaction id, sorted."""
    id_of = {}
    for part in store.transaction_changes(with_ids=True):
        id_of |= dict(zip(part.seq.tolist(), part.transaction_ids, strict=True))
    return sorted(
        (id_of[t], k, f)
        for part in store.label_changes()
        for t, k, f in zip(part.transaction_seq.tolist(), part.known_at.tolist(), part.is_fraud.tolist(), strict=True)
    )


def facts(store: Store):
    """All that a store says, without the numbers that depend on the order of loading."""
    feed = transactions(store)
    users = {key for _, _, keys, _ in feed.values() for name, key in keys if name == "user"}
    return {
        "status": store.status(),
        "transactions": feed,
        "labels": fed_labels(store),
        "users": {key: store.entity("user", key) for key in users},
        "around": {
            key: {(x["source"], x["target"]): x for x in store.neighbourhood("user", key, depth=3)["links"]}
            for key in users
        },
    }
