"""A load's data-quality figures for Prometheus: rows by outcome, refused rows by reason, missing values by column."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from etl.reporting.report import LoadReport, Tally
from graph.job_metrics import publish


def publish_load(var: Path, report: LoadReport) -> None:
    """Publishes what became of a load's rows, under its mapping's name; nothing for a dry run.

    Raises:
        OSError: the figures cannot be written.
    """
    if report.dry_run:
        return
    registry = CollectorRegistry()
    _rows(registry, report)
    _values(registry, report)
    _state(registry, report)
    publish(var, _job(report.mapping), registry)


def publish_stopped(var: Path, mapping: str) -> None:
    """Counts a load that a limit stopped, so that nothing of it was written.

    Raises:
        OSError: the figures cannot be written.
    """
    registry = CollectorRegistry()
    stopped = Counter(
        "quipu_ingest_stopped",
        "Loads that were stopped since too many rows could not be used.",
        ["mapping"],
        registry=registry,
    )
    stopped.labels(mapping).inc()
    at = Gauge(
        "quipu_ingest_stopped_timestamp_seconds",
        "When a load was last stopped since too many rows could not be used.",
        ["mapping"],
        registry=registry,
    )
    at.labels(mapping).set_to_current_time()
    publish(var, f"{_job(mapping)} stopped", registry)


def _job(mapping: str) -> str:
    return f"ingest {mapping}"


def _rows(registry: CollectorRegistry, report: LoadReport) -> None:
    rows = Counter(
        "quipu_ingest_rows",
        "Rows read, by kind (transactions, labels, attributes) and outcome (loaded, duplicate, quarantined).",
        ["mapping", "kind", "outcome"],
        registry=registry,
    )
    quarantined = Counter(
        "quipu_ingest_quarantined_rows",
        "Rows that went to quarantine, by kind and reason.",
        ["mapping", "kind", "reason"],
        registry=registry,
    )
    labels = Counter(
        "quipu_ingest_row_labels",
        "Labels in transactions' rows, by outcome (loaded, duplicate, unusable).",
        ["mapping", "outcome"],
        registry=registry,
    )
    kinds: list[tuple[str, Tally]] = [("transactions", report.transactions), ("labels", report.label_files)]
    kinds += [("attributes", tally) for tally in report.attributes.values()]
    for kind, tally in kinds:
        for outcome, number in (
            ("loaded", tally.loaded),
            ("duplicate", tally.duplicates),
            ("quarantined", tally.quarantined),
        ):
            rows.labels(report.mapping, kind, outcome).inc(number)
        for reason, number in tally.reasons.items():
            quarantined.labels(report.mapping, kind, reason).inc(number)
    for outcome, number in (
        ("loaded", report.labels.loaded),
        ("duplicate", report.labels.duplicates),
        ("unusable", report.labels.unusable.total()),
    ):
        labels.labels(report.mapping, outcome).inc(number)


def _values(registry: CollectorRegistry, report: LoadReport) -> None:
    missing = Gauge(
        "quipu_ingest_missing_ratio",
        "Share of the latest load's accepted transactions without a value, by column.",
        ["mapping", "column"],
        registry=registry,
    )
    unreadable = Counter(
        "quipu_ingest_unreadable_values",
        "Values of accepted transactions that could not be read, by column.",
        ["mapping", "column"],
        registry=registry,
    )
    for column, number in report.missing.items():
        missing.labels(report.mapping, column).set(number / report.accepted)
    for column, number in report.unreadable.items():
        unreadable.labels(report.mapping, column).inc(number)


def _state(registry: CollectorRegistry, report: LoadReport) -> None:
    share = Gauge(
        "quipu_ingest_quarantined_ratio",
        "Share of the latest load's transaction rows that went to quarantine.",
        ["mapping"],
        registry=registry,
    )
    duration = Gauge("quipu_ingest_duration_seconds", "Duration of the latest load.", ["mapping"], registry=registry)
    ended = Gauge(
        "quipu_ingest_finished_timestamp_seconds",
        "When the latest load that was not stopped ended.",
        ["mapping"],
        registry=registry,
    )
    newest = Gauge(
        "quipu_ingest_newest_event_timestamp_seconds",
        "Event time of the newest transaction of the latest load that had any.",
        ["mapping"],
        registry=registry,
    )
    share.labels(report.mapping).set(report.transactions.quarantined / max(report.transactions.read, 1))
    duration.labels(report.mapping).set(report.seconds)
    ended.labels(report.mapping).set_to_current_time()
    if report.last_at is not None:
        newest.labels(report.mapping).set(report.last_at / 1e6)
