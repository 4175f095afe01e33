"""A ring as a graph to be drawn: members and the transactions between them, as sums."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graph.records import USER, entity_type
from graph.ring_json import iso
from graph.ring_records import Ring, RingMember
from graph.ring_transactions import ring_transactions
from graph.store import Store

BANDS = ("approve", "review", "block")
"""Bands of risk, lowest first."""


@dataclass(slots=True)
class _Sum:
    """Transactions added up; those of one link, or of all links of a member (each counted once)."""

    transactions: int = 0
    amount: int = 0
    fraud_known: int = 0
    first_at: int | None = None
    last_at: int | None = None
    band: str | None = None

    def add(self, transaction: dict[str, Any]) -> None:
        at: int = transaction["occurred_at"]
        self.transactions += 1
        self.amount += transaction["amount"]
        self.fraud_known += bool(transaction["is_fraud"])
        self.first_at = at if self.first_at is None else min(self.first_at, at)
        self.last_at = at if self.last_at is None else max(self.last_at, at)
        self.band = worst_band((self.band, transaction["band"]))

    def told(self) -> dict[str, Any]:
        return {
            "transactions": self.transactions,
            "amount": self.amount / 100,
            "fraud_known": self.fraud_known,
            "first_at": iso(self.first_at),
            "last_at": iso(self.last_at),
        }


def worst_band(bands: Iterable[str | None]) -> str | None:
    """The riskiest of some bands; None where none is known."""
    return max((band for band in bands if band in BANDS), key=BANDS.index, default=None)


def ring_graph(store: Store, ring: Ring) -> dict[str, Any]:
    """A ring's members and links, from its transactions before its latest refresh.

    Returns:
        `nodes`: `id` (type:key), `type`, `key`, `band` (the worst of its transactions' in the ring), `since`, and sums
        over its transactions in the ring. `links`: `source` (a user), `target`, `relationship`, and sums likewise. Sums
        are `transactions`, `amount` (units of the currency), `fraud_known` (as known then), `first_at`, `last_at`
        (ISO 8601, UTC). Plain JSON values.
    """
    return _graph(ring, ring_transactions(store, ring))


def _graph(ring: Ring, transactions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    of_member = {(member.entity, member.key): _Sum() for member in ring.members}
    of_link = {(link.user, link.entity, link.key): _Sum() for link in ring.links}
    for transaction in transactions:
        user = transaction["entities"][USER]
        for end in {(USER, user), *transaction["over"]}:
            if end in of_member:
                of_member[end].add(transaction)
        for entity, key in transaction["over"]:
            of_link[user, entity, key].add(transaction)
    return {
        "nodes": [_node(member, of_member[member.entity, member.key]) for member in ring.members],
        "links": [
            {
                "source": f"{USER}:{user}",
                "target": f"{entity}:{key}",
                "relationship": entity_type(entity).aggregate,
                **total.told(),
            }
            for (user, entity, key), total in of_link.items()
        ],
    }


def _node(member: RingMember, total: _Sum) -> dict[str, Any]:
    return {
        "id": f"{member.entity}:{member.key}",
        "type": member.entity,
        "key": member.key,
        "band": worst_band((member.band, total.band)),
        "since": iso(member.since),
        **total.told(),
    }
