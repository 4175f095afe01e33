"""How a store's schema lies in the blobs of a SQLite row, and the integer ids of keys."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from graph.records import GraphSchema
from graph.sqlite_database import select_in

Scalar = TypeVar("Scalar", np.int32, np.float64)

UNKNOWN = -2
"""Stands for a key that has no id; differs from every id and from -1, which is missing."""
_CACHED_KEYS = 250_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a store at one moment.

    Positions in `schema.keyed` shift when an entity type joins after a category; a column's own id
    (`kinds`) and its place in the ids blob (`slots`, order of addition) never do.

    Attributes:
        schema: the schema.
        kinds: own id of each column of `schema.keyed`.
        slots: int64[len(keyed)], where each column of `schema.keyed` stands in the ids blob.
        version: highest column id; columns are only ever added, so it identifies the layout.
    """

    schema: GraphSchema
    kinds: tuple[int, ...]
    slots: NDArray[np.int64]
    version: int

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> "Layout":
        """The layout as of the connection's transaction."""
        rows = connection.execute("SELECT id, role, name FROM columns ORDER BY id").fetchall()
        by_role: dict[str, list[tuple[int, str]]] = {"entity": [], "category": [], "numeric": []}
        for id_, role, name in rows:
            by_role[role].append((id_, name))
        schema = GraphSchema(*(tuple(name for _, name in columns) for columns in by_role.values()))
        kinds = tuple(id_ for id_, _ in by_role["entity"] + by_role["category"])
        slot = {kind: i for i, kind in enumerate(sorted(kinds))}
        return cls(schema, kinds, np.array([slot[kind] for kind in kinds], dtype=np.int64), rows[-1][0])

    @property
    def linked_slots(self) -> NDArray[np.int64]:
        """Where the entity types (without the categories) stand in the ids blob."""
        return self.slots[: len(self.schema.entities)]

    def kind(self, name: str) -> int | None:
        """Own id of an entity type or category; None where the schema lacks it."""
        keyed = self.schema.keyed
        return self.kinds[keyed.index(name)] if name in keyed else None

    def entity_kind(self, name: str) -> int | None:
        """Own id of an entity type; None where the schema lacks it."""
        entities = self.schema.entities
        return self.kinds[entities.index(name)] if name in entities else None

    def ids(self, blobs: Sequence[bytes]) -> NDArray[np.int32]:
        """int32[n, len(keyed)] by slot (not by position in `keyed`) from ids blobs."""
        return _matrix(blobs, np.full((len(blobs), len(self.kinds)), -1, dtype=np.int32))

    def numbers(self, blobs: Sequence[bytes]) -> NDArray[np.float64]:
        """float64[n, len(numeric)] from numbers blobs."""
        return _matrix(blobs, np.full((len(blobs), len(self.schema.numeric)), np.nan))


def _matrix(blobs: Sequence[bytes], filled: NDArray[Scalar]) -> NDArray[Scalar]:
    flat = np.frombuffer(b"".join(blobs), dtype=filled.dtype)
    if flat.size == filled.size:
        return flat.reshape(filled.shape)
    # Rows from before the schema grew are shorter.
    widths = np.fromiter(map(len, blobs), dtype=np.int64, count=len(blobs)) // filled.itemsize
    filled[np.arange(filled.shape[1])[None, :] < widths[:, None]] = flat
    return filled


class LayoutCache:
    """Reads the layout again only when columns were added."""

    def __init__(self) -> None:
        self._layout: Layout | None = None

    def read(self, connection: sqlite3.Connection) -> Layout:
        """The layout as of the connection's transaction."""
        layout = self._layout
        (version,) = connection.execute("SELECT max(id) FROM columns").fetchone()
        if layout is None or layout.version != version:
            layout = self._layout = Layout.read(connection)
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
