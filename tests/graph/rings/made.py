"""Small worlds to find rings in: real stores, filled row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from graph.records import DAY, LABEL_COLUMNS, SECOND, GraphSchema, transaction_columns
from graph.rings import Evidence
from graph.store import open_store

SCHEMA = GraphSchema(("user", "device", "ip", "restaurant"), ("payment_method",))
BEGINS = 1_700_000_000 * SECOND


@dataclass(frozen=True, slots=True)
class Tx:
    """A transaction; times in days after the beginning of the world."""

    user: str
    day: float
    device: str | None = None
    ip: str | None = None
    restaurant: str | None = None
    payment_method: str | None = None
    amount: int = 5_000
    arrived: float | None = None
    p: float | None = None
    fraud_known: float | None = None
    genuine_known: float | None = None


def at(day: float) -> int:
    """Microseconds UTC of a time in days."""
    return BEGINS + int(day * DAY)


World = Callable[[Sequence[Tx], float], Evidence]
"""Reads rows as of a day; a fixture."""


def evidence_of(path: Path, rows: Sequence[Tx], day: float) -> Evidence:
    """What is known as of a day of rows written to a new store at this path."""
    store = open_store(f"sqlite:///{path}")
    try:
        store.extend_schema(SCHEMA)
        names = [f"{tx.user}-{tx.day}-{tx.device}-{tx.ip}-{tx.restaurant}" for tx in rows]
        columns = {
            "transaction_id": names,
            "occurred_at": [at(tx.day) for tx in rows],
            "arrived_at": [at(tx.day if tx.arrived is None else tx.arrived) for tx in rows],
            "amount": [tx.amount for tx in rows],
            "currency": [None for _ in rows],
            **{f"entity:{name}": [getattr(tx, name) for tx in rows] for name in SCHEMA.entities},
            **{f"category:{name}": [getattr(tx, name) for tx in rows] for name in SCHEMA.categories},
        }
        store.upsert_transactions(pa.table(columns, schema=transaction_columns(SCHEMA)))
        labels = [
            (name, fraud, at(known), "test")
            for name, tx in zip(names, rows, strict=True)
            for fraud, known in ((True, tx.fraud_known), (False, tx.genuine_known))
            if known is not None
        ]
        if labels:
            store.upsert_labels(
                pa.table(
                    [pa.array(c, f.type) for c, f in zip(zip(*labels, strict=True), LABEL_COLUMNS, strict=True)],
                    schema=LABEL_COLUMNS,
                )
            )
        scored = [
            (name, tx.p, "block" if tx.p > 0.5 else "approve")
            for name, tx in zip(names, rows, strict=True)
            if tx.p is not None
        ]
        scores = pa.table(
            {
                "transaction_id": pa.array([s[0] for s in scored], pa.string()),
                "probability": pa.array([s[1] for s in scored], pa.float64()),
                "band": pa.array([s[2] for s in scored], pa.string()),
            }
        )
        return Evidence.read(store, at(day), scores=scores)
    finally:
        store.close()


def crowd(users: int, *, day: float, ip: str = "nat", p: float = 0.01, days: float = 14.0) -> list[Tx]:
    """Honest users on one address, each with a device of its own."""
    return [Tx(f"guest{i}", day + days * i / users, f"phone{i}", ip, p=p) for i in range(users)]


def gang(name: str, users: int, *, day: float, device: str, p: float | None = 0.8, ip: str | None = None) -> list[Tx]:
    """Users of one device, with two transactions each within two days."""
    return [Tx(f"{name}{i}", day + i * 0.1 + turn * 1.5, device, ip, p=p) for i in range(users) for turn in range(2)]
