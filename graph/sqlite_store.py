"""The embedded store: the store port on one SQLite file, with nothing to install."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph import sqlite_embeddings, sqlite_feed, sqlite_reads, sqlite_rings, sqlite_whole
from graph.batches import LabelBatch, TransactionBatch
from graph.embedding_records import Alike, EmbeddingRefresh, Overview, StoredEmbeddings
from graph.records import Decision, GraphSchema
from graph.ring_content import RefreshContent
from graph.ring_records import Membership, Refresh, Ring, RingEvent, RingMark, RingStatus, Verdict
from graph.sqlite_database import Database, path_of, select_in
from graph.sqlite_facts import write_attributes, write_transactions
from graph.sqlite_labels import write_labels
from graph.sqlite_layout import KeyIds, LayoutCache
from graph.store import EntityKeys, LabelChanges, LabelRows, Outcome, TransactionChanges, Watermark

_DECISION = "transaction_id, digest, decided_at, probability, band, model_version, response, features"


class SqliteStore:
    """A `graph.store.Store` in a SQLite file; threads and processes may share it.

    Every write is one transaction, on disk when the call returns unless it says otherwise. Reads never wait for writes.
    """

    def __init__(self, url: str) -> None:
        """Opens `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`, creating file and folder.

        Raises:
            InputError: the URL has another form.
            StoreError: the file cannot be opened, or is something else.
        """
        self.url = url
        self._database = Database(path_of(url))
        self._layouts = LayoutCache()
        self._keys = KeyIds()

    def close(self) -> None:
        self._database.close()

    def schema(self) -> GraphSchema:
        with self._database.reading() as connection:
            return self._layouts.read(connection).schema

    def extend_schema(self, schema: GraphSchema) -> GraphSchema:
        if (whole := self.schema()).merged(schema) == whole:
            return whole  # without waiting for the write lock
        with self._database.writing() as connection:
            mine = self._layouts.read(connection).schema
            whole = mine.merged(schema)
            added = [
                *(("entity", name) for name in whole.entities[len(mine.entities) :]),
                *(("category", name) for name in whole.categories[len(mine.categories) :]),
                *(("numeric", name) for name in whole.numeric[len(mine.numeric) :]),
            ]
            connection.executemany("INSERT INTO columns (role, name) VALUES (?, ?)", added)
        return whole

    def upsert_transactions(self, batch: pa.Table, *, durable: bool = True) -> NDArray[np.int8]:
        schema = self.schema()
        ready = TransactionBatch.of(batch, schema)  # before the lock is taken, which others wait for
        with self._database.writing(durable=durable) as connection:
            layout = self._layouts.read(connection)
            if layout.schema != schema:  # extended in between
                ready = TransactionBatch.of(batch, layout.schema)
            return write_transactions(connection, layout, self._keys, ready)

    def upsert_labels(self, batch: pa.Table) -> NDArray[np.int8]:
        ready = LabelBatch.of(batch)
        with self._database.writing() as connection:
            return write_labels(connection, self._layouts.read(connection), ready)

    def upsert_attributes(self, entity: str, batch: pa.Table) -> int:
        with self._database.writing() as connection:
            return write_attributes(connection, self._layouts.read(connection), self._keys, entity, batch)

    def write_decisions(self, decisions: Sequence[Decision], *, durable: bool = True) -> NDArray[np.int8]:
        outcomes = np.full(len(decisions), Outcome.LOADED, dtype=np.int8)
        with self._database.writing(durable=durable) as connection:
            for i, d in enumerate(decisions):
                row = (
                    d.transaction_id, d.digest, d.decided_at, d.probability, d.band, d.model_version, d.response,
                    d.features,
                )  # fmt: skip
                written = connection.execute(
                    f"INSERT INTO decisions ({_DECISION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row
                )
                if not written.rowcount:
                    (digest,) = connection.execute(
                        "SELECT digest FROM decisions WHERE transaction_id = ?", (d.transaction_id,)
                    ).fetchone()
                    outcomes[i] = Outcome.DUPLICATE if digest == d.digest else Outcome.CONFLICT
        return outcomes

    def settle(self) -> None:
        self._database.settle()

    def decisions(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        with self._database.reading() as connection:
            rows = select_in(
                connection, f"SELECT {_DECISION} FROM decisions WHERE transaction_id IN ({{}})", transaction_ids
            )
            return {row[0]: Decision(*row) for row in rows}

    def sequence_numbers(self, transaction_ids: Sequence[str]) -> dict[str, int]:
        with self._database.reading() as connection:
            sql = "SELECT transaction_id, seq FROM transactions WHERE transaction_id IN ({})"
            return dict(select_in(connection, sql, transaction_ids))

    def entity_ids(self, entity: str, keys: Sequence[str]) -> dict[str, int]:
        with self._database.reading() as connection:
            kind = self._layouts.read(connection).kind(entity)
            return dict(
                select_in(connection, "SELECT key, id FROM entities WHERE kind = ? AND key IN ({})", keys, kind)
            )

    def entity_keys(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[EntityKeys]:
        return sqlite_feed.entity_keys(self._database, self._layouts, since, chunk=chunk)

    def watermark(self) -> Watermark:
        return sqlite_feed.watermark(self._database)

    def transaction_changes(
        self, since: int = 0, *, with_ids: bool = False, chunk: int = 262_144
    ) -> Iterator[TransactionChanges]:
        return sqlite_feed.transaction_changes(self._database, self._layouts, since, with_ids=with_ids, chunk=chunk)

    def label_changes(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[LabelChanges]:
        return sqlite_feed.label_changes(self._database, since, chunk=chunk)

    def labels_of(self, transaction_ids: Sequence[str]) -> dict[str, list[tuple[int, bool, str]]]:
        with self._database.reading() as connection:
            rows = select_in(
                connection,
                "SELECT transaction_id, known_at, is_fraud, source FROM labels WHERE transaction_id IN ({})",
                list(dict.fromkeys(transaction_ids)),
            )
            labels: dict[str, list[tuple[int, bool, str]]] = {}
            for text, known_at, is_fraud, source in rows:
                labels.setdefault(text, []).append((known_at, bool(is_fraud), source))
        return {text: sorted(history) for text, history in labels.items()}

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        with self._database.reading() as connection:
            layout = self._layouts.read(connection)
            id_ = sqlite_reads.find_entity(connection, layout, entity, key)
            return None if id_ is None else sqlite_reads.describe(connection, layout, [id_])[id_]

    def neighbourhood(self, entity: str, key: str, *, depth: int = 1, limit: int = 200) -> dict[str, Any]:
        with self._database.reading() as connection:
            layout = self._layouts.read(connection)
            id_ = sqlite_reads.find_entity(connection, layout, entity, key)
            if id_ is None:
                return {"nodes": [], "links": [], "truncated": False}
            return sqlite_reads.walk(connection, layout, id_, depth, limit)

    def recent_transactions(self, entity: str, key: str, *, limit: int = 50) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            layout = self._layouts.read(connection)
            id_ = sqlite_reads.find_entity(connection, layout, entity, key)
            return [] if id_ is None else sqlite_reads.recent(connection, layout, id_, limit)

    def write_refresh(self, refresh: Refresh) -> bool:
        ready = RefreshContent.of(refresh)  # before the lock is taken, which others wait for
        with self._database.writing() as connection:
            return sqlite_rings.write_refresh(connection, ready)

    def refreshed_at(self) -> int | None:
        with self._database.reading() as connection:
            return sqlite_rings.refreshed_at(connection)

    def rings(
        self, *, active: bool | None = None, status: RingStatus | None = None, limit: int | None = 100
    ) -> list[Ring]:
        with self._database.reading() as connection:
            return sqlite_rings.select(connection, active=active, status=status, limit=limit)

    def ring(self, ring_id: str) -> Ring | None:
        with self._database.reading() as connection:
            return sqlite_rings.find(connection, ring_id)

    def ring_events(self, ring_id: str) -> list[RingEvent]:
        with self._database.reading() as connection:
            return sqlite_rings.events(connection, ring_id)

    def write_verdict(self, verdict: Verdict) -> Ring:
        with self._database.writing() as connection:
            return sqlite_rings.write_verdict(connection, verdict)

    def memberships(self, since: int = 0) -> Iterator[Membership]:
        return sqlite_rings.memberships(self._database, since)

    def ring_marks(self, since: int = 0) -> Iterator[RingMark]:
        return sqlite_rings.marks(self._database, since)

    def ring_watermark(self) -> int:
        with self._database.reading() as connection:
            return sqlite_rings.watermark(connection)

    def write_embeddings(self, refresh: EmbeddingRefresh) -> dict[str, int]:
        with self._database.writing() as connection:
            return sqlite_embeddings.write(connection, self._layouts.read(connection), refresh)

    def embeddings(self) -> StoredEmbeddings | None:
        with self._database.reading() as connection:
            return sqlite_embeddings.stored(connection, self._layouts.read(connection))

    def every_embedding(self) -> EmbeddingRefresh | None:
        with self._database.reading() as connection:
            return sqlite_embeddings.every(connection, self._layouts.read(connection))

    def similar(self, entity: str, key: str, *, limit: int = 10) -> list[Alike] | None:
        with self._database.reading() as connection:
            return sqlite_embeddings.similar(connection, self._layouts.read(connection), entity, key, max(limit, 0))

    def overviews(self, entity: str, keys: Sequence[str], *, latest: int = 50) -> dict[str, Overview]:
        with self._database.reading() as connection:
            return sqlite_reads.overviews(connection, self._layouts.read(connection), entity, keys, max(latest, 0))

    def every_label(self, *, chunk: int = 100_000) -> Iterator[LabelRows]:
        return sqlite_whole.labels(self._database, chunk=chunk)

    def every_decision(self, *, chunk: int = 10_000) -> Iterator[list[Decision]]:
        return sqlite_whole.decisions(self._database, chunk=chunk)

    def every_attribute(self, entity: str, *, chunk: int = 10_000) -> Iterator[dict[str, dict[str, Any]]]:
        return sqlite_whole.attributes(self._database, self._layouts, entity, chunk=chunk)

    def status(self) -> dict[str, int]:
        with self._database.reading() as connection:
            layout = self._layouts.read(connection)
            counts = connection.execute(
                # Sequence numbers of transactions have no gaps, and counting a million rows takes a while.
                "SELECT coalesce((SELECT max(seq) FROM transactions), 0), (SELECT count(*) FROM labels),"
                " (SELECT count(*) FROM decisions)"
            ).fetchone()
            by_kind = dict(connection.execute("SELECT kind, count(*) FROM entities GROUP BY kind"))
        of_type = {f"entities:{name}": by_kind.get(layout.kind(name), 0) for name in layout.schema.entities}
        return {
            **dict(zip(("transactions", "labels", "decisions"), counts, strict=True)),
            "entities": sum(of_type.values()),
            **of_type,
        }
