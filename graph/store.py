"""The store port: the few operations Quipu needs of a graph store.

Every write is idempotent: doing it again changes nothing. Two implementations share one
contract test suite (`tests/graph/test_store_contract*.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.embedding_records import Alike, EmbeddingRefresh, Overview, StoredEmbeddings
from graph.errors import InputError, StoreError
from graph.records import Decision, GraphSchema
from graph.ring_records import Membership, Refresh, Ring, RingEvent, RingMark, RingStatus, Verdict
from graph.sums import Sums


class Outcome(IntEnum):
    """What became of one row of an upsert."""

    LOADED = 0
    DUPLICATE = 1
    CONFLICT = 2
    """The id is there already with other content; the stored row stays."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """A position in the change feed: the last transaction and label sequence number seen."""

    transaction: int = 0
    label: int = 0


@dataclass(frozen=True, slots=True)
class TransactionChanges:
    """Transactions in order of their sequence number; n rows.

    Attributes:
        seq: int64[n], strictly ascending, from 1, dense up to rare gaps.
        occurred_at, arrived_at: int64[n], microseconds UTC.
        amount: int64[n], hundredths.
        ids: int32[n, len(schema.keyed)], dense integer ids (from 0, one space over all types); -1 is missing.
        numeric: float64[n, len(schema.numeric)], NaN is missing.
        transaction_ids: the n ids, or None where they were not asked for.
        currency: n texts or None, or None where ids were not asked for.
    """

    seq: NDArray[np.int64]
    occurred_at: NDArray[np.int64]
    arrived_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    numeric: NDArray[np.float64]
    transaction_ids: list[str] | None = None
    currency: list[str | None] | None = None


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Labels of known transactions in order of their own sequence number; n rows.

    A label whose transaction is not in the store yet is kept, and appears here (with a new
    sequence number) once the transaction has been loaded.

    Attributes:
        seq: int64[n], ascending.
        transaction_seq: int64[n], which transaction.
        known_at: int64[n], microseconds UTC.
        is_fraud: bool[n].
    """

    seq: NDArray[np.int64]
    transaction_seq: NDArray[np.int64]
    known_at: NDArray[np.int64]
    is_fraud: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Labels as they were given; n rows.

    Attributes:
        transaction_ids: n ids.
        transaction_seq: int64[n], which transaction; 0 where it is not in the store.
        known_at: int64[n], microseconds UTC.
        is_fraud: bool[n].
        source: n texts.
    """

    transaction_ids: list[str]
    transaction_seq: NDArray[np.int64]
    known_at: NDArray[np.int64]
    is_fraud: NDArray[np.bool_]
    source: list[str]


@dataclass(frozen=True, slots=True)
class EntityKeys:
    """The keys of the integer ids first, first + 1, …; n of them.

    Attributes:
        first: the first id.
        kinds: int16[n], position of each id's type in `schema.keyed`.
        keys: n texts.
    """

    first: int
    kinds: NDArray[np.int16]
    keys: list[str]


class Store(Protocol):
    """A graph store. Safe to share between threads; errors are `graph.errors.StoreError`."""

    url: str

    def close(self) -> None: ...

    def schema(self) -> GraphSchema:
        """The schema of what has been loaded so far."""

    def extend_schema(self, schema: GraphSchema) -> GraphSchema:
        """Appends what the store's schema lacks of `schema`; returns the whole."""

    def upsert_transactions(self, batch: pa.Table, *, durable: bool = True) -> NDArray[np.int8]:
        """Writes transactions (columns of `transaction_columns`), atomically; an `Outcome` a row.

        Rows of one batch with the same id: the first counts, later ones are duplicates or conflicts.
        Columns that the schema has and the batch lacks are missing values.

        Args:
            durable: whether it is on disk when this returns. Otherwise a power cut may take it back until `settle`
                has returned; the end of the process alone takes nothing back.
        """

    def upsert_labels(self, batch: pa.Table) -> NDArray[np.int8]:
        """Writes labels (`LABEL_COLUMNS`), atomically; same transaction, known_at and source: a duplicate
        (or, with another is_fraud, a conflict)."""

    def upsert_attributes(self, entity: str, batch: pa.Table) -> int:
        """Sets attributes of entities: a text column `key`, one column an attribute. Returns entities written."""

    def write_decisions(self, decisions: Sequence[Decision], *, durable: bool = True) -> NDArray[np.int8]:
        """Keeps decisions, atomically; an `Outcome` each. A kept decision is never changed.

        Args:
            durable: as of `upsert_transactions`.
        """

    def settle(self) -> None:
        """Returns when all that was written, durable or not and by whichever process, is on disk."""

    def decisions(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """The kept decisions of these transactions; unknown ids are left out."""

    def sequence_numbers(self, transaction_ids: Sequence[str]) -> dict[str, int]:
        """The sequence numbers of those of these transactions that are in the store."""

    def entity_ids(self, entity: str, keys: Sequence[str]) -> dict[str, int]:
        """The integer ids of those of these keys that are known for this entity type or category."""

    def entity_keys(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[EntityKeys]:
        """The keys behind integer ids from `since` on, in order, in chunks, up to now."""

    def watermark(self) -> Watermark:
        """The newest position of the change feed."""

    def transaction_changes(
        self, since: int = 0, *, with_ids: bool = False, chunk: int = 262_144
    ) -> Iterator[TransactionChanges]:
        """Transactions with a sequence number above `since`, in chunks, up to now."""

    def label_changes(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[LabelChanges]:
        """Labels with a sequence number above `since`, in chunks, up to now."""

    def labels_of(self, transaction_ids: Sequence[str]) -> dict[str, list[tuple[int, bool, str]]]:
        """Label history a transaction: (known_at, is_fraud, source), oldest first."""

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        """One entity: type, key, attributes, transactions, first_at, last_at, amount (hundredths), fraud_known;
        None where it is not known."""

    def neighbourhood(self, entity: str, key: str, *, depth: int = 1, limit: int = 200) -> dict[str, Any]:
        """A bounded subgraph: `nodes`, `links` (aggregates of the most recent transactions), `truncated`."""

    def recent_transactions(self, entity: str, key: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """An entity's latest transactions, newest first: ids, entities, amount, label and band where known."""

    def status(self) -> dict[str, int]:
        """Counts: transactions, labels, decisions, entities, and `entities:<type>` each."""


@runtime_checkable
class RingStore(Protocol):
    """What a store keeps of rings; see `graph.ring_records`."""

    def write_refresh(self, refresh: Refresh) -> bool:
        """Keeps what a refresh says, atomically; False where a refresh as of this time is kept already.

        A ring's verdict stays its status, unless it was dismissed and the refresh has an event `returned` for it.
        Active rings that the refresh lacks are no longer active; those of its rings that name such a one in
        `came_from` are what it `became`.

        Raises:
            InputError: a refresh as of a later time is kept already.
        """

    def refreshed_at(self) -> int | None:
        """As-of time of the latest refresh, microseconds UTC; None before the first."""

    def rings(
        self, *, active: bool | None = None, status: RingStatus | None = None, limit: int | None = 100
    ) -> list[Ring]:
        """Rings by score, highest first; all that there are where `limit` is None."""

    def ring(self, ring_id: str) -> Ring | None:
        """One ring; None where it is not known."""

    def ring_events(self, ring_id: str) -> list[RingEvent]:
        """What happened to a ring, oldest first."""

    def write_verdict(self, verdict: Verdict) -> Ring:
        """Makes a verdict the ring's status, and an event of its history; nothing changes where it is that already.

        Raises:
            NotFound: there is no such ring.
            InputError: it is no verdict.
        """

    def memberships(self, since: int = 0) -> Iterator[Membership]:
        """The feed of who joined and left which ring, above `since`, in order, up to now."""

    def ring_marks(self, since: int = 0) -> Iterator[RingMark]:
        """The feed of what refreshes and verdicts say of rings, above `since`, in order, up to now."""

    def ring_watermark(self) -> int:
        """A number that grows with every refresh and every verdict; 0 before the first."""


@runtime_checkable
class WholeStore(Protocol):
    """What the port does not ask for elsewhere, so that all that a store holds can be read, in a fixed order."""

    def every_label(self, *, chunk: int = 100_000) -> Iterator[LabelRows]:
        """All labels: those of known transactions in the order of the feed, then those that wait, as they came."""

    def every_decision(self, *, chunk: int = 10_000) -> Iterator[list[Decision]]:
        """All kept decisions."""

    def every_attribute(self, entity: str, *, chunk: int = 10_000) -> Iterator[dict[str, dict[str, Any]]]:
        """Attributes by key, of entities that have some, or that no transaction links to; in order of integer ids."""


@runtime_checkable
class PairStore(Protocol):
    """A store that keeps sums over the transactions of each user with each other entity."""

    def schema(self) -> GraphSchema:
        """The schema of what has been loaded so far."""

    def pair_sums(self, entity: str) -> Sums:
        """The sums as they are kept; keys are the user's integer id, shifted by 32 bits, and the entity's."""


def whole(store: Store) -> WholeStore:
    """The store as one that can be read as a whole.

    Raises:
        StoreError: this kind of store cannot.
    """
    if isinstance(store, WholeStore):
        return store
    raise StoreError(f"the store {store.url} cannot be read as a whole", hint="name a store of another kind")


def rings_of(store: Store) -> RingStore:
    """The ring operations of a store.

    Raises:
        StoreError: this kind of store keeps no rings.
    """
    if isinstance(store, RingStore):
        return store
    raise StoreError(f"the store {store.url} keeps no rings", hint="name a store of another kind")


@runtime_checkable
class EmbeddingStore(Protocol):
    """What a store keeps of node embeddings; see `graph.embedding_records`."""

    def write_embeddings(self, refresh: EmbeddingRefresh) -> dict[str, int]:
        """Replaces all embeddings by those of a refresh; returns how many were written, by type.

        Keys that the store does not know are left out. Writing the same again changes nothing.
        """

    def embeddings(self) -> StoredEmbeddings | None:
        """What is there of embeddings; None before the first refresh."""

    def every_embedding(self) -> EmbeddingRefresh | None:
        """All embeddings that are there, as a refresh that can be written elsewhere; None where there are none."""

    def similar(self, entity: str, key: str, *, limit: int = 10) -> list[Alike] | None:
        """The entities of the same type whose embeddings are closest, closest first; None where it has none itself."""

    def overviews(self, entity: str, keys: Sequence[str], *, latest: int = 50) -> dict[str, Overview]:
        """Entities of one type in short, those that are there; bands are those of so many latest transactions."""


def embeddings_of(store: Store) -> EmbeddingStore:
    """The embedding operations of a store.

    Raises:
        StoreError: this kind of store keeps no embeddings.
    """
    if isinstance(store, EmbeddingStore):
        return store
    raise StoreError(f"the store {store.url} keeps no embeddings", hint="name a store of another kind")


def open_store(url: str) -> Store:
    """Opens the store that `url` names, creating or migrating it where needed.

    Raises:
        InputError: the URL's scheme is not known.
        StoreError: the store cannot be opened.
    """
    if url.startswith("sqlite:"):
        from graph.sqlite_store import SqliteStore

        return SqliteStore(url)
    if url.startswith(("neo4j:", "neo4j+", "bolt:", "bolt+")):
        from graph.neo4j_store import Neo4jStore

        return Neo4jStore(url)
    raise InputError(
        f"cannot tell what kind of store {url.partition('://')[0]!r} is",
        hint="use sqlite:///path/to/file.db or neo4j://user@host:7687/neo4j",
    )
