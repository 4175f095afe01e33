"""How far the queries of a mapping have been loaded, so that the next load reads on from there.

A watermark lies in the ledger. It is moved on after a batch and all that belongs to it are on disk, never before: a
load that was killed reads its last batch again, which changes nothing.
"""

import hashlib
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from etl.ledger.quarantine import Ledger
from etl.mapping import Mapping, SqlQuery
from etl.sources import Part
from graph.sqlite_database import translated
from graph.store import Store, Watermark

_FIRST_VERSION = 2


def queries(mapping: Mapping) -> dict[str, SqlQuery]:
    """The queries of a mapping that have a watermark, by kind of rows."""
    parts: dict[str, Part | None] = {"transaction": mapping.source, "label": mapping.labels}
    parts |= {f"attributes:{entity}": part for entity, part in mapping.attributes.items()}
    return {kind: part.sql for kind, part in parts.items() if part and part.sql and part.sql.watermark}


def reached(path: Path, mapping: Mapping, store: Store) -> dict[str, str]:
    """From where to read on, by kind of rows; a kind that is not there is read from its beginning.

    That is also so where the query has become another one, and where the store has less than it had when the
    watermark was written: it was emptied, or comes from a backup.

    Args:
        path: the ledger, which is only looked at, and not created where there is none.

    Raises:
        StoreError: the ledger cannot be read.
    """
    wanted = queries(mapping)
    if not wanted or not path.exists():
        return {}
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < _FIRST_VERSION:
                return {}
            rows = connection.execute(
                "SELECT kind, query, value, transactions, labels FROM watermarks WHERE mapping = ?", (mapping.name,)
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    has = store.watermark()
    return {
        kind: value
        for kind, query, value, transactions, labels in rows
        if kind in wanted and query == _digest(wanted[kind]) and transactions <= has.transaction and labels <= has.label
    }


@dataclass
class Watermarks:
    """The watermarks of a load that is under way."""

    ledger: Ledger
    mapping: Mapping
    _stopped: set[str] = field(default_factory=set)

    def advance(self, kind: str, value: str | None, has: Watermark, *, skipped: bool) -> None:
        """Notes that all rows up to `value` have their outcome.

        Args:
            kind: of rows.
            value: of the batch that is on disk now; None where its source has no watermark.
            has: the store's position by now.
            skipped: whether rows of the batch lay outside the asked window: they are still to be loaded, so the
                watermark stays where it is for the rest of the load.
        """
        query = queries(self.mapping).get(kind)
        if value is None or query is None:
            return
        if skipped:
            self._stopped.add(kind)
        if kind in self._stopped:
            return
        with self.ledger.writing() as connection:
            connection.execute(
                "INSERT INTO watermarks VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (mapping, kind) DO UPDATE SET"
                " query = excluded.query, value = excluded.value, transactions = excluded.transactions,"
                " labels = excluded.labels, updated_at = excluded.updated_at",
                (self.mapping.name, kind, _digest(query), value, has.transaction, has.label, time.time()),
            )


def _digest(query: SqlQuery) -> str:
    """What is asked, whatever the blanks between the words."""
    text = f"{query.url_env}\0{query.watermark}\0{' '.join(query.query.split())}"
    return hashlib.sha256(text.encode()).hexdigest()
