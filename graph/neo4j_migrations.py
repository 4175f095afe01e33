"""Constraints and indexes of the Neo4j store, by migrations with a ledger in the database.

A change of constraints cannot share a transaction with a line in the ledger, so every statement
can be repeated (`IF NOT EXISTS`): a migration that was cut off is run again as a whole.
Migrations are append-only: one that has been released is never edited (its checksum would tell).
"""

import time
from collections.abc import Sequence

from graph.errors import StoreError
from graph.migrations import Migration
from graph.neo4j_database import Database
from graph.neo4j_embeddings import index_imported
from graph.neo4j_names import (
    CATEGORY,
    DECISION,
    FRAUD,
    FRAUD_LABEL,
    HUB_TRANSACTION,
    LEDGER,
    OWN,
    REFRESH,
    RING,
    RING_CHANGE,
    RING_EVENT,
    RING_MARK,
    STORE,
    TRANSACTION,
    quoted,
)
from graph.neo4j_state import CREATE, Columns
from graph.records import KNOWN_TYPES, USER, EntityType

_LEDGER = f"CREATE CONSTRAINT quipu_migration_id IF NOT EXISTS FOR (n:{LEDGER}) REQUIRE n.id IS UNIQUE"
_AWAIT = "CALL db.awaitIndexes(600)"


def structure_of(kind: EntityType) -> tuple[str, ...]:
    """The statements that make the constraints of an entity type's nodes."""
    label = quoted(kind.label)
    return (
        f"CREATE CONSTRAINT {quoted(f'quipu_{kind.label}_id')} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE",
        f"CREATE CONSTRAINT {quoted(f'quipu_{kind.label}_number')} IF NOT EXISTS"
        f" FOR (n:{label}) REQUIRE n.number IS UNIQUE",
    )


def _unique(label: str, *properties: str) -> str:
    name = "_".join(("quipu", label, *properties))
    keys = ", ".join(f"n.{p}" for p in properties)
    return f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE ({keys}) IS UNIQUE"


def _index(label: str, *properties: str) -> str:
    name = "_".join(("quipu", label, *properties))
    keys = ", ".join(f"n.{p}" for p in properties)
    return f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON ({keys})"


MIGRATIONS = (
    Migration(
        1,
        "facts, entities, labels and decisions",
        (
            _unique(STORE, "name"),
            _unique(TRANSACTION, "id"),
            _unique(TRANSACTION, "seq"),
            _index(TRANSACTION, "occurred_at"),
            _unique(FRAUD_LABEL, "seq"),
            _index(FRAUD_LABEL, "transaction_id"),
            _unique(DECISION, "id"),
            _unique(CATEGORY, "name", "id"),
            _unique(CATEGORY, "number"),
            *structure_of(KNOWN_TYPES[USER]),
        ),
    ),
    Migration(
        2,
        "rings",
        (
            _unique(RING, "id"),
            _index(RING, "active", "score"),
            _unique(REFRESH, "at"),
            _unique(RING_EVENT, "seq"),
            _index(RING_EVENT, "ring_id"),
            _unique(RING_CHANGE, "seq"),
            _unique(RING_MARK, "seq"),
        ),
    ),
    Migration(3, "the latest transactions of hubs", (_index(HUB_TRANSACTION, "hub", "at", "seq"),)),
    Migration(
        4,
        "transactions known as fraud are labelled",
        (f"MATCH (t:{TRANSACTION}) WHERE t.is_fraud AND NOT t:{FRAUD} SET t:{FRAUD}",),
    ),
)


def migrate(database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Applies what the ledger lacks, and makes the store's own node where there is none.

    Raises:
        StoreError: the database holds nodes of somebody else under Quipu's labels, was written by a newer
            Quipu, or its ledger tells of other migrations.
    """
    if not _has_ledger(database):
        if not _imported(database):
            _refuse_strangers(database)
        database.define(_LEDGER)
        database.run(_AWAIT)
    applied = {row[0]: row[1] for row in database.run(f"MATCH (m:{LEDGER}) RETURN m.id, m.checksum")}
    if newer := applied.keys() - {migration.id for migration in migrations}:
        raise StoreError(
            f"the store {database.shown} was written by a newer Quipu (migration {max(newer)})", hint="upgrade Quipu"
        )
    for migration in migrations:
        if applied.get(migration.id, migration.checksum) != migration.checksum:
            raise StoreError(
                f"migration {migration.id} of the store {database.shown} is another than this Quipu's",
                hint="use the version of Quipu that wrote it, or load the data into a new store",
            )
    lacking = [migration for migration in migrations if migration.id not in applied]
    imported = _imported(database)
    types = Columns.of(tuple(imported)).types if imported else ()
    if lacking or types:
        _build(database, [s for m in lacking for s in m.statements] + [s for kind in types for s in structure_of(kind)])
    for migration in lacking:
        database.run(
            f"MERGE (m:{LEDGER} {{id: $id}})"
            " ON CREATE SET m.name = $name, m.checksum = $checksum, m.applied_at = datetime({epochSeconds: $at})",
            id=migration.id, name=migration.name, checksum=migration.checksum, at=int(time.time()),
        )  # fmt: skip
    database.run(CREATE)
    if imported:
        index_imported(database, types)
        database.run(f"MATCH (s:{STORE} {{name: 'store'}}) REMOVE s.imported")


def _build(database: Database, statements: Sequence[str]) -> None:
    """Executes statements, and waits until all indexes are there.

    The server fills plain indexes by itself while it makes the constraints, each of which is waited for.
    """
    for statement in sorted(dict.fromkeys(statements), key=lambda text: not text.startswith("CREATE INDEX")):
        database.define(statement)
    database.run(_AWAIT)


def add_types(database: Database, kinds: Sequence[EntityType]) -> None:
    """Makes the constraints of entity types, and waits until they hold."""
    if kinds:
        _build(database, [statement for kind in kinds for statement in structure_of(kind)])


def _has_ledger(database: Database) -> bool:
    return bool(database.run("SHOW CONSTRAINTS YIELD name WHERE name = 'quipu_migration_id' RETURN name"))


def _imported(database: Database) -> list[str]:
    """The columns of a store that the import tool has written and nobody has opened yet; else none."""
    found = database.run(f"MATCH (s:{STORE} {{name: 'store'}}) WHERE s.imported RETURN s.columns")
    return list(found[0][0]) if found else []


def _refuse_strangers(database: Database) -> None:
    labels = [*OWN, KNOWN_TYPES[USER].label]
    found = database.run(
        "MATCH (n) WHERE any(l IN labels(n) WHERE l IN $labels) RETURN labels(n)[0] LIMIT 1", labels=labels
    )
    if found and not _has_ledger(database):  # another process may have made the store just now
        raise StoreError(
            f"the database {database.shown} holds nodes (:{found[0][0]}) that are not Quipu's",
            hint="give Quipu a database of its own",
        )
