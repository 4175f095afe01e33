"""What the challenger would have decided, beside what was decided: a local SQLite file of bounded length.

All workers of a host share it. It is for comparison, not for the record: what a crash takes of its last moments is
not missed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.private_file import make_private
from graph.errors import StoreError

SHADOW: Final = "shadow.db"
KEPT: Final = 500_000
"""Transactions; about 130 bytes each."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS shadows(
    seq INTEGER PRIMARY KEY,
    transaction_id TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    champion TEXT NOT NULL,
    champion_probability REAL NOT NULL,
    champion_band TEXT NOT NULL,
    challenger TEXT NOT NULL,
    challenger_probability REAL NOT NULL,
    challenger_band TEXT NOT NULL,
    UNIQUE(transaction_id, challenger)
);
"""
_COLUMNS = (
    "transaction_id, decided_at, champion, champion_probability, champion_band, "
    "challenger, challenger_probability, challenger_band"
)
_INSERT = f"INSERT OR IGNORE INTO shadows({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"
_SELECT = f"SELECT {_COLUMNS} FROM shadows WHERE challenger = ? AND champion = ? ORDER BY seq"
_BUSY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shadowed:
    """One transaction as both models see it.

    Attributes:
        decided_at: when it was decided, microseconds UTC.
        champion, challenger: their bundles; the champion's band was the answer.
    """

    transaction_id: str
    decided_at: int
    champion: str
    champion_probability: float
    champion_band: str
    challenger: str
    challenger_probability: float
    challenger_band: str


class ShadowLog:
    """One connection to the file, for one thread at a time.

    Args:
        path: the file; made where it is missing.
        kept: how many of the latest transactions it holds.

    Raises:
        StoreError: it cannot be opened, or is something else.
    """

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self._path = path
        self._kept = kept
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            make_private(path)
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_LAYOUT)
            except BaseException:
                self._db.close()
                raise

    def append(self, rows: Sequence[Shadowed]) -> None:
        """Adds transactions, and forgets the oldest of those that are more than are kept.

        A transaction that is there already, with the same challenger, stays as it was.

        Raises:
            StoreError: they could not be written.
        """
        values = [
            (
                row.transaction_id,
                row.decided_at,
                row.champion,
                row.champion_probability,
                row.champion_band,
                row.challenger,
                row.challenger_probability,
                row.challenger_band,
            )
            for row in rows
        ]
        with _told(self._path), self._db:
            self._db.executemany(_INSERT, values)
            self._db.execute("DELETE FROM shadows WHERE seq <= (SELECT max(seq) FROM shadows) - ?", (self._kept,))

    def close(self) -> None:
        """Closes the connection."""
        with suppress(sqlite3.Error):
            self._db.close()


def latest_pair(path: Path, challenger: str | None = None) -> tuple[str, str] | None:
    """Champion and challenger of the latest transaction that is kept; None where none is.

    Args:
        challenger: only this one's.

    Raises:
        StoreError: the file cannot be read.
    """
    if not path.exists():
        return None
    where, values = ("WHERE challenger = ? ", [challenger]) if challenger else ("", [])
    with _told(path), closing(_reading(path)) as db:
        found = db.execute(f"SELECT champion, challenger FROM shadows {where}ORDER BY seq DESC LIMIT 1", values)
        row: tuple[str, str] | None = found.fetchone()
        return row


def shadowed(path: Path, champion: str, challenger: str) -> list[Shadowed]:
    """The transactions that these two were compared on, oldest first.

    Raises:
        StoreError: the file cannot be read.
    """
    if not path.exists():
        return []
    with _told(path), closing(_reading(path)) as db:
        return [Shadowed(*row) for row in db.execute(_SELECT, (challenger, champion))]


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"the file of the challenger's decisions {path} cannot be used: {error}",
            hint="delete it: it is for comparison only",
        ) from error
