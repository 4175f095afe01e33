"""Champion and challenger on the small world: what is compared, as known when, and what a lead must be."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.loading import load
from etl.mapping import read_mapping
from etl.simulator import WorldSettings, simulate, write
from gnn.challenge import as_known, challenge, decide, train_successor
from gnn.champion import history, list_bundles, promote
from gnn.head import HeadSettings
from gnn.pipeline import train_bundle
from gnn.refresh import refresh_embeddings, refresh_snapshot
from gnn.replay import read_history
from gnn.training import TrainingSettings
from graph.errors import NotEnoughData
from graph.index import AsOfIndex
from graph.progress import Silent
from graph.records import DAY
from graph.store import Store, open_store

SETTINGS = TrainingSettings(network=False, head=HeadSettings(rounds=40, column_shares=(0.4,)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world with much fraud, and a champion of its first 30 days."""
    folder = tmp_path_factory.mktemp("challenged")
    write(simulate(WorldSettings(users=500, days=75, seed=3, fraud_rate=0.06)), folder / "world")
    store = open_store(f"sqlite:///{folder}/store.db")
    load(read_mapping(folder / "world" / "mapping.yaml"), store)
    made = train_bundle(store, folder / "models", until=begin(store) + 30 * DAY, settings=SETTINGS, progress=Silent())
    promote(folder / "models", Path(made["bundle"]).name)
    store.close()
    return folder


@pytest.fixture
def store(world: Path) -> Store:
    return open_store(f"sqlite:///{world}/store.db")


def begin(store: Store) -> int:
    return int(read_history(store).occurred_at[0]) // DAY * DAY


def test_both_are_judged_on_what_neither_knew(world: Path, store: Store) -> None:
    at = begin(store) + 74 * DAY
    verdict = challenge(store, world / "models", at, weeks=3, settings=SETTINGS)
    assert verdict.champion == history(world / "models")[0]
    assert verdict.trained_until == at - 44 * DAY
    assert verdict.judged_from == at - 21 * DAY
    assert verdict.frauds >= 10
    precision = verdict.figures["average_precision"]
    assert precision["a"] - precision["b"] == pytest.approx(precision["value"])  # type: ignore[operator]
    assert precision["low"] <= precision["value"] <= precision["high"]  # type: ignore[operator]
    assert verdict.promote == decide(verdict.figures)[0]
    assert challenge(store, world / "models", at, weeks=3, settings=SETTINGS) == verdict
    assert list_bundles(world / "models") == [verdict.champion]  # nothing is kept of the challenger
    # Half of what the champion doesn't know is the most that both are judged on.
    assert challenge(store, world / "models", at, weeks=52, settings=SETTINGS).judged_from == at - 22 * DAY


def test_one_that_learnt_nothing_gives_way(world: Path, store: Store, tmp_path: Path) -> None:
    """A champion of stumps loses beyond noise to one that learns."""
    poor = replace(SETTINGS, head=HeadSettings(rounds=1, leaves=2, column_shares=(0.02,)))
    made = train_bundle(store, tmp_path, until=begin(store) + 30 * DAY, settings=poor, progress=Silent())
    promote(tmp_path, Path(made["bundle"]).name)
    at = begin(store) + 74 * DAY
    verdict = challenge(store, tmp_path, at, settings=SETTINGS)
    assert verdict.promote, verdict.why
    name = train_successor(store, tmp_path, at, settings=SETTINGS)
    assert train_successor(store, tmp_path, at, settings=SETTINGS) == name
    assert len(list_bundles(tmp_path)) == 2
    promote(tmp_path, name)
    again = challenge(store, tmp_path, at, settings=SETTINGS)
    assert not again.promote
    assert "knows all" in again.why


def test_without_a_model_any_is_better_and_with_few_labels_none(world: Path, store: Store, tmp_path: Path) -> None:
    assert challenge(store, tmp_path, begin(store) + 40 * DAY).promote
    soon = challenge(store, world / "models", begin(store) + 31 * DAY, settings=SETTINGS)
    assert not soon.promote
    assert "needed to judge" in soon.why
    with pytest.raises(NotEnoughData):
        train_successor(store, tmp_path, begin(store) - DAY, settings=SETTINGS)


def test_a_champion_that_cannot_be_used_gives_way(world: Path, store: Store, tmp_path: Path) -> None:
    shutil.copytree(world / "models", tmp_path / "models")
    name = history(tmp_path / "models")[0]
    (tmp_path / "models" / name / "head.npz").write_bytes(b"damaged")
    verdict = challenge(store, tmp_path / "models", begin(store) + 60 * DAY, settings=SETTINGS)
    assert verdict.promote
    assert "cannot be used any more" in verdict.why


def test_nothing_known_later_enters(store: Store) -> None:
    at = begin(store) + 40 * DAY
    known = as_known(read_history(store, until=at), at)
    assert known.arrived_at.max() < at
    assert known.label_known_at.max() < at
    assert np.array_equal(known.labels_as_of(None)[0], read_history(store, until=at).labels_as_of(at)[0])


numbers = st.floats(-1, 1)


@given(numbers, numbers, st.one_of(st.none(), numbers))
def test_only_a_lead_beyond_noise_that_costs_nothing_wins(low: float, value: float, saved: float | None) -> None:
    precision = {"a": 0.5, "b": 0.4, "value": value, "low": low, "high": 1.0}
    money = {"a": 0.0, "b": 0.0, "value": saved, "low": saved, "high": saved}
    promote_it, why = decide({"average_precision": precision, "saved": money})
    assert promote_it == (low > 0 and not (saved is not None and saved < 0))
    assert "average precision 0.500 against 0.400" in why


def test_embeddings_and_snapshot_of_a_refresh(small_world: Path, tmp_path: Path) -> None:
    shutil.copy(small_world / "store.db", tmp_path / "store.db")
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    models, at = small_world / "models", begin(store) + 60 * DAY
    assert refresh_embeddings(store, tmp_path, at) == {"written": {}, "why": "no model is in use yet"}
    first = refresh_embeddings(store, models, at)
    for moment in (at, at - DAY):  # again, and of an earlier moment
        assert refresh_embeddings(store, models, moment)["written"] == {}
    if "why" not in first:
        assert first["written"]["user"] > 100
    for _ in range(2):
        made = refresh_snapshot(store, models, tmp_path / "index")
    assert made["transactions"] == store.status()["transactions"]
    assert [path.name for path in (tmp_path / "index").iterdir()] == [Path(made["path"]).name]
    assert AsOfIndex.open(store, tmp_path / "index").transactions == made["transactions"]
