"""What is known of all transactions as of a moment: what rings are looked for in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.progress import Progress, Silent
from graph.records import GraphSchema
from graph.rings.decided import scores_before
from graph.store import Store, TransactionChanges

UNKNOWN, GENUINE, FRAUD = -1, 0, 1
BANDS = ("approve", "review", "block")
"""Bands of a decision, from the best to the worst; `Evidence.band` counts from here."""


@dataclass(frozen=True, slots=True)
class Names:
    """Types and keys of integer ids: `kinds` int16[e] (position in `schema.keyed`), `keys` e texts."""

    kinds: NDArray[np.int16]
    keys: list[str] = field(repr=False)


@dataclass(frozen=True)
class Evidence:
    """Transactions that had occurred and arrived before `at`, in order of occurrence; n rows.

    Attributes:
        at: microseconds UTC.
        schema: of the store.
        seq: int64[n], the transactions' sequence numbers.
        occurred_at, amount: int64[n], microseconds UTC and hundredths.
        ids: int32[n, len(schema.entities)], -1 is missing. They count in order of type and key, other than the store's.
        probability: float64[n] of fraud, NaN where nobody scored it.
        band: int8[n], position in `BANDS`, -1 where nobody decided.
        label: int8[n], 1 fraud, 0 genuine, -1 where nothing was known before `at`.
        names: of all integer ids.
        categories: int32[n, len(schema.categories)], integer ids of categorical values, -1 is missing.
    """

    at: int
    schema: GraphSchema
    seq: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    probability: NDArray[np.float64]
    band: NDArray[np.int8]
    label: NDArray[np.int8]
    names: Names
    categories: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.seq)

    @cached_property
    def first_seen(self) -> NDArray[np.int64]:
        """int64[e]: when each integer id was first seen, microseconds UTC (`at` where it wasn't)."""
        first = np.full(len(self.names.keys), self.at, np.int64)
        for column in range(self.ids.shape[1]):
            there = self.ids[:, column] >= 0
            np.minimum.at(first, self.ids[there, column], self.occurred_at[there])
        return first

    @classmethod
    def read(
        cls, store: Store, at: int, *, scores: pa.Table | None = None, progress: Progress | None = None
    ) -> "Evidence":
        """Reads a store's change feed as of `at` (exclusive).

        Args:
            store: any store.
            at: microseconds UTC. Only what occurred and arrived before counts, and labels known before.
            scores: columns transaction_id and probability, and band where known, as `quipu backtest` writes them;
                the caller answers for their being of before `at`. Decisions that the store keeps count for the rest.
            progress: who watches.
        """
        schema = store.schema()
        watching = progress or Silent()
        scored = scores_before(store, at, scores, watching)
        parts = [_Part.of(chunk, at, scored) for chunk in _watched(store, scored is not None, watching)]
        parts.append(_Part.empty(schema))
        seq, occurred_at, amount, ids, probability, band = (
            np.concatenate([getattr(part, name) for part in parts]) for name in _Part.__slots__
        )
        label = _labels(store, at, seq)
        names, rank = _names(store)
        ids = np.where(ids < 0, np.int32(-1), rank[ids])
        # Categories are counted like entities elsewhere, but link nothing.
        entities = [schema.keyed.index(name) for name in schema.entities]
        categories = ids[:, [schema.keyed.index(name) for name in schema.categories]]
        ids = ids[:, entities]
        # By content alone, so that sums don't depend on the order in which a store got its rows.
        order = np.lexsort((seq, label, np.nan_to_num(probability, nan=-1.0), amount, *ids.T[::-1], occurred_at))
        return cls(
            at,
            schema,
            seq[order],
            occurred_at[order],
            amount[order],
            np.ascontiguousarray(ids[order]),
            probability[order],
            band[order],
            label[order],
            names,
            np.ascontiguousarray(categories[order]),
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What counts of one chunk of the feed."""

    seq: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    probability: NDArray[np.float64]
    band: NDArray[np.int8]

    @classmethod
    def empty(cls, schema: GraphSchema) -> "_Part":
        none = np.empty(0, np.int64)
        return cls(
            none,
            none,
            none,
            np.empty((0, len(schema.keyed)), np.int32),
            np.empty(0, np.float64),
            np.empty(0, np.int8),
        )

    @classmethod
    def of(cls, chunk: TransactionChanges, at: int, scores: pa.Table | None) -> "_Part":
        rows = np.flatnonzero((chunk.occurred_at < at) & (chunk.arrived_at < at))
        probability = np.full(len(rows), np.nan)
        band = np.full(len(rows), -1, np.int8)
        if scores is not None and chunk.transaction_ids is not None and len(rows):
            mine = pa.array(chunk.transaction_ids, pa.string()).take(pa.array(rows))
            place = pc.index_in(mine, value_set=scores["transaction_id"]).fill_null(-1).to_numpy(zero_copy_only=False)
            known = place >= 0
            found = pa.array(place[known])
            probability[known] = scores["probability"].take(found).to_numpy()
            words = pc.index_in(scores["band"].take(found), value_set=pa.array(BANDS)).fill_null(-1)
            band[known] = words.to_numpy().astype(np.int8, copy=False)
        return cls(chunk.seq[rows], chunk.occurred_at[rows], chunk.amount[rows], chunk.ids[rows], probability, band)


def _watched(store: Store, with_ids: bool, progress: Progress) -> Iterator[TransactionChanges]:
    with progress.stage("reading transactions", total=store.watermark().transaction or None) as advance:
        for chunk in store.transaction_changes(0, with_ids=with_ids):
            yield chunk
            advance(len(chunk.seq))


def _labels(store: Store, at: int, seq: NDArray[np.int64]) -> NDArray[np.int8]:
    """What was known of each row before `at`: the label that became known last (of equals, that written last)."""
    label = np.full(int(seq.max(initial=0)) + 1, UNKNOWN, np.int8)
    latest = np.full(len(label), np.iinfo(np.int64).min)
    for chunk in store.label_changes(0):
        kept = np.flatnonzero((chunk.known_at < at) & (chunk.transaction_seq < len(label)))
        kept = kept[np.argsort(chunk.known_at[kept], kind="stable")]
        row, known_at = chunk.transaction_seq[kept], chunk.known_at[kept]
        kept, row, known_at = (part[known_at >= latest[row]] for part in (kept, row, known_at))
        label[row] = chunk.is_fraud[kept]
        latest[row] = known_at
    result: NDArray[np.int8] = label[seq]
    return result


def _names(store: Store) -> tuple[Names, NDArray[np.int32]]:
    """All names, numbered by type and key, and the number here of each of the store's integer ids."""
    kinds, keys = [np.empty(0, np.int16)], []
    for chunk in store.entity_keys():
        kinds.append(chunk.kinds)
        keys += chunk.keys
    kind = np.concatenate(kinds)
    order = np.lexsort((np.array(keys, object).astype(str), kind))
    # One more, so that a missing id has something to look up.
    rank = np.zeros(len(order) + 1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return Names(kind[order], [keys[number] for number in order.tolist()]), rank
