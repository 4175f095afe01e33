"""Node embeddings: what a refresh gives, and what comes back when entities like another are asked for.

An embedding is a direction: two entities are alike as far as the angle between theirs is small. Only embeddings
of one refresh can be compared, because each refresh measures from the average of its own entities.
Times are microseconds since the epoch, UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class TypeEmbeddings:
    """The embeddings of the entities of one type; n of them.

    Attributes:
        entity: the type: `user`, `device`, …
        keys: n distinct keys.
        vectors: float32[n, dimension], each of length 1.

    Raises:
        ValueError: keys and vectors do not fit, a key is there twice, or a vector has another length.
    """

    entity: str
    keys: list[str]
    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        vectors = self.vectors
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(self.keys):
            raise ValueError(f"{len(self.keys)} keys of the type {self.entity} need a float32 vector each")
        if len(set(self.keys)) < len(self.keys):
            raise ValueError(f"a key of the type {self.entity} has two vectors")
        # Written so that NaN fails it.
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < _ROUNDING).all():
            raise ValueError(f"a vector of the type {self.entity} does not have the length 1")


@dataclass(frozen=True, slots=True)
class EmbeddingRefresh:
    """All embeddings as of one moment.

    Attributes:
        at: they follow from what had occurred, had arrived and was known before it.
        model: the bundle whose network made them.
        types: the types that have any; all vectors have one dimension.

    Raises:
        ValueError: there is none, a type is there twice, or dimensions differ.
    """

    at: int
    model: str
    types: tuple[TypeEmbeddings, ...]

    def __post_init__(self) -> None:
        if len({of_type.vectors.shape[1] for of_type in self.types}) != 1:
            raise ValueError("the embeddings of a refresh have one dimension")
        if len({of_type.entity for of_type in self.types}) < len(self.types):
            raise ValueError("a type is there twice")

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return int(self.types[0].vectors.shape[1])


@dataclass(frozen=True, slots=True)
class StoredEmbeddings:
    """What a store has of embeddings: `at`, `model` and `dimension` of their refresh, and how many by type."""

    at: int
    model: str
    dimension: int
    counts: Mapping[str, int]


class Alike(NamedTuple):
    """An entity like the one that was asked about.

    Attributes:
        key: of the same type.
        similarity: cosine of the angle between the two embeddings, -1 to 1.
    """

    key: str
    similarity: float


class Overview(NamedTuple):
    """An entity in short.

    Attributes:
        transactions, fraud_known: how many in all, and how many of them are known to be fraud.
        first_at, last_at: when the first and the last of them occurred; None where there is none.
        bands: what was decided on its latest ones.
    """

    transactions: int
    fraud_known: int
    first_at: int | None
    last_at: int | None
    bands: frozenset[str]
