"""With labels that mean nothing, nothing can be foreseen: what scores better than chance then has seen the answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from etl.loading import load
from etl.mapping import read_mapping
from gnn.catalogue import Catalogue
from gnn.head import train_head
from gnn.replay import Replay, read_history
from graph.records import DAY
from graph.store import open_store

MAPPING = Path(__file__).resolve().parents[2] / "examples" / "handbook.yaml"
DAYS = 60


@pytest.mark.slow
def test_shuffled_labels_cannot_be_foreseen(handbook: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    mapping = read_mapping(MAPPING)
    began = int(np.datetime64("2018-04-01", "us").astype(np.int64))
    load(mapping, store, until=began + (DAYS + 7) * DAY)
    history = read_history(store)
    store.close()
    shuffled = replace(history, label_fraud=np.random.default_rng(0).permutation(history.label_fraud))
    features = np.empty((len(shuffled), len(Catalogue.of(shuffled.schema))), np.float32)
    for first, end, values, _ in Replay(shuffled).run(len(shuffled)):
        features[first:end] = values
    label, _ = shuffled.labels_as_of(None)
    cut = began + 40 * DAY
    known, _ = shuffled.labels_as_of(cut)
    train = np.flatnonzero(known >= 0)
    test = np.flatnonzero((shuffled.occurred_at >= cut) & (label >= 0))
    head, _ = train_head(features[train], known[train] == 1)
    assert roc_auc_score(label[test] == 1, head.predict(features[test])) == pytest.approx(0.5, abs=0.02)
