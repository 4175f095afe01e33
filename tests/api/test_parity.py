"""Train and serve agree: the end of the world, replayed through the real service, against the offline replay."""

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from api.keys import KeyFile
from bench.parity import compare
from etl.loading import load
from etl.mapping import read_mapping
from gnn.replay import History, Replay, read_history
from graph.ring_records import Refresh, Ring, RingMember, RingStatus, Verdict
from graph.store import Store, open_store, rings_of
from tests.api.conftest import ALL_SCOPES, Running

LAST = 400


def test_every_feature_is_equal_to_the_bit_and_every_probability_within_a_millionth(
    small_world: Path, small_bundle: Path, tmp_path: Path
) -> None:
    """Rings are found before the end and in the middle of it, and one of them is judged."""
    _copy(small_world / "store.db", tmp_path / "whole.db")
    whole = open_store(f"sqlite:///{tmp_path}/whole.db")
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
    told = _rings(whole, history, cut)
    for _, news in told:
        _tell(whole, news)
    _tell(part, told[0][1])
    shutil.copytree(small_world / "models", tmp_path / "var" / "models")
    _, key = KeyFile(tmp_path / "var" / "keys.json").create("parity", ALL_SCOPES)
    service = Running(tmp_path, key=key).start()

    def meanwhile(row: int) -> None:
        for at, news in told[1:]:
            if at == row:
                _tell(part, news)
                _until_it_has_looked_twice(service)

    try:
        parity = compare(
            f"http://127.0.0.1:{service.port}", key, whole, small_bundle, len(history) - cut, meanwhile=meanwhile
        )
    finally:
        service.end(signal.SIGTERM)
        part.close()
    assert parity.transactions >= LAST
    assert parity.labels > 0
    assert (parity.different, parity.names) == (0, ())
    assert parity.worst <= 1e-6
    _assert_that_rings_were_seen(read_history(whole), told[1:])
    whole.close()


def _copy(of: Path, to: Path) -> None:
    with closing(sqlite3.connect(of)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _rings(store: Store, history: History, cut: int) -> list[tuple[int, Refresh | Verdict]]:
    """What is said of two rings of those who pay at the end, and the rows of the history before which it is said."""
    keys = [key for chunk in store.entity_keys() for key in chunk.keys]
    kinds = history.schema.entities
    first, second = (
        tuple(
            RingMember(kind, keys[number], int(history.occurred_at[cut]), 1)
            for k, kind in enumerate(kinds)
            if kind != "restaurant"
            for number in sorted({int(i) for i in history.ids[cut + offset : len(history) : 4, k] if i >= 0})
        )
        for offset in (0, 1)
    )
    rows = [cut, *(_between(history, cut, cut + LAST * part // 6) for part in (2, 3, 4))]
    at = [int(history.occurred_at[row:].min()) - 1 for row in rows]
    found = Refresh(at[0], (_ring("ring_a", at[0], 0.6, first),))
    grown = Refresh(at[1], (_ring("ring_a", at[1], 0.8, first[::2]), _ring("ring_b", at[1], 0.7, second)))
    confirmed = Verdict("ring_b", at[2], RingStatus.CONFIRMED)
    return list(zip(rows, (found, grown, confirmed, Refresh(at[3], grown.rings[1:])), strict=True))


def _between(history: History, cut: int, row: int) -> int:
    """The next row that occurred later than all from `cut` on before it, as all after it did."""
    while history.occurred_at[row:].min() <= history.occurred_at[cut:row].max() + 1:
        row += 1
    return row


def _ring(ring_id: str, at: int, score: float, members: tuple[RingMember, ...]) -> Ring:
    return Ring(ring_id, RingStatus.NEW, score, at, at, members, (), len(members), 100, 0, at, at)


def _tell(store: Store, news: Refresh | Verdict) -> None:
    if isinstance(news, Refresh):
        rings_of(store).write_refresh(news)
    else:
        rings_of(store).write_verdict(news)


def _until_it_has_looked_twice(service: Running) -> None:
    """Waits until the service has looked at its store anew, from beginning to end."""
    seen = {_synced(service)}

    def twice() -> bool:
        seen.add(_synced(service))
        return len(seen) > 2

    service.until(twice)


def _synced(service: Running) -> bytes:
    return next(
        line for line in service.get("/metrics").body.splitlines() if line.startswith(b"quipu_index_synced_timestamp")
    )


def _assert_that_rings_were_seen(history: History, told: list[tuple[int, Refresh | Verdict]]) -> None:
    """The figures that were compared differ from one stretch to the next: what was said had its effect."""
    replay = Replay(history)
    features = np.concatenate([values for _, _, values, _ in replay.run(len(history))])
    names = ("ring_score", "ring_entities", "user_ring_confirmed", "device_ring_since")
    at = [replay.catalogue.names.index(name) for name in names]
    stretches = np.split(features[len(history) - LAST :, at], [row - (len(history) - LAST) for row, _ in told])
    means = [np.nan_to_num(part).mean(axis=0).round(3).tolist() for part in stretches]
    assert len({tuple(mean) for mean in means}) == len(means)
    assert [mean[2] > 0 for mean in means] == [False, False, True, True]
