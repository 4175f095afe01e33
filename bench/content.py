"""What a store holds, whatever order it came in: counts, and a digest of everything that users can see."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from graph.store import Store, embeddings_of, open_store, rings_of, whole


def content(url: str) -> dict[str, Any]:
    """Counts of a store, and digests by kind of fact; equal for equal graphs, however they were loaded."""
    store = open_store(url)
    try:
        return {
            **store.status(),
            "transactions in full": _digest(_transactions(store)),
            "labels in full": _digest(_labels(store)),
            "attributes in full": _digest(_attributes(store)),
            "rings in full": _digest(_rings(store)),
            "rings": len(rings_of(store).rings(limit=None)),
            "embeddings": _embeddings(store),
        }
    finally:
        store.close()


def _digest(lines: Iterable[str]) -> str:
    total = sha256()
    for line in sorted(lines):
        total.update(line.encode())
        total.update(b"\n")
    return total.hexdigest()


def _transactions(store: Store) -> Iterable[str]:
    keys = [key for chunk in store.entity_keys() for key in chunk.keys]
    for chunk in store.transaction_changes(with_ids=True):
        ids, currency = chunk.transaction_ids or [], chunk.currency or []
        for i, name in enumerate(ids):
            linked = [keys[number] if number >= 0 else None for number in chunk.ids[i].tolist()]
            yield repr((name, int(chunk.occurred_at[i]), int(chunk.arrived_at[i]), int(chunk.amount[i]), currency[i],
                        linked, chunk.numeric[i].tolist()))  # fmt: skip


def _labels(store: Store) -> Iterable[str]:
    for rows in whole(store).every_label():
        for i, name in enumerate(rows.transaction_ids):
            yield repr((name, int(rows.known_at[i]), bool(rows.is_fraud[i]), rows.source[i]))


def _attributes(store: Store) -> Iterable[str]:
    for entity in store.schema().entities:
        for chunk in whole(store).every_attribute(entity):
            for key, attributes in chunk.items():
                yield repr((entity, key, sorted(attributes.items())))


def _rings(store: Store) -> Iterable[str]:
    kept = rings_of(store)
    for ring in kept.rings(limit=None):
        yield repr((ring, kept.ring_events(ring.ring_id)))


def _embeddings(store: Store) -> str:
    there = embeddings_of(store).embeddings()
    if there is None:
        return "none"
    return f"{dict(sorted(there.counts.items()))} by {there.model} as of {there.at}"
