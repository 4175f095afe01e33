"""The service put together: what is opened at start, kept going meanwhile, and closed in order."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from api.drain import DRAIN_LEASE, SPOOL, Drainer
from api.engine import Engine, Pending
from api.errors import NotReady
from api.facts import label_table
from api.follow import PATIENCE_SECONDS
from api.keys import KeyFile, KeyRing
from api.link import StillBusy, StoreHealth, StoreLink
from api.metrics import Meters, forget_dead_workers
from api.opening import open_index, write_snapshot
from api.reload import Models
from api.shadow_log import SHADOW
from api.spool import Lease, Spool, SpooledLabel
from api.warm import warm_up
from api.wire import Intake
from gnn.champion import MODELS, current_bundle
from gnn.servable import load_servable
from gnn.serving import stated_features
from graph.errors import NotFound, QuipuError, StoreError, StoreUnavailable
from graph.progress import Progress, Silent
from graph.records import Decision
from graph.settings import Settings
from graph.store import Outcome, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

_POLL_SECONDS = 0.2
_MEASURE_SECONDS = 1.0
_LATE_SECONDS = 10.0
"""Under load the drainer pauses for three seconds, and moves for a few more what came meanwhile."""
_CATCH_UP_SECONDS = 3.0
_REQUEST_SECONDS = 10.0
"""How long a request waits for the store."""
_NOT_READY = "the service is not ready"
_START_HINT = "ask /health/ready; a start takes a few seconds"


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What became of labels: written, there already, contradicting what is there, or kept until the store is back."""

    loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label as received; `known_at` (microseconds UTC) is the time of receipt where `timed` is False."""

    transaction_id: str
    is_fraud: bool
    known_at: int
    source: str
    timed: bool


class Service:
    """One worker's parts. `load` takes seconds and runs beside the server, which answers 503 until it is done.

    Args:
        bundle: folder of a model bundle to keep; None to follow the models folder: its champion decides, and a
            change of it is taken while the service runs.
        deliver: takes the transactions that are done, in a turn of the engine.
        soon: gives the engine its turns; see `Engine`.
    """

    def __init__(
        self,
        settings: Settings,
        bundle: Path | None,
        deliver: Callable[[list[Pending]], None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.settings = settings
        self.meters = Meters()
        self.health = StoreHealth()
        self.keys = KeyRing(KeyFile(settings.var / "keys.json"), required=settings.require_keys)
        self._bundle = bundle
        self._deliver = deliver
        self._soon = soon
        self._engine: Engine | None = None
        self._intake: Intake | None = None
        self._link = StoreLink(settings.store, self.health)
        self._spools: list[Spool] = []
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="quipu-poll", daemon=True)

    def load(self, progress: Progress | None = None) -> None:
        """Opens everything: drains what a crash left in the spool, then loads the index and the model.

        While the graph store is away it starts from what is on disk; without that, it waits for the store.

        Raises:
            QuipuError: the bundle, the store or the spool cannot be used.
        """
        from gnn.scorer import Scorer

        settings, link = self.settings, self._link
        folder = settings.var / MODELS
        servable = load_servable(self._bundle or current_bundle(folder))
        schema = servable.serving.schema
        forget_dead_workers()
        spool_path = settings.var / SPOOL
        self._spool = self._open_spool(spool_path)
        self._lease = Lease(settings.var / "index.lease")
        self._drain_lease = Lease(settings.var / DRAIN_LEASE)
        self._drainer = Drainer(self._open_spool(spool_path, durable=False), link, self._drain_lease, self.health)
        self._drain_some()
        self._follower = open_index(
            link,
            self._open_spool(spool_path, durable=False),
            settings.var / "index",
            settings.refreshed_index,
            schema,
            progress or Silent(),
            self._stopping.wait,
        )
        index = self._follower.index
        scorer = Scorer(servable, index)
        warm_up(scorer)
        self._intake = Intake(scorer.schema, settings.future_tolerance)
        journal = self._open_spool(spool_path)
        engine = Engine(
            scorer,
            index,
            link,
            self._open_spool(spool_path),
            journal,
            self._drainer,
            self.meters,
            self._deliver,
            self._soon,
            batch_max=settings.batch_max,
            queue_max=settings.queue_max,
        )
        followed = folder if self._bundle is None else None
        self._models = Models(followed, engine, self.meters.models, settings.var / SHADOW)
        self._follower.serve(lambda change: engine.call(change).result(), engine.came, journal.appended)
        self._refresh_rings(engine)
        self._drainer.start()
        self._engine = engine
        self._measure()
        self._poller.start()
        self._models.start()

    def give_up(self) -> None:
        """Ends a start that waits for the graph store; `load` then raises. Nothing is lost by it later on."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Finishes what was accepted, drains the spool, writes a snapshot, closes everything."""
        self._stopping.set()
        if self._poller.is_alive():
            self._poller.join()
        engine, self._engine = self._engine, None
        if engine is not None:
            self._models.stop()
            engine.stop()
            self._drainer.stop()
            if self._lease.take():
                self._snapshot(engine)
            self._lease.close()
            self._drain_lease.close()
        while self._spools:
            self._spools.pop().close()
        self._link.close()

    @property
    def engine(self) -> Engine:
        """The scoring path.

        Raises:
            NotReady: it is still loading, or stopping.
        """
        if self._engine is None:
            raise NotReady(_NOT_READY, hint=_START_HINT)
        return self._engine

    @property
    def models(self) -> Models:
        """Which bundles are in use; `NotReady` as `engine`."""
        if self._engine is None:
            raise NotReady(_NOT_READY, hint=_START_HINT)
        return self._models

    @property
    def intake(self) -> Intake:
        """Checks requests against what the model knows; `NotReady` as `engine`."""
        if self._intake is None:
            raise NotReady(_NOT_READY, hint=_START_HINT)
        return self._intake

    @property
    def store(self) -> Store:
        """The graph store; `NotReady` as `engine`.

        Raises:
            StoreUnavailable: it is away, as last seen.
        """
        if self._engine is None:
            raise NotReady(_NOT_READY, hint=_START_HINT)
        return self._link.store

    async def look(self, read: Callable[[], T]) -> T:
        """What `read`, which asks `store`, returns, for requests: they do not wait for a store that hangs.

        Raises:
            StoreUnavailable: the store is away, or did not answer in time.
        """
        return await self._link.answer(read, patience=_REQUEST_SECONDS)

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests can be answered, and what is known about it. A store that is away only degrades it."""
        engine = self._engine
        reasons = [f"the graph store is away: {why}" for why in (self.health.reading, self.health.writing) if why]
        if engine is None:
            return False, {"status": "stopping" if self._stopping.is_set() else "loading", "reasons": reasons}
        try:
            self._spool.writable()
            backlog = self._spool.backlog()
        except StoreError as error:
            return False, {"status": "unavailable", "reasons": [error.message]}
        if backlog.lag > _LATE_SECONDS:
            reasons.append(f"the graph store is {backlog.lag:.0f} s behind the decisions")
        models = self._models.status()
        reasons += [f"the {r['role']} is not used: {r['reason']}" for r in models["refused"]]
        return True, {
            "status": "degraded" if reasons else "ready",
            "reasons": reasons,
            **models,
            "transactions": engine.index.transactions,
            "labels": engine.index.labels,
            "waiting": engine.waiting,
            "spool_backlog": backlog.waiting,
        }

    def spooled_decision(self, transaction_id: str) -> Decision | None:
        """The decision on a transaction, where the spool has it: at once, whatever the store does."""
        return self._spool.decisions([transaction_id]).get(transaction_id)

    def decision(self, transaction_id: str) -> Decision:
        """The decision on a transaction.

        Raises:
            NotFound: there is none.
            StoreUnavailable: it is not in the spool, and the store is away.
        """
        found = self.spooled_decision(transaction_id) or self.store.decisions([transaction_id]).get(transaction_id)
        if found is None:
            raise NotFound(f"there is no decision on transaction {transaction_id!r}")
        return found

    def features(self, decision: Decision) -> dict[str, float | None]:
        """The features a decision was made on, by name; None where a value is missing.

        Raises:
            NotFound: it was made by a model that is not at hand any more, or its features were not kept.
        """
        scorer, version = self.engine.scorer, decision.model_version
        values = np.frombuffer(decision.features, np.float32)
        names = scorer.feature_names
        if version != scorer.model_version:
            names = stated_features(self.settings.var / MODELS / version)
        if len(values) != len(names):
            raise NotFound(
                f"the features of this decision are not at hand: it was made by model {version}",
                hint=f"the service has model {scorer.model_version} loaded, and needs the bundle to name features",
            )
        # A float32 is exact as a float64, and JSON prints a float64 so that it reads back the same.
        return {name: float(value) if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}

    def keep_labels(self, labels: Sequence[NewLabel]) -> LabelCounts:
        """Writes labels; when it returns, the next score sees those that are loaded.

        While the store is away they are kept in the spool, durably.
        """
        if self._engine is None:
            raise NotReady(_NOT_READY, hint=_START_HINT)
        if self.health.up:
            try:
                counts = self._write_labels(labels)
                self._follower.follow_feed(patience=_CATCH_UP_SECONDS)
                return counts
            except StillBusy:
                pass  # they go in their turn; what of them was written already is a duplicate then
            except StoreUnavailable as error:
                self.health.wrote(error)
        self._spool.append_labels([SpooledLabel(x.transaction_id, x.is_fraud, x.known_at, x.source) for x in labels])
        self._drainer.wake()
        return LabelCounts(kept=len(labels))

    def _write_labels(self, labels: Sequence[NewLabel]) -> LabelCounts:
        self._drainer.drain(seconds=_CATCH_UP_SECONDS, patience=_CATCH_UP_SECONDS)
        untimed = [label.transaction_id for label in labels if not label.timed]
        known = self._ask(lambda store: store.labels_of(untimed)) if untimed else {}
        new = [label for label in labels if label.timed or not _says_nothing_new(label, known)]
        rows = label_table([(label.transaction_id, label.is_fraud, label.known_at, label.source) for label in new])
        outcomes = Counter(self._ask(lambda store: store.upsert_labels(rows)).tolist()) if new else Counter[int]()
        duplicates = outcomes[Outcome.DUPLICATE] + len(labels) - len(new)
        counts = LabelCounts(outcomes[Outcome.LOADED], duplicates, outcomes[Outcome.CONFLICT])
        for name in ("loaded", "duplicates", "conflicts"):
            self.meters.labels.labels(name).inc(getattr(counts, name))
        return counts

    def _ask(self, call: Callable[[Store], T]) -> T:
        return self._link.ask(call, patience=_CATCH_UP_SECONDS)

    def _drain_some(self) -> None:
        """Drains what a crash has left, as far as it is quickly done: what is left then goes on in the background."""
        try:
            left = self._drainer.drain(seconds=_CATCH_UP_SECONDS, patience=_CATCH_UP_SECONDS)
        except StoreUnavailable as error:
            log.debug("%s", error.message)  # whoever opens the index meets it again, and tells it
        else:
            if left:
                log.info("%d records that were left in the spool are in the graph store now", left)

    def _refresh_rings(self, engine: Engine) -> None:
        if self.health.reading is None:
            self._link.ask(engine.rings.refresh, patience=_REQUEST_SECONDS)

    def _open_spool(self, path: Path, *, durable: bool = True) -> Spool:
        spool = Spool(path, durable=durable)
        self._spools.append(spool)
        return spool

    def _poll(self) -> None:
        """Keeps the index current and the gauges fresh. The store is asked here, so that scoring never waits for it."""
        # The first one at once: until there is one, a restart needs the store.
        snapshot_at = time.monotonic() + (self.settings.snapshot_every if self._follower.on_disk else 0)
        measure_at = 0.0
        while not self._stopping.wait(_POLL_SECONDS):
            engine = self._engine
            if engine is None:
                return
            try:
                self._follower.follow_spool()
                if time.monotonic() >= snapshot_at:
                    if self._lease.take():
                        self._snapshot(engine)
                    snapshot_at = time.monotonic() + self.settings.snapshot_every
                self._follower.follow_feed()
                self._link.ask(engine.rings.refresh, patience=PATIENCE_SECONDS)
                self.health.read()
                self.meters.index_synced.set_to_current_time()
            except StillBusy:
                pass  # a label's thread is at it
            except QuipuError as error:
                self.health.read(error)
            except Exception:
                log.exception("catching up with the graph store failed; it will be tried again")
            if time.monotonic() >= measure_at:
                self._measure()
                measure_at = time.monotonic() + _MEASURE_SECONDS

    def _measure(self) -> None:
        engine, meters = self._engine, self.meters
        if engine is None:
            return
        meters.queue.set(engine.waiting)
        meters.index_transactions.set(engine.index.transactions)
        meters.index_bytes.set(engine.index.memory_bytes)
        meters.index_newest.set(engine.newest_at / 1e6)
        meters.store_up.set(self.health.up)
        try:
            backlog = self._spool.backlog()
            meters.backlog.set(backlog.waiting)
            meters.lag.set(backlog.lag)
            meters.refused.set(backlog.refused)
        except StoreError as error:
            log.warning("%s", error.message)

    def _snapshot(self, engine: Engine) -> None:
        try:
            write_snapshot(engine, self._follower, self._link, self._spool, self.settings.var / "index")
            self.meters.index_saved.set_to_current_time()
        except (OSError, StoreError) as error:
            log.warning("the index could not be written to disk, the next start rebuilds it: %s", error)


def _says_nothing_new(label: NewLabel, known: dict[str, list[tuple[int, bool, str]]]) -> bool:
    """Whether an untimed label repeats what its source said last, as a retry does."""
    said = [is_fraud for _, is_fraud, source in known.get(label.transaction_id, ()) if source == label.source]
    return bool(said) and said[-1] == label.is_fraud
