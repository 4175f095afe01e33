"""The production store: the store port on a Neo4j server, over the official driver."""

from collections.abc import Iterator, Sequence
from typing import Any

import neo4j
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph import (
    neo4j_decisions,
    neo4j_embeddings,
    neo4j_feed,
    neo4j_pairs,
    neo4j_reads,
    neo4j_ring_reads,
    neo4j_rings,
    neo4j_whole,
)
from graph.attributes import given_attributes
from graph.batches import LabelBatch, TransactionBatch
from graph.embedding_records import Alike, EmbeddingRefresh, Overview, StoredEmbeddings
from graph.errors import InputError
from graph.neo4j_attributes import write_attributes
from graph.neo4j_database import Database
from graph.neo4j_facts import write_transactions
from graph.neo4j_keys import KeyIds, find
from graph.neo4j_labels import histories, write_labels
from graph.neo4j_migrations import add_types, migrate
from graph.neo4j_names import DECISION, FRAUD_LABEL, TRANSACTION, bounded, quoted
from graph.neo4j_state import Columns, ColumnsCache, State
from graph.neo4j_url import Address
from graph.records import Decision, GraphSchema
from graph.ring_content import RefreshContent
from graph.ring_records import Membership, Refresh, Ring, RingEvent, RingMark, RingStatus, Verdict
from graph.store import EntityKeys, LabelChanges, LabelRows, TransactionChanges, Watermark
from graph.sums import Sums


class Neo4jStore:
    """A `graph.store.Store` in a Neo4j database; threads and processes may share it.

    Every write is one transaction, on disk when the call returns; writers follow one another. Reads
    never wait for writes.
    """

    def __init__(self, url: str) -> None:
        """Opens `neo4j://user@host:7687/database`, making what the database lacks.

        Raises:
            InputError: the URL has another form, or there is no password.
            StoreUnavailable: the server cannot be reached.
            StoreError: the server refuses, or the database is something else.
        """
        address = Address.of(url)
        self.url = address.shown
        self._database = Database(address)
        self._columns = ColumnsCache()
        self._keys = KeyIds()
        try:
            migrate(self._database)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    def schema(self) -> GraphSchema:
        return self._now()[1].schema

    def extend_schema(self, schema: GraphSchema) -> GraphSchema:
        mine = self._now()[1]
        whole = mine.with_schema(schema)
        if whole.names == mine.names:
            return whole.schema  # without waiting for other writers
        add_types(self._database, [kind for kind in whole.types if kind not in mine.types])

        def work(_: neo4j.ManagedTransaction, state: State) -> GraphSchema:
            columns = self._columns.of(state).with_schema(schema)
            state.columns = columns.names
            return columns.schema

        return self._database.write(work)

    def upsert_transactions(self, batch: pa.Table, *, durable: bool = True) -> NDArray[np.int8]:  # noqa: ARG002
        ready_for = self._columns.newest or self._now()[1]
        try:
            ready = TransactionBatch.of(batch, ready_for.schema)  # before the lock is taken, which others wait for
        except InputError:  # perhaps another process has extended the schema
            ready_for = self._now()[1]
            ready = TransactionBatch.of(batch, ready_for.schema)

        def work(tx: neo4j.ManagedTransaction, state: State) -> NDArray[np.int8]:
            columns = self._columns.of(state)
            mine = ready if columns is ready_for else TransactionBatch.of(batch, columns.schema)
            return write_transactions(tx, state, columns, self._keys, mine)

        return self._database.write(work)

    def upsert_labels(self, batch: pa.Table) -> NDArray[np.int8]:
        ready = LabelBatch.of(batch)
        return self._database.write(lambda tx, state: write_labels(tx, state, self._columns.of(state), ready))

    def upsert_attributes(self, entity: str, batch: pa.Table) -> int:
        entities = self.schema().entities
        if entity not in entities:
            raise InputError(f"the store has no entity type {entity!r}", hint=f"it has {', '.join(entities)}")
        given = given_attributes(batch)
        position = entities.index(entity)
        self._database.write(
            lambda tx, state: write_attributes(tx, state, self._columns.of(state), self._keys, position, given)
        )
        return len(given)

    def write_decisions(self, decisions: Sequence[Decision], *, durable: bool = True) -> NDArray[np.int8]:  # noqa: ARG002
        return self._database.write(lambda tx, state: neo4j_decisions.write_decisions(tx, state, decisions))

    def settle(self) -> None:
        """Nothing is left to do: every commit of the server is on its disk."""

    def decisions(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        return self._database.read(lambda tx: neo4j_decisions.read_decisions(tx, transaction_ids))

    def sequence_numbers(self, transaction_ids: Sequence[str]) -> dict[str, int]:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, int]:
            text = {bounded(id_): id_ for id_ in transaction_ids}
            found = tx.run(f"UNWIND $ids AS id MATCH (t:{TRANSACTION} {{id: id}}) RETURN id, t.seq", ids=list(text))
            return {text[id_]: seq for id_, seq in found.values()}

        return self._database.read(work)

    def entity_ids(self, entity: str, keys: Sequence[str]) -> dict[str, int]:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, int]:
            columns = self._columns.of(State.read(tx))
            keyed = columns.schema.keyed
            return find(tx, columns, keyed.index(entity), keys) if entity in keyed else {}

        return self._database.read(work)

    def entity_keys(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[EntityKeys]:
        state, columns = self._now()
        return neo4j_feed.entity_keys(self._database, columns, state, since, chunk=chunk)

    def watermark(self) -> Watermark:
        state, _ = self._now()
        return Watermark(state.transactions, state.labels)

    def transaction_changes(
        self, since: int = 0, *, with_ids: bool = False, chunk: int = 262_144
    ) -> Iterator[TransactionChanges]:
        state, columns = self._now()
        return neo4j_feed.transaction_changes(self._database, columns, state, since, with_ids=with_ids, chunk=chunk)

    def label_changes(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[LabelChanges]:
        state, _ = self._now()
        return neo4j_feed.label_changes(self._database, state, since, chunk=chunk)

    def labels_of(self, transaction_ids: Sequence[str]) -> dict[str, list[tuple[int, bool, str]]]:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, list[tuple[int, bool, str]]]:
            text = {bounded(id_): id_ for id_ in transaction_ids}
            return {
                text[id_]: sorted((known_at, is_fraud, source) for (known_at, source), is_fraud in history.items())
                for id_, history in histories(tx, list(text)).items()
            }

        return self._database.read(work)

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, Any] | None:
            columns = self._columns.of(State.read(tx))
            number = neo4j_reads.find_entity(tx, columns, entity, key)
            return None if number is None else neo4j_reads.describe(tx, columns, [number])[number]

        return self._database.read(work)

    def neighbourhood(self, entity: str, key: str, *, depth: int = 1, limit: int = 200) -> dict[str, Any]:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, Any]:
            columns = self._columns.of(State.read(tx))
            number = neo4j_reads.find_entity(tx, columns, entity, key)
            if number is None:
                return {"nodes": [], "links": [], "truncated": False}
            return neo4j_reads.walk(tx, columns, entity, number, depth, limit)

        return self._database.read(work)

    def recent_transactions(self, entity: str, key: str, *, limit: int = 50) -> list[dict[str, Any]]:
        def work(tx: neo4j.ManagedTransaction) -> list[dict[str, Any]]:
            columns = self._columns.of(State.read(tx))
            number = neo4j_reads.find_entity(tx, columns, entity, key)
            return [] if number is None else neo4j_reads.recent(tx, columns, entity, number, limit)

        return self._database.read(work)

    def write_refresh(self, refresh: Refresh) -> bool:
        ready = RefreshContent.of(refresh)  # before the lock is taken, which others wait for
        return self._database.write(
            lambda tx, state: neo4j_rings.write_refresh(tx, self._columns.of(state), ready),
        )

    def refreshed_at(self) -> int | None:
        return neo4j_ring_reads.read(self._database, lambda _, state: state.refreshed_at)

    def rings(
        self, *, active: bool | None = None, status: RingStatus | None = None, limit: int | None = 100
    ) -> list[Ring]:
        return neo4j_ring_reads.read(
            self._database, lambda tx, _: neo4j_ring_reads.select(tx, active=active, status=status, limit=limit)
        )

    def ring(self, ring_id: str) -> Ring | None:
        return neo4j_ring_reads.read(self._database, lambda tx, _: neo4j_ring_reads.find(tx, ring_id))

    def ring_events(self, ring_id: str) -> list[RingEvent]:
        return neo4j_ring_reads.read(self._database, lambda tx, _: neo4j_ring_reads.events(tx, ring_id))

    def write_verdict(self, verdict: Verdict) -> Ring:
        return self._database.write(lambda tx, _: neo4j_rings.write_verdict(tx, verdict))

    def memberships(self, since: int = 0) -> Iterator[Membership]:
        return neo4j_ring_reads.memberships(self._database, since)

    def ring_marks(self, since: int = 0) -> Iterator[RingMark]:
        return neo4j_ring_reads.marks(self._database, since)

    def ring_watermark(self) -> int:
        return neo4j_ring_reads.read(self._database, lambda _, state: state.watermark)

    def write_embeddings(self, refresh: EmbeddingRefresh) -> dict[str, int]:
        return neo4j_embeddings.write(self._database, self._now()[1].types, refresh)

    def embeddings(self) -> StoredEmbeddings | None:
        return self._database.read(neo4j_embeddings.stored)

    def every_embedding(self) -> EmbeddingRefresh | None:
        types = self._now()[1].types
        return self._database.read(lambda tx: neo4j_embeddings.every(tx, types))

    def similar(self, entity: str, key: str, *, limit: int = 10) -> list[Alike] | None:
        kind = self._now()[1].type(entity)
        if kind is None:
            return None
        return self._database.read(lambda tx: neo4j_embeddings.similar(tx, kind, key, max(limit, 0)))

    def overviews(self, entity: str, keys: Sequence[str], *, latest: int = 50) -> dict[str, Overview]:
        def work(tx: neo4j.ManagedTransaction) -> dict[str, Overview]:
            return neo4j_reads.overviews(tx, self._columns.of(State.read(tx)), entity, keys, latest)

        return self._database.read(work)

    def pair_sums(self, entity: str) -> Sums:
        return neo4j_pairs.pair_sums(self._database, self._now()[1], entity)

    def every_label(self, *, chunk: int = 100_000) -> Iterator[LabelRows]:
        return neo4j_whole.labels(self._database, self._now()[0], chunk=chunk)

    def every_decision(self, *, chunk: int = 10_000) -> Iterator[list[Decision]]:
        return neo4j_whole.decisions(self._database, chunk=chunk)

    def every_attribute(self, entity: str, *, chunk: int = 10_000) -> Iterator[dict[str, dict[str, Any]]]:
        state, columns = self._now()
        return neo4j_whole.attributes(self._database, columns, state, entity, chunk=chunk)

    def status(self) -> dict[str, int]:
        def count(tx: neo4j.ManagedTransaction, label: str) -> int:
            return int(tx.run(f"MATCH (n:{label}) RETURN count(n)").single(strict=True).value())

        def work(tx: neo4j.ManagedTransaction) -> dict[str, int]:
            columns = self._columns.of(State.read(tx))
            of_type = {f"entities:{kind.name}": count(tx, quoted(kind.label)) for kind in columns.types}
            return {
                "transactions": count(tx, TRANSACTION),
                "labels": count(tx, FRAUD_LABEL),
                "decisions": count(tx, DECISION),
                "entities": sum(of_type.values()),
                **of_type,
            }

        return self._database.read(work)

    def _now(self) -> tuple[State, Columns]:
        state = self._database.read(State.read)
        return state, self._columns.of(state)
