"""How a store's schema lies in the blobs of a row: the integer ids of its keys, and its extra numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from graph.records import GraphSchema

Scalar = TypeVar("Scalar", np.int32, np.float64)

UNKNOWN = -2
"""Stands for a key that has no id; differs from every id and from -1, which is missing."""


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
    def of(cls, columns: Iterable[tuple[int, str, str]]) -> "Layout":
        """The layout of columns: own id (ascending), role (entity, category or numeric) and name of each."""
        by_role: dict[str, list[tuple[int, str]]] = {"entity": [], "category": [], "numeric": []}
        version = 0
        for id_, role, name in columns:
            by_role[role].append((id_, name))
            version = id_
        schema = GraphSchema(*(tuple(name for _, name in named) for named in by_role.values()))
        kinds = tuple(id_ for id_, _ in by_role["entity"] + by_role["category"])
        slot = {kind: i for i, kind in enumerate(sorted(kinds))}
        return cls(schema, kinds, np.array([slot[kind] for kind in kinds], dtype=np.int64), version)

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

    def numbers(self, blobs: Sequence[bytes | None]) -> NDArray[np.float64]:
        """float64[n, len(numeric)] from numbers blobs; None stands for an empty one."""
        empty = np.full((len(blobs), len(self.schema.numeric)), np.nan)
        return _matrix([blob or b"" for blob in blobs], empty) if empty.size else empty


def _matrix(blobs: Sequence[bytes], filled: NDArray[Scalar]) -> NDArray[Scalar]:
    flat = np.frombuffer(b"".join(blobs), dtype=filled.dtype)
    if flat.size == filled.size:
        return flat.reshape(filled.shape)
    # Rows from before the schema grew are shorter.
    widths = np.fromiter(map(len, blobs), dtype=np.int64, count=len(blobs)) // filled.itemsize
    filled[np.arange(filled.shape[1])[None, :] < widths[:, None]] = flat
    return filled
