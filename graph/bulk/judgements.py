"""What is said of transactions, as nodes of an import: labels and decisions."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.bulk.files import ImportFiles
from graph.bulk.texts import blobs, ids, moments, numbers
from graph.neo4j_names import DECISION, FRAUD_LABEL
from graph.progress import Progress
from graph.store import Store, WholeStore

_CHUNK = 131_072


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands of transactions: `codes` int8 by number of transaction, positions in `names`; 0 is none."""

    codes: NDArray[np.int8]
    names: list[str]


def write_labels(
    source: WholeStore, files: ImportFiles, end: int, progress: Progress
) -> tuple[NDArray[np.int8], int, int]:
    """Writes the labels; what the last known one says by transaction (-1: nothing), and how many there are and wait."""
    common = {"transaction_id": "string", "known_at": "datetime", "source": "string", "is_fraud": "boolean"}
    known = files.nodes(FRAUD_LABEL, {**common, "seq": "long", "transaction_seq": "long"})
    unknown = files.nodes(FRAUD_LABEL, {**common, "long_id": "string", "ticket": "long"})
    history: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]] = []
    with progress.stage("labels") as advance:
        for rows in source.every_label(chunk=_CHUNK):
            text, long_id = ids(rows.transaction_ids)
            shared = [text, moments(rows.known_at), pa.array(rows.source), pa.array(rows.is_fraud)]
            ready = (rows.transaction_seq > 0) & (rows.transaction_seq <= end)
            for file, mine, more in ((known, ready, pa.array(rows.transaction_seq)), (unknown, ~ready, long_id)):
                chosen = np.flatnonzero(mine)
                numbered = pa.array(np.arange(file.count + 1, file.count + 1 + chosen.size))
                parts = [column.take(pa.array(chosen)) for column in (*shared, more)]
                file.write([*parts[:4], *([numbered, parts[4]] if file is known else [parts[4], numbered])])
            history.append((rows.transaction_seq[ready], rows.known_at[ready], rows.is_fraud[ready]))
            advance(len(text))
    says = np.full(end + 1, -1, dtype=np.int8)
    if history:
        seq, known_at, is_fraud = map(np.concatenate, zip(*history, strict=True))
        order = np.lexsort((is_fraud, known_at, seq))
        says[seq[order]] = is_fraud[order]  # the last of a transaction stays
    return says, known.count, unknown.count


def write_decisions(
    store: Store, source: WholeStore, files: ImportFiles, end: int, progress: Progress
) -> tuple[Bands, int, int]:
    """Writes the decisions; bands, and how many decisions there are and wait."""
    fields = {
        "id": "string", "long_id": "string", "digest": "byte[]", "decided_at": "datetime", "probability": "double",
        "band": "string", "model_version": "string", "response": "byte[]", "features": "byte[]", "waiting": "boolean",
    }  # fmt: skip
    file = files.nodes(DECISION, fields)
    names = [""]
    bands = np.zeros(end + 1, dtype=np.int8)
    waiting = 0
    with progress.stage("decisions") as advance:
        for rows in source.every_decision():
            seq = store.sequence_numbers([d.transaction_id for d in rows])
            at = np.array([seq.get(d.transaction_id, end + 1) for d in rows])
            ready = at <= end
            for name in dict.fromkeys(d.band for d in rows):
                if name not in names:
                    names.append(name)
            bands[at[ready]] = np.array([names.index(d.band) for d in rows])[ready]
            waiting += int((~ready).sum())
            file.write(
                [
                    *ids([d.transaction_id for d in rows]),
                    blobs([d.digest for d in rows]),
                    moments(np.array([d.decided_at for d in rows], dtype=np.int64)),
                    numbers(np.array([d.probability for d in rows])),
                    pa.array([d.band for d in rows]),
                    pa.array([d.model_version for d in rows]),
                    blobs([d.response for d in rows]),
                    blobs([d.features for d in rows]),
                    pa.array([None if there else True for there in ready.tolist()], pa.bool_()),
                ]
            )
            advance(len(rows))
    return Bands(bands, names), file.count, waiting
