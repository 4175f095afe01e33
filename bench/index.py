"""The as-of index over all of the Handbook: replay, memory, look-ups, appends and ego-graphs, on one core.

Single operations are timed inside compiled code, each on its own by the system's clock, in random order, so
that neither the interpreter nor a warm cache stands between the figure and what the service does.
"""

import ctypes
import gc
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench.report import Figure, Section
from bench.setup import Workspace
from gnn.catalogue import Catalogue
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.replay import History, Replay, read_history
from graph import state as kernels
from graph.ego import empty_ego, sample
from graph.index import AsOfIndex
from graph.progress import Progress
from graph.records import DAY, SECOND
from graph.store import open_store

RUNS = 3
LATE_SHARE = 0.05
LABEL_DELAY = 7 * DAY
QUERIES = 60_000
SAMPLED = 20
HUB_ROWS = 500_000
HUB_FRAUD = 0.01

_MONOTONIC = time.CLOCK_MONOTONIC
_clock = ctypes.CDLL(None).clock_gettime
_clock.argtypes = [ctypes.c_int, ctypes.c_void_p]
_clock.restype = ctypes.c_int


@dataclass(frozen=True, slots=True)
class Queries:
    """Transactions to look up: occurred_at (microseconds UTC), amount (hundredths), ids int32[n, keyed columns]."""

    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.amount)


def run(work: Workspace) -> Section:
    """Measures the index over the Handbook's store."""
    store = open_store(work.store())
    try:
        history = read_history(store, progress=work.progress)
        figures = replay_figures(history, work.progress)
        gc.collect()
        before = resident_bytes()
        with work.progress.stage("opening the index from the store"):
            started = time.perf_counter()
            index = AsOfIndex.open(store)
            opened = time.perf_counter() - started
    finally:
        store.close()
    rng = np.random.default_rng(0)
    rows, labels = index.transactions, index.labels
    with work.progress.stage("late arrivals"):
        late = late_rows(history, rng)
        late_cost = append(index, late)
        add_labels(index, np.arange(rows, rows + len(late)), late.occurred_at + LABEL_DELAY, late.amount % 100 == 0)
    gc.collect()
    grown = resident_bytes() - before
    n = index.transactions
    figures += [
        Figure("opening it from the store", opened, "s"),
        Figure(
            "memory a transaction",
            index.memory_bytes / n,
            "bytes",
            at_most=110,
            note=f"{labels:,} labels and {len(late):,} late arrivals with theirs included",
        ),
        Figure(
            "growth of the process a transaction", grown / n, "bytes", note="resident memory, by the system's count"
        ),
    ]
    with work.progress.stage("look-ups, appends and ego-graphs"):
        figures += look_up_figures(index, history, rng)
        figures += append_figures(index, history, rng, late_cost)
    with work.progress.stage(f"an entity with {HUB_ROWS:,} transactions"):
        figures += hub_figures(index, history, rng)
    title = f"{len(history):,} transactions, {len(history.label_row):,} labels, one thread"
    return Section("index", title, figures)


def replay_figures(history: History, progress: Progress) -> list[Figure]:
    """Features of every transaction as of its own time, by processor time and by the clock."""
    cpu, wall = [], []
    names = len(Catalogue.of(history.schema))
    for _ in Replay(history).run(min(10_000, len(history))):
        pass  # compiles
    for number in range(RUNS):
        replay = Replay(history)
        with progress.stage(f"features of all, {number + 1} of {RUNS}", total=len(history)) as advance:
            cpu_from, wall_from = time.process_time(), time.perf_counter()
            for first, end, _, _ in replay.run(len(history)):
                advance(end - first)
            cpu.append(len(history) / (time.process_time() - cpu_from))
            wall.append(len(history) / (time.perf_counter() - wall_from))
    note = f"{names} features of {len(history):,} transactions, in order of arrival"
    return [
        Figure.median("as-of features a second of processor time", cpu, at_least=50_000, note=note),
        Figure.median("as-of features a second by the clock", wall),
    ]


def late_rows(history: History, rng: np.random.Generator) -> Queries:
    """Transactions that arrive last and occurred at any time of the history, at entities that it has."""
    picked = rng.integers(0, len(history), int(LATE_SHARE * len(history)))
    others = rng.integers(0, len(history), len(picked))
    ids = history.ids[picked].copy()
    ids[:, 1:] = history.ids[others, 1:]
    return Queries(history.occurred_at[picked] + rng.integers(1, SECOND, len(picked)), history.amount[picked], ids)


def append(index: AsOfIndex, rows: Queries) -> NDArray[np.int64]:
    """Adds transactions to the index; returns what each took, nanoseconds (those that waited for room: 0)."""
    index.reserve(len(rows))
    took = np.zeros(len(rows), np.int64)
    done = 0
    while done < len(rows):
        done = int(_append(index.state, rows.occurred_at, rows.amount, rows.ids, done, np.zeros(2, np.int64), took))
        if done < len(rows):
            index.enlarge_pools()
    return took


def add_labels(
    index: AsOfIndex, rows: NDArray[np.int64], known_at: NDArray[np.int64], is_fraud: NDArray[np.bool_]
) -> None:
    """Adds a label to each of these rows, in order of `known_at`."""
    for place in np.argsort(known_at, kind="stable").tolist():
        index.add_label(int(rows[place]), int(known_at[place]), bool(is_fraud[place]))


def timed(index: AsOfIndex, queries: Queries, *, egos: bool = False) -> NDArray[np.int64]:
    """What each look-up of all features took (or, with `egos`, each sampling of an ego-graph), nanoseconds."""
    entities = len(index.schema.entities)
    took = np.zeros(len(queries), np.int64)
    asked = (index.state, queries.occurred_at, queries.amount, queries.ids, entities)
    clock = np.zeros(2, np.int64)
    if egos:
        _sample(*asked, empty_ego(entities), clock, took)
    else:
        catalogue = Catalogue.of(index.schema)
        numeric = np.empty((len(queries), len(index.schema.numeric)))
        scratch, out = np.empty((3, 2 * WALK), np.int32), np.empty(len(catalogue), np.float32)
        _fill(*asked, numeric, scratch, out, clock, took)
    return took


def look_up_figures(index: AsOfIndex, history: History, rng: np.random.Generator) -> list[Figure]:
    """Look-ups and ego-graphs of new transactions, typical ones and ones at the busiest entities, mixed."""
    now = index.newest_at
    new = recent_pairs(history, rng, QUERIES, now)
    looked_up = timed(index, new)[len(new) // 10 :]
    egos = timed(index, new, egos=True)[len(new) // 10 :]
    # As many of the one kind as of the other, so that the processor's caches favour neither.
    busy, typical = among(history, rng, new, 1.0), among(history, rng, new, 0.5)
    at_busiest, at_typical = mixed(index, busy, typical, rng)
    counts = ["/".join(f"{len_:,}" for len_ in lengths(history, q)) for q in (busy, typical)]
    return [
        _microseconds("look-up of all features, median", looked_up, 50),
        _microseconds("look-up of all features, p99", looked_up, 99),
        Figure(
            "look-up at the busiest entities beside a typical one",
            float(np.median(at_busiest) / np.median(at_typical)),
            "times",
            at_most=2,
            note=f"medians; {SAMPLED} of each type and kind, {counts[0]} transactions each, beside {counts[1]} "
            f"({'/'.join(history.schema.keyed)})",
        ),
        _microseconds("look-up at the busiest entities, p99", at_busiest, 99),
        _microseconds("ego-graph, median", egos, 50),
        _microseconds("ego-graph, p99", egos, 99),
    ]


def append_figures(
    index: AsOfIndex, history: History, rng: np.random.Generator, late: NDArray[np.int64]
) -> list[Figure]:
    """What appending costs: in order of time, and late."""
    took = append(index, recent_pairs(history, rng, QUERIES, index.newest_at))
    return [
        _microseconds("append, median", took, 50),
        _microseconds("append, p99", took, 99),
        _microseconds("append of a late arrival, median", late, 50),
        _microseconds("append of a late arrival, p99", late, 99),
    ]


def hub_figures(index: AsOfIndex, history: History, rng: np.random.Generator) -> list[Figure]:
    """Adds an entity of the last type, used by anybody at any time; look-ups at it beside typical ones."""
    column = len(index.schema.entities) - 1
    hub = index.id_for(column, "the hub of the benchmark")
    first = index.transactions
    picked = rng.integers(0, len(history), HUB_ROWS)
    order = np.argsort(history.occurred_at[picked], kind="stable")
    at = history.occurred_at[picked][order] + rng.integers(1, SECOND, HUB_ROWS)
    ids = history.ids[picked][order]
    ids[:, column] = hub
    append(index, Queries(at, history.amount[picked][order], ids))
    known = at < index.newest_at - LABEL_DELAY
    rows = (first + np.arange(HUB_ROWS))[known]
    add_labels(index, rows, at[known] + LABEL_DELAY, rng.random(len(rows)) < HUB_FRAUD)
    new = recent_pairs(history, rng, QUERIES, index.newest_at)
    typical, there = (Queries(new.occurred_at, new.amount, new.ids.copy()) for _ in range(2))
    typical.ids[:, column] = ranked(history, column, 0.5)[0]
    there.ids[:, column] = hub
    at_typical, at_hub = mixed(index, typical, there, rng)
    return [
        Figure(
            "look-up at a hub beside a typical one",
            float(np.median(at_hub) / np.median(at_typical)),
            "times",
            at_most=2,
            note=f"medians; a {index.schema.entities[column]} with {HUB_ROWS:,} transactions and {len(rows):,} labels",
        ),
        _microseconds("look-up at a hub, p99", at_hub, 99),
    ]


def recent_pairs(history: History, rng: np.random.Generator, n: int, newest: int) -> Queries:
    """New transactions after all there are, of users and entities that met in the last quarter of the history."""
    picked = rng.integers(3 * len(history) // 4, len(history), n)
    at = newest + 1 + np.sort(rng.integers(0, DAY, n))
    return Queries(at, history.amount[picked], history.ids[picked])


def ranked(history: History, column: int, rank: float) -> NDArray[np.int32]:
    """Some entities of one column whose number of transactions has this rank: 1 the busiest, 0.5 the middle."""
    present, counts = np.unique(history.ids[history.ids[:, column] >= 0, column], return_counts=True)
    order = np.argsort(counts, kind="stable")
    end = max(round(rank * len(order)), min(SAMPLED, len(order)))
    return present[order[max(end - SAMPLED, 0) : end]].astype(np.int32)


def among(history: History, rng: np.random.Generator, queries: Queries, rank: float) -> Queries:
    """The same queries at a few entities of a rank, drawn anew."""
    ids = np.stack([rng.choice(ranked(history, k, rank), len(queries)) for k in range(queries.ids.shape[1])], axis=1)
    return Queries(queries.occurred_at, queries.amount, np.ascontiguousarray(ids))


def lengths(history: History, queries: Queries) -> list[int]:
    """How many transactions the queries' entities have, as a median, by column."""
    counts = np.bincount(history.ids[history.ids >= 0])
    return [int(np.median(counts[column])) for column in queries.ids.T]


def mixed(
    index: AsOfIndex, one: Queries, other: Queries, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times of two kinds of look-ups in random order, nanoseconds; a tenth beforehand is not counted."""
    order = rng.permutation(len(one) + len(other))
    columns = [np.concatenate([getattr(q, part) for q in (one, other)])[order] for part in Queries.__slots__]
    took = timed(index, Queries(*columns))
    counted = np.arange(len(order)) >= len(order) // 10
    return took[counted & (order < len(one))], took[counted & (order >= len(one))]


def resident_bytes() -> int:
    """The process's memory that is its own (not files that it has mapped), bytes."""
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _microseconds(name: str, took: NDArray[np.int64], percent: float) -> Figure:
    return Figure(name, float(np.percentile(took, percent)) / 1000, "µs")


@njit(error_model="numpy")
def _now(clock):  # type: ignore[no-untyped-def]
    _clock(_MONOTONIC, clock.ctypes.data)
    return clock[0] * 1_000_000_000 + clock[1]


@njit(error_model="numpy")
def _fill(s, occurred_at, amount, ids, entities, numeric, scratch, out, clock, took):  # type: ignore[no-untyped-def]
    for i in range(amount.shape[0]):
        began = _now(clock)
        fill(s, occurred_at[i], amount[i], ids[i], numeric[i], entities, scratch, out)
        took[i] = _now(clock) - began


@njit(error_model="numpy")
def _sample(s, occurred_at, amount, ids, entities, ego, clock, took):  # type: ignore[no-untyped-def]
    for i in range(amount.shape[0]):
        began = _now(clock)
        sample(s, occurred_at[i], amount[i], ids[i], entities, ego)
        took[i] = _now(clock) - began


@njit(error_model="numpy")
def _append(s, occurred_at, amount, ids, first, clock, took):  # type: ignore[no-untyped-def]
    for i in range(first, amount.shape[0]):
        began = _now(clock)
        row = s.counts[0]
        s.occurred_at[row] = occurred_at[i]
        s.amount[row] = amount[i]
        for k in range(ids.shape[1]):
            s.ids[row, k] = ids[i, k]
        s.first_label[row] = -1
        if not kernels.post_row(s, row):
            return i
        s.counts[0] = row + 1
        took[i] = _now(clock) - began
    return amount.shape[0]
