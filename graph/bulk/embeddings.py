"""Embeddings of entities as properties of their nodes in an import."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.bulk.files import constant
from graph.bulk.texts import moments
from graph.embedding_records import EmbeddingRefresh
from graph.neo4j_state import Columns
from graph.store import EmbeddingStore, Store

FIELDS = {"embedding": "float[]", "embedding_model": "string", "embedded_at": "datetime"}
"""Types by name of the properties of an entity with an embedding."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of a store, to be written.

    Attributes:
        refresh: all of them; None where there are none.
        rows: int64[e] by integer id, the row of its vector in those of its type, or -1.
        counts: how many are written, by type.
    """

    refresh: EmbeddingRefresh | None
    rows: NDArray[np.int64]
    counts: dict[str, int]

    @classmethod
    def read(cls, store: Store, columns: Columns, entities: int) -> "Embedded":
        """The embeddings of a store's first so many entities."""
        rows = np.full(entities, -1, np.int64)
        refresh = store.every_embedding() if isinstance(store, EmbeddingStore) else None
        counts: dict[str, int] = {}
        for of_type in () if refresh is None else refresh.types:
            known = store.entity_ids(of_type.entity, of_type.keys)
            numbers = np.array([known.get(key, entities) for key in of_type.keys], np.int64)
            there = numbers < entities
            rows[numbers[there]] = np.flatnonzero(there)
            counts[of_type.entity] = int(there.sum())
        return cls(refresh, rows, {kind.name: counts[kind.name] for kind in columns.types if kind.name in counts})

    @property
    def count(self) -> int:
        """How many are written."""
        return sum(self.counts.values())

    def there(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these entities have one."""
        found: NDArray[np.bool_] = self.rows[numbers] >= 0
        return found

    def properties(self, entity: str, numbers: NDArray[np.int64]) -> list[pa.Array]:
        """The properties `FIELDS` of entities of one type that have an embedding."""
        assert self.refresh is not None
        (of_type,) = (t for t in self.refresh.types if t.entity == entity)
        vectors = of_type.vectors[self.rows[numbers]]
        texts = pa.array(vectors.ravel(), pa.float32()).cast(pa.string())
        offsets = pa.array(np.arange(len(numbers) + 1, dtype=np.int64) * self.refresh.dimension)
        joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, texts), ";")
        at = np.full(len(numbers), self.refresh.at, np.int64)
        return [joined, constant(self.refresh.model, len(numbers)), moments(at)]

    def told(self) -> dict[str, Any]:
        """What the store's own node says of them, by name and type of property."""
        if self.refresh is None:
            return {}
        return {
            "embeddings_at:long": self.refresh.at, "embeddings_model:string": self.refresh.model,
            "embeddings_dimension:long": self.refresh.dimension, "embeddings_types:string[]": ";".join(self.counts),
            "embeddings_counts:long[]": ";".join(map(str, self.counts.values())),
        }  # fmt: skip
