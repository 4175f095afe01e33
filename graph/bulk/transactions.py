"""Transactions as nodes of an import, with their relationships."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.bulk.files import ImportFiles
from graph.bulk.judgements import Bands
from graph.bulk.texts import fixed_blobs, ids, moments, numbers
from graph.errors import StoreError
from graph.neo4j_facts import OWN_PROPERTIES
from graph.neo4j_names import FRAUD, TRANSACTION
from graph.neo4j_state import Columns
from graph.progress import Progress
from graph.store import Store, TransactionChanges

_CHUNK = 131_072
_SHOWN = {"review": "Review", "block": "Blocked"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What sums are made of; n transactions, the first has number 1.

    Attributes:
        occurred_at, amount: int64[n].
        ids: int32[n, entity types], -1 is missing.
        fraud: bool[n], whether the last known label says so.
    """

    occurred_at: NDArray[np.int64]
    amount: NDArray[np.int64]
    ids: NDArray[np.int32]
    fraud: NDArray[np.bool_]


def write_transactions(
    store: Store,
    columns: Columns,
    files: ImportFiles,
    end: int,
    verdicts: NDArray[np.int8],
    bands: Bands,
    keys: pa.ChunkedArray,
    progress: Progress,
) -> Facts:
    """Writes transactions 1 to `end`; returns what sums are made of.

    Args:
        verdicts: by number of transaction, what its last known label says; -1 is nothing.
        bands: what was decided.
        keys: by integer id.

    Raises:
        StoreError: numbers of transactions are missing.
    """
    schema = columns.schema
    linked = len(schema.entities)
    categories = [(n, linked + i) for i, n in enumerate(schema.categories) if n not in OWN_PROPERTIES]
    numeric = [(n, i) for i, n in enumerate(schema.numeric) if n not in OWN_PROPERTIES]
    more = {**{n: "string" for n, _ in categories}, **{n: "double" for n, _ in numeric}}
    nodes = files.nodes(
        TRANSACTION,
        {
            ":ID(transaction)": "", "id": "string", "long_id": "string", "seq": "long", "occurred_at": "datetime",
            "arrived_at": "datetime", "amount": "long", "currency": "string", "ids": "byte[]", "numbers": "byte[]",
            "is_fraud": "boolean", "band": "string", ":LABEL": "", **more,
        },
    )  # fmt: skip
    links = [
        files.relationships(kind.relationship, dict.fromkeys(_ends("START", "END", outward=position == 0), ""))
        for position, kind in enumerate(columns.types)
    ]
    band_names = pa.array([None, *bands.names[1:]], pa.string())
    band_labels = pa.array([_SHOWN.get(name) for name in bands.names], pa.string())
    facts = Facts(
        np.zeros(end, dtype=np.int64), np.zeros(end, dtype=np.int64), np.full((end, linked), -1, dtype=np.int32),
        verdicts[1:] == 1,
    )  # fmt: skip
    done = 0
    with progress.stage("transactions", total=end) as advance:
        for whole in store.transaction_changes(with_ids=True, chunk=_CHUNK):
            part = _up_to(whole, end)
            n = len(part.seq)
            if not n:
                break
            if int(part.seq[0]) != done + 1 or int(part.seq[-1]) != done + n:
                raise StoreError(f"the store {store.url} lacks transactions after number {done}")
            rows = slice(done, done + n)
            facts.occurred_at[rows], facts.amount[rows] = part.occurred_at, part.amount
            facts.ids[rows] = part.ids[:, :linked]
            assert part.transaction_ids is not None
            seq = pa.array(part.seq)
            says = verdicts[1:][rows]
            codes = pa.array(bands.codes[1:][rows])
            nodes.write(
                [
                    seq, *ids(part.transaction_ids), seq, moments(part.occurred_at), moments(part.arrived_at),
                    pa.array(part.amount), pa.array(part.currency, pa.string()), fixed_blobs(part.ids),
                    fixed_blobs(part.numeric), pa.array(says == 1, mask=says < 0), band_names.take(codes),
                    _labels(band_labels.take(codes), says == 1),
                    *(_keys(keys, part.ids[:, at]) for _, at in categories),
                    *(numbers(part.numeric[:, at]) for _, at in numeric),
                ]
            )  # fmt: skip
            for position, link in enumerate(links):
                there = np.flatnonzero(part.ids[:, position] >= 0)
                pair = [pa.array(part.ids[there, position]), pa.array(part.seq[there])]
                link.write(pair if position == 0 else pair[::-1])
            done += n
            advance(n)
    if done < end:
        raise StoreError(f"the store {store.url} lacks transactions after number {done}")
    return facts


def _ends(start: str, end: str, *, outward: bool) -> list[str]:
    spaces = ["entity", "transaction"] if outward else ["transaction", "entity"]
    return [f":{side}_ID({space})" for side, space in zip((start, end), spaces, strict=True)]


def _labels(bands: pa.Array, fraud: NDArray[np.bool_]) -> pa.Array:
    """Further labels of transactions, as the import tool reads them; null for none."""
    known = pc.if_else(pa.array(fraud), FRAUD, pa.scalar(None, pa.string()))
    return pc.coalesce(pc.binary_join_element_wise(bands, known, ";"), bands, known)


def _keys(keys: pa.ChunkedArray, ids: NDArray[np.int32]) -> pa.Array:
    """Keys of integer ids, null where one is missing; each distinct one is looked up once."""
    numbers, which = np.unique(ids, return_inverse=True)
    texts = keys.take(pa.array(numbers, mask=numbers < 0)).combine_chunks()
    return texts.take(pa.array(which))


def _up_to(part: TransactionChanges, end: int) -> TransactionChanges:
    """The rows numbered up to `end`."""
    n = int(np.searchsorted(part.seq, end, side="right"))
    if n == len(part.seq):
        return part
    texts, currency = part.transaction_ids, part.currency
    return TransactionChanges(
        part.seq[:n], part.occurred_at[:n], part.arrived_at[:n], part.amount[:n], part.ids[:n], part.numeric[:n],
        transaction_ids=None if texts is None else texts[:n], currency=None if currency is None else currency[:n],
    )  # fmt: skip
