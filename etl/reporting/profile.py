"""What the rows that a load brought look like in the graph, from the store's change feed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.reporting.hubs import HUBS, Hub, Usual, suspicion
from graph.records import DAY, USER
from graph.store import LabelChanges, Store, Watermark

DELAYS = (0.0, 1 / 24, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
"""Lower ends of the ranges of label delays, in days; the last has no upper end."""
_LOOKED_AT = 50
_SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Degrees:
    """How widely the entities of one type are shared among a load's rows.

    Attributes:
        counts: what is counted of each entity: its distinct `users`, or of a user its `transactions`.
        entities: how many were seen; `shared`: of these, those with a count above one.
        median, p95, p99, largest: of the counts.
        buckets: entities by count, in ranges that double: (from, to, entities).
        hubs: the largest candidates for leaving out of the graph, largest first.
    """

    counts: str
    entities: int
    shared: int
    median: int
    p95: int
    p99: int
    largest: int
    buckets: tuple[tuple[int, int, int], ...]
    hubs: tuple[Hub, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "counts": self.counts,
            "entities": self.entities,
            "shared": self.shared,
            "median": self.median,
            "p95": self.p95,
            "p99": self.p99,
            "largest": self.largest,
            "buckets": [{"from": low, "to": high, "entities": n} for low, high, n in self.buckets],
            "hubs": [hub.as_dict() for hub in self.hubs],
        }


@dataclass(frozen=True, slots=True)
class Delays:
    """How long after their transactions labels became known.

    Attributes:
        labels: how many delays were looked at.
        median, p90: in days.
        rows: labels by range of `DELAYS`.
    """

    labels: int
    median: float
    p90: float
    rows: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        ends = (*DELAYS[1:], None)
        return {
            "labels": self.labels,
            "median_days": round(self.median, 3),
            "p90_days": round(self.p90, 3),
            "ranges": [
                {"from_days": low, "to_days": high, "labels": n}
                for low, high, n in zip(DELAYS, ends, self.rows, strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class Profile:
    """The transactions and labels that came into a store after some moment.

    Attributes:
        transactions: how many; `labelled`: of these, those with a label; `frauds`: whose latest label says fraud.
        labels: labels that came in, also of transactions that were there before.
        delays: of `fraud` and `genuine` labels, where there are any.
        sampled: whether the delays of labels about earlier transactions are of a sample of these.
        degrees: by entity type.
    """

    transactions: int
    labelled: int
    frauds: int
    labels: int
    delays: dict[str, Delays]
    sampled: bool
    degrees: dict[str, Degrees]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "transactions": self.transactions,
            "labelled": self.labelled,
            "frauds": self.frauds,
            "labels": self.labels,
            "label_delays": {name: delays.as_dict() for name, delays in self.delays.items()},
            "label_delays_sampled": self.sampled,
            "degrees": {name: degrees.as_dict() for name, degrees in self.degrees.items()},
        }


def profile(store: Store, since: Watermark) -> Profile:
    """Profiles what the store got after `since`.

    Takes time and memory by the number of those rows alone; of the labels that are about earlier
    transactions, a sample of fixed size is looked at.

    Raises:
        StoreError: the store failed.
    """
    labels = _Labels.read(store.label_changes(since.label))
    entities = store.schema().entities
    pairs = {name: _Pairs() for name in entities}
    transactions = 0
    for changes in store.transaction_changes(since.transaction):
        transactions += len(changes.seq)
        fraud = labels.note(changes.seq, changes.occurred_at)
        users = changes.ids[:, 0].astype(np.int64)
        for position, name in enumerate(entities):
            ids = changes.ids[:, position].astype(np.int64)
            there = ids >= 0
            if there.any():
                pairs[name].add((ids[there] << 32) | users[there], fraud[there])
    sampled = labels.look_up(store, since.transaction)
    users_seen = len(pairs[USER].keys())
    return Profile(
        transactions,
        *labels.outcomes(since.transaction),
        len(labels.seq),
        labels.delays(),
        sampled,
        {
            name: _degrees(store, name, found, users_seen, transactions)
            for name, found in pairs.items()
            if len(found.keys())
        },
    )


class _Labels:
    """New labels, in order of their transactions and then of when they became known."""

    def __init__(self, changes: list[LabelChanges]) -> None:
        def column(name: str, kind: Any) -> NDArray[Any]:
            return np.concatenate([np.empty(0, kind), *(getattr(c, name) for c in changes)])

        seq, known_at = column("transaction_seq", np.int64), column("known_at", np.int64)
        order = np.lexsort((known_at, seq))
        self.seq: NDArray[np.int64] = seq[order]
        self.known_at: NDArray[np.int64] = known_at[order]
        self.is_fraud: NDArray[np.bool_] = column("is_fraud", np.bool_)[order]
        self.occurred_at = np.full(len(seq), -1, dtype=np.int64)
        last = np.ones(len(seq), dtype=np.bool_)
        last[:-1] = self.seq[1:] != self.seq[:-1]
        self.latest = np.flatnonzero(last)
        """Positions of the label that holds in the end, of each transaction."""

    @classmethod
    def read(cls, changes: Iterator[LabelChanges]) -> "_Labels":
        return cls(list(changes))

    def note(self, seq: NDArray[np.int64], occurred_at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Takes the times of these transactions (ascending); says which are fraud."""
        fraud = np.zeros(len(seq), dtype=np.bool_)
        low, high = np.searchsorted(self.seq, (seq[0], seq[-1] + 1))
        if low < high:
            self.occurred_at[low:high] = occurred_at[np.searchsorted(seq, self.seq[low:high])]
            held = self.latest[np.searchsorted(self.latest, low) : np.searchsorted(self.latest, high)]
            fraud[np.searchsorted(seq, self.seq[held])] = self.is_fraud[held]
        return fraud

    def look_up(self, store: Store, before: int) -> bool:
        """Finds the times of earlier transactions, up to `before`, or of a sample of them; says whether of a sample."""
        rows = np.arange(np.searchsorted(self.seq, before, side="right"))
        sample = rows[:: max(1, -(-len(rows) // _SAMPLE))]
        for row in sample.tolist():
            found = next(iter(store.transaction_changes(int(self.seq[row]) - 1, chunk=1)))
            self.occurred_at[row] = found.occurred_at[0]
        return len(sample) < len(rows)

    def outcomes(self, before: int) -> tuple[int, int]:
        """Transactions after `before` with a label, and those of them that are fraud."""
        held = self.latest[self.seq[self.latest] > before]
        return len(held), int(self.is_fraud[held].sum())

    def delays(self) -> dict[str, Delays]:
        """By what labels say, where there are any."""
        found: dict[str, Delays] = {}
        for name, which in (("fraud", self.is_fraud), ("genuine", ~self.is_fraud)):
            rows = which & (self.occurred_at >= 0)
            if rows.any():
                days = np.maximum(self.known_at[rows] - self.occurred_at[rows], 0) / DAY
                ranges = np.bincount(np.searchsorted(DELAYS, days, side="right") - 1, minlength=len(DELAYS))
                median, p90 = np.quantile(days, (0.5, 0.9))
                found[name] = Delays(len(days), float(median), float(p90), tuple(ranges.tolist()))
        return found


class _Pairs:
    """Transactions, and frauds among them, by (entity, user): the entity's id in the upper half of a key."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []

    def add(self, keys: NDArray[np.int64], fraud: NDArray[np.bool_]) -> None:
        """Counts rows."""
        self._parts.append(_summed(keys, np.ones(len(keys)), fraud))
        rest = self._parts[1:]
        if len(rest) > 1 and sum(part.shape[1] for part in rest) > self._parts[0].shape[1]:
            self._merge()

    def _merge(self) -> None:
        if len(self._parts) > 1:
            self._parts = [_summed(*np.concatenate(self._parts, axis=1))]

    def keys(self) -> NDArray[np.int64]:
        """The distinct pairs, ascending."""
        keys: NDArray[np.int64] = self.table()[0]
        return keys

    def table(self) -> NDArray[np.int64]:
        """int64[3, n]: pairs (ascending), transactions, frauds."""
        self._merge()
        return self._parts[0] if self._parts else np.zeros((3, 0), dtype=np.int64)


def _summed(keys: NDArray[np.int64], rows: NDArray[Any], frauds: NDArray[Any]) -> NDArray[np.int64]:
    distinct, inverse = np.unique(keys, return_inverse=True)
    sums = [np.bincount(inverse, weights=w, minlength=len(distinct)).astype(np.int64) for w in (rows, frauds)]
    result: NDArray[np.int64] = np.stack([distinct, *sums])
    return result


def _degrees(store: Store, name: str, pairs: _Pairs, users_seen: int, transactions: int) -> Degrees:
    keys, rows, frauds = pairs.table()
    ids, starts, users = np.unique(keys >> 32, return_index=True, return_counts=True)
    rows, frauds = np.add.reduceat(rows, starts), np.add.reduceat(frauds, starts)
    counts = rows if name == USER else users
    median, p95, p99 = (int(q) for q in np.quantile(counts, (0.5, 0.95, 0.99), method="higher"))
    usual = Usual(len(ids), p95, users_seen, transactions)
    hubs: list[Hub] = []
    for row in np.argsort(-counts, kind="stable")[:_LOOKED_AT].tolist():
        key = next(iter(store.entity_keys(int(ids[row]), chunk=1))).keys[0]
        why = suspicion(name, key, int(users[row]), int(rows[row]), usual)
        if why is not None and len(hubs) < HUBS:
            hubs.append(Hub(key, int(users[row]), int(rows[row]), int(frauds[row]), why))
    return Degrees(
        "transactions" if name == USER else "users",
        len(ids),
        int((counts > 1).sum()),
        median,
        p95,
        p99,
        int(counts.max()),
        _buckets(counts),
        tuple(hubs),
    )


def _buckets(counts: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
    """Counts in the ranges 1, 2, 3-4, 5-8, 9-16 …"""
    exponent = np.ceil(np.log2(counts)).astype(np.int64)
    return tuple(
        (1 if e == 0 else (1 << (e - 1)) + 1, 1 << e, int(n)) for e, n in enumerate(np.bincount(exponent).tolist())
    )
