"""Train and serve agree: the end of the world, replayed through the real service, against the offline replay."""

import shutil
import signal
from pathlib import Path

import numpy as np

from api.keys import KeyFile
from bench.parity import compare
from etl.loading import load
from etl.mapping import read_mapping
from gnn.replay import read_history
from graph.store import open_store
from tests.api.conftest import ALL_SCOPES, Running

LAST = 400


def test_every_feature_is_equal_to_the_bit_and_every_probability_within_a_millionth(
    small_world: Path, small_bundle: Path, tmp_path: Path
) -> None:
    whole = open_store(f"sqlite:///{small_world}/store.db")
    history = read_history(whole)
    # The cut lies between two moments, so that all before it is loaded and all after it is sent.
    cut = len(history) - LAST
    while history.arrived_at[cut] == history.arrived_at[cut - 1]:
        cut -= 1
    began = int(history.arrived_at[cut])
    (tmp_path / "var").mkdir()
    part = open_store(f"sqlite:///{tmp_path}/store.db")
    load(read_mapping(small_world / "world" / "mapping.yaml"), part, until=began)
    assert part.status()["transactions"] == cut
    assert part.status()["labels"] == int(np.searchsorted(history.label_known_at, began))
    part.close()
    shutil.copytree(small_world / "models", tmp_path / "var" / "models")
    _, key = KeyFile(tmp_path / "var" / "keys.json").create("parity", ALL_SCOPES)
    service = Running(tmp_path, key=key).start()
    try:
        parity = compare(f"http://127.0.0.1:{service.port}", key, whole, small_bundle, len(history) - cut)
    finally:
        service.end(signal.SIGTERM)
    assert parity.transactions >= LAST
    assert parity.labels > 0
    assert (parity.different, parity.names) == (0, ())
    assert parity.worst <= 1e-6
