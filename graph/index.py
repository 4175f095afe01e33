"""The as-of index: who did what, and what was known of it, before any moment; in memory.

It is rebuilt from the store or opened from a snapshot, then kept current by the scorer's own
appends and by the store's change feed. One thread writes at a time; compiled look-ups
(`gnn.features`, `graph.ego`) read `state` without the interpreter's lock.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph import state as kernels
from graph.arrays import empty_state, longer_labels, longer_rows, state_of, with_labels
from graph.errors import StoreError
from graph.postings import Postings, new_heads, with_room
from graph.progress import Progress, Silent
from graph.records import GraphSchema
from graph.ring_log import RingHistory, RingNews, RingTouch, touched
from graph.store import EntityKeys, LabelChanges, Store, TransactionChanges, Watermark


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a store's change feed: transactions, labels, or what is new of rings.

    Attributes:
        keyed: the store's entity types and categories.
        keys: entities that the index did not know; they go before the transactions.
    """

    keyed: tuple[str, ...]
    keys: list[EntityKeys]
    transactions: TransactionChanges | None = None
    labels: LabelChanges | None = None
    rings: RingNews | None = None

    def parts(self, rows: int) -> "Iterator[Change]":
        """The same in parts of at most so many rows, for who has little time at once."""
        if (t := self.transactions) is not None and len(t.seq) > rows:
            keys = self.keys
            for at in range(0, len(t.seq), rows):
                cut = slice(at, at + rows)
                ids = None if t.transaction_ids is None else t.transaction_ids[cut]
                part = TransactionChanges(
                    t.seq[cut], t.occurred_at[cut], t.arrived_at[cut], t.amount[cut], t.ids[cut], t.numeric[cut], ids
                )
                yield Change(self.keyed, keys, part)
                keys = []
        elif (x := self.labels) is not None and len(x.seq) > rows:
            for at in range(0, len(x.seq), rows):
                cut = slice(at, at + rows)
                part_of_labels = LabelChanges(x.seq[cut], x.transaction_seq[cut], x.known_at[cut], x.is_fraud[cut])
                yield Change(self.keyed, [], labels=part_of_labels)
        else:
            yield self


class AsOfIndex:
    """All transactions and labels of a store, for look-ups as of any moment.

    Attributes:
        schema: which entity types and categories are indexed, in which order.
        state: the arrays, for compiled code.
        names: the key of each integer id; `kinds` its position in `schema.keyed`.
        watermark: how far the store's change feed has been applied.
        rings: what the store's feeds said of rings so far.
        row_of_seq: int32, the row of each of the store's sequence numbers, -1 where there is none.
        local_ids: int32, the index's id for each of the store's, -1 where its type is not indexed.
    """

    def __init__(self, schema: GraphSchema, *, entities: int = 1024, rows: int = 4096) -> None:
        self.schema = schema
        self.state = empty_state(len(schema.keyed), entities, rows)
        self.names: list[str] = []
        self.kinds: list[int] = []
        self.watermark = Watermark()
        self.rings = RingHistory()
        self._ids: list[dict[str, int]] = [{} for _ in schema.keyed]
        self._own: dict[str, int] = {}
        self.row_of_seq: NDArray[np.int32] = np.full(rows, -1, np.int32)
        self.local_ids: NDArray[np.int32] = np.empty(0, np.int32)

    @classmethod
    def open(
        cls,
        store: Store,
        snapshot: Path | None = None,
        progress: Progress | None = None,
        *,
        schema: GraphSchema | None = None,
    ) -> "AsOfIndex":
        """Opens the newest snapshot in the folder `snapshot` that fits the store, else reads the store; catches up.

        Args:
            schema: what to index (a model bundle's schema); by default all that the store has.
        """
        from graph.snapshot import load_snapshot

        wanted = schema or store.schema()
        index = load_snapshot(snapshot, store, wanted) if snapshot is not None else None
        if index is None:
            index = cls._built(store, wanted, progress or Silent())
        index.catch_up(store)
        return index

    @classmethod
    def _built(cls, store: Store, schema: GraphSchema, progress: Progress) -> "AsOfIndex":
        mark = store.watermark()
        index = cls(schema)
        chunks = []
        with progress.stage("reading transactions", total=mark.transaction or None) as advance:
            for chunk in store.transaction_changes(0):
                chunks.append(chunk)
                advance(len(chunk.seq))
        if not chunks:
            return index
        keyed = store.schema().keyed
        index._take_keys(keyed, store.entity_keys(0))
        columns = index._columns(keyed)
        occurred_at = np.concatenate([c.occurred_at for c in chunks])
        ids = np.concatenate([index._localised(c, columns) for c in chunks])
        index.state = state_of(occurred_at, np.concatenate([c.amount for c in chunks]), ids, len(index.names))
        seq = np.concatenate([c.seq for c in chunks])
        index._remember(seq, np.arange(len(seq), dtype=np.int32))
        index.watermark = Watermark(int(seq[-1]), 0)
        rows, known_at, is_fraud, last = [], [], [], 0
        for labels in store.label_changes(0):
            inside = labels.transaction_seq <= index.watermark.transaction
            cut = len(inside) if inside.all() else int(np.argmin(inside))
            if cut:
                rows.append(index.row_of_seq[labels.transaction_seq[:cut]])
                known_at.append(labels.known_at[:cut])
                is_fraud.append(labels.is_fraud[:cut])
                last = int(labels.seq[cut - 1])
            if cut < len(inside):
                break
        if rows:
            index.state = with_labels(
                index.state, np.concatenate(rows), np.concatenate(known_at), np.concatenate(is_fraud)
            )
        index.watermark = Watermark(index.watermark.transaction, last)
        return index

    @property
    def transactions(self) -> int:
        """Rows in the index."""
        return int(self.state.counts[0])

    @property
    def labels(self) -> int:
        """Labels in the index."""
        return int(self.state.counts[1])

    @property
    def newest_at(self) -> int:
        """Event time of the latest transaction, microseconds UTC; 0 where there is none."""
        n = self.transactions
        return int(self.state.occurred_at[:n].max()) if n else 0

    @property
    def memory_bytes(self) -> int:
        """Bytes in use by rows, labels, postings and rings (reserved but untouched room is not counted)."""
        s, (rows, labels) = self.state, self.state.counts
        size = rows * (8 * s.records.shape[1] + 4 + 4) + labels * (4 + 8 + 1 + 1 + 4)
        for postings in (s.history, s.known, s.fraud):
            size += postings.used[0] * (4 + (8 if postings.sums.shape[0] > 1 else 0))
        size += self.rings.memory_bytes + sum(array.nbytes for array in s.rings)
        return int(size + len(self.names) * s.heads.shape[1] * 8)

    def id_of(self, kind: int, key: str) -> int:
        """The integer id of a key, -1 where it has not been seen."""
        return self._ids[kind].get(key, -1)

    def id_for(self, kind: int, key: str) -> int:
        """The integer id of a key, giving it one where it has not been seen."""
        known = self._ids[kind].get(key)
        if known is not None:
            return known
        new = len(self.names)
        self.names.append(key)
        self.kinds.append(kind)
        self._ids[kind][key] = new
        self._reserve_entities(new + 1)
        return new

    def reserve(self, rows: int) -> int:
        """Makes room for so many more rows to be filled in; returns the number of the next row."""
        n = self.transactions
        if n + rows > self.state.occurred_at.shape[0]:
            self.state = longer_rows(self.state, max(2 * (n + rows), 65_536))
        return n

    def append(self, transaction_id: str | None, occurred_at: int, amount: int, ids: Sequence[int]) -> int:
        """Adds a transaction; returns its row. One named by its id is registered as this process's own."""
        row = self.reserve(1)
        s = self.state
        s.occurred_at[row] = occurred_at
        s.amount[row] = amount
        s.ids[row] = ids
        s.first_label[row] = -1
        self.post(row)
        if transaction_id is not None:
            self.register(transaction_id, row)
        return row

    def post(self, row: int) -> None:
        """Posts a row whose columns were filled in after `reserve`."""
        while not kernels.post_row(self.state, row):
            self.enlarge_pools()
        self.state.counts[0] = row + 1

    def register(self, transaction_id: str, row: int) -> None:
        """Notes a row that this process posted itself: when the change feed brings it back it is not added again."""
        self._own[transaction_id] = row

    def own_rows(self) -> dict[str, int]:
        """Rows that this process posted and that the change feed has not brought back yet, by transaction id."""
        return dict(self._own)

    def restore(
        self,
        names: list[str],
        kinds: list[int],
        row_of_seq: NDArray[np.int32],
        local_ids: NDArray[np.int32],
        watermark: Watermark,
        own: dict[str, int],
    ) -> None:
        """Takes over what a snapshot kept beside the arrays."""
        self.names, self.kinds = names, kinds
        for number, (kind, name) in enumerate(zip(kinds, names, strict=True)):
            self._ids[kind][name] = number
        self.row_of_seq, self.local_ids, self.watermark, self._own = row_of_seq, local_ids, watermark, own

    def snapshot(self, folder: Path) -> Path:
        """Writes a snapshot into a folder of snapshots; see `graph.snapshot`."""
        from graph.snapshot import Snapshot

        return Snapshot(self).write(folder)

    def owns(self, transaction_id: str) -> bool:
        """Whether this process added the transaction itself and the change feed has not brought it back yet."""
        return transaction_id in self._own

    def catch_up(self, store: Store) -> int:
        """Applies what the store has that the index lacks; returns how many transactions and labels were new."""
        return sum(self.apply(change) for change in self.changes(store))

    def changes(self, store: Store, *, chunk: int = 262_144) -> Iterator["Change"]:
        """What the store has that the index lacks, to be applied in order; reading it changes nothing here."""
        keyed = store.schema().keyed
        if (news := self.rings.news(store)) is not None:
            yield Change(keyed, [], rings=news)
        known = self.local_ids.shape[0]
        for transactions in store.transaction_changes(self.watermark.transaction, with_ids=True, chunk=chunk):
            # Keys are read after the rows that use them: a row is never committed before its entities.
            keys = list(store.entity_keys(known))
            known += sum(len(part.keys) for part in keys)
            if keys:
                keyed = store.schema().keyed
            yield Change(keyed, keys, transactions)
        for labels in store.label_changes(self.watermark.label, chunk=chunk):
            yield Change(keyed, [], labels=labels)

    def apply(self, change: "Change") -> int:
        """Applies the next change; returns how many transactions and labels were new."""
        self._take_keys(change.keyed, change.keys)
        if change.rings is not None:
            self._take_rings(change.rings)
        if change.transactions is not None:
            return self._apply(change.transactions, self._localised(change.transactions, self._columns(change.keyed)))
        applied = 0
        if (labels := change.labels) is not None:
            for seq, transaction_seq, known_at, is_fraud in zip(
                labels.seq.tolist(),
                labels.transaction_seq.tolist(),
                labels.known_at.tolist(),
                labels.is_fraud.tolist(),
                strict=True,
            ):
                if transaction_seq > self.watermark.transaction:
                    break  # its transaction came later than those that were read
                if seq > self.watermark.label:
                    self.add_label(int(self.row_of_seq[transaction_seq]), known_at, is_fraud)
                    self.watermark = Watermark(self.watermark.transaction, seq)
                    applied += 1
        return applied

    def ring_of(self, ids: Sequence[int], t: int) -> RingTouch | None:
        """The ring that some of these entities were in as of t (microseconds UTC); None where they were in none."""
        return touched(self.state.rings, self.rings.names, ids, t)

    def _take_rings(self, news: RingNews) -> None:
        kinds = {name: i for i, name in enumerate(self.schema.entities)}

        def numbers(entity: str, keys: Sequence[str]) -> dict[str, int]:
            kind = kinds.get(entity, -1)
            return {} if kind < 0 else {key: self.id_for(kind, key) for key in keys}

        self.rings.take(news, numbers)
        self.state = self.state._replace(rings=self.rings.log())

    def add_label(self, row: int, known_at: int, is_fraud: bool) -> None:
        """Adds a label of a row, known from `known_at` (microseconds UTC) on."""
        while True:
            lacking = kernels.add_label(self.state, row, known_at, is_fraud)
            if lacking == 0:
                return
            if lacking == kernels.ROOM_LABELS:
                self.state = longer_labels(self.state, max(2 * self.labels, 65_536))
            else:
                self.enlarge_pools()

    def _apply(self, chunk: TransactionChanges, ids: NDArray[np.int32]) -> int:
        assert chunk.transaction_ids is not None
        added = 0
        rows = np.empty(len(chunk.seq), np.int32)
        for i, transaction_id in enumerate(chunk.transaction_ids):
            own = self._own.pop(transaction_id, None)
            if own is not None:
                rows[i] = own
                continue
            rows[i] = self.append(None, int(chunk.occurred_at[i]), int(chunk.amount[i]), ids[i])
            added += 1
        self._remember(chunk.seq, rows)
        self.watermark = Watermark(int(chunk.seq[-1]), self.watermark.label)
        return added

    def _remember(self, seq: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
        last = int(seq[-1])
        if last >= self.row_of_seq.shape[0]:
            longer = np.full(max(2 * last, 65_536), -1, np.int32)
            longer[: self.row_of_seq.shape[0]] = self.row_of_seq
            self.row_of_seq = longer
        self.row_of_seq[seq] = rows

    def _columns(self, keyed: Sequence[str]) -> list[int]:
        """Position in the store's keyed columns of each of the index's, -1 where the store has none."""
        theirs = {name: i for i, name in enumerate(keyed)}
        return [theirs.get(name, -1) for name in self.schema.keyed]

    def _take_keys(self, keyed: Sequence[str], chunks: Iterable[EntityKeys]) -> None:
        kind_of = {name: i for i, name in enumerate(self.schema.keyed)}
        for chunk in chunks:
            if chunk.first != self.local_ids.shape[0]:
                raise StoreError("the store's entity numbers have a gap", hint="restore the store from a backup")
            local = np.empty(len(chunk.keys), np.int32)
            for i, (kind, key) in enumerate(zip(chunk.kinds.tolist(), chunk.keys, strict=True)):
                mine = kind_of.get(keyed[kind], -1)
                local[i] = self.id_for(mine, key) if mine >= 0 else -1
            self.local_ids = np.concatenate([self.local_ids, local])

    def _localised(self, chunk: TransactionChanges, columns: list[int]) -> NDArray[np.int32]:
        ids = np.full((len(chunk.seq), len(columns)), -1, np.int32)
        for mine, theirs in enumerate(columns):
            if 0 <= theirs < chunk.ids.shape[1]:
                column = chunk.ids[:, theirs]
                ids[:, mine] = np.where(column >= 0, self.local_ids[column], -1)
        return ids

    def _reserve_entities(self, entities: int) -> None:
        s = self.state
        if entities > s.history.start.shape[0]:
            room = max(2 * entities, 1024)
            heads = new_heads(room)
            heads[: len(s.heads)] = s.heads
            self.state = kernels.with_heads(s, heads)

    def enlarge_pools(self) -> None:
        """Makes room in the postings' pools, after compiled code found them full."""

        def larger(postings: Postings) -> Postings:
            largest = int(postings.capacity.max(initial=0))
            return with_room(postings, 2 * postings.rows.shape[0] + 4 * largest * len(self.schema.keyed))

        s = self.state
        self.state = s._replace(history=larger(s.history), known=larger(s.known), fraud=larger(s.fraud))
