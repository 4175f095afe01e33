"""Node embeddings: what the graph network makes of each entity, so that entities like it can be found.

An entity that was active lately is looked at through its last few transactions, each as if it happened again at the
moment of the refresh: so the ego-graph holds all that had occurred and was known by then, its own last transactions
included, and nothing later. Two states of the network say what the entity is: its own in that ego-graph (its past,
and what it hangs together with), and the root's (what transactions over it are like, by the as-of features and all
their entities). Each is averaged over the transactions and taken relative to the average and spread of the type: what
all users have in common would otherwise make every two of them look alike. Needs no TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnn.bundle import open_bundle
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.network import Network
from gnn.replay import History, read_history
from gnn.serving import load_predictor
from gnn.tensors import EgoStore, collate
from graph import state as kernels
from graph.arrays import empty_state
from graph.compiled import kernel
from graph.ego import NODE_FEATURES, copy_out, empty_ego, most_nodes, sample
from graph.embedding_records import EmbeddingRefresh, TypeEmbeddings
from graph.errors import BundleError, NotEnoughData
from graph.postings import before, laid_out
from graph.progress import Progress, Silent
from graph.records import DAY, GraphSchema
from graph.state import State
from graph.store import Store

ACTIVE_DAYS = 90
LATEST = 3
"""Transactions that an entity is looked at through."""
_CHUNK = 1024
_BATCH = 256
_NOISE = 1e-3
_LEAST_SPREAD = 1.0
"""Of the whole, added to each column's: one in which all are nearly the same says little."""


@dataclass(frozen=True, slots=True)
class EntityVectors:
    """The embeddings of the active entities of one type.

    Attributes:
        entity: the type.
        ids: int32[n], integer ids of the history, ascending.
        vectors: float32[n, 2 * hidden], each of length 1.
    """

    entity: str
    ids: NDArray[np.int32]
    vectors: NDArray[np.float32]


def embed_store(
    store: Store, bundle: Path, *, at: int | None = None, days: int = ACTIVE_DAYS, progress: Progress | None = None
) -> EmbeddingRefresh:
    """The embeddings of a store's entities that were active in the `days` before `at`, by the network of a bundle.

    Args:
        at: as-of time, microseconds UTC; by default when the newest transaction had occurred and arrived.

    Raises:
        BundleError: the bundle cannot be used, or has no graph network.
        NotEnoughData: no entity was active.
    """
    progress = progress or Silent()
    opened = open_bundle(bundle)
    predictor, serving = load_predictor(opened)
    if predictor.network is None:
        raise BundleError(
            f"bundle {opened.name} has no graph network: too little fraud was known when it was trained",
            hint="train again when more is known",
        )
    history = read_history(store, until=at, progress=progress)
    if at is None:
        at = int(max(history.occurred_at.max(initial=0), history.arrived_at.max(initial=0))) + 1
    found = embed(history, serving.schema, predictor.network, at, days=days, progress=progress)
    if not found:
        raise NotEnoughData(
            f"no transaction occurred in the {days} days before {np.datetime64(at, 'us').astype('datetime64[s]')}Z",
            hint="load some (quipu ingest MAPPING), or name another time",
        )
    names = _names(store, max(int(of_type.ids[-1]) for of_type in found) + 1)
    return EmbeddingRefresh(
        at,
        opened.name,
        tuple(
            TypeEmbeddings(of_type.entity, [names[id_] for id_ in of_type.ids.tolist()], of_type.vectors)
            for of_type in found
        ),
    )


def embed(
    history: History,
    schema: GraphSchema,
    network: Network,
    at: int,
    *,
    days: int = ACTIVE_DAYS,
    progress: Progress | None = None,
) -> list[EntityVectors]:
    """The embeddings of a history's entities that were active in the `days` before `at`.

    Types of which none was active are left out.

    Args:
        schema: what the network was trained on; columns that the history lacks are missing values.
        at: as-of time, microseconds UTC: only what had occurred, arrived and become known before it enters.

    Raises:
        BundleError: the network was trained without messages.
    """
    state, numeric = _as_of(history, schema, at)
    kinds = np.full(len(state.heads), -1, np.int64)
    for kind in range(len(schema.entities)):
        linked = state.ids[:, kind]
        kinds[linked[linked >= 0]] = kind
    rows = np.full((len(kinds), LATEST), -1, np.int64)
    _latest(state, at, at - days * DAY, kinds, rows)
    probes = np.unique(rows[rows >= 0])
    sums = _Sums(rows, probes, kinds, network.hidden)
    with (progress or Silent()).stage("entities as the network sees them", total=len(probes)) as advance:
        for first, roots, own in _states(state, numeric, probes, at, schema.entities, network):
            sums.add(first, roots, own)
            advance(len(roots))
    found = []
    for kind, name in enumerate(schema.entities):
        ids = np.flatnonzero((kinds == kind) & (rows[:, 0] >= 0))
        if len(ids):
            found.append(EntityVectors(name, ids.astype(np.int32), sums.vectors(ids)))
    return found


def _as_of(history: History, schema: GraphSchema, at: int) -> tuple[State, NDArray[np.float64]]:
    """The as-of index of what had arrived and was known before `at`, and the extra numbers of its rows."""
    n = int(np.searchsorted(history.arrived_at, at))
    ids = np.full((n, len(schema.keyed)), -1, np.int32)
    for mine, name in enumerate(schema.keyed):
        if name in history.schema.keyed:
            ids[:, mine] = history.ids[:n, history.schema.keyed.index(name)]
    numeric = np.full((n, len(schema.numeric)), np.nan)
    for mine, name in enumerate(schema.numeric):
        if name in history.schema.numeric:
            numeric[:, mine] = history.numeric[:n, history.schema.numeric.index(name)]
    known = (history.label_row < n) & (history.label_known_at < at)
    label_row = history.label_row[known]
    entities = int(ids.max(initial=-1)) + 1
    state = empty_state(len(schema.keyed), max(entities, 1), max(n, 1), max(len(label_row), 1))
    state.occurred_at[:n] = history.occurred_at[:n]
    state.amount[:n] = history.amount[:n]
    state.ids[:n] = ids
    state.ids[n:] = -1
    state.counts[0] = n
    kernels.chain_labels(state, label_row, history.label_known_at[known], history.label_fraud[known].astype(np.int8))
    labelled, frauds = np.zeros(entities, np.int64), np.zeros(entities, np.int64)
    kernels.count_labels(state, labelled, frauds)
    heads, entries = state.heads, np.bincount(ids[ids >= 0], minlength=entities)
    state = state._replace(
        history=laid_out(heads, kernels.HISTORY, entries, sums=True, slack=0.0),
        known=laid_out(heads, kernels.KNOWN, labelled, sums=False, slack=0.0),
        fraud=laid_out(heads, kernels.FRAUD, frauds, sums=True, slack=0.0),
    )
    kernels.post_in_order(state, np.argsort(history.occurred_at[:n], kind="stable"))
    kernels.post_labels(state)
    return state, numeric


def _states(
    state: State,
    numeric: NDArray[np.float64],
    probes: NDArray[np.int64],
    at: int,
    entities: tuple[str, ...],
    network: Network,
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """What the network makes of transactions as if each happened again at `at`, in chunks.

    Yields:
        place of the chunk's first in `probes`; states of the roots, float32[n, hidden]; states of their own
        entities by type, float32[types, n, hidden], zeros where a transaction has none.
    """
    ego, most = empty_ego(len(entities)), most_nodes(len(entities))
    nodes = np.empty((_CHUNK * most, len(NODE_FEATURES)), np.float32)
    parents = np.empty(_CHUNK * most, np.int16)
    counts = np.empty((_CHUNK, len(ego.counts)), np.uint16)
    scratch = np.empty((3, 2 * WALK), np.int32)
    for first in range(0, len(probes), _CHUNK):
        rows = probes[first : first + _CHUNK]
        n = len(rows)
        features, offsets = np.empty((n, network.n_features), np.float32), np.zeros(n + 1, np.int64)
        _look_up(state, rows, at, numeric, len(entities), scratch, ego, features, nodes, parents, counts, offsets)
        size = int(offsets[n])
        egos = EgoStore(entities, nodes[:size], parents[:size], counts[:n], offsets)
        roots = np.empty((n, network.hidden), np.float32)
        own = np.zeros((len(entities), n, network.hidden), np.float32)
        for start in range(0, n, _BATCH):
            part = np.arange(start, min(start + _BATCH, n))
            roots[part], states = network.states(collate(egos, features, part))
            # Block by block: of each type those of the roots that have one, in their order.
            kinds, which = np.nonzero(state.ids[rows[part], : len(entities)].T >= 0)
            own[kinds, part[which]] = states
        yield first, roots, own


class _Sums:
    """Sums, by entity, of the states in the transactions that it is looked at through.

    Args:
        rows: int64[entities, LATEST], those transactions, -1 for none.
        probes: int64, all of them, ascending.
        kinds: int64[entities], place of each entity's type.
        hidden: width of states.
    """

    def __init__(
        self, rows: NDArray[np.int64], probes: NDArray[np.int64], kinds: NDArray[np.int64], hidden: int
    ) -> None:
        self._kinds = kinds
        self._own = np.zeros((len(rows), hidden), np.float32)
        self._roots = np.zeros((len(rows), hidden), np.float32)
        # An entity is at most once in a column of `rows`, so a column's states can be added in one go.
        self._columns = []
        for column in rows.T:
            entities = np.flatnonzero(column >= 0)
            places = np.searchsorted(probes, column[entities])
            order = np.argsort(places, kind="stable")
            self._columns.append((entities[order], places[order]))

    def add(self, first: int, roots: NDArray[np.float32], own: NDArray[np.float32]) -> None:
        """Adds the states of the transactions from the place `first` on; arrays as of `_states`."""
        for entities, places in self._columns:
            begin, end = np.searchsorted(places, [first, first + len(roots)])
            who, where = entities[begin:end], places[begin:end] - first
            self._roots[who] += roots[where]
            self._own[who] += own[self._kinds[who], where]

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The embeddings float32[n, 2 * hidden] of all active entities of a type."""
        count = np.zeros(len(self._kinds))
        for entities, _ in self._columns:
            count[entities] += 1
        each = 1.0 / count[ids, None]
        own, roots = _directions(self._own[ids] * each), _directions(self._roots[ids] * each)
        return np.ascontiguousarray(np.hstack([own, roots]) * np.sqrt(0.5), np.float32)


def _directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length 1: where each row points, seen from the average row, in units of each column's spread.

    One that is no different from the average but for rounding (the only entity of its type, for instance) is seen
    from zero.
    """
    relative = rows - rows.mean(axis=0)
    average = np.linalg.norm(relative, axis=1) <= _NOISE * np.linalg.norm(rows, axis=1)
    spread = rows.std(axis=0) + _LEAST_SPREAD * rows.std()
    relative /= np.where(spread > 0, spread, 1.0)
    seen = np.where(average[:, None], rows, relative)
    length = np.linalg.norm(seen, axis=1, keepdims=True)
    even = np.full_like(seen, seen.shape[1] ** -0.5)
    np.divide(seen, length, out=even, where=length > 0)
    return even


def _names(store: Store, count: int) -> list[str]:
    """The keys of the first `count` integer ids."""
    names: list[str] = []
    for chunk in store.entity_keys():
        names += chunk.keys
        if len(names) >= count:
            break
    return names


@kernel
def _latest(s, at, since, kinds, rows):  # type: ignore[no-untyped-def]
    """Writes each entity's last transactions before `at`, latest first, where there is one from `since` on."""
    for entity in range(rows.shape[0]):
        now = before(s.history, s.occurred_at, entity, at) if kinds[entity] >= 0 else 0
        for i in range(min(now, rows.shape[1])):
            row = s.history.rows[s.history.start[entity] + now - 1 - i]
            if i == 0 and s.occurred_at[row] < since:
                break
            rows[entity, i] = row


@kernel
def _look_up(  # type: ignore[no-untyped-def]
    s, rows, at, numeric, entities, scratch, ego, features, nodes, parents, counts, offsets
):
    """Features and ego-graphs of transactions as if each happened again at `at`."""
    for i in range(rows.shape[0]):
        row = rows[i]
        fill(s, at, s.amount[row], s.ids[row], numeric[row], entities, scratch, features[i])
        size = sample(s, at, s.amount[row], s.ids[row], entities, ego)
        copy_out(ego, size, nodes, parents, offsets[i], counts, i)
        offsets[i + 1] = offsets[i] + size
