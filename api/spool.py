"""The spool: a local SQLite file that makes a decision durable before it is acknowledged.

All workers of a host share it. A decision is on disk when `append` returns (one commit a batch),
whatever the graph store does; the drainer moves it on. Records keep the order of their commits.
"""

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Self

import msgspec

from api.private_file import make_private
from graph.errors import StoreError, StoreUnavailable
from graph.records import Decision

_LAYOUT = """
CREATE TABLE IF NOT EXISTS records(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    decided_at INTEGER NOT NULL,
    probability REAL NOT NULL,
    band TEXT NOT NULL,
    model_version TEXT NOT NULL,
    response BLOB NOT NULL,
    features BLOB NOT NULL,
    fact BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS labels(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL,
    is_fraud INTEGER NOT NULL,
    known_at INTEGER NOT NULL,
    source TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS refused(seq INTEGER PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO state VALUES ('drained', 0);
INSERT OR IGNORE INTO state VALUES ('identity', random());
"""
_DECISION = "transaction_id, digest, decided_at, probability, band, model_version, response, features"
_INSERT = f"INSERT INTO records({_DECISION}, fact) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT(transaction_id) DO NOTHING"
_LARGE_WAL = 256 * 2**20
_USUAL_WAL = 128 * 2**20
"""What some thousand decisions between two checkpoints take, each in a commit of its own."""
_ZEROS = 2**20
_CHECKPOINT_TRIES = 8
_FEW_PAGES = 64
_FORGOTTEN_AT_ONCE = 64
_COUNTED = 1_000
_REMEMBERED = 16_384
"""Commits whose positions are kept for who follows the spool; what is forgotten is read like that of others."""


class Record(msgspec.Struct, frozen=True):
    """A decision with the transaction it was made on.

    Attributes:
        fact: the transaction as `api.facts` encodes it; empty where the graph store had it before.
        seq: position in the spool; 0 before it is appended.
    """

    decision: Decision
    fact: bytes
    seq: int = 0


@dataclass(frozen=True, slots=True)
class SpooledLabel:
    """A label that waits for the graph store; times as in `graph.records`."""

    transaction_id: str
    is_fraud: bool
    known_at: int
    source: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the graph store is behind.

    Attributes:
        waiting: records and labels that are not in it yet.
        lag: age of the oldest such record, seconds.
        refused: records that it would not take.
    """

    waiting: int
    lag: float
    refused: int


class Spool:
    """One connection to the spool file; open one for each thread that is busy with it. Methods exclude each other.

    Writers take turns by a lock file rather than by SQLite's own busy wait, which sleeps a millisecond at least.

    Args:
        path: the file; made where it is missing.
        durable: whether a commit waits for the disk. The drainer's marks need not: lost, they are made again.

    Attributes:
        appended: positions of what this connection has appended, a range a commit, the latest ones; whoever follows
            the spool may take them out.

    Raises:
        StoreError: the file is not a spool or cannot be opened.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self.appended: deque[range] = deque(maxlen=_REMEMBERED)
        self._mutex = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._turn = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            make_private(path)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            # The drainer makes the checkpoints, so that no request waits for one.
            self._db.execute("PRAGMA wal_autocheckpoint=0")
            with self._lock_file():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.executescript(_LAYOUT)
        except sqlite3.Error as error:
            os.close(self._turn)
            raise _unusable(path, error) from error

    def close(self) -> None:
        """Closes the connection; what was committed stays."""
        with self._mutex:
            self._db.close()
            os.close(self._turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, records: Sequence[Record]) -> dict[str, Decision]:
        """Keeps records durably, in order, in one commit.

        Returns:
            For every transaction that was decided before (by another worker): that decision, which stands.

        Raises:
            StoreUnavailable: nothing was kept (a full disk, for instance).
        """
        if not records:
            return {}
        rows = [
            (
                d.transaction_id,
                d.digest,
                d.decided_at,
                d.probability,
                d.band,
                d.model_version,
                d.response,
                d.features,
                r.fact,
            )
            for r in records
            for d in (r.decision,)
        ]
        with self._transaction() as db:
            written = db.executemany(_INSERT, rows).rowcount
            last = int(db.execute("SELECT last_insert_rowid()").fetchone()[0])
        if written == len(rows):
            self.appended.append(range(last - written + 1, last + 1))
            return {}
        standing = self.decisions([r.decision.transaction_id for r in records])
        mine = {r.decision.transaction_id: r.decision for r in records}
        return {
            i: d for i, d in standing.items() if (d.decided_at, d.response) != (mine[i].decided_at, mine[i].response)
        }

    def decisions(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """The decisions on these transactions that are in the spool."""
        found: dict[str, Decision] = {}
        with self._reading() as db:
            for start in range(0, len(transaction_ids), 500):
                part = transaction_ids[start : start + 500]
                marks = ",".join("?" * len(part))
                query = f"SELECT {_DECISION} FROM records WHERE transaction_id IN ({marks})"
                for row in db.execute(query, part):
                    found[row[0]] = Decision(*row)
        return found

    def value(self, name: str) -> int:
        """A number that was kept under this name, 0 where there is none; `identity` differs from spool to spool."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def keep(self, **values: int) -> None:
        """Keeps numbers under these names."""
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO state VALUES (?,?)", list(values.items()))

    def last(self) -> int:
        """Position of the newest record; 0 where there is none."""
        with self._reading() as db:
            return int(db.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()[0])

    def after(self, seq: int, limit: int) -> list[tuple[int, str]]:
        """Position and transaction id of the records after this position, in order."""
        query = "SELECT seq, transaction_id FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._reading() as db:
            return [(int(at), str(name)) for at, name in db.execute(query, (seq, limit))]

    def facts(self, positions: Sequence[int]) -> list[bytes]:
        """The facts at these positions (at most 500), in the spool's order; without those that are empty or gone."""
        marks = ",".join("?" * len(positions))
        query = f"SELECT fact FROM records WHERE seq IN ({marks}) AND length(fact) > 0 ORDER BY seq"
        with self._reading() as db:
            return [bytes(row[0]) for row in db.execute(query, list(positions))]

    def append_labels(self, labels: Sequence[SpooledLabel]) -> None:
        """Keeps labels durably until the graph store takes them.

        Raises:
            StoreUnavailable: nothing was kept.
        """
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO labels(transaction_id, is_fraud, known_at, source) VALUES (?,?,?,?)",
                [(label.transaction_id, label.is_fraud, label.known_at, label.source) for label in labels],
            )

    def undrained(self, limit: int, *, after: int = 0) -> list[Record]:
        """The oldest records, of those after this position, that wait for the graph store."""
        query = (
            f"SELECT {_DECISION}, fact, seq FROM records"
            " WHERE seq > (SELECT max(value, ?) FROM state WHERE name = 'drained')"
            " AND seq NOT IN (SELECT seq FROM refused) ORDER BY seq LIMIT ?"
        )
        with self._reading() as db:
            return [Record(Decision(*row[:8]), row[8], row[9]) for row in db.execute(query, (after, limit))]

    def drained(self, seq: int) -> None:
        """Marks the records up to `seq` as being in the graph store, for good."""
        with self._transaction() as db:
            db.execute("UPDATE state SET value = max(value, ?) WHERE name = 'drained'", (seq,))

    def refuse(self, record: Record, reason: str) -> None:
        """Sets a record aside that the graph store will not take; it stays in the file for a person to look at."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO refused VALUES (?,?)", (record.seq, reason))

    def undrained_labels(self, limit: int) -> list[SpooledLabel]:
        """The oldest labels that wait."""
        query = "SELECT transaction_id, is_fraud, known_at, source, seq FROM labels ORDER BY seq LIMIT ?"
        with self._reading() as db:
            return [SpooledLabel(i, bool(f), k, s, seq) for i, f, k, s, seq in db.execute(query, (limit,))]

    def drained_labels(self, seq: int) -> None:
        """Forgets the labels up to `seq`, which are in the graph store."""
        with self._transaction() as db:
            db.execute("DELETE FROM labels WHERE seq <= ?", (seq,))

    def drain_again(self) -> None:
        """Makes all records that are still here wait for the graph store again."""
        with self._transaction() as db:
            db.execute("UPDATE state SET value = 0 WHERE name = 'drained'")

    def forget(self, *, older_than: float, limit: int, up_to: int = 2**63 - 1) -> int:
        """Deletes up to `limit` drained records older than so many seconds, at most up to this position.

        Returns how many. A few at a time, so that nobody who has a decision to keep waits for long. The oldest
        positions are looked at, up to the first record that is young: the file may hold millions.
        """
        before = int((time.time() - older_than) * 1e6)
        query = (
            "SELECT seq, decided_at FROM records WHERE seq <= (SELECT min(value, ?) FROM state WHERE name = 'drained')"
            " AND seq NOT IN (SELECT seq FROM refused) ORDER BY seq LIMIT ?"
        )
        with self._reading() as db, contextlib.closing(db.execute(query, (up_to, limit))) as rows:
            old = [(seq,) for seq, _ in takewhile(lambda row: row[1] < before, rows)]
        for first in range(0, len(old), _FORGOTTEN_AT_ONCE):
            with self._transaction() as db:
                db.executemany("DELETE FROM records WHERE seq = ?", old[first : first + _FORGOTTEN_AT_ONCE])
        return len(old)

    def backlog(self) -> Backlog:
        """What waits for the graph store.

        A long backlog is told by its positions: to count it would be to read it.
        """
        first = "SELECT seq, decided_at FROM records WHERE seq > ? ORDER BY seq LIMIT 1"
        others = "SELECT (SELECT max(seq) FROM records), (SELECT count(*) FROM labels), (SELECT count(*) FROM refused)"
        drained = self.value("drained")
        with self._reading() as db:
            oldest = db.execute(first, (drained,)).fetchone()
            newest, labels, refused = db.execute(others).fetchone()
            if oldest is None:
                return Backlog(labels, 0.0, refused)
            records = newest - oldest[0] + 1
            if records <= _COUNTED:
                count = "SELECT count(*) FROM records WHERE seq > ?"
                records = db.execute(count, (drained,)).fetchone()[0]
        return Backlog(records + labels, max(time.time() - oldest[1] / 1e6, 0.0), refused)

    def checkpoint(self) -> None:
        """Moves the write-ahead log into the file, so that the log begins again at its start.

        The log keeps its size, unless it has become very large: a commit that overwrites a part of a file waits for
        its own bytes only, where one that makes the file grow waits for the file system's journal too, and so for
        whatever other programs are writing. Writers are held up for the last few pages only.
        """
        with self._mutex:
            try:
                before = 0
                for _ in range(_CHECKPOINT_TRIES):
                    # Each pass finds what was written during the one before it, which took less and less time.
                    _, logged, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    if logged - before < _FEW_PAGES:
                        break
                    before = moved
                log = self.path.with_name(self.path.name + "-wal")
                how = "TRUNCATE" if log.exists() and log.stat().st_size > _LARGE_WAL else "RESTART"
                with self._lock_file():
                    self._db.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
            except sqlite3.Error as error:
                raise _away(self.path, error) from error

    def reserve(self, size: int = _USUAL_WAL) -> None:
        """Makes the log this large (bytes) with zeros behind its end, so that commits overwrite from the start.

        A matter of speed alone: SQLite takes no zeros for a part of the log, and on a full disk nothing is reserved.
        """
        log = self.path.with_name(self.path.name + "-wal")
        with self._mutex, contextlib.suppress(OSError), log.open("r+b", buffering=0) as file:
            while (end := os.fstat(file.fileno()).st_size) < size:
                with self._lock_file():
                    end = os.fstat(file.fileno()).st_size
                    try:
                        os.pwrite(file.fileno(), bytes(min(_ZEROS, max(size - end, 0))), end)
                    except OSError:
                        file.truncate(end)
                        raise
            os.fsync(file.fileno())

    def writable(self) -> None:
        """Tries a write.

        Raises:
            StoreUnavailable: it failed.
        """
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO state VALUES ('probed', ?)", (int(time.time()),))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise _away(self.path, error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, self._lock_file():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise _away(self.path, error) from error

    @contextlib.contextmanager
    def _lock_file(self) -> Iterator[None]:
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)


class Lease:
    """What only one process of a host does at a time; the kernel gives it back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.held = False

    def take(self) -> bool:
        """Whether this process holds it (now)."""
        if not self.held:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.held = True
            except BlockingIOError:
                pass
        return self.held

    def close(self) -> None:
        """Gives it back."""
        os.close(self._file)
        self.held = False


def _unusable(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the spool {path} cannot be used: {error}",
        hint="check the folder's permissions and free space; a file that is not a spool can be moved away",
    )


def _away(path: Path, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"the spool {path} could not be read or written: {error}", hint="check the disk's free space and health"
    )
