"""Moving what was spooled into the graph store, at once where it answers, later where it does not."""

import contextlib
import logging
import math
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from api.facts import label_table, schema_of_facts, table
from api.link import StillBusy, StoreHealth, StoreLink
from api.spool import Lease, Record, Spool, SpooledLabel
from graph.errors import InputError, QuipuError, StoreError
from graph.records import GraphSchema
from graph.store import Outcome, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

SPOOL = "spool.db"
DRAIN_LEASE = "spool.lease"
"""Names of files in the service's folder."""

_CHUNK = 4_096
_FEWEST = 128
"""A store that did not take a chunk is asked to take half as many: it may just have started, and be slow at first."""
_KEEP_SECONDS = 600.0
"""How long a drained record stays at least: for retries, and for a start while the store is away."""
_KEEP_AT_MOST = 86_400.0
"""How long it stays where no snapshot of the index has it."""
_PAUSE = 0.7
_BUSY_PAUSE = 3.0
_BUSY = 256
"""Seconds between two drains, and after one that moved so many records: rare enough that few requests meet one."""
_LONGEST_PAUSE = 2.0
_PATIENCE_SECONDS = 30.0
"""How long a write may take; another loader's batch may have to end first."""
_MARK_SECONDS = 1.0
"""The same for bringing to disk what was moved before a failure."""
_LONGEST_TURN = 600.0
_STOP_SECONDS = 10.0
_CHECKPOINT_SECONDS = 5.0
_CHECKPOINT_RECORDS = 8_192
"""The spool's log is moved into its file after so many records, or after so long: seldom, since writers wait for it."""
_CONTENT = (InputError, ValueError, TypeError, OverflowError)
"""What a store raises on a record's content; any other error is the store's own, and is tried again."""


class Drainer:
    """A thread that keeps the store at most seconds behind the spool, and less than one where little is to be moved.

    One process of a host does it (the one that holds the lease); any may `drain` when it needs the store current.
    Every step is idempotent, so whatever a crash left undone is done again.

    Args:
        spool: a connection of the drainer's own.
        health: learns whether the store takes writes.
        poll: seconds between looks at the spool where nobody wakes it.
    """

    def __init__(self, spool: Spool, link: StoreLink, lease: Lease, health: StoreHealth, *, poll: float = 1.0) -> None:
        self._spool = spool
        self._link = link
        self._lease = lease
        self._health = health
        self._poll = poll
        self._schema: GraphSchema | None = None
        self._compared = False
        self._chunk = _CHUNK
        self._patience = _PATIENCE_SECONDS
        self._one_at_a_time = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quipu-drain", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tells that there is something to drain; nothing where another process is the one that drains."""
        if self._lease.held or self._health.writing is not None:
            self._woken.set()

    def stop(self) -> None:
        """Drains what there is, if the store answers and takes it within seconds, and ends the thread."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        try:
            if self._health.writing is None:
                self.drain(seconds=_STOP_SECONDS, patience=_STOP_SECONDS)
        except StoreError as error:
            log.warning("records stay in the spool until the next start: %s", error.message)

    def drain(self, *, seconds: float = math.inf, patience: float = _PATIENCE_SECONDS) -> int:
        """Moves what is in the spool when it begins, in order; returns how many records and labels.

        The store waits for its disk once, at the end: each such wait holds up the decisions that are made meanwhile.
        Records are marked only then, so that what a power cut takes back is moved again.

        Args:
            seconds: begins nothing new after so long.
            patience: how long the store may take for one step.

        Raises:
            StillBusy: somebody else drains, and was not done in time.
            StoreUnavailable: the store (or the spool) is away; what was not moved stays.
        """
        moved, position = 0, 0
        until = time.monotonic() + seconds
        if not self._one_at_a_time.acquire(timeout=min(seconds, _LONGEST_TURN)):
            raise StillBusy("the graph store has not taken earlier records yet")
        try:
            self._patience = patience
            try:
                self._compare()
                # What comes meanwhile is for the next drain: to follow it is a commit of the store for each record.
                end = self._spool.last()
                while time.monotonic() < until and (records := self._spool.undrained(self._chunk, after=position)):
                    self._move(records)
                    position = records[-1].seq
                    self._chunk = min(2 * self._chunk, _CHUNK)
                    moved += len(records)
                    if position >= end:
                        break
                self._mark(position)
                while time.monotonic() < until and (labels := self._spool.undrained_labels(_CHUNK)):
                    self._move_labels(labels)
                    moved += len(labels)
                if moved:
                    self._remember()
            except QuipuError:
                self._chunk = max(self._chunk // 2, _FEWEST)
                self._patience = _MARK_SECONDS
                with contextlib.suppress(QuipuError):
                    self._mark(position)
                # It may be another state of the store that comes back.
                self._compared = False
                raise
        finally:
            self._one_at_a_time.release()
        self._health.wrote()
        return moved

    def _compare(self) -> None:
        """Where the store has fewer transactions than it had, moves all that is still in the spool again.

        A store that was restored from a backup, or lost its last seconds, gets back what it lost of the last minutes.
        """
        if self._compared:
            return
        mark = self._ask(lambda store: store.watermark())
        known = self._spool.value("store_transactions") if self._spool.value("store_name") == self._name else 0
        if mark.transaction < known:
            log.error(
                "the graph store has %d transactions, and had %d: it has lost some. What the spool still has is moved "
                "again; load what is older, and labels, again, and restart the service",
                mark.transaction,
                known,
            )
            self._spool.drain_again()
        self._remember()
        self._compared = True

    def _remember(self) -> None:
        count = self._ask(lambda store: store.watermark()).transaction
        self._spool.keep(store_transactions=count, store_name=self._name)

    @property
    def _name(self) -> int:
        return zlib.crc32(self._link.url.encode())

    def _ask(self, call: Callable[[Store], T]) -> T:
        return self._link.ask(call, patience=self._patience)

    def _mark(self, position: int) -> None:
        if position:
            self._ask(lambda store: store.settle())
            self._spool.drained(position)

    def _move_labels(self, labels: Sequence[SpooledLabel]) -> None:
        rows = [(x.transaction_id, x.is_fraud, x.known_at, x.source) for x in labels]
        self._tell(self._ask(lambda store: store.upsert_labels(label_table(rows))), "labels")
        self._spool.drained_labels(labels[-1].seq)

    def _move(self, records: Sequence[Record]) -> None:
        try:
            self._write(records)
        except _CONTENT:
            # One of them is at fault; the others must not wait for it.
            for record in records:
                try:
                    self._write([record])
                except _CONTENT as error:
                    log.error("the graph store refuses a record (spool position %d): %s", record.seq, error)
                    self._spool.refuse(record, str(error))

    def _write(self, records: Sequence[Record]) -> None:
        facts = [record.fact for record in records if record.fact]
        if facts:
            self._extend(schema_of_facts(facts))
            self._tell(self._ask(lambda store: store.upsert_transactions(table(facts), durable=False)), "transactions")
        decisions = [record.decision for record in records]
        self._tell(self._ask(lambda store: store.write_decisions(decisions, durable=False)), "decisions")

    def _extend(self, schema: GraphSchema) -> None:
        if self._schema is None or self._schema.merged(schema) != self._schema:
            self._schema = self._ask(lambda store: store.extend_schema(schema))

    @staticmethod
    def _tell(outcomes: NDArray[np.int8], what: str) -> None:
        conflicts = int(np.count_nonzero(outcomes == Outcome.CONFLICT))
        if conflicts:
            log.warning("%d %s are in the graph store with other content; what is there stays", conflicts, what)

    def _run(self) -> None:
        pause = _PAUSE
        moved_since, checkpoint_at = 0, 0.0
        while not self._stopping.is_set():
            self._woken.wait(self._poll)
            self._woken.clear()
            # Without the lease too, where a write of this process has failed: somebody must see it is over.
            if not self._lease.take() and self._health.writing is None:
                continue
            try:
                moved = self.drain(seconds=_CHECKPOINT_SECONDS)
                moved_since += moved
                if moved_since >= _CHECKPOINT_RECORDS or (moved_since and time.monotonic() >= checkpoint_at):
                    self._spool.checkpoint()
                    moved_since, checkpoint_at = 0, time.monotonic() + _CHECKPOINT_SECONDS
                if moved:
                    self._forget(moved)
                pause = _BUSY_PAUSE if moved >= _BUSY else _PAUSE
            except QuipuError as error:
                self._health.wrote(error)
                if time.monotonic() >= checkpoint_at:
                    # Decisions go on, so the log grows.
                    self._checkpoint_calmly()
                    moved_since, checkpoint_at = 0, time.monotonic() + _CHECKPOINT_SECONDS
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._woken.set()
            except Exception:
                log.exception("draining the spool failed; it will be tried again")
                pause = _LONGEST_PAUSE
                self._woken.set()
            self._stopping.wait(pause)

    def _forget(self, moved: int) -> None:
        """Forgets old records faster than new ones come in, so that the file stays small."""
        limit = 2 * moved + _CHUNK
        # What no snapshot of the index has yet is needed for a start while the store is away.
        self._spool.forget(older_than=_KEEP_SECONDS, limit=limit, up_to=self._spool.value("in_snapshot"))
        self._spool.forget(older_than=_KEEP_AT_MOST, limit=limit)

    def _checkpoint_calmly(self) -> None:
        try:
            self._spool.checkpoint()
        except StoreError as error:
            log.warning("%s", error.message)
