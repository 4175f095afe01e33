"""The ledger's file: opening it, bringing it up to date, and writing to it atomically."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.errors import StoreError
from graph.sqlite_database import translated

_STEPS = (
    (
        """CREATE TABLE quarantine (
            id TEXT PRIMARY KEY, mapping TEXT NOT NULL, kind TEXT NOT NULL, file TEXT NOT NULL, row INTEGER NOT NULL,
            reason TEXT NOT NULL, "column" TEXT NOT NULL, value TEXT NOT NULL, raw TEXT NOT NULL,
            first_seen REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX quarantine_by_reason ON quarantine (reason)",
        """CREATE TABLE loads (
            id INTEGER PRIMARY KEY, mapping TEXT NOT NULL, started_at REAL NOT NULL, finished_at REAL,
            outcome TEXT NOT NULL, report TEXT
        )""",
    ),
    (
        # How far a query has been loaded, and how far the store's feed had come by then (etl.watermarks).
        """CREATE TABLE watermarks (
            mapping TEXT NOT NULL, kind TEXT NOT NULL, query TEXT NOT NULL, value TEXT NOT NULL,
            transactions INTEGER NOT NULL, labels INTEGER NOT NULL, updated_at REAL NOT NULL,
            PRIMARY KEY (mapping, kind)
        ) WITHOUT ROWID""",
        # The latest moment that a mapping's rows named, and transactions whose silence says nothing yet
        # (etl.inference). Microseconds UTC.
        "CREATE TABLE newest (mapping TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE ripening (
            mapping TEXT NOT NULL, occurred_at INTEGER NOT NULL, transaction_id TEXT NOT NULL,
            PRIMARY KEY (mapping, occurred_at, transaction_id)
        ) WITHOUT ROWID""",
        # Amounts far from their group's, in hundredths; what the groups' amounts are; and how far the store's feed
        # has been judged (etl.outliers).
        """CREATE TABLE outliers (
            transaction_id TEXT PRIMARY KEY, mapping TEXT NOT NULL, amount INTEGER NOT NULL, "group" TEXT NOT NULL,
            median INTEGER NOT NULL, z REAL NOT NULL, iqr REAL NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE outlier_groups (
            "by" TEXT NOT NULL, ids BLOB NOT NULL, bins BLOB NOT NULL, counts BLOB NOT NULL, PRIMARY KEY ("by", ids)
        ) WITHOUT ROWID""",
        'CREATE TABLE outlier_positions ("by" TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID',
    ),
)
"""Statements by version, from 1. Append-only: what has been released is never edited."""

VERSION = len(_STEPS)


class LedgerFile:
    """A SQLite file that its owner alone can read; it is brought up to this version when opened.

    Raises:
        StoreError: the file cannot be opened, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                self.connection.execute("PRAGMA journal_mode=WAL")
                self._migrate()
            except BaseException:
                self.connection.close()
                raise

    def _migrate(self) -> None:
        with self.writing():
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreError(f"{self.path} was written by a newer version of Quipu", hint="upgrade Quipu")
            for statements in _STEPS[version:]:
                for statement in statements:
                    self.connection.execute(statement)
            if version < VERSION:
                self.connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Tells errors of SQLite and of the file system as `StoreError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk at the end, or undone on any error."""
        with self.errors():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for single queries."""
        with self.errors():
            yield self.connection

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()
