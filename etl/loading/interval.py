"""One interval of a schedule: what occurred in it, and what came late of the time before, into a store."""

from pathlib import Path
from typing import Any

from etl.loading.load import load
from etl.mapping import read_mapping
from etl.reporting.metrics import publish_load, publish_stopped
from graph.errors import LimitExceeded, SourceUnavailable
from graph.progress import Progress
from graph.records import SECOND
from graph.ring_json import iso
from graph.store import Store

HOUR = 3_600 * SECOND


def load_interval(
    mapping: Path,
    store: Store,
    *,
    since: int,
    until: int,
    overlap: int,
    late: int,
    var: Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Loads what occurred (of labels: became known) in [since - overlap, until), microseconds UTC.

    Loading an interval again, or one before it, adds only what was not there.

    Args:
        overlap: microseconds before the interval that are read again, for rows that came late.
        late: microseconds; the store's newest transaction must have occurred so long before `until` or later.
        var: folder whose `jobs` tells Prometheus of the load.

    Returns:
        `read`, `loaded`, `duplicates`, `quarantined` (transactions), `labels` (newly loaded), and the store's counts
        `before` and `after`.

    Raises:
        SourceUnavailable: the source has nothing of the interval's end yet; what there was is loaded.
        MappingError, LimitExceeded, InputError, StoreError: as `etl.loading.load`.
    """
    read = read_mapping(mapping)
    before = store.status()
    try:
        report = load(read, store, since=since - overlap, until=until, progress=progress)
    except LimitExceeded:
        publish_stopped(var, read.name)
        raise
    publish_load(var, report)
    newest = newest_before(store, until)
    if newest < until - late:
        raise SourceUnavailable(
            f"the newest transaction before {iso(until)} is of {iso(newest)}, more than {late // HOUR} hours older: "
            f"what {read.name} reads from has nothing newer yet",
            hint="see whether its deliveries come; a source that is often quiet needs a larger "
            "QUIPU_REFRESH_LATE_HOURS",
        )
    rows = report.transactions
    return {
        "read": rows.read,
        "loaded": rows.loaded,
        "duplicates": rows.duplicates,
        "quarantined": rows.quarantined,
        "labels": report.labels.loaded + report.labels.inferred + report.label_files.loaded,
        "before": before,
        "after": store.status(),
    }


def newest_before(store: Store, until: int) -> int:
    """When the last transaction before `until` occurred, microseconds UTC.

    Raises:
        SourceUnavailable: there is none.
    """
    newest = None
    for chunk in store.transaction_changes():
        earlier = chunk.occurred_at[chunk.occurred_at < until]
        if len(earlier):
            newest = max(newest or 0, int(earlier.max()))
    if newest is None:
        raise SourceUnavailable(
            f"no transaction before {iso(until)} is in the store or its source yet",
            hint="see whether deliveries come, and load history first: quipu ingest MAPPING",
        )
    return newest
