"""Writing a store as files that `neo4j-admin database import full` reads, in the form that the Neo4j store keeps.

Texts stream through in chunks. In memory are 20 bytes a transaction and 4 more an entity type, 17 bytes a label, the
keys of entities and their attributes, and some 60 bytes a transaction while sums are made.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graph.bulk.embeddings import Embedded
from graph.bulk.entities import write_categories, write_entities, write_hubs, write_pairs
from graph.bulk.files import ImportFiles
from graph.bulk.judgements import write_decisions, write_labels
from graph.bulk.transactions import write_transactions
from graph.neo4j_names import STORE
from graph.neo4j_state import Columns
from graph.progress import Progress, Silent
from graph.records import GraphSchema
from graph.store import Store, whole


def columns_of(schema: GraphSchema) -> Columns:
    """The columns of a Neo4j store that is imported with this schema."""
    return Columns.of(
        (
            *(f"entity:{name}" for name in schema.entities),
            *(f"category:{name}" for name in schema.categories),
            *(f"numeric:{name}" for name in schema.numeric),
        )
    )


def export(store: Store, folder: Path, progress: Progress | None = None, *, until: int | None = None) -> dict[str, Any]:
    """Writes the transactions, labels, entities, attributes, embeddings and decisions of a store.

    What is written to the store meanwhile is left out. Rings are not written: `copy` brings them.

    Args:
        store: any store that can be read as a whole.
        folder: made where it is not there; must be empty.
        progress: told of how far it is.
        until: number of the last transaction to be written; all that are there by default.

    Returns:
        Counts: `transactions`, `labels`, `decisions`, `entities`, `embeddings`, `nodes`, `relationships`, `bytes` and
        `seconds`.

    Raises:
        InputError: the folder is not empty, or a name or time cannot stand in such files.
        StoreError: the store cannot be read as a whole, or its transactions are not numbered without gaps.
    """
    started = time.perf_counter()
    progress = progress or Silent()
    source = whole(store)
    schema = store.schema()
    columns = columns_of(schema)
    end = store.watermark().transaction
    if until is not None:
        end = min(end, until)
    with ImportFiles(folder) as files:
        verdicts, labels, waiting = write_labels(source, files, end, progress)
        bands, decisions, waiting_decisions = write_decisions(store, source, files, end, progress)
        with progress.stage("reading keys"):
            parts = list(store.entity_keys())
        kinds = np.concatenate([np.zeros(0, dtype=np.int16), *(part.kinds for part in parts)])
        keys = pa.chunked_array([pa.array(part.keys, pa.string()) for part in parts], pa.string())
        facts = write_transactions(store, columns, files, end, verdicts, bands, keys, progress)
        with progress.stage("sums and entities"):
            embedded = Embedded.read(store, columns, len(kinds))
            entities = write_entities(store, source, columns, files, facts, kinds, keys, embedded)
            write_categories(columns, files, kinds, keys)
            write_pairs(columns, files, facts)
            write_hubs(columns, files, facts)
        row = {
            "columns:string[]": ";".join(columns.names), "transactions:long": end, "labels:long": labels,
            "entities:long": len(kinds), "waiting_labels:long": waiting, "label_tickets:long": waiting,
            "waiting_decisions:long": waiting_decisions,
        }  # fmt: skip
        row |= embedded.told()
        fields = dict(name.split(":") for name in row)
        node = files.nodes(STORE, {"name": "string", **fields, "imported": "boolean"})
        node.write([pa.array([value]) for value in ("store", *row.values(), True)])
    counts = files.counts
    return {
        "transactions": end,
        "labels": labels + waiting,
        "decisions": decisions,
        "entities": entities,
        "embeddings": embedded.count,
        "nodes": sum(count for name, count in counts.items() if name.endswith("nodes")),
        "relationships": sum(count for name, count in counts.items() if name.endswith("links")),
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "seconds": round(time.perf_counter() - started, 1),
    }
