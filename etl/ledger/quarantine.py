"""The ledger beside the store: rows that were not loaded, and a report of every load.

A SQLite file of its own, so that the graph holds facts only. It keeps raw rows, personal data
among them, hence it is readable by its owner alone.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from etl.ledger.file import LedgerFile
from graph.errors import NotFound
from graph.settings import settings
from graph.sqlite_database import path_of

_COLUMNS = 'id, mapping, kind, file, row, reason, "column", value, raw'


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that was not loaded.

    Attributes:
        kind: `transaction`, `label`, or `attributes:<entity>`.
        file, row: where it stood; rows count from 1.
        reason: a code of `etl.contract.reasons.Reason`.
        column, value: what is wrong; the value is cut to a length that can be shown.
        raw: the whole row as JSON, columns in order of their names.
    """

    kind: str
    file: str
    row: int
    reason: str
    column: str
    value: str
    raw: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the row is and says: the same row in another file or place has the same."""
        return hashlib.sha256(f"{self.kind}\0{self.raw}".encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class KeptRow:
    """A row in quarantine, under its id and the name of the mapping that refused it."""

    id: str
    mapping: str
    row: QuarantinedRow

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "id": self.id,
            "mapping": self.mapping,
            "kind": self.row.kind,
            "reason": self.row.reason,
            "column": self.row.column,
            "value": self.row.value,
            "file": self.row.file,
            "row": self.row.row,
            "raw": json.loads(self.row.raw),
        }


def sidecar(url: str) -> Path:
    """Where a store's ledger lies: beside a SQLite store's file, else under `settings().var`."""
    if url.startswith("sqlite:"):
        return path_of(url).with_suffix(".etl.db")
    return settings().var / f"etl-{hashlib.sha256(url.encode()).hexdigest()[:12]}.db"


class Ledger(LedgerFile):
    """Quarantine and load reports of one store. Writes are atomic and idempotent.

    Raises:
        StoreError: the file cannot be opened, or is of a newer version.
    """

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def keep(self, mapping: str, rows: Iterable[QuarantinedRow]) -> int:
        """Keeps rows; one that is there already gets the new reason. Returns how many are new."""
        values = [
            (_id(mapping, r), mapping, r.kind, r.file, r.row, r.reason, r.column, r.value, r.raw, time.time())
            for r in rows
        ]
        if not values:
            return 0
        with self.writing():
            before = self._count()
            self.connection.executemany(
                "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                ' reason = excluded.reason, "column" = excluded."column", value = excluded.value',
                values,
            )
            return self._count() - before

    def _count(self) -> int:
        (count,) = self.connection.execute("SELECT count(*) FROM quarantine").fetchone()
        return int(count)

    def change(self, rows: Iterable[tuple[str, QuarantinedRow]]) -> None:
        """Gives kept rows, by id, the reason, column and value of these."""
        with self.writing():
            self.connection.executemany(
                'UPDATE quarantine SET reason = ?, "column" = ?, value = ? WHERE id = ?',
                [(row.reason, row.column, row.value, id_) for id_, row in rows],
            )

    def release(self, ids: Iterable[str]) -> None:
        """Takes rows out of quarantine."""
        with self.writing():
            self.connection.executemany("DELETE FROM quarantine WHERE id = ?", [(i,) for i in ids])

    def counts(self) -> dict[str, int]:
        """Kept rows by reason, most frequent first."""
        with self.errors():
            return dict(
                self.connection.execute(
                    "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY count(*) DESC, reason"
                )
            )

    def groups(
        self, *, reason: str | None = None, mapping: str | None = None, column: str | None = None, examples: int = 3
    ) -> list[dict[str, Any]]:
        """Kept rows by mapping, kind, reason and column, the largest group first, with some of the values."""
        where, values = _where(reason=reason, mapping=mapping, column=column)
        by = 'mapping, kind, reason, "column"'
        with self.errors():
            found = self.connection.execute(
                f"SELECT {by}, count(*) FROM quarantine WHERE {where} GROUP BY {by} ORDER BY count(*) DESC, {by}",
                values,
            ).fetchall()
            return [
                dict(zip(("mapping", "kind", "reason", "column", "rows"), group, strict=True))
                | {
                    "examples": [
                        value
                        for (value,) in self.connection.execute(
                            "SELECT DISTINCT value FROM quarantine WHERE reason = ? AND mapping = ? AND kind = ?"
                            ' AND "column" = ? LIMIT ?',
                            (group[2], group[0], group[1], group[3], examples),
                        )
                    ]
                }
                for group in found
            ]

    def rows(
        self, *, reason: str | None = None, mapping: str | None = None, kind: str | None = None,
        column: str | None = None, after: str = "", limit: int = -1,
    ) -> list[KeptRow]:  # fmt: skip
        """Kept rows in order of their ids, those after the id `after`, at most `limit` (-1: all)."""
        where, values = _where(reason=reason, mapping=mapping, kind=kind, column=column)
        with self.errors():
            found = self.connection.execute(
                f"SELECT {_COLUMNS} FROM quarantine WHERE id > ? AND {where} ORDER BY id LIMIT ?",
                (after, *values, limit),
            ).fetchall()
        return [_kept(row) for row in found]

    def row(self, id_: str) -> KeptRow:
        """One kept row by its id or the beginning of it.

        Raises:
            NotFound: there is none, or there are several.
        """
        with self.errors():
            found = self.connection.execute(
                f"SELECT {_COLUMNS} FROM quarantine WHERE substr(id, 1, ?) = ? LIMIT 2", (len(id_), id_)
            ).fetchall()
        if len(found) != 1 or not id_:
            what = "several rows" if found else "no row"
            raise NotFound(f"{what} in quarantine with the id {id_!r}", hint="quipu quarantine list shows the ids")
        return _kept(found[0])

    def begin(self, mapping: str) -> int:
        """Notes that a load begins; returns its number."""
        with self.writing():
            cursor = self.connection.execute(
                "INSERT INTO loads (mapping, started_at, outcome) VALUES (?, ?, 'running')", (mapping, time.time())
            )
            return int(cursor.lastrowid or 0)

    def finish(self, load: int, outcome: str, report: dict[str, Any] | None = None) -> None:
        """Notes how a load ended: `done`, or `failed`; one that was killed stays `running`."""
        with self.writing():
            self.connection.execute(
                "UPDATE loads SET finished_at = ?, outcome = ?, report = ? WHERE id = ?",
                (time.time(), outcome, json.dumps(report) if report is not None else None, load),
            )

    def loads(self) -> list[dict[str, Any]]:
        """Every load, oldest first: number, mapping, started_at, finished_at, outcome, report."""
        with self.errors():
            rows = self.connection.execute(
                "SELECT id, mapping, started_at, finished_at, outcome, report FROM loads ORDER BY id"
            ).fetchall()
        names = ("number", "mapping", "started_at", "finished_at", "outcome", "report")
        return [dict(zip(names, (*row[:5], json.loads(row[5]) if row[5] else None), strict=True)) for row in rows]


def _where(**wanted: str | None) -> tuple[str, list[str]]:
    """A condition of SQL, and its values: the columns that are wanted, or any row."""
    some = {name: value for name, value in wanted.items() if value is not None}
    return " AND ".join(["TRUE", *(f'"{name}" = ?' for name in some)]), list(some.values())


def _id(mapping: str, row: QuarantinedRow) -> str:
    return hashlib.sha256(f"{mapping}\0{row.digest}".encode()).hexdigest()[:20]


def _kept(row: tuple[Any, ...]) -> KeptRow:
    return KeptRow(row[0], row[1], QuarantinedRow(*row[2:]))
