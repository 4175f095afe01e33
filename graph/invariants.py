"""What must be true of a store, checked through the port, so that it is the same for every kind of store."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.progress import Progress, Silent
from graph.records import USER
from graph.store import PairStore, RingStore, Store, whole
from graph.sums import Sums

SAMPLE = 500
_SHOWN = 3
_TOGETHER = 10_000


@dataclass(frozen=True, slots=True)
class Checked:
    """One invariant.

    Attributes:
        name: what must be true.
        looked_at: how many rows or entities were looked at.
        wrong: how many of them break it.
        examples: some of those, in words.
    """

    name: str
    looked_at: int
    wrong: int = 0
    examples: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.wrong

    @classmethod
    def of(cls, name: str, looked_at: int, wrong: Iterable[str]) -> "Checked":
        """The result where these break it."""
        found = list(wrong)
        return cls(name, looked_at, len(found), tuple(found[:_SHOWN]))


@dataclass(frozen=True, slots=True)
class _Feed:
    """The transactions of the change feed; n of them.

    Attributes:
        seq, occurred_at, amount: int64[n].
        ids: int32[n, entity types], -1 is missing.
        hashes: int64[n], of the transactions' ids.
        fraud: bool[n], whether the last known label says so.
    """

    seq: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    hashes: NDArray[np.int64]
    fraud: NDArray[np.bool_]


def check(store: Store, *, sample: int | None = SAMPLE, progress: Progress | None = None) -> list[Checked]:
    """Checks a store that nobody writes to meanwhile. Memory: about 60 bytes a transaction.

    Args:
        store: any store that can be read as a whole.
        sample: of how many entities the sums are compared; None is all of them.
        progress: told of how far it is.

    Returns:
        A result an invariant, in a fixed order.

    Raises:
        StoreError: the store cannot be read.
    """
    progress = progress or Silent()
    with progress.stage("checking transactions"):
        feed = _read(store)
        found = [*_numbers(store, feed), _no_doubles(store, feed), *_keys(store, feed)]
    with progress.stage("checking labels and decisions"):
        found += [*_labels(store), *_decisions(store)]
    with progress.stage("checking sums"):
        found.append(_entity_sums(store, feed, sample))
        if isinstance(store, PairStore):
            found += [_pair_sums(store, feed, position) for position in range(1, len(store.schema().entities))]
    if isinstance(store, RingStore):
        with progress.stage("checking rings"):
            found += _rings(store, store)
    return found


def _read(store: Store) -> _Feed:
    linked = len(store.schema().entities)
    seq, occurred_at, amount, hashes = ([np.zeros(0, dtype=np.int64)] for _ in range(4))
    ids = [np.zeros((0, linked), dtype=np.int32)]
    for part in store.transaction_changes(with_ids=True):
        texts = part.transaction_ids or []
        seq.append(part.seq)
        occurred_at.append(part.occurred_at)
        amount.append(part.amount)
        ids.append(part.ids[:, :linked])
        hashes.append(np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts)))
    whole_seq = np.concatenate(seq)
    fraud = np.zeros(len(whole_seq), dtype=np.bool_)
    labels = list(store.label_changes())
    if labels:
        of = np.concatenate([part.transaction_seq for part in labels])
        known_at = np.concatenate([part.known_at for part in labels])
        says = np.concatenate([part.is_fraud for part in labels])
        order = np.lexsort((says, known_at, of))
        last = order[np.append(np.diff(of[order]) != 0, True)]
        at = np.searchsorted(whole_seq, of[last])
        known = at < len(whole_seq)
        known[known] = whole_seq[at[known]] == of[last][known]
        fraud[at[known]] = says[last][known]
    return _Feed(
        whole_seq,
        np.concatenate(occurred_at),
        np.concatenate(amount),
        np.concatenate(ids),
        np.concatenate(hashes),
        fraud,
    )


def _numbers(store: Store, feed: _Feed) -> Iterator[Checked]:
    n = len(feed.seq)
    gaps = np.flatnonzero(feed.seq != np.arange(1, n + 1))
    yield Checked.of(
        "transactions are numbered from 1 without gaps", n, (f"number {s}" for s in feed.seq[gaps].tolist())
    )
    counted = store.status()["transactions"]
    differ = [] if counted == n else [f"{counted:,} are counted, the feed brings {n:,}"]
    yield Checked.of("as many transactions are counted as the feed brings", n, differ)


def _no_doubles(store: Store, feed: _Feed) -> Checked:
    distinct, times = np.unique(feed.hashes, return_counts=True)
    suspects = set(distinct[times > 1].tolist())
    met: Counter[str] = Counter()
    if suspects:  # two texts may share a hash
        for part in store.transaction_changes(with_ids=True):
            met.update(text for text in part.transaction_ids or () if hash(text) in suspects)
    return Checked.of("no transaction is there twice", len(feed.seq), (text for text, n in met.items() if n > 1))


def _keys(store: Store, feed: _Feed) -> Iterator[Checked]:
    linked = len(store.schema().entities)
    kinds = [np.zeros(0, dtype=np.int16)]
    wrong = []
    for part in store.entity_keys():
        if part.first != sum(map(len, kinds)):
            wrong.append(f"integer id {part.first}")
        kinds.append(part.kinds)
    kind = np.concatenate(kinds)
    yield Checked.of("entities and categories are numbered from 0 without gaps", len(kind), wrong)
    looked_at, strangers = 0, []
    for position in range(linked):
        mine = feed.ids[:, position]
        rows = np.flatnonzero((mine >= 0) | (position == 0))
        looked_at += rows.size
        bad = np.flatnonzero((mine[rows] < 0) | (mine[rows] >= len(kind)))
        fine = np.setdiff1d(np.arange(rows.size), bad)
        other = fine[kind[mine[rows[fine]]] != position]
        strangers += [f"transaction number {feed.seq[row]}" for row in rows[np.concatenate((bad, other))].tolist()]
    yield Checked.of("what transactions link to is there, and of its type", looked_at, strangers)


def _labels(store: Store) -> Iterator[Checked]:
    known, waiting = 0, 0
    wrong, adopted = [], []
    for rows in whole(store).every_label():
        ready = rows.transaction_seq > 0
        numbers = store.sequence_numbers(sorted(set(rows.transaction_ids)))
        for text, seq in zip(rows.transaction_ids, rows.transaction_seq.tolist(), strict=True):
            if seq and numbers.get(text) != seq:
                wrong.append(f"a label of {text!r} points to number {seq}")
            elif not seq and text in numbers:
                adopted.append(f"a label of {text!r} waits, and the transaction is there")
        known += int(ready.sum())
        waiting += int((~ready).sum())
    fed = sum(len(part.seq) for part in store.label_changes())
    if fed != known:
        wrong.append(f"the feed brings {fed:,} labels, {known:,} have a transaction")
    counted = store.status()["labels"]
    if counted != known + waiting:
        wrong.append(f"{counted:,} labels are counted, {known + waiting:,} are there")
    yield Checked.of("labels belong to the transaction that they name", known, wrong)
    yield Checked.of("no label waits for a transaction that is there", waiting, adopted)


def _decisions(store: Store) -> Iterator[Checked]:
    looked_at, wrong, alone = 0, [], []
    for rows in whole(store).every_decision():
        ids = [decision.transaction_id for decision in rows]
        kept, there = store.decisions(ids), store.sequence_numbers(ids)
        looked_at += len(rows)
        wrong += [d.transaction_id for d in rows if kept.get(d.transaction_id) != d]
        alone += [id_ for id_ in ids if id_ not in there]
    counted = store.status()["decisions"]
    if counted != looked_at:
        wrong.append(f"{counted:,} decisions are counted, {looked_at:,} are there")
    yield Checked.of("decisions are found by their transaction's id", looked_at, wrong)
    yield Checked.of("transactions that were decided on are there", looked_at, alone)


def _entity_sums(store: Store, feed: _Feed, sample: int | None) -> Checked:
    """Transactions, amount, first, last and known fraud of entities; the busiest ones are among a sample."""
    entities = store.schema().entities
    looked_at, wrong = 0, []
    keys = [key for part in store.entity_keys() for key in part.keys]
    for position, entity in enumerate(entities):
        rows = np.flatnonzero(feed.ids[:, position] >= 0)
        sums = Sums.of(
            feed.ids[rows, position].astype(np.int64), feed.occurred_at[rows], feed.amount[rows], feed.fraud[rows]
        )
        chosen = np.arange(len(sums.keys))
        if sample is not None and len(chosen) > sample:
            spread = np.linspace(0, len(chosen) - 1, sample // 2).astype(np.int64)
            busiest = np.argsort(sums.transactions)[-(sample - sample // 2) :]
            chosen = np.unique(np.concatenate((spread, busiest)))
        looked_at += len(chosen)
        for at in chosen.tolist():
            key = keys[int(sums.keys[at])]
            told = store.entity(entity, key)
            names = ("transactions", "amount", "first_at", "last_at", "fraud_known")
            expected = {name: int(getattr(sums, name)[at]) for name in names}
            if told is None or {name: told[name] for name in names} != expected:
                wrong.append(f"{entity} {key!r}")
    return Checked.of("sums of entities are those of their transactions", looked_at, wrong)


def _pair_sums(store: PairStore, feed: _Feed, position: int) -> Checked:
    entity = store.schema().entities[position]
    rows = np.flatnonzero(feed.ids[:, position] >= 0)
    keys = (feed.ids[rows, 0].astype(np.int64) << 32) | feed.ids[rows, position]
    expected = Sums.of(keys, feed.occurred_at[rows], feed.amount[rows], feed.fraud[rows])
    kept = store.pair_sums(entity)
    name = f"sums of users' links to each {entity} are those of their transactions"
    columns = ("keys", "transactions", "amount", "first_at", "last_at", "fraud_known")
    if len(kept.keys) == len(expected.keys):
        differ = np.zeros(len(kept.keys), dtype=np.bool_)
        for column in columns:
            differ |= getattr(kept, column) != getattr(expected, column)
        pairs = expected.keys[differ]
    else:
        pairs = np.setxor1d(kept.keys, expected.keys)
    wrong = [f"{USER} number {pair >> 32} to {entity} number {pair & 0xFFFFFFFF}" for pair in pairs.tolist()]
    return Checked.of(
        name, len(expected.keys), wrong or ["a link is there twice"] * (len(kept.keys) != len(expected.keys))
    )


def _rings(store: Store, rings: RingStore) -> Iterator[Checked]:
    there = rings.rings(limit=None)
    members = [(m.entity, m.key, ring.ring_id) for ring in there for m in ring.members]
    missing = []
    for entity in dict.fromkeys(entity for entity, _, _ in members):
        mine = [(key, ring_id) for other, key, ring_id in members if other == entity]
        keys = sorted({key for key, _ in mine})
        known: set[str] = set()
        for at in range(0, len(keys), _TOGETHER):
            known.update(store.entity_ids(entity, keys[at : at + _TOGETHER]))
        missing += [f"{entity} {key!r} of ring {ring_id}" for key, ring_id in mine if key not in known]
    yield Checked.of("members of rings are entities of the store", len(members), missing)
    now: dict[str, set[tuple[str, str]]] = {}
    for change in rings.memberships():
        present = now.setdefault(change.ring_id, set())
        (present.add if change.joined else present.discard)((change.entity, change.key))
    wrong = [
        ring.ring_id
        for ring in there
        if ({(m.entity, m.key) for m in ring.members} if ring.active else set()) != now.get(ring.ring_id, set())
    ]
    yield Checked.of("who joined and left rings comes to who is in them", len(there), wrong)
