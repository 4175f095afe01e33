"""Embeddings: what they follow from, recounted by a replay of history, and whether being alike means anything."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gnn.bundle import open_bundle, write_bundle
from gnn.champion import current_bundle
from gnn.embeddings import LATEST, EntityVectors, embed, embed_store
from gnn.network import Network
from gnn.replay import History, Replay, read_history
from gnn.serving import load_predictor
from gnn.tensors import collate
from graph.embedding_records import EmbeddingRefresh
from graph.errors import BundleError, NotEnoughData
from graph.records import DAY, GraphSchema
from graph.store import Store, open_store
from tests.gnn.test_replay import HOUR, history, labels, transactions


@pytest.fixture(scope="session")
def bundle(small_world: Path) -> Path:
    return current_bundle(small_world / "models")


@cache
def model(bundle: Path) -> tuple[Network, GraphSchema]:
    predictor, serving = load_predictor(open_bundle(bundle))
    assert predictor.network is not None
    return predictor.network, serving.schema


def embedded(h: History, bundle: Path, at: int, days: int = 90) -> list[EntityVectors]:
    network, schema = model(bundle)
    return embed(h, schema, network, at, days=days)


@settings(max_examples=15)
@given(transactions, labels, transactions, labels, st.integers(1, 440))
def test_nothing_that_arrives_or_becomes_known_later_changes_them(
    bundle: Path,
    rows: list[tuple[int, ...]],
    known: list[tuple[int, int, bool]],
    more: list[tuple[int, ...]],
    more_known: list[tuple[int, int, bool]],
    moment: int,
) -> None:
    """Neither what occurs from the moment on, nor what had occurred and arrives from then on, nor later labels."""
    later = [(at, max(late, moment - at), *rest) for at, late, *rest in more]
    h, _ = history(rows, known)
    grown, _ = history(
        rows + later, known + [(row, max(at, moment), is_fraud) for row, at, is_fraud in more_known if row < len(rows)]
    )
    before, after = embedded(h, bundle, moment * HOUR), embedded(grown, bundle, moment * HOUR)
    assert [(v.entity, v.ids.tolist()) for v in before] == [(v.entity, v.ids.tolist()) for v in after]
    for mine, theirs in zip(before, after, strict=True):
        assert np.array_equal(mine.vectors, theirs.vectors)


def by_replay(h: History, bundle: Path, at: int, days: int) -> dict[str, tuple[list[int], NDArray[np.float64]]]:
    """The same worked out by a replay of history in which each looked-at transaction happens again at `at`."""
    network, schema = model(bundle)
    ids = np.full((len(h), len(schema.keyed)), -1, np.int32)
    for place, name in enumerate(schema.keyed):
        if name in h.schema.keyed:
            ids[:, place] = h.ids[:, h.schema.keyed.index(name)]
    numeric = np.full((len(h), len(schema.numeric)), np.nan)
    for place, name in enumerate(schema.numeric):
        if name in h.schema.numeric:
            numeric[:, place] = h.numeric[:, h.schema.numeric.index(name)]
    past = [
        row for row in np.argsort(h.occurred_at, kind="stable").tolist() if h.occurred_at[row] < at > h.arrived_at[row]
    ]
    looked_at: dict[tuple[str, int], list[int]] = {}
    for kind, name in enumerate(schema.entities):
        for entity in sorted(set(ids[past, kind].tolist()) - {-1}):
            latest = [row for row in past if ids[row, kind] == entity][-LATEST:]
            if h.occurred_at[latest[-1]] >= at - days * DAY:
                looked_at[name, entity] = latest
    arrived = [row for row in range(len(h)) if h.arrived_at[row] < at]
    again = sorted({row for latest in looked_at.values() for row in latest})
    taken = np.array([*arrived, *again], np.int64)
    repeated = np.arange(len(taken)) >= len(arrived)
    place_of = {row: i for i, row in enumerate(arrived)}
    told = [i for i in range(len(h.label_row)) if h.label_known_at[i] < at and int(h.label_row[i]) in place_of]
    extended = replace(
        h,
        schema=schema,
        seq=np.arange(1, len(taken) + 1),
        occurred_at=np.where(repeated, at, h.occurred_at[taken]),
        arrived_at=np.where(repeated, at, h.arrived_at[taken]),
        amount=h.amount[taken],
        ids=np.ascontiguousarray(ids[taken]),
        numeric=np.ascontiguousarray(numeric[taken]),
        label_row=np.array([place_of[int(h.label_row[i])] for i in told], np.int32),
        label_known_at=h.label_known_at[told],
        label_fraud=h.label_fraud[told],
    )
    roots: dict[int, NDArray[np.float64]] = {}
    own: dict[tuple[str, int], NDArray[np.float64]] = {}
    done = 0
    for first, end, features, egos in Replay(extended).run(len(taken), egos=repeated):
        wanted = np.flatnonzero(repeated[first:end])
        for i in range(len(wanted)):
            root, states = network.states(collate(egos, np.ascontiguousarray(features[wanted]), np.array([i])))
            row = again[done + i]
            roots[row] = root[0].astype(np.float64)
            present = [name for kind, name in enumerate(schema.entities) if ids[row, kind] >= 0]
            own.update({(name, row): state.astype(np.float64) for name, state in zip(present, states, strict=True)})
        done += len(wanted)
    found = {}
    for name in schema.entities:
        mine = {entity: rows for (of, entity), rows in looked_at.items() if of == name}
        if mine:
            halves = [
                directions(np.array([np.mean([state(row) for row in rows], axis=0) for rows in mine.values()]))
                for state in (lambda row, name=name: own[name, row], lambda row: roots[row])
            ]
            found[name] = list(mine), np.hstack(halves) / np.sqrt(2)
    return found


def directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row from the average of all, in units of each column's spread, of length 1; rows like the average as
    they are."""
    spread = rows.std(axis=0) + 1.0 * rows.std()
    found = []
    for row in rows:
        relative = row - rows.mean(axis=0)
        is_average = np.linalg.norm(relative) <= 1e-3 * np.linalg.norm(row)
        seen = row if is_average else relative / np.where(spread > 0, spread, 1)
        found.append(seen / np.linalg.norm(seen) if seen.any() else np.full(len(row), len(row) ** -0.5))
    return np.array(found)


@settings(max_examples=15)
@example(rows=[(1, 0, 0, 0, -1, -1, -1)], known=[], moment=2, days=1)
@given(transactions, labels, st.integers(1, 440), st.sampled_from([1, 5, 90]))
def test_a_replay_of_history_gives_the_same(
    bundle: Path, rows: list[tuple[int, ...]], known: list[tuple[int, int, bool]], moment: int, days: int
) -> None:
    h, _ = history(rows, known)
    found = {of.entity: of for of in embedded(h, bundle, moment * HOUR, days)}
    expected = by_replay(h, bundle, moment * HOUR, days)
    assert found.keys() == expected.keys()
    for name, (ids, vectors) in expected.items():
        assert found[name].ids.tolist() == ids
        assert np.allclose(found[name].vectors, vectors, atol=5e-3)
        assert np.allclose(np.linalg.norm(found[name].vectors, axis=1), 1, atol=1e-5)


def test_who_is_not_active_has_none(bundle: Path) -> None:
    h, _ = history([(10, 0, 100, 0, 4, 7, -1), (400, 0, 100, 1, 5, 7, -1)], [])
    found = {of.entity: of.ids.tolist() for of in embedded(h, bundle, 401 * HOUR, days=2)}
    assert found == {"user": [1], "device": [5], "restaurant": [7]}
    assert embedded(h, bundle, 5 * HOUR) == []


@pytest.fixture(scope="session")
def store(small_world: Path) -> Store:
    return open_store(f"sqlite:///{small_world}/store.db")


@pytest.fixture(scope="session")
def refresh(store: Store, bundle: Path) -> EmbeddingRefresh:
    """Embeddings of the whole small world, as of its end."""
    return embed_store(store, bundle)


def test_all_types_of_a_store(store: Store, bundle: Path, refresh: EmbeddingRefresh) -> None:
    assert refresh.model == bundle.name
    status = store.status()
    for of_type in refresh.types:
        assert 0 < len(of_type.keys) <= status[f"entities:{of_type.entity}"]
    assert [of_type.entity for of_type in refresh.types] == list(store.schema().entities)


def test_the_same_again(store: Store, bundle: Path, refresh: EmbeddingRefresh) -> None:
    again = embed_store(store, bundle)
    assert (again.at, again.model) == (refresh.at, refresh.model)
    for mine, theirs in zip(again.types, refresh.types, strict=True):
        assert mine.keys == theirs.keys
        assert np.array_equal(mine.vectors, theirs.vectors)


def test_before_the_first_transaction_there_is_nothing(store: Store, bundle: Path) -> None:
    with pytest.raises(NotEnoughData, match="no transaction occurred in the 90 days before 1970"):
        embed_store(store, bundle, at=0)


def test_a_bundle_without_a_network(store: Store, bundle: Path, tmp_path: Path) -> None:
    """As training writes it where too little fraud is known."""
    opened = open_bundle(bundle)
    own = ("format", "quipu", "created_at", "files")
    fields = {name: value for name, value in opened.manifest.items() if name not in own}
    parts = {name: (bundle / name).read_bytes() for name in ("head.npz", "anomaly.npz", "reference.npz")}
    plain = write_bundle(tmp_path, parts, {**fields, "network": False})
    with pytest.raises(BundleError, match="has no graph network"):
        embed_store(store, plain)


@pytest.fixture(scope="session")
def ring_of(small_world: Path) -> dict[str, str]:
    """The true ring of each of its members."""
    rings = json.loads((small_world / "world" / "truth" / "rings.json").read_text())
    return {user: ring["ring_id"] for ring in rings for user in ring["members"]}


def neighbours(refresh: EmbeddingRefresh, ring_of: dict[str, str]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of the users with embeddings: all rings ('' for none), the places of rings' members, and the rings of the ten
    users most like each member."""
    users = next(of_type for of_type in refresh.types if of_type.entity == "user")
    rings = np.array([ring_of.get(key, "") for key in users.keys])
    members = np.flatnonzero(rings != "")
    cosine = users.vectors @ users.vectors.T
    np.fill_diagonal(cosine, -2)
    return rings, members, rings[np.argsort(-cosine[members], axis=1)[:, :10]]


def test_ring_users_are_like_ring_users(ring_of: dict[str, str], refresh: EmbeddingRefresh) -> None:
    """Among the ten users most like a ring's member, members of rings are many times as frequent as among all."""
    rings, members, nearest = neighbours(refresh, ring_of)
    assert len(members) >= 20
    size = Counter(rings[members].tolist())
    base = (len(members) - 1) / (len(rings) - 1)
    mates = np.mean([(size[ring] - 1) / (len(rings) - 1) for ring in rings[members]])
    in_rings, of_mates = (nearest != "").mean(), (nearest == rings[members][:, None]).mean()
    print(f"{in_rings:.2f} of neighbours are in rings (base {base:.3f}), {of_mates:.2f} ring mates (base {mates:.3f})")
    assert in_rings > 10 * base
    assert of_mates > 10 * mates


def test_so_are_those_whose_fraud_nobody_knows_of_yet(ring_of: dict[str, str], store: Store, bundle: Path) -> None:
    """While rings are at work: members without a label that says fraud have ring members around them."""
    near, chance, count = 0.0, 0.0, 0
    for day in ("2025-03-01", "2025-03-08", "2025-03-15"):
        at = int(np.datetime64(day, "us").astype(np.int64))
        refresh, h = embed_store(store, bundle, at=at), read_history(store, until=at)
        rings, members, nearest = neighbours(refresh, ring_of)
        names = [key for part in store.entity_keys() for key in part.keys]
        told = h.label_row[h.label_fraud & (h.label_known_at < at)]
        known = {names[number] for number in h.ids[told, 0].tolist()}
        users = next(of_type for of_type in refresh.types if of_type.entity == "user")
        unknown = np.array([users.keys[place] not in known for place in members.tolist()])
        near += float((nearest[unknown] != "").mean(axis=1).sum())
        chance += int(unknown.sum()) * (len(members) - 1) / (len(rings) - 1)
        count += int(unknown.sum())
    assert count >= 15
    print(f"{near / count:.2f} of the neighbours of {count} unknown members are in rings (base {chance / count:.3f})")
    assert near > 2 * chance
