"""Which transactions' ego-graphs are kept for training, and those ego-graphs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnn.replay import History
from gnn.tensors import EgoStore
from graph.ego import most_nodes


@dataclass(frozen=True, slots=True)
class Candidates:
    """The transactions whose ego-graphs are kept for training, in order of row.

    Attributes:
        rows: int64[c]; egos: their ego-graphs.
        drawn: bool[c], chosen at random rather than for a fraud label; only these may train as genuine.
        share: the share of all transactions that was drawn.
    """

    rows: NDArray[np.int64]
    egos: EgoStore
    drawn: NDArray[np.bool_]
    share: float

    @classmethod
    def of(cls, chosen: NDArray[np.bool_], drawn: NDArray[np.bool_], egos: EgoStore, share: float) -> "Candidates":
        """The candidates of the first rows of a history, from masks over rows."""
        rows = np.flatnonzero(chosen)
        return cls(rows, egos, drawn[rows], share)


def choose_candidates(
    history: History, until_row: int, *, ego_nodes: int, negatives: int, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """Which of the first `until_row` rows to keep ego-graphs of: all that were ever fraud, and a random share of all.

    Choosing by labels known later leaks nothing: what a row may train as is decided by what was known then, and
    as genuine only where it was drawn at random.

    Args:
        ego_nodes: most nodes of ego-graphs to keep.
        negatives: most genuine transactions to keep.
        seed: of the draw.

    Returns:
        bool[n], the rows to keep; bool[n], the rows drawn at random; the share that was drawn.
    """
    label, _ = history.labels_as_of(None)
    label = label[:until_row]
    typical = max(most_nodes(len(history.schema.entities)) // 2, 1)
    room = ego_nodes // typical
    frauds = int((label == 1).sum())
    genuine = max(int((label != 1).sum()), 1)
    share = min(1.0, negatives / genuine, max(room - frauds, frauds, 1000) / genuine)
    drawn = np.random.default_rng(seed).random(len(history)) < share
    chosen = drawn.copy()
    chosen[:until_row] |= label == 1
    chosen[until_row:] = False
    return chosen, drawn, share


def joined(parts: list[EgoStore], entities: tuple[str, ...]) -> EgoStore:
    """Ego-graphs of several chunks as one store."""
    sizes = np.concatenate([np.diff(p.offsets) for p in parts]) if parts else np.empty(0, np.int64)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return EgoStore(
        entities,
        np.concatenate([p.nodes for p in parts]),
        np.concatenate([p.parents for p in parts]),
        np.concatenate([p.counts for p in parts]),
        offsets,
    )


def selected(store: EgoStore, places: NDArray[np.int64]) -> EgoStore:
    """The ego-graphs at these places, in their order."""
    sizes = np.diff(store.offsets)[places]
    offsets = np.zeros(len(places) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    nodes = np.repeat(store.offsets[places] - offsets[:-1], sizes) + np.arange(int(offsets[-1]))
    return EgoStore(store.entities, store.nodes[nodes], store.parents[nodes], store.counts[places], offsets)
