"""Migrations of the embedded store, with a ledger of what has been applied.

Each migration runs in a transaction of its own together with its line in the ledger, so the
ledger is true after any failure, and running again continues where it stopped. Migrations
are append-only: one that has been released is never edited (its checksum would tell).
"""

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from graph.errors import StoreError, StoreUnavailable
from graph.records import USER


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a store's structure.

    Attributes:
        id: from 1, without gaps.
        name: what it does, in a few words.
        statements: run in order, in one transaction.
    """

    id: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements, in hexadecimal."""
        return hashlib.sha256("\0".join(self.statements).encode()).hexdigest()


LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL, checksum TEXT NOT NULL
)"""

MIGRATIONS = (
    Migration(
        1,
        "facts, entities, labels and decisions",
        (
            # The schema, in order of addition. A keyed column's id is the `kind` of its entities.
            """CREATE TABLE columns (
                id INTEGER PRIMARY KEY,
                role TEXT NOT NULL CHECK (role IN ('entity', 'category', 'numeric')),
                name TEXT NOT NULL,
                UNIQUE (role, name)
            )""",
            f"INSERT INTO columns (id, role, name) VALUES (0, 'entity', '{USER}')",
            """CREATE TABLE entities (
                id INTEGER PRIMARY KEY,
                kind INTEGER NOT NULL REFERENCES columns (id),
                key TEXT NOT NULL,
                attributes TEXT,
                UNIQUE (kind, key)
            )""",
            # ids: int32 entity ids of the keyed columns in order of addition, -1 where missing;
            # numbers: float64 likewise. Columns added after the row was written are not in it.
            """CREATE TABLE transactions (
                seq INTEGER PRIMARY KEY,
                transaction_id TEXT NOT NULL UNIQUE,
                occurred_at INTEGER NOT NULL,
                arrived_at INTEGER NOT NULL,
                amount INTEGER NOT NULL,
                currency TEXT,
                ids BLOB NOT NULL,
                numbers BLOB NOT NULL
            )""",
            # Entity to transactions, by event time, so that the latest are at the end.
            """CREATE TABLE links (
                entity INTEGER NOT NULL, occurred_at INTEGER NOT NULL, seq INTEGER NOT NULL,
                PRIMARY KEY (entity, occurred_at, seq)
            ) WITHOUT ROWID""",
            # Sums over all of an entity's transactions: what a hub is, without walking its links.
            """CREATE TABLE totals (
                entity INTEGER PRIMARY KEY,
                transactions INTEGER NOT NULL,
                amount INTEGER NOT NULL,
                first_at INTEGER NOT NULL,
                last_at INTEGER NOT NULL,
                fraud_known INTEGER NOT NULL
            )""",
            # transaction_seq is empty while the transaction is not known.
            """CREATE TABLE labels (
                seq INTEGER PRIMARY KEY,
                transaction_id TEXT NOT NULL,
                transaction_seq INTEGER,
                known_at INTEGER NOT NULL,
                is_fraud INTEGER NOT NULL,
                source TEXT NOT NULL,
                UNIQUE (transaction_id, known_at, source)
            )""",
            "CREATE INDEX labels_waiting ON labels (transaction_id) WHERE transaction_seq IS NULL",
            # Transactions whose last known label says fraud.
            "CREATE TABLE frauds (seq INTEGER PRIMARY KEY)",
            """CREATE TABLE decisions (
                transaction_id TEXT NOT NULL PRIMARY KEY,
                digest BLOB NOT NULL,
                decided_at INTEGER NOT NULL,
                probability REAL NOT NULL,
                band TEXT NOT NULL,
                model_version TEXT NOT NULL,
                response BLOB NOT NULL,
                features BLOB NOT NULL
            )""",
        ),
    ),
    Migration(
        2,
        "rings",
        (
            "CREATE TABLE refreshes (at INTEGER PRIMARY KEY)",
            # content: the whole ring as JSON; the columns beside it are what queries ask for, and what
            # may change without a refresh.
            """CREATE TABLE rings (
                ring_id TEXT NOT NULL PRIMARY KEY,
                status TEXT NOT NULL,
                score REAL NOT NULL,
                active INTEGER NOT NULL,
                became TEXT NOT NULL,
                content BLOB NOT NULL
            )""",
            "CREATE INDEX rings_by_score ON rings (active, score)",
            """CREATE TABLE ring_events (
                seq INTEGER PRIMARY KEY,
                ring_id TEXT NOT NULL,
                at INTEGER NOT NULL,
                kind TEXT NOT NULL,
                details TEXT NOT NULL
            )""",
            "CREATE INDEX ring_events_of ON ring_events (ring_id, seq)",
            """CREATE TABLE ring_members (
                seq INTEGER PRIMARY KEY,
                at INTEGER NOT NULL,
                ring_id TEXT NOT NULL,
                entity TEXT NOT NULL,
                key TEXT NOT NULL,
                joined INTEGER NOT NULL
            )""",
        ),
    ),
    Migration(
        3,
        "what was said of rings, when",
        (
            """CREATE TABLE ring_marks (
                seq INTEGER PRIMARY KEY,
                at INTEGER NOT NULL,
                ring_id TEXT NOT NULL,
                score REAL,
                members INTEGER,
                status TEXT
            )""",
            # Of earlier refreshes' scores only the latest was kept; members and verdicts were kept in full.
            """INSERT INTO ring_marks (at, ring_id, score, members, status)
                SELECT * FROM (
                    SELECT json_extract(CAST(content AS TEXT), '$.refreshed_at') AS at, ring_id, score,
                        json_array_length(CAST(content AS TEXT), '$.members'), NULL
                    FROM rings
                    UNION ALL
                    SELECT at, ring_id, NULL, NULL, json_extract(details, '$.verdict')
                    FROM ring_events WHERE kind = 'verdict'
                ) ORDER BY at""",
        ),
    ),
    Migration(
        4,
        "embeddings",
        (
            # The refresh that all embeddings are of, in one row.
            """CREATE TABLE embedding_refresh (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                at INTEGER NOT NULL,
                model TEXT NOT NULL,
                dimension INTEGER NOT NULL
            )""",
            # Blocks of entities of one kind: int32 ids, ascending (`first` is the first of them), and
            # their float32 vectors in that order.
            """CREATE TABLE embeddings (
                kind INTEGER NOT NULL,
                first INTEGER NOT NULL,
                entities BLOB NOT NULL,
                vectors BLOB NOT NULL,
                PRIMARY KEY (kind, first)
            )""",
        ),
    ),
)


def pending(known: Sequence[Migration], applied: dict[int, str], where: str) -> list[Migration]:
    """The migrations that are still to be applied, in order.

    Args:
        known: this version's migrations.
        applied: checksum by id, from the ledger.
        where: the store, for messages.

    Raises:
        StoreError: the store was migrated by a newer version, or by other statements under the same id.
    """
    newest = known[-1].id if known else 0
    beyond = sorted(id_ for id_ in applied if id_ > newest)
    if beyond:
        raise StoreError(
            f"{where} was written by a newer version of Quipu (migration {beyond[-1]}; this version knows {newest})",
            hint="upgrade Quipu, or name another store",
        )
    for migration in known:
        if applied.get(migration.id, migration.checksum) != migration.checksum:
            raise StoreError(
                f"{where}: migration {migration.id} ({migration.name}) was applied with other statements",
                hint="the store was written by a modified version of Quipu; load the data into a new one",
            )
    return [migration for migration in known if migration.id not in applied]


def migrate(connection: sqlite3.Connection, where: str, migrations: Sequence[Migration] = MIGRATIONS) -> list[int]:
    """Brings a database up to date; returns the ids applied now. Safe when several processes do it at once.

    Args:
        connection: in autocommit mode (`isolation_level=None`).
        where: the database, for messages.
        migrations: in order of their ids.

    Raises:
        StoreError: the database belongs to something else or to a newer version, or a migration
            failed (then nothing of it stays).
    """
    done: list[int] = []
    while pending(migrations, _applied(connection, where), where):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster: the ledger that counts is the one under the lock.
            todo = pending(migrations, _applied(connection, where), where)
            if todo:
                _apply(connection, todo[0], where)
                done.append(todo[0].id)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return done


def _applied(connection: sqlite3.Connection, where: str) -> dict[int, str]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "migrations" in tables:
        return dict(connection.execute("SELECT id, checksum FROM migrations"))
    if tables:
        raise StoreError(
            f"{where} is a SQLite database, but not a store of Quipu (it has the table {min(tables)!r})",
            hint="name another file; Quipu creates it",
        )
    return {}


def _apply(connection: sqlite3.Connection, migration: Migration, where: str) -> None:
    connection.execute(LEDGER)
    try:
        for statement in migration.statements:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # the disk or a lock, not the statement
            raise StoreUnavailable(f"{where}: migration {migration.id} could not be written: {error}") from error
        raise StoreError(
            f"{where}: migration {migration.id} ({migration.name}) failed and was rolled back: {error}",
            hint="the store is as it was before; report this",
        ) from error
    connection.execute(
        "INSERT INTO migrations VALUES (?, ?, ?, ?)",
        (migration.id, migration.name, time.time_ns() // 1000, migration.checksum),
    )
