"""What an investigator's verdict on a ring says about its transactions."""

import pyarrow as pa

from graph.records import LABEL_COLUMNS, TIMESTAMP, USER
from graph.ring_records import Ring, RingStatus, Verdict
from graph.ring_transactions import MOST, ring_transactions
from graph.rings.verdicts import SOURCE, verdict_labels
from graph.store import RingStore, Store, rings_of


def labels_of(store: Store, ring: Ring, verdict: Verdict) -> pa.Table:
    """The labels (`LABEL_COLUMNS`) to be written before a verdict is; none where it is the ring's status already.

    A confirmed ring's transactions, as its latest refresh saw them, are fraud, known from the verdict on. Where a
    ring was confirmed and is dismissed now, what that verdict alone said is taken back: its labels get a later one
    that says otherwise, unless somebody else calls the transaction fraud.
    """
    if verdict.verdict == ring.status:
        return LABEL_COLUMNS.empty_table()
    if verdict.verdict is RingStatus.CONFIRMED:
        return verdict_labels(verdict, [t["transaction_id"] for t in ring_transactions(store, ring)])
    ids = _taken_back(store, ring) if ring.status is RingStatus.CONFIRMED else []
    columns = [ids, [False] * len(ids), [verdict.at] * len(ids), [_source(ring)] * len(ids)]
    types = (pa.string(), pa.bool_(), TIMESTAMP, pa.string())
    return pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], schema=LABEL_COLUMNS)


def _source(ring: Ring) -> str:
    return f"{SOURCE}:{ring.ring_id}"


def _taken_back(store: Store, ring: Ring) -> list[str]:
    """Transactions that count as fraud only because the ring was confirmed."""
    source = _source(ring)
    users = sorted(_users_ever(rings_of(store), ring))
    ids = {t["transaction_id"] for user in users for t in store.recent_transactions(USER, user, limit=MOST)}
    found = []
    for id_, history in store.labels_of(sorted(ids)).items():
        mine = [is_fraud for _, is_fraud, who in history if who == source]
        others = [is_fraud for _, is_fraud, who in history if who != source]
        if mine and mine[-1] and not (others and others[-1]):
            found.append(id_)
    return sorted(found)


def _users_ever(store: RingStore, ring: Ring) -> set[str]:
    """Users who are in the ring or were once: it may have changed since it was confirmed."""
    return {m.key for m in store.memberships() if m.ring_id == ring.ring_id and m.entity == USER}
