"""Rows in quarantine, tried again: after the mapping was corrected, or once what they waited for has come."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from etl.contract.checked import Contract, Window
from etl.contract.layout import fit
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.refusals import BROKEN_LINE
from etl.contract.transactions import TransactionContract
from etl.imputation.filling import Imputer
from etl.ledger import KeptRow, Ledger, sidecar
from etl.loading.inference import Silence
from etl.loading.load import clock, conflict_reason
from etl.loading.streams import attribute_contract, label_contract
from etl.loading.writing import FactWriter
from etl.mapping import Mapping
from etl.reporting.report import LoadReport
from etl.sources import CHUNK_ROWS, Chunk
from graph.progress import Progress, Silent
from graph.store import Outcome, Store


@dataclass
class RetryReport:
    """What became of the rows that a mapping has in quarantine: tried = loaded + duplicates + kept."""

    tried: int = 0
    loaded: int = 0
    duplicates: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "tried": self.tried,
            "loaded": self.loaded,
            "duplicates": self.duplicates,
            "kept": self.reasons.total(),
            "reasons": dict(self.reasons.most_common()),
        }


def retry(
    mapping: Mapping,
    store: Store,
    *,
    reason: str | None = None,
    progress: Progress | None = None,
    now: int | None = None,
    batch_rows: int = CHUNK_ROWS,
) -> RetryReport:
    """Puts kept rows through the mapping again; those that pass are loaded and leave quarantine.

    A row that another load has brought in the meantime is a duplicate, and leaves as well. Lines that were no
    rows stay: they must be corrected at their source.

    Args:
        reason: only rows kept for this reason.

    Raises:
        MappingError: the mapping asks for columns that the kept rows do not have.
        StoreError: the store failed; rows loaded until then have left quarantine, the others stay.
    """
    report = RetryReport()
    kinds = ["transaction", *(["label"] if mapping.labels else []), *(f"attributes:{e}" for e in mapping.attributes)]
    with Ledger(sidecar(store.url)) as ledger, (progress or Silent()).stage("retrying") as advance:
        for kind in kinds:
            after = ""
            while rows := ledger.rows(reason=reason, mapping=mapping.name, kind=kind, after=after, limit=batch_rows):
                after = rows[-1].id
                _retry_batch(mapping, store, ledger, kind, rows, report, now)
                advance(len(rows))
    return report


def _retry_batch(
    mapping: Mapping, store: Store, ledger: Ledger, kind: str, rows: list[KeptRow], report: RetryReport, now: int | None
) -> None:
    report.tried += len(rows)
    raws = [json.loads(row.row.raw) for row in rows]
    broken = [row for row, raw in zip(rows, raws, strict=True) if list(raw) == [BROKEN_LINE]]
    report.reasons.update(row.row.reason for row in broken)
    whole = [(row, raw) for row, raw in zip(rows, raws, strict=True) if list(raw) != [BROKEN_LINE]]
    if not whole:
        return
    chunk = _chunk(whole)
    contract = _contract(mapping, kind, chunk.table.column_names, now)
    checked = contract.check(chunk)
    if isinstance(contract, TransactionContract):
        store.extend_schema(contract.layout.schema)
        imputer = Imputer(mapping, contract.layout, store)
        imputer.observe(checked)
        imputer.resolve([checked])
        checked, _ = imputer.fill(checked)
    after = mapping.label.genuine_after if mapping.label else None
    silence = Silence.of(store, ledger, mapping.name, after, checked.newest)
    writer = FactWriter(mapping, store, LoadReport(mapping.name, []), silence)
    outcomes = writer.write(checked)
    conflicts = np.flatnonzero(outcomes == Outcome.CONFLICT)
    stay = [*checked.refusals.positions().tolist(), *checked.positions[conflicts].tolist()]
    again = [
        *checked.refusals.rows(),
        *checked.conflicting(conflicts, contract.id_columns, conflict_reason(kind)),
    ]
    ledger.change((whole[position][0].id, row) for position, row in zip(stay, again, strict=True))
    gone = checked.positions[outcomes != Outcome.CONFLICT].tolist()
    ledger.release(whole[position][0].id for position in gone)
    report.loaded += int((outcomes == Outcome.LOADED).sum())
    report.duplicates += int((outcomes == Outcome.DUPLICATE).sum())
    report.reasons.update(row.reason for row in again)


def _chunk(rows: Sequence[tuple[KeptRow, dict[str, Any]]]) -> Chunk:
    """Kept rows as a chunk of text columns: every column that any of them has."""
    columns = dict.fromkeys(name for _, raw in rows for name in raw)
    table = pa.table({name: pa.array([_text(raw.get(name)) for _, raw in rows], pa.string()) for name in columns})
    return Chunk("quarantine", table, np.array([row.row.row for row, _ in rows], dtype=np.int64))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _contract(mapping: Mapping, kind: str, columns: Sequence[str], now: int | None) -> Contract:
    present, window = clock(now), Window()
    if kind == "transaction":
        layout = fit(mapping, columns, "the quarantine")
        return TransactionContract(mapping, layout, Pseudonyms(mapping), present, window)
    labels = label_contract(mapping, present, window)
    if kind == "label" and labels is not None:
        return labels
    return attribute_contract(mapping, kind.partition(":")[2])
