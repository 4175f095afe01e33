"""Loading: rows of a mapped source into a store, each with one outcome, as often as one likes.

Two passes over the source. The first only reads and checks: if more rows would be refused than the
mapping allows, nothing is changed. The second writes, batch by batch: refused rows to quarantine, then
transactions, then their labels. Every step is idempotent, so a load that was killed is simply run again.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from etl.contract import CheckedRows, Clock, Window
from etl.inference import Silence
from etl.mapping import Mapping
from etl.quarantine import Ledger, QuarantinedRow, sidecar
from etl.reasons import Reason
from etl.report import LoadReport, Tally
from etl.sources import CHUNK_ROWS
from etl.streams import Plan, Stream, Survey, plan, survey, transaction_stream
from etl.writing import FactWriter
from graph.progress import Advance, Progress, Silent
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

    Args:
        files: transaction files to read instead of those that the mapping names.
        since, until: only transactions that occurred in [since, until), and of label files only labels that
            became known in it; microseconds UTC.
        dry_run: read, check and count only. Transactions that the store has count as duplicates, whatever they
            say; everything else that would be written counts as loaded.
        now: the present, microseconds UTC; later transactions are refused. The clock's where None.
        batch_rows: most rows checked and written at a time.

    Raises:
        MappingError: the mapping does not fit the files.
        LimitExceeded: too many rows are unusable; nothing was changed.
        InputError: a file is missing or damaged.
        StoreError: the store failed; what was written stays, and the load can be run again.
    """
    progress = progress or Silent()
    started = time.monotonic()
    planned = plan(mapping, files, clock(now), Window(since, until))
    unmapped = frozenset() if mapping.transaction.currency else frozenset({"currency"})
    report = LoadReport(mapping.name, [str(file.path) for file in planned.transactions.files], dry_run, unmapped)
    limit = mapping.quarantine.limit
    if dry_run:
        survey(planned, limit, batch_rows, progress, lambda stream, checked: _count(stream, checked, store, report))
        report.seconds = time.monotonic() - started
        report.prove()
    else:
        needed = limit < 1 or (mapping.label is not None and mapping.label.genuine_after is not None)
        found = survey(planned, limit, batch_rows, progress) if needed else Survey(kept=None)
        _write(mapping, planned, found, store, report, batch_rows, progress, started)
    return report


def read_transactions(
    mapping: Mapping,
    files: Sequence[Path] | None = None,
    progress: Progress | None = None,
    *,
    now: int | None = None,
    batch_rows: int = CHUNK_ROWS,
) -> Iterator[tuple[pa.Table, list[QuarantinedRow]]]:
    """The transactions that a mapping names, without any store.

    Yields:
        For each batch, a table with the columns of `graph.records.transaction_columns`, and the rows refused.

    Raises:
        MappingError: the mapping does not fit the files.
        InputError: a file is missing or damaged.
    """
    _, stream = transaction_stream(mapping, files, clock(now))
    with (progress or Silent()).stage("reading transactions", total=stream.rows) as advance:
        for checked in stream.checked(batch_rows, advance):
            yield checked.table, list(checked.refusals.rows())


def clock(now: int | None = None) -> Clock:
    """What counts as the future: later than `now` (microseconds UTC; the clock's where None) and a tolerance."""
    present = time.time_ns() // 1_000 if now is None else now
    return Clock(present, settings().future_tolerance * SECOND)


def silence(mapping: Mapping, store: Store, newest: int | None) -> Silence | None:
    """What infers genuine labels, where the mapping asks for it and there is a newest moment."""
    if mapping.label is None or mapping.label.genuine_after is None or newest is None:
        return None
    return Silence(store, mapping.label.genuine_after, newest)


def _tally(report: LoadReport, kind: str) -> Tally:
    if kind == "transaction":
        return report.transactions
    if kind == "label":
        return report.label_files
    return report.attributes.setdefault(kind.partition(":")[2], Tally())


def _count(stream: Stream, checked: CheckedRows, store: Store, report: LoadReport) -> None:
    """Counts a batch as a dry run sees it."""
    tally = _tally(report, stream.kind)
    tally.note(checked)
    known = 0
    if stream.kind == "transaction":
        report.note(checked.table, checked.unreadable)
        ids = checked.table.column("transaction_id").to_pylist()
        numbered = store.sequence_numbers(ids)
        known = sum(id_ in numbered for id_ in ids)
        if checked.labels is not None:
            unusable = checked.labels.unreadable()
            usable = int((checked.labels.value >= 0).sum())
            report.labels.found += usable + unusable.total()
            report.labels.loaded += usable
            report.labels.unusable += unusable
            report.labels.unlabelled += len(checked.labels.value) - usable - unusable.total()
    tally.duplicates += known
    tally.loaded += checked.table.num_rows - known


def _write(
    mapping: Mapping,
    planned: Plan,
    found: Survey,
    store: Store,
    report: LoadReport,
    size: int,
    progress: Progress,
    started: float,
) -> None:
    """The second pass."""
    with Ledger(sidecar(store.url)) as ledger:
        number = ledger.begin(mapping.name)
        try:
            store.extend_schema(planned.layout.schema)
            before = store.status()
            writer = FactWriter(mapping, store, report, silence(mapping, store, found.newest))
            for stream in _in_order(planned, writer):
                total = found.rows.get(stream.kind, stream.rows)
                with progress.stage(f"loading {stream.name}", total=total) as advance:
                    for checked in _again(stream, found, size, advance):
                        _write_batch(mapping, stream, checked, writer, ledger, _tally(report, stream.kind))
            after = store.status()
            report.new_entities = {
                name.removeprefix("entities:"): count - before.get(name, 0)
                for name, count in after.items()
                if name.startswith("entities:")
            }
            report.seconds = time.monotonic() - started
            report.prove()
        except BaseException:
            ledger.finish(number, "failed")
            raise
        ledger.finish(number, "done", report.as_dict())


def _in_order(planned: Plan, writer: FactWriter) -> list[Stream]:
    """Label files come after the transactions, unless their silence is to be read while loading these."""
    streams = planned.streams()
    if writer.silence is not None and planned.labels is not None:
        streams.remove(planned.labels)
        streams.insert(0, planned.labels)
    return streams


def _again(stream: Stream, found: Survey, size: int, advance: Advance) -> Iterator[CheckedRows]:
    if found.kept is None:
        yield from stream.checked(size, advance)
        return
    for checked in found.kept[stream.kind]:
        yield checked
        advance(checked.refusals.read())


def _write_batch(
    mapping: Mapping, stream: Stream, checked: CheckedRows, writer: FactWriter, ledger: Ledger, tally: Tally
) -> None:
    tally.note(checked)
    tally.newly_quarantined += ledger.keep(mapping.name, checked.refusals.rows())
    conflicts = np.flatnonzero(tally.count(writer.write(checked)))
    if len(conflicts):
        reason = conflict_reason(stream.kind)
        tally.refuse(Counter({reason.value: len(conflicts)}))
        refused = checked.conflicting(conflicts, stream.contract.id_columns, reason)
        tally.newly_quarantined += ledger.keep(mapping.name, refused)


def conflict_reason(kind: str) -> Reason:
    """Why the store refuses a row of this kind that it has with other content."""
    return Reason.CONFLICTING_LABEL if kind == "label" else Reason.CONFLICTING_DUPLICATE
