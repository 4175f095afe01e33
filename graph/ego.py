"""Sampling of a transaction's ego-graph as of its time: a tree of three levels.

Level 1: its own user and entities. Level 2: the latest distinct other users of its entities
(`peers`), and the user's latest other entities (`own`). Level 3: the latest entities of the
peers, and the latest other users of the user's other entities. Recency-capped sampling of
distinct neighbours keeps hubs (carrier addresses, popular restaurants) affordable.
Nodes stand block by block in the order of `gnn.tensors.block_plan`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.compiled import kernel
from graph.postings import before, before_within, total

NODE_FEATURES = (
    "transactions",
    "age",
    "since_last",
    "transactions_1d",
    "transactions_7d",
    "amount_mean",
    "labels_known",
    "fraud_known",
    "risk",
    "since_fraud",
    "degree",
    "link_age",
    "link_transactions",
    "link_amount",
    "same",
    "truncated",
)
"""What each node carries, as of t: its own past (0-10), then its link to its parent (11-15)."""

WALK = 64
PEERS = 8
OWN = 3
PEER_ENTITIES = 2
NEIGHBOURS = 3
_SHORT_WALK = 16
_DEGREE_WALK = 8
_FETCHED = 12
_DAY = np.int64(86_400_000_000)


def most_nodes(entities: int) -> int:
    """The largest number of nodes of an ego-graph over so many entity types."""
    others = entities - 1
    return entities + others * (PEERS + OWN + PEERS * others * PEER_ENTITIES + OWN * NEIGHBOURS)


class Ego(NamedTuple):
    """Room for one ego-graph; overwritten by each sampling.

    Attributes:
        nodes: float32[most_nodes, len(NODE_FEATURES)].
        parents: int16[most_nodes], a node's parent by its place in the parent set.
        ids: int32[most_nodes], the nodes' integer ids.
        rows: int32[most_nodes], the latest row that links a node to its parent; -1 for the transaction's own.
        times: int32[most_nodes], how many rows of the walk do.
        counts: int16[blocks], nodes a block.
        links: int32[4, 2 * WALK], scratch: neighbours, rows and counts of their links, and a hash table.
    """

    nodes: NDArray[np.float32]
    parents: NDArray[np.int16]
    ids: NDArray[np.int32]
    rows: NDArray[np.int32]
    times: NDArray[np.int32]
    counts: NDArray[np.int16]
    links: NDArray[np.int32]


def empty_ego(entities: int) -> Ego:
    """Room for an ego-graph over so many entity types."""
    size = most_nodes(entities)
    return Ego(
        np.zeros((size, len(NODE_FEATURES)), np.float32),
        np.zeros(size, np.int16),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(entities + 4 * (entities - 1), np.int16),
        np.zeros((4, 2 * WALK), np.int32),
    )


@kernel
def sample(s, t, amount, ids, entities, ego):  # type: ignore[no-untyped-def]
    """Samples the ego-graph of a transaction into `ego`; returns its number of nodes.

    Only what occurred before t, and labels known before t, enter. Missing ids (-1) have no node.
    """
    counts = ego.counts
    counts[:] = 0
    others = entities - 1
    size = 0
    for k in range(entities):
        if ids[k] >= 0:
            _root_link(s, ids, k, t, amount, ego, size)
            counts[k] = 1
            size += 1
    level_2 = size
    for k in range(1, entities):
        if ids[k] >= 0:
            added = _sample_column(s, ids[k], 0, ids, t, WALK, PEERS, ego, size, 0)
            counts[entities + k - 1] = added
            size += added
    own_2 = size
    for k in range(1, entities):
        if ids[0] >= 0:
            added = _sample_column(s, ids[0], k, ids, t, WALK, OWN, ego, size, 0)
            counts[entities + others + k - 1] = added
            size += added
    inner = size
    for k in range(1, entities):
        for peer in range(level_2, own_2):
            added = _sample_column(s, ego.ids[peer], k, ids, t, _SHORT_WALK, PEER_ENTITIES, ego, size, peer - level_2)
            counts[entities + 2 * others + k - 1] += added
            size += added
    first = own_2
    for k in range(1, entities):
        of_type = counts[entities + others + k - 1]
        for j in range(of_type):
            added = _sample_column(s, ego.ids[first + j], 0, ids, t, _SHORT_WALK, NEIGHBOURS, ego, size, j)
            counts[entities + 3 * others + k - 1] += added
            size += added
        first += of_type
    _fetch(s, ego, size)
    for at in range(size):
        _node(s, t, ego, at)
    _degrees(s, t, ego, inner, entities)
    return size


@kernel
def _log(x):  # type: ignore[no-untyped-def]
    return np.log1p(max(x, 0.0))


@kernel
def _fetch(s, ego, size):  # type: ignore[no-untyped-def]
    """Reads what `_node` will need of all nodes, so that the memory is asked for many places at the same time."""
    h = s.history
    seen = np.int64(0)
    for at in range(size):
        node = ego.ids[at]
        length = np.int64(h.length[node])
        if length > 0:
            start = h.start[node]
            seen += s.occurred_at[h.rows[start]] + h.sums[start + length - 1]
            first = length - _FETCHED if length > _FETCHED else np.int64(0)
            for i in range(first, length):
                seen += s.occurred_at[h.rows[start + i]]
        labels = np.int64(s.known.length[node])
        if labels > 0:
            seen += s.label_known_at[s.known.rows[s.known.start[node] + labels - 1]]
        frauds = np.int64(s.fraud.length[node])
        if frauds > 0:
            last = s.fraud.start[node] + frauds - 1
            seen += s.label_known_at[s.fraud.rows[last]] + s.fraud.sums[last]
    ego.links[3, 0] = seen & 1


@kernel
def _node(s, t, ego, at):  # type: ignore[no-untyped-def]
    """A node's own past and its latest link to its parent, as of t; `_degrees` adds its degree."""
    x = ego.nodes[at]
    x[:11] = 0.0
    entity = ego.ids[at]
    link = ego.rows[at]
    if link >= 0:
        x[11] = _log((t - s.occurred_at[link]) / 1e6)
        x[12] = _log(float(ego.times[at]))
        x[13] = _log(s.amount[link] / 100.0)
    h = s.history
    start = h.start[entity]
    now = before(h, s.occurred_at, entity, t)
    if now > 0:
        in_day = before_within(h, s.occurred_at, start, now, t - _DAY)
        in_week = before_within(h, s.occurred_at, start, in_day, t - 7 * _DAY)
        x[0] = _log(float(now))
        x[1] = _log((t - s.occurred_at[h.rows[start]]) / 1e6)
        x[2] = _log((t - s.occurred_at[h.rows[start + now - 1]]) / 1e6)
        x[3] = _log(float(now - in_day))
        x[4] = _log(float(now - in_week))
        x[5] = _log(total(h, start, np.int64(0), now) / (100.0 * now))
    known = before(s.known, s.label_known_at, entity, t)
    f = s.fraud
    changes = before(f, s.label_known_at, entity, t)
    fraud = total(f, f.start[entity], np.int64(0), changes)
    x[6] = _log(float(known))
    x[7] = _log(float(fraud))
    x[8] = 10.0 * fraud / (known + 5.0)
    if changes > 0:
        x[9] = _log(1e9 / (1e6 + (t - s.label_known_at[f.rows[f.start[entity] + changes - 1]])))


@kernel
def _root_link(s, ids, k, t, amount, ego, at):  # type: ignore[no-untyped-def]
    """The transaction's own entity as a node, and its link to it: the user's past with it."""
    x = ego.nodes[at]
    ego.ids[at] = ids[k]
    ego.rows[at] = -1
    ego.parents[at] = 0
    h = s.history
    x[11] = 0.0
    now = before(h, s.occurred_at, ids[k], t)
    low = max(now - _SHORT_WALK, 0)
    mine = 0
    for i in range(now - 1, low - 1, -1):
        row = h.rows[h.start[ids[k]] + i]
        if s.ids[row, 0] == ids[0]:
            if mine == 0:
                x[11] = _log((t - s.occurred_at[row]) / 1e6)
            mine += 1
    x[12] = _log(float(mine))
    x[13] = _log(amount / 100.0)
    x[14] = 1.0
    x[15] = 1.0 if now > WALK else 0.0


@kernel
def _sample_column(s, entity, column, root, t, walk, most, ego, size, parent):  # type: ignore[no-untyped-def]
    """Samples the latest distinct ids in one column of an entity's rows, as children of it.

    Users: all but the root's own. Entities: all but the root's own of that type where the walk starts at the
    root's user; elsewhere those of the root are marked `same`.
    Returns how many were added.
    """
    h = s.history
    start = h.start[entity]
    now = before(h, s.occurred_at, entity, t)
    low = max(now - walk, 0)
    found, rows, times, table = ego.links[0], ego.links[1], ego.links[2], ego.links[3]
    table[:] = -1
    own = root[column]
    skip_own = column == 0 or entity == root[0]
    distinct = 0
    for i in range(now - 1, low - 1, -1):
        row = h.rows[start + i]
        other = s.ids[row, column]
        if other < 0 or (skip_own and other == own):
            continue
        place = (other * 40503) & (2 * WALK - 1)
        while table[place] >= 0 and found[table[place]] != other:
            place = (place + 1) & (2 * WALK - 1)
        if table[place] >= 0:
            times[table[place]] += 1
            continue
        if distinct == most:
            continue
        table[place] = distinct
        found[distinct] = other
        rows[distinct] = row
        times[distinct] = 1
        distinct += 1
    for j in range(distinct):
        at = size + j
        ego.ids[at] = found[j]
        ego.rows[at] = rows[j]
        ego.times[at] = times[j]
        ego.nodes[at, 14] = 1.0 if found[j] == own else 0.0
        ego.nodes[at, 15] = 1.0 if low > 0 else 0.0
        ego.parents[at] = parent
    return distinct


@kernel
def _degrees(s, t, ego, size, entities):  # type: ignore[no-untyped-def]
    """Distinct neighbours of each of the first nodes among its latest rows: users of an entity, entities of a user.

    Leaves have none: walking theirs would cost as much as all the rest.
    """
    h = s.history
    table = ego.links[3]
    for at in range(size):
        node = ego.ids[at]
        now = before(h, s.occurred_at, node, t)
        low = max(now - _DEGREE_WALK, 0)
        if now == low:
            continue
        first, last = (1, entities) if s.ids[h.rows[h.start[node]], 0] == node else (0, 1)
        distinct = 0
        table[:] = -1
        for i in range(now - 1, low - 1, -1):
            row = h.rows[h.start[node] + i]
            for k in range(first, last):
                other = s.ids[row, k]
                if other >= 0 and distinct < WALK:
                    place = (other * 40503) & (2 * WALK - 1)
                    while table[place] >= 0 and table[place] != other:
                        place = (place + 1) & (2 * WALK - 1)
                    if table[place] < 0:
                        table[place] = other
                        distinct += 1
        ego.nodes[at, 10] = _log(float(distinct))


@kernel
def copy_out(ego, size, nodes, parents, at, counts, place):  # type: ignore[no-untyped-def]
    """Copies a sampled ego-graph of `size` nodes to `nodes` and `parents` from `at` on, its counts to `place`."""
    for i in range(size):
        for j in range(nodes.shape[1]):
            nodes[at + i, j] = ego.nodes[i, j]
        parents[at + i] = ego.parents[i]
    for j in range(counts.shape[1]):
        counts[place, j] = ego.counts[j]
