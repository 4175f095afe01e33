"""Scored transactions as the graph store takes them: encoded in the spool, then as an Arrow table."""

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from api.wire import Submission
from graph.records import (
    LABEL_COLUMNS,
    GraphSchema,
    category_column,
    entity_column,
    numeric_column,
    transaction_columns,
)

_ENCODER = msgspec.msgpack.Encoder()


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """A transaction as it was scored, and when the service had it (microseconds UTC)."""

    submission: Submission
    arrived_at: int


_DECODER = msgspec.msgpack.Decoder(Fact)


def encode(submission: Submission, arrived_at: int) -> bytes:
    """The fact's bytes in the spool."""
    return _ENCODER.encode(Fact(submission, arrived_at))


def decode(fact: bytes) -> Fact:
    """The fact of these bytes."""
    return _DECODER.decode(fact)


def table(facts: Sequence[bytes]) -> pa.Table:
    """Encoded facts as a table of `transaction_columns`, with the columns that occur in them."""
    decoded = [_DECODER.decode(fact) for fact in facts]
    rows = [fact.submission for fact in decoded]
    schema = schema_of(rows)
    columns: dict[str, list[object]] = {
        "transaction_id": [row.transaction_id for row in rows],
        "occurred_at": [row.occurred_at for row in rows],
        "arrived_at": [fact.arrived_at for fact in decoded],
        "amount": [row.amount for row in rows],
        "currency": [row.currency for row in rows],
    }
    columns |= {entity_column(name): [row.entities.get(name) for row in rows] for name in schema.entities}
    columns |= {category_column(name): [row.categories.get(name) for row in rows] for name in schema.categories}
    columns |= {numeric_column(name): [row.numeric.get(name) for row in rows] for name in schema.numeric}
    return pa.table(columns, schema=transaction_columns(schema))


def schema_of(rows: Sequence[Submission]) -> GraphSchema:
    """The entity types, categories and numbers that occur in these rows."""
    schema = GraphSchema()
    return schema.merged(
        GraphSchema(
            schema.entities + tuple(sorted({name for row in rows for name in row.entities} - {*schema.entities})),
            tuple(sorted({name for row in rows for name in row.categories})),
            tuple(sorted({name for row in rows for name in row.numeric})),
        )
    )


def label_table(labels: Sequence[tuple[str, bool, int, str]]) -> pa.Table:
    """Labels (transaction_id, is_fraud, known_at, source) as a table of `LABEL_COLUMNS`."""
    columns = list(zip(*labels, strict=True)) if labels else [(), (), (), ()]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, LABEL_COLUMNS, strict=True)], schema=LABEL_COLUMNS)


def schema_of_facts(facts: Sequence[bytes]) -> GraphSchema:
    """The entity types, categories and numbers that occur in these facts."""
    return schema_of([_DECODER.decode(fact).submission for fact in facts])
