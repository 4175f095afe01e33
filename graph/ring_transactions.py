"""A ring's transactions: those of its users over what they are linked to in it."""

from typing import Any

from graph.records import USER
from graph.ring_records import Ring
from graph.store import Store

MOST = 10_000
"""Latest transactions looked at for one user."""


def ring_transactions(store: Store, ring: Ring) -> list[dict[str, Any]]:
    """The transactions of a ring as its latest refresh saw it, oldest first.

    A user's payments over a member count from the first to the last of their link: before and after, the same address
    may have served the same user innocently.

    Args:
        store: the store that the ring is kept in.
        ring: the ring.

    Returns:
        As of `Store.recent_transactions`, with `over`: the (type, key) of the members that each went over, and
        `is_fraud` as known at that refresh. A user's latest `MOST` are looked at; `band` is as known now.
    """
    spans: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
    for link in ring.links:
        spans.setdefault(link.user, {})[link.entity, link.key] = (link.first_at, link.last_at)
    found = []
    for user, linked in spans.items():
        for transaction in store.recent_transactions(USER, user, limit=MOST):
            at = transaction["occurred_at"]
            if transaction["arrived_at"] >= ring.refreshed_at:
                continue
            ends = [end for end in transaction["entities"].items() if end in linked]
            over = [end for end in ends if linked[end][0] <= at <= linked[end][1]]
            if over:
                found.append({**transaction, "over": over})
    labels = store.labels_of([transaction["transaction_id"] for transaction in found])
    for transaction in found:
        history = labels.get(transaction["transaction_id"], ())
        known = [(known_at, is_fraud) for known_at, is_fraud, _ in history if known_at < ring.refreshed_at]
        transaction["is_fraud"] = max(known)[1] if known else None
    return sorted(found, key=lambda t: (t["occurred_at"], t["transaction_id"]))
