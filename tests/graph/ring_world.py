"""A small store with a ring in it: three users on two devices and an address, and a stranger."""

from datetime import UTC, datetime

import pyarrow as pa

from graph.records import LABEL_COLUMNS, Decision, GraphSchema, transaction_columns
from graph.ring_records import (
    Refresh,
    Ring,
    RingEvent,
    RingEventKind,
    RingLink,
    RingMember,
    RingReason,
    RingStatus,
)
from graph.store import Store, rings_of

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = int(datetime(2025, 3, 1, 9, tzinfo=UTC).timestamp()) * SECOND
AS_OF = START + 12 * DAY
SCHEMA = GraphSchema(("user", "device", "ip", "restaurant"))
RING_ID = "ring-7f3a"
HOSTILE = "<script>alert('u3')</script>"
"""A user's key as an attacker would choose it."""

_ROWS = [
    # id, user, device, ip, hours after START, hundredths, fraud, band
    ("t1", "u1", "d1", "10.0.0.1", 0, 1_000, True, "block"),
    ("t2", "u1", "d1", "10.0.0.1", 30, 2_500, True, "review"),
    ("t3", "u2", "d1", "10.0.0.9", 31, 90_000, None, "review"),
    ("t4", "u2", "d2", "10.0.0.1", 60, 4_200, False, "approve"),
    (HOSTILE, HOSTILE, "d2", "10.0.0.1", 200, 7_700, None, None),
    ("t6", "u9", "d9", "10.0.0.9", 10, 5_000, None, "approve"),
    ("t7", "u1", "d9", "10.0.0.9", 11, 6_000, None, "approve"),
    # After the refresh: no part of the ring as it was found.
    ("t8", "u1", "d1", "10.0.0.1", 400, 3_000, None, "review"),
]


def fill(store: Store) -> None:
    """Loads the world's facts."""
    store.extend_schema(SCHEMA)
    columns = transaction_columns(SCHEMA)
    table = {
        "transaction_id": [r[0] for r in _ROWS],
        "occurred_at": [START + r[4] * HOUR for r in _ROWS],
        "arrived_at": [START + r[4] * HOUR for r in _ROWS],
        "amount": [r[5] for r in _ROWS],
        "currency": ["PEN" for _ in _ROWS],
        "entity:user": [r[1] for r in _ROWS],
        "entity:device": [r[2] for r in _ROWS],
        "entity:ip": [r[3] for r in _ROWS],
        "entity:restaurant": ["r1" for _ in _ROWS],
    }
    store.upsert_transactions(pa.table([pa.array(table[f.name], f.type) for f in columns], columns))
    known = START + 3 * DAY
    labels = [
        {"transaction_id": r[0], "is_fraud": r[6], "known_at": known, "source": "bank"}
        for r in _ROWS
        if r[6] is not None
    ]
    store.upsert_labels(pa.Table.from_pylist(labels, LABEL_COLUMNS))
    store.write_decisions([Decision(r[0], b"", START, 0.5, r[7], "m1", b"{}") for r in _ROWS if r[7]])


def the_ring(**more: object) -> Ring:
    """The ring as a refresh as of `AS_OF` finds it."""

    def at(hours: int) -> int:
        return START + hours * HOUR

    fields: dict[str, object] = {
        "ring_id": RING_ID,
        "status": RingStatus.NEW,
        "score": 0.875,
        "found_at": AS_OF - DAY,
        "refreshed_at": AS_OF,
        "members": (
            RingMember("user", "u1", at(0), 2, "block"),
            RingMember("user", "u2", at(31), 2, "review"),
            RingMember("user", HOSTILE, at(200), 1, None),
            RingMember("device", "d1", at(0), 3, "block"),
            RingMember("device", "d2", at(60), 2, "approve"),
            RingMember("ip", "10.0.0.1", at(0), 4, "block"),
        ),
        "links": (
            RingLink("u1", "device", "d1", 2, at(0), at(30)),
            RingLink("u1", "ip", "10.0.0.1", 2, at(0), at(30)),
            RingLink("u2", "device", "d1", 1, at(31), at(31)),
            RingLink("u2", "device", "d2", 1, at(60), at(60)),
            RingLink("u2", "ip", "10.0.0.1", 1, at(60), at(60)),
            RingLink(HOSTILE, "device", "d2", 1, at(200), at(200)),
            RingLink(HOSTILE, "ip", "10.0.0.1", 1, at(200), at(200)),
        ),
        "transactions": 5,
        "amount": 105_400,
        "fraud_known": 2,
        "first_at": at(0),
        "last_at": at(200),
        "structure": {"density": 0.58, "bridges": 0.0},
        "reasons": (
            RingReason(
                "shared_device", "3 users pay from 2 devices, which nobody else uses.", {"devices": ["d1", "d2"]}
            ),
            RingReason("known_fraud", f"2 of 5 transactions are known to be fraud; the newest user is {HOSTILE}.", {}),
        ),
    }
    return Ring(**{**fields, **more})  # type: ignore[arg-type]


def keep_ring(store: Store) -> Ring:
    """Keeps the ring as found by two refreshes; returns it."""
    rings = rings_of(store)
    young = the_ring(refreshed_at=AS_OF - DAY, members=the_ring().members[:2] + the_ring().members[3:])
    found = RingEvent(RING_ID, AS_OF - DAY, RingEventKind.FOUND, {"users": 2})
    rings.write_refresh(Refresh(AS_OF - DAY, (young,), (found,)))
    grew = RingEvent(RING_ID, AS_OF, RingEventKind.GREW, {"joined": [HOSTILE]})
    rings.write_refresh(Refresh(AS_OF, (the_ring(),), (grew,)))
    kept = rings.ring(RING_ID)
    assert kept is not None
    return kept
