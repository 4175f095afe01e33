"""What follows from an investigator's verdict."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from graph.records import LABEL_COLUMNS
from graph.ring_records import RingStatus, Verdict

SOURCE = "ring"
"""The source of labels that follow from verdicts on rings; the ring's id is added to it."""


def verdict_labels(verdict: Verdict, transaction_ids: Sequence[str]) -> pa.Table:
    """Labels (`LABEL_COLUMNS`) that a verdict gives: a confirmed ring's transactions are fraud, known from then on.

    A dismissal gives none: that a ring is none doesn't say that each transaction in it was genuine.

    Args:
        verdict: what was said; its time becomes `known_at`.
        transaction_ids: of the ring's members over its links, occurred and arrived before the verdict.
    """
    ids = sorted(set(transaction_ids)) if verdict.verdict is RingStatus.CONFIRMED else []
    return pa.table(
        {
            "transaction_id": pa.array(ids, pa.string()),
            "is_fraud": np.ones(len(ids), np.bool_),
            "known_at": pa.array(np.full(len(ids), verdict.at)).cast(LABEL_COLUMNS.field("known_at").type),
            "source": pa.array([f"{SOURCE}:{verdict.ring_id}"] * len(ids), pa.string()),
        },
        schema=LABEL_COLUMNS,
    )
