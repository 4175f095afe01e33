"""Random ego-graphs and features for tests of batches and of the network."""

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from gnn.blocks import ROOT, Sizes, block_plan
from gnn.tensors import EgoBatch, EgoStore

THREE = ("user", "device", "ip", "restaurant")
TWO = ("user", "device", "restaurant")
ONE = ("user", "restaurant")
NONE = ("user",)
FEATURES, NODE_FEATURES = 7, 5


def egos(entities: tuple[str, ...], n: int, seed: int, *, most: int = 4, emptiness: float = 0.3) -> EgoStore:
    """Random ego-graphs: each parent has up to `most` children of a block, and with `emptiness` none at all."""
    random = np.random.default_rng(seed)
    plan = block_plan(entities)
    parents: list[NDArray[np.int64]] = []
    counts = np.zeros((n, len(plan)), np.uint16)
    for ego in range(n):
        sizes = {ROOT: 1}
        for b, block in enumerate(plan):
            above = sizes[block.parent_set]
            children = random.integers(1, 2 if block.level == 1 else most + 1, above)
            children[random.random(above) < emptiness] = 0
            parents.append(np.repeat(np.arange(above), children))
            counts[ego, b] = children.sum()
            sizes[block.node_set] = sizes.get(block.node_set, 0) + int(children.sum())
    offsets = np.concatenate([[0], counts.sum(axis=1, dtype=np.int64).cumsum()])
    nodes = np.log1p(random.exponential(3, (int(offsets[-1]), NODE_FEATURES))).astype(np.float32)
    return EgoStore(entities, nodes, np.concatenate(parents).astype(np.int16), counts, offsets)


def features_of(n: int, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    values = random.normal(0, 100, (n, FEATURES)).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    return values


def level_of(
    batch: EgoBatch, entities: tuple[str, ...], level: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """The level's part of `slots` and `received`, and rows by block, as `sizes` says."""
    plan = block_plan(entities)
    parts = np.split(batch.sizes, np.cumsum(astuple(Sizes.of(plan)))[:-1])
    _, levels, tables, rows, _ = parts
    slots = np.split(batch.slots, np.cumsum(levels)[:-1])[level - 1]
    received = np.split(batch.received, np.cumsum(tables)[:-1])[level - 1]
    return slots, received, rows[[i for i, block in enumerate(plan) if block.level == level]]
