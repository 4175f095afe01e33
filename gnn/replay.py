"""Replay of history in order of arrival: each transaction's features and ego-graph as of its own time.

The replay adds each transaction after it has been looked at, and each label when it had become
known, so nothing later can enter. It calls the same compiled look-up and sampler as the service.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnn.catalogue import Catalogue
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.tensors import EgoStore
from graph import state as kernels
from graph.arrays import empty_state
from graph.compiled import kernel
from graph.ego import NODE_FEATURES, copy_out, empty_ego, most_nodes, sample
from graph.postings import insert, laid_out
from graph.progress import Progress, Silent
from graph.records import GraphSchema
from graph.ring_log import RingHistory, RingLog, no_rings
from graph.state import State, post_label
from graph.store import Store

_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class History:
    """A store's transactions in order of arrival, and their labels in order of known_at.

    Attributes:
        seq, occurred_at, arrived_at, amount, ids, numeric: as in `graph.store.TransactionChanges`; n rows.
        label_row: int32[m], the row each label is about; label_known_at int64[m]; label_fraud bool[m].
        entities: number of integer ids in use.
        rings: who was in which ring, as of any moment: it is asked for what was so before each transaction.
    """

    schema: GraphSchema
    seq: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    arrived_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    numeric: NDArray[np.float64]
    label_row: NDArray[np.int32]
    label_known_at: NDArray[np.int64]
    label_fraud: NDArray[np.bool_]
    entities: int
    rings: RingLog = field(default_factory=no_rings)

    def __len__(self) -> int:
        return len(self.seq)

    def labels_as_of(self, t: int | None) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """What was known of each row before t (all that is ever known where t is None).

        Returns:
            int8[n]: 1 fraud, 0 genuine, -1 unlabelled; int64[n]: when that became known, 0 where it isn't.
        """
        label = np.full(len(self), -1, np.int8)
        known_at = np.zeros(len(self), np.int64)
        upto = len(self.label_row) if t is None else int(np.searchsorted(self.label_known_at, t))
        rows = self.label_row[:upto]
        # Assignment in order of known_at: the last one known holds.
        label[rows] = self.label_fraud[:upto]
        known_at[rows] = self.label_known_at[:upto]
        return label, known_at


def read_history(store: Store, *, until: int | None = None, progress: Progress | None = None) -> History:
    """Reads a store into memory, leaving out what arrived at or after `until` (microseconds UTC)."""
    schema = store.schema()
    mark = store.watermark()
    chunks = []
    with (progress or Silent()).stage("reading transactions", total=mark.transaction or None) as advance:
        for chunk in store.transaction_changes(0):
            chunks.append(chunk)
            advance(len(chunk.seq))
    keyed, numbers = len(schema.keyed), len(schema.numeric)
    seq = np.concatenate([c.seq for c in chunks]) if chunks else np.empty(0, np.int64)
    arrived_at = np.concatenate([c.arrived_at for c in chunks]) if chunks else np.empty(0, np.int64)
    order = np.argsort(arrived_at, kind="stable")
    if until is not None:
        order = order[: np.searchsorted(arrived_at[order], until)]
    row_of_seq = np.full(int(seq[-1]) + 1 if len(seq) else 1, -1, np.int32)
    row_of_seq[seq[order]] = np.arange(len(order), dtype=np.int32)
    labels = list(store.label_changes(0))
    transaction_seq = np.concatenate([c.transaction_seq for c in labels]) if labels else np.empty(0, np.int64)
    known_at = np.concatenate([c.known_at for c in labels]) if labels else np.empty(0, np.int64)
    is_fraud = np.concatenate([c.is_fraud for c in labels]) if labels else np.empty(0, np.bool_)
    inside = transaction_seq < len(row_of_seq)
    label_row = np.full(len(transaction_seq), -1, np.int32)
    label_row[inside] = row_of_seq[transaction_seq[inside]]
    kept = np.flatnonzero(label_row >= 0)
    kept = kept[np.argsort(known_at[kept], kind="stable")]
    rings = RingHistory()
    if (news := rings.news(store)) is not None:
        rings.take(news, store.entity_ids)
    ids = np.concatenate([c.ids for c in chunks]) if chunks else np.empty((0, keyed), np.int32)
    numeric = np.concatenate([c.numeric for c in chunks]) if chunks else np.empty((0, numbers))

    def column(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(c, name) for c in chunks])[order] if chunks else np.empty(0, np.int64)

    return History(
        schema,
        seq[order],
        column("occurred_at"),
        arrived_at[order],
        column("amount"),
        np.ascontiguousarray(ids[order]),
        np.ascontiguousarray(numeric[order]),
        label_row[kept],
        known_at[kept],
        is_fraud[kept],
        int(ids.max(initial=-1)) + 1,
        rings.log(),
    )


class Replay:
    """A pass through a history. It can be halted at any row and goes on from there.

    Attributes:
        at: the next row.
        catalogue: what the features are.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.catalogue = Catalogue.of(history.schema)
        self.at = 0
        self._state = _laid_out_state(history)
        self._cursor = np.zeros(2, np.int64)
        self._scratch = np.empty((3, 2 * WALK), np.int32)
        entities = len(history.schema.entities)
        self._ego = empty_ego(entities)
        self._room = _CHUNK * min(most_nodes(entities), 64) + most_nodes(entities)
        self._nodes = np.empty((self._room, len(NODE_FEATURES)), np.float32)
        self._parents = np.empty(self._room, np.int16)
        self._counts = np.empty((_CHUNK, len(self._ego.counts)), np.uint16)

    def run(
        self, until_row: int, *, egos: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, int, NDArray[np.float32], EgoStore]]:
        """Goes on up to (not including) a row, in chunks.

        Args:
            egos: bool[n], the rows whose ego-graphs are wanted.

        Yields:
            first row, end row, features float32[end - first, P], the ego-graphs of the wanted rows among them.
        """
        history = self.history
        wanted = np.zeros(len(history), np.bool_) if egos is None else egos
        while self.at < until_row:
            first = self.at
            end = min(first + _CHUNK, until_row)
            features = np.empty((end - first, len(self.catalogue)), np.float32)
            reached = int(
                _run(
                    self._state,
                    history.arrived_at,
                    history.numeric,
                    len(history.schema.entities),
                    first,
                    end,
                    wanted,
                    self._cursor,
                    self._scratch,
                    self._ego,
                    features,
                    self._nodes,
                    self._parents,
                    self._counts,
                )
            )
            taken = int(wanted[first:reached].sum())
            size = int(self._cursor[1])
            counts = self._counts[:taken].copy()
            offsets = np.zeros(taken + 1, np.int64)
            np.cumsum(counts.sum(axis=1, dtype=np.int64), out=offsets[1:])
            self.at = reached
            yield (
                first,
                reached,
                features[: reached - first],
                EgoStore(
                    history.schema.entities, self._nodes[:size].copy(), self._parents[:size].copy(), counts, offsets
                ),
            )


def _laid_out_state(history: History) -> State:
    """A state whose rows are filled in and whose blocks fit all that will be posted, with nothing posted yet."""
    n, m = len(history), len(history.label_row)
    state = empty_state(history.ids.shape[1], max(history.entities, 1), max(n, 1), max(m, 1))
    state.occurred_at[:n] = history.occurred_at
    state.amount[:n] = history.amount
    state.ids[:n] = history.ids
    kernels.chain_labels(state, history.label_row, history.label_known_at, history.label_fraud.astype(np.int8))
    known, fraud = np.zeros(history.entities, np.int64), np.zeros(history.entities, np.int64)
    kernels.count_labels(state, known, fraud)
    present = history.ids[history.ids >= 0]
    heads, entries = state.heads, np.bincount(present, minlength=history.entities)
    return state._replace(
        rings=history.rings,
        history=laid_out(heads, kernels.HISTORY, entries, sums=True, slack=0.0),
        known=laid_out(heads, kernels.KNOWN, known, sums=False, slack=0.0),
        fraud=laid_out(heads, kernels.FRAUD, fraud, sums=True, slack=0.0),
    )


@kernel
def _run(  # type: ignore[no-untyped-def]
    s, arrived_at, numeric, entities, first, end, wanted, cursor, scratch, ego, features, nodes, parents, counts
):
    """Replays rows first .. end - 1, or as many as the room for nodes allows; returns the row reached.

    cursor[0] is the next label to become known, cursor[1] the nodes written.
    """
    cursor[1] = 0
    taken = 0
    for row in range(first, end):
        if wanted[row] and cursor[1] + ego.nodes.shape[0] > nodes.shape[0]:
            return row
        while cursor[0] < s.counts[1] and s.label_known_at[cursor[0]] < arrived_at[row]:
            if s.label_row[cursor[0]] < row:
                post_label(s, cursor[0])
            cursor[0] += 1
        t, amount, ids = s.occurred_at[row], s.amount[row], s.ids[row]
        fill(s, t, amount, ids, numeric[row], entities, scratch, features[row - first])
        if wanted[row]:
            size = sample(s, t, amount, ids, entities, ego)
            at = cursor[1]
            copy_out(ego, size, nodes, parents, at, counts, taken)
            taken += 1
            cursor[1] = at + size
        for k in range(ids.shape[0]):
            if ids[k] >= 0:
                insert(s.history, s.occurred_at, ids[k], row, amount)
        # Labels known before the row itself arrived take effect with it.
        entry = s.first_label[row]
        while entry >= 0 and entry < cursor[0]:
            post_label(s, entry)
            entry = s.label_next[entry]
    return end
