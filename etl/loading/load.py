"""Loading: rows of a mapped source into a store, each with one outcome, as often as one likes.

Two passes. The first only reads and checks: if more rows would be refused than the mapping allows, nothing is changed.
The second writes what the first has kept, batch by batch: refused rows to quarantine, then transactions, then their
labels, and last the watermark from which the next load reads on. Every step is idempotent, so a load that was killed
is simply run again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from etl.contract.checked import CheckedRows, Clock, Window
from etl.contract.reasons import Reason
from etl.imputation.filling import Imputer, without
from etl.ledger import Ledger, QuarantinedRow, sidecar
from etl.ledger.watermarks import Watermarks, reached
from etl.loading.ahead import ahead
from etl.loading.inference import Silence
from etl.loading.streams import Plan, Stream, plan, transaction_stream
from etl.loading.survey import Survey, enforce, survey
from etl.loading.writing import FactWriter
from etl.mapping import Mapping
from etl.outliers.marking import mark_outliers, outlier_columns
from etl.reporting.profile import profile
from etl.reporting.report import LoadReport, Tally
from etl.sources import CHUNK_ROWS
from graph.progress import Progress, Silent
from graph.records import SECOND
from graph.settings import settings
from graph.store import Store


def load(
    mapping: Mapping,
    store: Store,
    *,
    files: Sequence[Path] | None = None,
    since: int | None = None,
    until: int | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    now: int | None = None,
    batch_rows: int = CHUNK_ROWS,
) -> LoadReport:
    """Loads what a mapping names into a store.

    A query with a watermark is read from where the last load of this mapping ended. A load that reads with `since` or
    `until` moves the watermark no further than up to the first row that it left out.

    Args:
        files: transaction files to read instead of those (or of the query) that the mapping names.
        since, until: only transactions that occurred in [since, until), and of label files only labels that
            became known in it; microseconds UTC.
        dry_run: read, check and count only. Transactions that the store has count as duplicates, whatever they
            say; everything else that would be written counts as loaded. Moves no watermark.
        now: the present, microseconds UTC; later transactions are refused. The clock's where None.
        batch_rows: most rows checked and written at a time.

    Raises:
        MappingError: the mapping does not fit its sources.
        LimitExceeded: too many rows are unusable; nothing was changed.
        InputError: a file is missing or damaged, or a database refuses the query.
        StoreError: the store failed; what was written stays, and the load can be run again.
    """
    progress = progress or Silent()
    started = time.monotonic()
    limit = mapping.quarantine.limit
    planned = plan(mapping, files, clock(now), Window(since, until), reached(sidecar(store.url), mapping, store))
    report = LoadReport(
        mapping.name,
        [rows.name for rows in planned.transactions.sources],
        dry_run,
        frozenset() if mapping.transaction.currency else frozenset({"currency"}),
        private=private_columns(mapping),
    )
    imputer = Imputer(mapping, planned.layout, store)
    columns = outlier_columns(mapping, planned.layout)
    found = survey(planned, limit, batch_rows, progress, imputer.observe)
    try:
        transactions = found.kinds["transaction"]
        transactions.reasons += imputer.resolve(transactions.kept)
        enforce(limit, "transaction", transactions)
        if dry_run:
            _count(planned, found, imputer, store, report)
            report.seconds = time.monotonic() - started
            report.prove()
        else:
            _write(mapping, planned, found, imputer, columns, store, report, progress, started)
    finally:
        found.close()
    return report


def read_transactions(
    mapping: Mapping,
    files: Sequence[Path] | None = None,
    progress: Progress | None = None,
    *,
    now: int | None = None,
    batch_rows: int = CHUNK_ROWS,
) -> Iterator[tuple[pa.Table, list[QuarantinedRow]]]:
    """The transactions that a mapping names, without any store, and so with nothing filled in.

    Yields:
        For each batch, a table with the columns of `graph.records.transaction_columns`, and the rows refused.

    Raises:
        MappingError: the mapping does not fit its source.
        InputError: a file is missing or damaged, or a database refuses the query.
    """
    _, stream = transaction_stream(mapping, files, clock(now))
    with (progress or Silent()).stage("reading transactions", total=stream.rows) as advance:
        for checked in stream.checked(batch_rows, advance):
            no_amount = checked.imputable.get("amount", np.zeros(checked.table.num_rows, dtype=np.bool_))
            usable = without(checked, no_amount, mapping)
            yield usable.table, list(usable.refusals.rows())


def clock(now: int | None = None) -> Clock:
    """What counts as the future: later than `now` (microseconds UTC; the clock's where None) and a tolerance."""
    present = time.time_ns() // 1_000 if now is None else now
    return Clock(present, settings().future_tolerance * SECOND)


def private_columns(mapping: Mapping) -> frozenset[str]:
    """The source columns whose values nobody but the quarantine may show."""
    columns: list[str] = []
    for entity, own in {
        "transaction_id": mapping.transaction.transaction_id,
        **mapping.transaction.entity_columns(),
    }.items():
        if mapping.pseudonymised(entity):
            columns += own
            about = mapping.attributes.get(entity)
            columns += about.key if about else ()
    if mapping.labels is not None and mapping.pseudonymised("transaction_id"):
        columns += mapping.labels.transaction_id
    return frozenset(columns)


def conflict_reason(kind: str) -> Reason:
    """Why the store refuses a row of this kind that it has with other content."""
    return Reason.CONFLICTING_LABEL if kind == "label" else Reason.CONFLICTING_DUPLICATE


def _tally(report: LoadReport, kind: str) -> Tally:
    if kind == "transaction":
        return report.transactions
    if kind == "label":
        return report.label_files
    return report.attributes.setdefault(kind.partition(":")[2], Tally())


def _count(planned: Plan, found: Survey, imputer: Imputer, store: Store, report: LoadReport) -> None:
    """The second pass of a dry run."""
    for stream in planned.streams():
        tally = _tally(report, stream.kind)
        for kept in found.kinds[stream.kind].kept:
            checked, imputed = imputer.fill(kept)
            tally.note(checked)
            known = 0
            if stream.kind == "transaction":
                report.note(checked.table, checked.unreadable, checked.steps, imputed)
                ids = checked.table.column("transaction_id").to_pylist()
                numbered = store.sequence_numbers(ids)
                known = sum(id_ in numbered for id_ in ids)
                _count_labels(checked, report)
            tally.duplicates += known
            tally.loaded += checked.table.num_rows - known


def _count_labels(checked: CheckedRows, report: LoadReport) -> None:
    if checked.labels is None:
        return
    unusable = checked.labels.unreadable()
    usable = int((checked.labels.value >= 0).sum())
    report.labels.found += usable + unusable.total()
    report.labels.loaded += usable
    report.labels.unusable += unusable
    report.labels.unlabelled += len(checked.labels.value) - usable - unusable.total()


def _write(
    mapping: Mapping,
    planned: Plan,
    found: Survey,
    imputer: Imputer,
    columns: tuple[str, ...] | None,
    store: Store,
    report: LoadReport,
    progress: Progress,
    started: float,
) -> None:
    """The second pass of a load."""
    with Ledger(sidecar(store.url)) as ledger:
        report.number = ledger.begin(mapping.name)
        try:
            store.extend_schema(planned.layout.schema)
            before, counts = store.watermark(), store.status()
            after = mapping.label.genuine_after if mapping.label else None
            silence = Silence.of(store, ledger, mapping.name, after, found.newest)
            writer = _Writer(
                mapping, ledger, imputer, FactWriter(mapping, store, report, silence), Watermarks(ledger, mapping)
            )
            for stream in _in_order(planned, asked=after is not None):
                kind = found.kinds[stream.kind]
                with progress.stage(f"loading {stream.name}", total=kind.read) as advance:
                    for checked in ahead(iter(kind.kept)):
                        writer.write(stream, checked)
                        advance(checked.refusals.read())
            report.labels.inferred += silence.ripen()
            report.new_entities = {
                name.removeprefix("entities:"): count - counts.get(name, 0)
                for name, count in store.status().items()
                if name.startswith("entities:")
            }
            with progress.stage("looking at what came in"):
                report.outliers = mark_outliers(mapping, columns, store, ledger)
                report.profile = profile(store, before)
            report.seconds = time.monotonic() - started
            report.prove()
        except BaseException:
            ledger.finish(report.number, "failed")
            raise
        ledger.finish(report.number, "done", report.as_dict())


def _in_order(planned: Plan, *, asked: bool) -> list[Stream]:
    """Label files come after the transactions, unless these are asked for their silence, which the labels break."""
    streams = planned.streams()
    if asked and planned.labels is not None:
        streams.remove(planned.labels)
        streams.insert(0, planned.labels)
    return streams


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes batches, and gives every row of them its outcome."""

    mapping: Mapping
    ledger: Ledger
    imputer: Imputer
    facts: FactWriter
    watermarks: Watermarks

    def write(self, stream: Stream, kept: CheckedRows) -> None:
        report, name = self.facts.report, self.mapping.name
        tally = _tally(report, stream.kind)
        checked, imputed = self.imputer.fill(kept)
        tally.note(checked)
        if stream.kind == "transaction":
            report.note(checked.table, checked.unreadable, checked.steps, imputed)
        tally.newly_quarantined += self.ledger.keep(name, checked.refusals.rows())
        conflicts = np.flatnonzero(tally.count(self.facts.write(checked)))
        if len(conflicts):
            reason = conflict_reason(stream.kind)
            refused = checked.conflicting(conflicts, stream.contract.id_columns, reason)
            tally.refuse(Counter({reason.value: len(conflicts)}), refused)
            tally.newly_quarantined += self.ledger.keep(name, refused)
        self.watermarks.advance(
            stream.kind,
            checked.refusals.chunk.watermark,
            self.facts.store.watermark(),
            skipped=bool(checked.refusals.outside.any()),
        )
