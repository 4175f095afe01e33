"""Moving what was spooled into the graph store, at once where it answers, later where it does not."""

import logging
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from api.facts import label_table, schema_of_facts, table
from api.spool import Lease, Record, Spool
from graph.errors import InputError, QuipuError, StoreError
from graph.records import GraphSchema
from graph.store import Outcome, Store

log = logging.getLogger(__name__)

SPOOL = "spool.db"
DRAIN_LEASE = "spool.lease"
"""Names of files in the service's folder."""

_CHUNK = 2_048
_KEEP_SECONDS = 600.0
_PAUSE = 0.7
"""Seconds between two drains: rare enough that few requests meet one at the disk."""
_LONGEST_PAUSE = 5.0
_CHECKPOINT_SECONDS = 5.0
_CHECKPOINT_RECORDS = 8_192
"""The spool's log is moved into its file after so many records, or after so long: seldom, since writers wait for it."""
_CONTENT = (InputError, ValueError, TypeError, OverflowError)
"""What a store raises on a record's content; any other error is the store's own, and is tried again."""


class StoreHealth:
    """Whether the graph store answers and takes writes, as last seen by whoever asked it.

    Attributes:
        reading, writing: why it does not, or None where it does.
    """

    def __init__(self) -> None:
        self.reading: str | None = None
        self.writing: str | None = None

    @property
    def up(self) -> bool:
        """It answers and takes writes."""
        return self.reading is None and self.writing is None

    def read(self, failure: QuipuError | None = None) -> None:
        """It was asked something, with or without success."""
        self._tell("does not answer", self.reading, failure)
        self.reading = failure.message if failure else None

    def wrote(self, failure: QuipuError | None = None) -> None:
        """Something was written to it, with or without success."""
        self._tell("takes no writes", self.writing, failure)
        self.writing = failure.message if failure else None

    @staticmethod
    def _tell(what: str, before: str | None, failure: QuipuError | None) -> None:
        if failure is not None and before is None:
            log.warning("the graph store %s, so what is new stays in the spool: %s", what, failure.message)
        elif failure is None and before is not None:
            log.warning("the graph store is back")


class Drainer:
    """A thread that keeps the store at most a fraction of a second behind the spool.

    One process of a host does it (the one that holds the lease); any may `drain` when it needs the store current.
    Every step is idempotent, so whatever a crash left undone is done again.

    Args:
        spool: a connection of the drainer's own.
        poll: seconds between looks at the spool where nobody wakes it.
    """

    def __init__(self, spool: Spool, store: Store, lease: Lease, health: StoreHealth, *, poll: float = 1.0) -> None:
        self._spool = spool
        self._store = store
        self._lease = lease
        self._health = health
        self._poll = poll
        self._schema = store.schema()
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
        """Drains what there is, if the store answers, and ends the thread."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self.drain()
        except StoreError as error:
            log.warning("records stay in the spool until the next start: %s", error.message)

    def drain(self) -> int:
        """Moves all that is in the spool now; returns how many records and labels.

        Raises:
            StoreUnavailable: the store (or the spool) is away; what was not moved stays.
        """
        moved = 0
        with self._one_at_a_time:
            while records := self._spool.undrained(_CHUNK):
                self._move(records)
                self._spool.drained(records[-1].seq)
                moved += len(records)
            while labels := self._spool.undrained_labels(_CHUNK):
                rows = [(x.transaction_id, x.is_fraud, x.known_at, x.source) for x in labels]
                self._store.upsert_labels(label_table(rows))
                self._spool.drained_labels(labels[-1].seq)
                moved += len(labels)
        self._health.wrote()
        return moved

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
            self._tell(self._store.upsert_transactions(table(facts)), "transactions")
        self._tell(self._store.write_decisions([record.decision for record in records]), "decisions")

    def _extend(self, schema: GraphSchema) -> None:
        if self._schema.merged(schema) != self._schema:
            self._schema = self._store.extend_schema(schema)

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
                moved = self.drain()
                moved_since += moved
                if moved_since >= _CHECKPOINT_RECORDS or (moved_since and time.monotonic() >= checkpoint_at):
                    self._spool.checkpoint()
                    moved_since, checkpoint_at = 0, time.monotonic() + _CHECKPOINT_SECONDS
                if moved:
                    # Faster than they come in, so that the file stays small.
                    self._spool.forget(older_than=_KEEP_SECONDS, limit=2 * moved + _CHUNK)
                pause = _PAUSE
            except QuipuError as error:
                self._health.wrote(error)
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._woken.set()
            except Exception:
                log.exception("draining the spool failed; it will be tried again")
                pause = _LONGEST_PAUSE
                self._woken.set()
            self._stopping.wait(pause)
