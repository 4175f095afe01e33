"""One SQLite file shared by threads and processes: connections, transactions, errors."""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from graph.errors import InputError, StoreError, StoreUnavailable
from graph.migrations import migrate

BUSY_SECONDS = 30.0
_POLL_MS = 8
"""SQLite's own waiting backs off to 100 ms between tries, which starves a small write beside a bulk
load; a short timeout in a loop tries every few milliseconds."""
_IN_SIZES = (1, 8, 64, 512, 4096)

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "is locked by another writer",
    sqlite3.SQLITE_LOCKED: "is locked by another writer",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written (disk error)",
}
_REFUSED = {
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check the path and its permissions"),
    sqlite3.SQLITE_PERM: ("cannot be opened", "check its permissions"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", "name another file; Quipu creates it"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "restore it from a backup, or load the data into a new store"),
}


def path_of(url: str) -> Path:
    """The file that `sqlite:///relative/path.db` or `sqlite:////absolute/path.db` names.

    Raises:
        InputError: the URL has another form.
    """
    prefix = "sqlite:///"
    name = url[len(prefix) :]
    if not url.startswith(prefix) or not name.strip("/") or ":memory:" in name or "\0" in name:
        raise InputError(
            f"{url!r} names no SQLite file", hint="use sqlite:///relative/path.db or sqlite:////absolute/path.db"
        )
    return Path(name)


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """The store error that says what an error of SQLite means to a user."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _UNAVAILABLE:
        return StoreUnavailable(f"the store {path} {_UNAVAILABLE[code]} ({error})", hint="try again in a moment")
    what, hint = _REFUSED.get(code, ("failed", None))
    return StoreError(f"the store {path} {what} ({error})", hint=hint)


class Database:
    """A SQLite file in WAL mode: one writer at a time beside any number of readers.

    Safe to share between threads; other processes may use the same file. A commit is on disk
    when it returns (`synchronous=FULL`), unless it asks not to wait for that.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, creating or migrating it.

        Raises:
            StoreError: it cannot be opened, is no store of Quipu, or belongs to a newer version.
        """
        self.path = path
        self._lock = threading.Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._absolute = path.resolve()
        except (OSError, RuntimeError) as error:
            raise StoreError(
                f"the folder of the store {path} cannot be created: {error}", hint="name another place"
            ) from error
        with self._errors():
            self._writer = self._connect("rwc")
            try:
                self._prepare()
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Closes all connections; later use raises `StoreError`. Closing twice is fine."""
        self._closed = True
        with self._lock, self._errors():
            self._writer.close()
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; everything read inside is of one moment."""
        with self._errors():
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
                self._give_back(connection)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """The connection for writing, in a transaction: committed at the end, rolled back on any error.

        Args:
            durable: whether the commit waits for the disk. Otherwise a power cut may take it back before `settle`.

        Raises:
            StoreUnavailable: another process has held the write lock for 30 seconds, or the disk failed.
        """
        with self._lock, self._errors():
            self._check_open()
            connection = self._writer
            # With NORMAL a commit writes to the log and does not wait; checkpoints do (sqlite.org/pragma.html).
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    def settle(self) -> None:
        """Brings to disk what was committed without waiting for it, by whichever process.

        Raises:
            StoreUnavailable: the disk failed.
        """
        log = Path(f"{self._absolute}-wal")
        try:
            # SQLite keeps its locks on its other two files, so that closing this one gives up none of them.
            with log.open("rb") as file:
                os.fdatasync(file.fileno())
        except FileNotFoundError:
            return  # all of it has been moved into the file itself, which waited
        except OSError as error:
            raise StoreUnavailable(
                f"the log of the store {self.path} could not be brought to disk: {error.strerror}",
                hint="check the disk's free space and health",
            ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except UnicodeEncodeError as error:
            raise InputError("an id or key is not valid Unicode text (lone surrogate)") from error
        except OverflowError as error:
            raise InputError(f"a number does not fit into 64 bits: {error}") from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._absolute.as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _prepare(self) -> None:
        writer = self._writer
        if writer.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._to_wal(writer)
        migrate(writer, f"the store {self.path}")
        writer.execute("PRAGMA cache_size = -65536")
        writer.execute("PRAGMA wal_autocheckpoint = 32768")
        writer.execute(f"PRAGMA busy_timeout = {_POLL_MS}")

    def _to_wal(self, connection: sqlite3.Connection) -> None:
        """The switch does not wait for others that are switching or migrating at the same time."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_MS / 1000)
        if mode != "wal":
            raise StoreError(
                f"the store {self.path} cannot have a write-ahead log (its journal mode stays {mode!r})",
                hint="put it on a local disk, not on a network file system",
            )

    def _begin(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise

    def _borrow(self) -> sqlite3.Connection:
        self._check_open()
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._connect("rw")
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cache_size = -16384")
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:  # closed while this one was out
            with suppress(IndexError):
                self._idle.pop().close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self.path} has been closed")


def select_in(
    connection: sqlite3.Connection, sql: str, keys: Sequence[str] | Sequence[int], *first: Any
) -> Iterator[tuple[Any, ...]]:
    """Rows of a query whose `IN (...)` stands for any number of keys.

    Args:
        sql: with `{}` inside the parentheses of IN.
        keys: may be empty or have repeats.
        first: parameters before the keys.
    """
    at = 0
    while at < len(keys):
        left = len(keys) - at
        # A few fixed sizes, filled with NULL (which matches nothing), keep the prepared statements few.
        size = next((s for s in _IN_SIZES if s >= left), _IN_SIZES[-1])
        part = list(keys[at : at + size])
        at += size
        yield from connection.execute(sql.format(",".join("?" * size)), [*first, *part, *([None] * (size - len(part)))])
