"""Ego-graphs become one batch: every node keeps its place, and each message goes where it belongs."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.blocks import ROOT, Sizes, block_plan, node_sets
from gnn.tensors import EgoBatch, collate, collate_all
from tests.gnn.ego_graphs import NONE, ONE, THREE, TWO, egos, features_of, level_of


@pytest.mark.parametrize("entities", [NONE, ONE, TWO, THREE])
def test_a_plan_has_each_relation_once_a_level_and_parents_before_children(entities: tuple[str, ...]) -> None:
    plan = block_plan(entities)
    others = len(entities) - 1
    assert len(plan) == 4 * others + len(entities)
    assert len({block.name for block in plan}) == len(plan)
    seen = [ROOT]
    for block in plan:
        assert block.parent_set in seen
        if block.node_set in seen:
            assert block.node_set == seen[-1], "the blocks of a set stand together"
        else:
            seen.append(block.node_set)
    assert [block.level for block in plan] == sorted(block.level for block in plan)


@settings(deadline=None, max_examples=60)
@given(
    entities=st.sampled_from([NONE, ONE, TWO, THREE]),
    seed=st.integers(0, 10_000),
    emptiness=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    data=st.data(),
)
def test_a_batch_keeps_every_node_below_its_parent(
    entities: tuple[str, ...], seed: int, emptiness: float, data: st.DataObject
) -> None:
    store = egos(entities, 5, seed, most=3, emptiness=emptiness)
    store.nodes[:, 0] = np.arange(len(store.nodes))  # who it is
    for ego in range(len(store)):  # and whose child; the root counts from -1 down
        own: dict[str, list[int]] = {ROOT: [-1 - ego]}
        at = int(store.offsets[ego])
        for block, count in zip(block_plan(entities), store.counts[ego], strict=True):
            for row in range(at, at + int(count)):
                store.nodes[row, 1] = own[block.parent_set][store.parents[row]]
                own.setdefault(block.node_set, []).append(row)
            own.setdefault(block.node_set, [])
            at += int(count)
    indices = np.array(data.draw(st.lists(st.integers(0, 4), max_size=6)), np.int64)
    features = np.arange(5, dtype=np.float32)[:, None]
    batch = collate(store, features, indices)

    assert np.array_equal(batch.features[:, 0], indices)
    expected = [row for ego in indices for row in range(store.offsets[ego], store.offsets[ego + 1])]
    assert sorted(batch.nodes[:, 0].astype(int)) == sorted(expected)
    members = {ROOT: -1 - batch.features[:, 0]}
    rows = np.split(np.arange(len(batch.nodes)), np.cumsum(batch.counts)[:-1])
    for block, chosen in zip(block_plan(entities), rows, strict=True):
        assert np.array_equal(batch.nodes[chosen, 1], members[block.parent_set][batch.parents[chosen]])
        own_rows = members.get(block.node_set, np.empty(0, np.float32))
        members[block.node_set] = np.concatenate([own_rows, batch.nodes[chosen, 0]])
        changes = np.flatnonzero(np.diff(batch.parents[chosen])) + 1
        runs = batch.parents[chosen][np.concatenate([[0], changes])] if len(chosen) else []
        assert len(set(runs)) == len(runs), "the children of a parent are contiguous"
    again = collate(store, features, indices)
    assert np.array_equal(again.nodes, batch.nodes) and np.array_equal(again.parents, batch.parents)


@settings(deadline=None, max_examples=60)
@given(
    entities=st.sampled_from([NONE, ONE, TWO, THREE]),
    n=st.integers(0, 5),
    seed=st.integers(0, 10_000),
    emptiness=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_each_message_goes_to_its_parents_row_of_its_block(
    entities: tuple[str, ...], n: int, seed: int, emptiness: float
) -> None:
    plan = block_plan(entities)
    batch = collate(egos(entities, 5, seed, emptiness=emptiness), features_of(5, 0), np.arange(n))
    nodes = {ROOT: n} | dict.fromkeys(node_sets(plan), 0)
    for block, count in zip(plan, batch.counts.tolist(), strict=True):
        nodes[block.node_set] += count
    in_sets, _, _, _, in_blocks = np.split(batch.sizes, np.cumsum(astuple(Sizes.of(plan)))[:-1])
    assert in_sets.tolist() == [nodes[name] for name in node_sets(plan)]
    assert np.array_equal(in_blocks, batch.counts)
    assert batch.sizes.sum() == 3 * len(batch.nodes) + 2 * len(batch.received)

    parents = np.split(batch.parents, np.cumsum(batch.counts)[:-1])
    for level in sorted({block.level for block in plan}):
        slots, received, rows = level_of(batch, entities, level)
        blocks = [i for i, block in enumerate(plan) if block.level == level]
        assert rows.tolist() == [nodes[plan[i].parent_set] for i in blocks]
        starts = np.cumsum(rows) - rows
        expected = np.concatenate([parents[i] + start for i, start in zip(blocks, starts, strict=True)])
        assert np.array_equal(slots[:, 0], expected)
        counts = np.bincount(expected.astype(np.int64), minlength=int(rows.sum()))
        told = np.column_stack([np.maximum(counts, 1), counts > 0, np.log1p(counts)])
        np.testing.assert_allclose(received, told, rtol=1e-6)


@pytest.mark.parametrize("number", [1, 5])
def test_all_ego_graphs_of_a_store_are_the_batch_of_each(number: int) -> None:
    store, features = egos(THREE, number, 3), features_of(number, 0)
    whole, each = collate_all(store, features), collate(store, features, np.arange(number))
    for name in (field.name for field in fields(EgoBatch)):
        assert np.array_equal(getattr(whole, name), getattr(each, name), equal_nan=True), name
    store.counts[0, 0] += 1
    with pytest.raises(ValueError, match="do not add up"):
        collate_all(store, features)


def test_one_root_is_the_same_root_by_root_and_block_by_block() -> None:
    store = egos(THREE, 1, 9)
    batch = collate(store, features_of(1, 0), np.array([0]))
    level_1 = len(THREE)
    assert np.array_equal(batch.nodes, store.nodes)
    assert np.array_equal(batch.counts, store.counts[0])
    assert np.array_equal(
        batch.parents[store.counts[0, :level_1].sum() :], store.parents[store.counts[0, :level_1].sum() :]
    )


def test_a_store_that_contradicts_itself_is_refused() -> None:
    store = egos(ONE, 4, 1, emptiness=0.0)
    features = features_of(4, 0)
    with pytest.raises(IndexError):
        collate(store, features, np.array([4]))
    with pytest.raises(IndexError):
        collate(store, features, np.array([-1]))
    orphan = replace(store, parents=np.full_like(store.parents, 999))
    with pytest.raises(ValueError, match="do not fit"):
        collate(orphan, features, np.array([2]))
    counts = store.counts.copy()
    counts[1, 0] += 1
    with pytest.raises(ValueError, match="add up"):
        collate(replace(store, counts=counts), features, np.array([1]))
    with pytest.raises(ValueError, match="parents"):
        replace(store, parents=store.parents.astype(np.int32))
    with pytest.raises(ValueError, match="fit"):
        replace(store, entities=THREE)
