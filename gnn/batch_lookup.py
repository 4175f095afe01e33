"""Look-ups for a batch of questions: features and ego-graphs of each as of its own time, from the as-of index."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gnn.blocks import block_plan
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.tensors import EgoStore
from graph.compiled import kernel
from graph.ego import NODE_FEATURES, copy_out, empty_ego, most_nodes, sample
from graph.records import USER
from graph.state import State, post_row

_FRAUD = NODE_FEATURES.index("fraud_known")
_TRUNCATED = NODE_FEATURES.index("truncated")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Batch:
    """n questions as arrays, and what is seen of each.

    Attributes:
        occurred_at: int64[n], microseconds UTC. amount: int64[n], hundredths.
        ids: int32[n, keyed columns], -1 where missing. numeric: float64[n, numbers], NaN where missing.
        append: bool[n], whether the transaction is not in the index yet.
        features: float32[n, P].
        counts: uint16[n, blocks], nodes of the ego-graph by block.
        truncated: bool[n], whether a cap cut the ego-graph.
        linked: int32[n, 5], other users in the ego-graph of whom fraud is known, those at fewer hops first, then -1.
    """

    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    numeric: NDArray[np.float64]
    append: NDArray[np.bool_]
    features: NDArray[np.float32]
    counts: NDArray[np.uint16]
    truncated: NDArray[np.bool_]
    linked: NDArray[np.int32]

    @classmethod
    def empty(cls, n: int, *, keyed: int, numbers: int, features: int, blocks: int) -> Self:
        """Room for n questions that name nothing yet."""
        return cls(
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.full((n, keyed), -1, np.int32),
            np.full((n, numbers), np.nan),
            np.empty(n, np.bool_),
            np.empty((n, features), np.float32),
            np.empty((n, blocks), np.uint16),
            np.empty(n, np.bool_),
            np.empty((n, _MOST_NAMED), np.int32),
        )

    def __len__(self) -> int:
        return len(self.occurred_at)

    def part(self, places: slice) -> "Batch":
        """A part of it, sharing its memory."""
        return Batch(*(getattr(self, field)[places] for field in self.__slots__))

    def post(self, state: State, done: int) -> int:
        """Appends the transactions from `done` on that are to be, in order, to an index with room for their rows.

        Returns how many are done: fewer than there are where the postings' pools are full.
        """
        return int(_post(state, self.occurred_at, self.amount, self.ids, self.append, done))


class BatchLookup:
    """The look-ups of one thread, which writes over the ego-graphs of its latest batch at the next.

    Several may read one index at the same time, as long as nobody changes it.
    """

    def __init__(self, entities: tuple[str, ...]) -> None:
        self._entities = entities
        self._scratch = np.empty((3, 2 * WALK), np.int32)
        self._ego = empty_ego(len(entities))
        self._most = most_nodes(len(entities))
        self._peers = np.array([b.node_type == USER and b.level > 1 for b in block_plan(entities)])
        self._room(64)

    def _room(self, questions: int) -> None:
        self._nodes = np.empty((questions * self._most, len(NODE_FEATURES)), np.float32)
        self._parents = np.empty(questions * self._most, np.int16)
        self._capacity = questions

    def look_up(self, state: State, batch: Batch) -> EgoStore:
        """Fills in what is seen of each, once all are in the index; returns the ego-graphs.

        A question sees whatever occurred before it, wherever that stands in the batch.
        """
        n = len(batch)
        if n > self._capacity:
            self._room(n)
        offsets = np.zeros(n + 1, np.int64)
        _look_up(
            state,
            batch.occurred_at,
            batch.amount,
            batch.ids,
            batch.numeric,
            len(self._entities),
            self._scratch,
            self._ego,
            batch.features,
            self._nodes,
            self._parents,
            self._peers,
            batch.linked,
            batch.truncated,
            batch.counts,
            offsets,
        )
        size = int(offsets[n])
        return EgoStore(self._entities, self._nodes[:size], self._parents[:size], batch.counts, offsets)


@kernel
def _post(s, occurred_at, amount, ids, append, first):  # type: ignore[no-untyped-def]
    for i in range(first, occurred_at.shape[0]):
        if append[i]:
            row = s.counts[0]
            s.occurred_at[row] = occurred_at[i]
            s.amount[row] = amount[i]
            for k in range(ids.shape[1]):
                s.ids[row, k] = ids[i, k]
            s.first_label[row] = -1
            if not post_row(s, row):
                return i
            s.counts[0] = row + 1
    return occurred_at.shape[0]


@kernel
def _linked_fraud(ego, peers, linked):  # type: ignore[no-untyped-def]
    """Writes the first distinct other users with known fraud into `linked`; returns whether a cap cut the walk."""
    linked[:] = -1
    found = 0
    at = 0
    truncated = False
    for block in range(peers.shape[0]):
        for node in range(at, at + ego.counts[block]):
            if ego.nodes[node, _TRUNCATED] > 0:
                truncated = True
            if peers[block] and ego.nodes[node, _FRAUD] > 0 and found < linked.shape[0]:
                known = False
                for j in range(found):
                    if linked[j] == ego.ids[node]:
                        known = True
                if not known:
                    linked[found] = ego.ids[node]
                    found += 1
        at += ego.counts[block]
    return truncated


@kernel
def _look_up(  # type: ignore[no-untyped-def]
    s,
    occurred_at,
    amount,
    ids,
    numeric,
    entities,
    scratch,
    ego,
    features,
    nodes,
    parents,
    peers,
    linked,
    truncated,
    counts,
    offsets,
):
    for i in range(occurred_at.shape[0]):
        fill(s, occurred_at[i], amount[i], ids[i], numeric[i], entities, scratch, features[i])
        size = sample(s, occurred_at[i], amount[i], ids[i], entities, ego)
        at = offsets[i]
        copy_out(ego, size, nodes, parents, at, counts, i)
        truncated[i] = _linked_fraud(ego, peers, linked[i])
        offsets[i + 1] = at + size
