"""A ring's transactions: those of its users over what they are linked to in it."""

from typing import Any

from graph.records import USER
from graph.ring_records import Ring
from graph.store import Store

MOST = 10_000
"""Latest transactions looked at for one user."""


def ring_transactions(store: Store, ring: Ring, before: int) -> list[dict[str, Any]]:
    """The transactions of a ring that had occurred and arrived before a moment, oldest first.

    Args:
        store: the store that the ring is kept in.
        ring: the ring.
        before: microseconds UTC, exclusive.

    Returns:
        As of `Store.recent_transactions`, with `over`: the (type, key) of the members that each went over. A user's
        latest `MOST` are looked at; `is_fraud` and `band` are as known now.
    """
    ends: dict[str, set[tuple[str, str]]] = {}
    for link in ring.links:
        ends.setdefault(link.user, set()).add((link.entity, link.key))
    found = []
    for user, linked in ends.items():
        for transaction in store.recent_transactions(USER, user, limit=MOST):
            if max(transaction["occurred_at"], transaction["arrived_at"]) >= before:
                continue
            over = [end for end in transaction["entities"].items() if end in linked]
            if over:
                found.append({**transaction, "over": over})
    return sorted(found, key=lambda t: (t["occurred_at"], t["transaction_id"]))
