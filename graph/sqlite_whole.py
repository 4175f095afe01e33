"""Reading all that a SQLite store holds beside its change feed: labels as they were given, decisions, attributes."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from graph.records import Decision
from graph.sqlite_database import Database
from graph.sqlite_layout import LayoutCache
from graph.store import LabelRows

_LABELS = (
    "SELECT seq, transaction_id, coalesce(transaction_seq, 0), known_at, is_fraud, source FROM labels"
    " WHERE seq > ? AND transaction_seq IS {} ORDER BY seq LIMIT ?"
)
_DECISIONS = (
    "SELECT transaction_id, digest, decided_at, probability, band, model_version, response, features FROM decisions"
    " WHERE transaction_id > ? ORDER BY transaction_id LIMIT ?"
)
_ATTRIBUTES = (
    "SELECT e.id, key, attributes FROM entities e LEFT JOIN totals ON entity = e.id"
    " WHERE e.id > ? AND kind = ? AND (attributes IS NOT NULL OR entity IS NULL) ORDER BY e.id LIMIT ?"
)


def labels(database: Database, *, chunk: int) -> Iterator[LabelRows]:
    """All labels; those that wait for their transaction come last."""
    for known in ("NOT NULL", "NULL"):
        since = 0
        while True:
            with database.reading() as connection:
                rows = connection.execute(_LABELS.format(known), (since, chunk)).fetchall()
            if not rows:
                break
            seq, texts, transaction_seq, known_at, is_fraud, source = zip(*rows, strict=True)
            since = seq[-1]
            yield LabelRows(
                list(texts),
                np.array(transaction_seq, dtype=np.int64),
                np.array(known_at, dtype=np.int64),
                np.array(is_fraud, dtype=np.bool_),
                list(source),
            )


def decisions(database: Database, *, chunk: int) -> Iterator[list[Decision]]:
    """All decisions, by transaction id."""
    with database.reading() as connection:  # the empty text is an id, too
        first = connection.execute(_DECISIONS.replace(">", "=", 1), ("", 1)).fetchall()
    rows, after = first, ""
    while True:
        if rows:
            yield [Decision(*row) for row in rows]
            after = rows[-1][0]
        with database.reading() as connection:
            rows = connection.execute(_DECISIONS, (after, chunk)).fetchall()
        if not rows:
            return


def attributes(
    database: Database, layouts: LayoutCache, entity: str, *, chunk: int
) -> Iterator[dict[str, dict[str, Any]]]:
    """Attributes by key of the entities of a type that have some, or no transactions."""
    with database.reading() as connection:
        kind = layouts.read(connection).entity_kind(entity)
    since = -1
    while True:
        with database.reading() as connection:
            rows = connection.execute(_ATTRIBUTES, (since, kind, chunk)).fetchall()
        if not rows:
            return
        since = rows[-1][0]
        yield {key: json.loads(given) if given else {} for _, key, given in rows}
