"""The layout of a SQLite store as of a connection's transaction, and the integer ids of keys."""

import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graph.layout import UNKNOWN, Layout
from graph.sqlite_database import select_in

_CACHED_KEYS = 250_000


class LayoutCache:
    """Reads the layout again only when columns were added."""

    def __init__(self) -> None:
        self._layout: Layout | None = None

    def read(self, connection: sqlite3.Connection) -> Layout:
        """The layout as of the connection's transaction."""
        layout = self._layout
        (version,) = connection.execute("SELECT max(id) FROM columns").fetchone()
        if layout is None or layout.version != version:
            rows = connection.execute("SELECT id, role, name FROM columns ORDER BY id")
            layout = self._layout = Layout.of(rows)
        return layout


class KeyIds:
    """Integer ids of keys, remembered; used under the write lock only.

    Ids are never reassigned, so a remembered one holds whatever other processes write. Ids that
    `create` gives may still be rolled back: they are remembered when a later transaction looks them
    up. (Within a transaction, a kind is looked up before anything of it is created.)
    """

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {}

    def look_up(self, connection: sqlite3.Connection, kind: int, keys: Sequence[str]) -> NDArray[np.int32]:
        """The ids of distinct keys, `UNKNOWN` for those that have none."""
        known = self._known.setdefault(kind, {})
        missing = [key for key in keys if key not in known]
        if missing:
            if len(known) + len(missing) > _CACHED_KEYS:
                known.clear()
                missing = list(keys)
            known.update(
                select_in(connection, "SELECT key, id FROM entities WHERE kind = ? AND key IN ({})", missing, kind)
            )
        return np.fromiter((known.get(key, UNKNOWN) for key in keys), dtype=np.int32, count=len(keys))

    def create(self, connection: sqlite3.Connection, kind: int, keys: Sequence[str]) -> NDArray[np.int32]:
        """Gives the next ids to distinct keys that have none."""
        (first,) = connection.execute("SELECT coalesce(max(id) + 1, 0) FROM entities").fetchone()
        connection.executemany(
            "INSERT INTO entities (id, kind, key) VALUES (?, ?, ?)",
            [(first + i, kind, key) for i, key in enumerate(keys)],
        )
        return np.arange(first, first + len(keys), dtype=np.int32)
