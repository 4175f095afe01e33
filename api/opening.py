"""The index at a start: from the graph store, or while that is away from the last snapshot and the spool."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.engine import Engine
from api.follow import Follower
from api.link import StoreLink
from api.spool import Spool
from graph.errors import Overloaded, StoreUnavailable
from graph.index import AsOfIndex
from graph.progress import Progress
from graph.records import GraphSchema
from graph.snapshot import Snapshot, belongs, newest_snapshot
from graph.store import Store

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_TELL_SECONDS = 30.0
_PATIENCE_SECONDS = 10.0
_BUILD_SECONDS = 3_600.0
_LOOK = 2_048


def open_index(
    link: StoreLink,
    spool: Spool,
    snapshots: Path,
    refreshed: Path,
    schema: GraphSchema,
    progress: Progress,
    pause: Callable[[float], bool],
) -> Follower:
    """The index of what the store and the spool have, with what keeps it current.

    While the store is away: the last snapshot with all that the spool has since. Where there is no snapshot of this
    store, it waits for the store.

    Args:
        snapshots: folder of snapshots of the index, the service's own.
        refreshed: folder of those of `graph_refresh`, of the store alone; where no own one fits, the newest of these
            spares reading all of the store.
        schema: what to index.
        pause: waits so many seconds; True when the service is to stop.

    Raises:
        StoreError: the store or the spool cannot be used.
        Overloaded: the service stopped before the store came.
    """
    told_at = 0.0
    while True:
        try:
            follower = _with_store(link, spool, snapshots, refreshed, schema, progress)
            link.health.read()
            return follower
        except StoreUnavailable as error:
            link.health.read(error)
            away = error
        kept = newest_snapshot(snapshots, schema)
        if kept is not None and kept[1].get("store") == link.shown:
            follower = _resumed(*kept, link, spool)
            log.warning("starting without the graph store, from the index on disk and the spool: %s", away.message)
            return follower
        if time.monotonic() >= told_at:
            log.warning("waiting for the graph store, since there is no index on disk to start from: %s", away.message)
            told_at = time.monotonic() + _TELL_SECONDS
        if pause(_RETRY_SECONDS):
            raise Overloaded("the service was stopped before the graph store answered")


def write_snapshot(engine: Engine, follower: Follower, link: StoreLink, spool: Spool, folder: Path) -> None:
    """Writes the index to disk, so that `open_index` can start from it.

    Raises:
        OSError, StoreError: it could not be written.
    """

    def take(about: dict[str, Any]) -> tuple[Snapshot | None, int]:
        kept = {**about, "store": link.shown}
        return engine.at_rest(lambda: engine.snapshot(kept)), about["position"]

    snapshot, position = follower.at_rest(take)
    if snapshot is not None:
        snapshot.write(folder)
        spool.keep(in_snapshot=position)


def _with_store(
    link: StoreLink, spool: Spool, snapshots: Path, refreshed: Path, schema: GraphSchema, progress: Progress
) -> Follower:
    link.ask(lambda store: store.extend_schema(schema), patience=_PATIENCE_SECONDS)
    kept = newest_snapshot(snapshots, schema)
    if kept is not None and link.ask(lambda store: belongs(kept[0], store), patience=_PATIENCE_SECONDS):
        follower = _resumed(*kept, link, spool)
        follower.follow_feed()
        return follower
    drained = spool.value("drained")  # read first: what is drained is in the store
    index = link.ask(lambda store: AsOfIndex.open(store, refreshed, progress, schema=schema), patience=_BUILD_SECONDS)
    follower = Follower(index, spool, link, position=drained, brought=_brought(link, spool, index, drained))
    follower.follow_spool()
    return follower


def _resumed(index: AsOfIndex, kept: dict[str, object], link: StoreLink, spool: Spool) -> Follower:
    """An index from a snapshot, with all that the spool has since."""
    position, brought = kept.get("position"), kept.get("brought")
    if kept.get("spool") != spool.value("identity") or not isinstance(position, int) or not isinstance(brought, list):
        position, brought = 0, []
    follower = Follower(index, spool, link, position=position, brought=set(brought), on_disk=True)
    follower.follow_spool()
    return follower


def _brought(link: StoreLink, spool: Spool, index: AsOfIndex, position: int) -> set[str]:
    """Which transactions after this position of the spool the store had when the index was read from it."""
    brought: set[str] = set()
    while records := spool.after(position, _LOOK):
        names = [name for _, name in records]

        def look(store: Store, names: list[str] = names) -> dict[str, int]:
            return store.sequence_numbers(names)

        numbers = link.ask(look, patience=_PATIENCE_SECONDS)
        brought.update(name for name, seq in numbers.items() if seq <= index.watermark.transaction)
        position = records[-1][0]
    return brought
