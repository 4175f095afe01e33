"""What `python -m bench world` measures, on a small world."""

from pathlib import Path

import numpy as np
import pytest

from bench.world import everyday_share, hardness, own_features
from etl.loading import load
from etl.mapping import read_mapping
from etl.simulator import WorldSettings, simulate, write
from gnn.catalogue import Catalogue
from gnn.replay import read_history
from graph.store import open_store


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `world/` and a store with it, `store.db`."""
    folder = tmp_path_factory.mktemp("world")
    write(simulate(WorldSettings(users=3_000, days=90, seed=4)), folder / "world")
    store = open_store(f"sqlite:///{folder}/store.db")
    load(read_mapping(folder / "world" / "mapping.yaml"), store)
    store.close()
    return folder


def test_a_world_is_measured_against_its_truth(loaded: Path) -> None:
    found = hardness(f"sqlite:///{loaded}/store.db", loaded / "world" / "truth" / "fraud.parquet")
    assert found.frauds == sum(found.typologies.values())
    assert 0.008 < found.frauds / found.rows < 0.016
    assert found.with_links > found.without_links > 2 * found.frauds / found.rows
    assert found.recall_with_links > found.recall_without_links
    assert 0.5 < found.feature_auc < 0.85
    assert min(found.everyday.values()) > 0.9


def test_features_without_links_are_the_users_own_and_of_categories(loaded: Path) -> None:
    store = open_store(f"sqlite:///{loaded}/store.db")
    history = read_history(store)
    store.close()
    catalogue = Catalogue.of(history.schema)
    own = [catalogue[column] for column in own_features(catalogue, history)]
    assert {"user_tx_1d", "hour", "amount", "payment_method_value_user_share"} <= {feature.name for feature in own}
    assert not {"device", "ip", "restaurant"} & {feature.subject for feature in own}


def test_everyday_sharing_is_sharing_without_fraud(loaded: Path) -> None:
    store = open_store(f"sqlite:///{loaded}/store.db")
    history = read_history(store)
    store.close()
    assert everyday_share(history, np.zeros(len(history), np.bool_), "device") == 1
    assert everyday_share(history, np.ones(len(history), np.bool_), "device") == 0
    device = history.ids[:, history.schema.entities.index("device")]
    users = {entity: set(history.ids[device == entity, 0].tolist()) for entity in np.unique(device[device >= 0])}
    shared = [entity for entity, who in users.items() if len(who) > 1]
    touched = (device == shared[0]).copy()
    assert everyday_share(history, touched, "device") == pytest.approx(1 - 1 / len(shared))
