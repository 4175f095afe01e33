"""What monitoring found, as Prometheus metrics for `graph.job_metrics.publish`."""

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from gnn.delayed import Quality
from gnn.monitor_report import MonitorReport, iso

JOB: Final = "monitor"
"""The name to publish under."""


def metrics_of(report: MonitorReport) -> CollectorRegistry:
    """The report's figures on a registry of their own; what is not known is left out."""
    registry = CollectorRegistry()
    _drift(registry, report)
    _volume(registry, report)
    _weeks(registry, report)
    _labels(registry, report)
    _data(registry, report)
    _patterns(registry, report)
    _ages(registry, report)
    return registry


def _gauge(registry: CollectorRegistry, name: str, documentation: str, *labels: str) -> Gauge:
    return Gauge(f"quipu_monitor_{name}", documentation, labels, registry=registry)


def _drift(registry: CollectorRegistry, report: MonitorReport) -> None:
    _gauge(registry, "drifted", "1 where the model in use should be trained anew, else 0.").set(report.drifted)
    if report.features is None:
        return
    psi = _gauge(
        registry,
        "feature_psi",
        "Population stability index of a feature against the model's reference.",
        "feature",
        "steady",
    )
    for name, value, steady in zip(report.feature_names, report.features.psi, report.features.steady, strict=True):
        psi.labels(name, "yes" if steady else "no").set(value)
    _gauge(registry, "shifted_gain_ratio", "Share of what the model goes by whose features have shifted.").set(
        report.shifted_gain
    )


def _volume(registry: CollectorRegistry, report: MonitorReport) -> None:
    found, promised = report.volume, report.promised
    if promised:
        expected = _gauge(
            registry,
            "promised_flagged_ratio",
            "Share of transactions that the policy promised to flag, by band.",
            "band",
        )
        for band in ("review", "block"):
            expected.labels(band).set(promised[f"{band}_share"])
        for name in ("precision", "recall"):
            if promised[name] is not None:
                _gauge(registry, f"promised_{name}_ratio", f"The {name} that the policy promised.").set(promised[name])
    if found is None:
        return
    if found.psi is not None:
        _gauge(
            registry, "probability_psi", "Population stability index of probabilities against the held-out rows."
        ).set(found.psi)
    flagged = _gauge(registry, "flagged_ratio", "Share of the period's transactions by band.", "band")
    flagged.labels("review").set(found.review / found.decided)
    flagged.labels("block").set(found.block / found.decided)


_OF_WEEK: Final = (
    ("precision_ratio", "Share of fraud among flagged transactions with a label"),
    ("recall_ratio", "Share of known frauds that were flagged"),
    ("fraud_ratio", "Share of fraud among labelled transactions"),
    ("labelled_ratio", "Share of transactions with a label"),
    ("decided_transactions", "Transactions decided"),
    ("false_alarms_transactions", "Genuine transactions that were reviewed or blocked"),
    ("blocked_genuine_transactions", "Genuine transactions that were blocked"),
    ("saved_currency", "Money saved by the decisions, after their costs"),
    ("at_stake_currency", "Money that known frauds would have cost without decisions"),
)


def _of_week(week: Quality) -> dict[str, float | None]:
    return {
        "precision_ratio": week.precision,
        "recall_ratio": week.recall,
        "fraud_ratio": week.frauds / week.labelled if week.labelled else None,
        "labelled_ratio": week.labelled / week.decided if week.decided else None,
        "decided_transactions": week.decided,
        "false_alarms_transactions": week.flagged - week.caught,
        "blocked_genuine_transactions": week.blocked_genuine,
        "saved_currency": week.saved,
        "at_stake_currency": week.at_stake,
    }


def _weeks(registry: CollectorRegistry, report: MonitorReport) -> None:
    """Each figure by week, by the date of its Monday, and of the latest ripe week by itself for rules."""
    for name, documentation in _OF_WEEK:
        by_week = _gauge(
            registry, f"week_{name}", f"{documentation}, by week (its Monday), and whether its labels are ripe.",
            "week", "ripe",
        )  # fmt: skip
        for week in report.weeks:
            if (value := _of_week(week)[name]) is not None:
                by_week.labels(str(iso(week.start))[:10], "yes" if week.ripe else "no").set(value)
        latest = report.latest_ripe
        if latest is not None and (value := _of_week(latest)[name]) is not None:
            _gauge(registry, f"latest_{name}", f"{documentation}, of the latest week with ripe labels.").set(value)


def _labels(registry: CollectorRegistry, report: MonitorReport) -> None:
    delay = _gauge(
        registry,
        "label_delay_seconds",
        "Time from a transaction to its label, by kind and quantile, of labels that came lately.",
        "kind",
        "quantile",
    )
    for kind, found in report.delays.items():
        for quantile, value in found.quantiles.items():
            delay.labels(kind, str(quantile)).set(value / 1e6)


def _data(registry: CollectorRegistry, report: MonitorReport) -> None:
    _gauge(registry, "transactions", "Transactions of the period looked at.").set(report.transactions)
    _gauge(registry, "decided_transactions", "Of these, transactions with a decision.").set(report.decided)
    _gauge(registry, "late_ratio", "Share of transactions that arrived over a day after they occurred.").set(
        report.late
    )
    missing = _gauge(registry, "missing_ratio", "Share of transactions without a value, by column.", "column")
    for column, share in report.missing.items():
        missing.labels(column).set(share)
    if report.truncated is not None:
        _gauge(registry, "truncated_ratio", "Share of neighbourhoods that a cap cut.").set(report.truncated)
    reasons = _gauge(
        registry, "reason_transactions", "Reviewed or blocked transactions of the period by first reason.", "code"
    )
    for code, number in report.reasons.items():
        reasons.labels(code).set(number)


def _patterns(registry: CollectorRegistry, report: MonitorReport) -> None:
    names = ("column", "value")
    decided = _gauge(registry, "pattern_decided_transactions", "Transactions decided, by a column's value.", *names)
    flagged = _gauge(registry, "pattern_flagged_transactions", "Reviewed or blocked, by a column's value.", *names)
    frauds = _gauge(registry, "pattern_fraud_transactions", "Known frauds, by a column's value.", *names)
    money = _gauge(registry, "pattern_fraud_currency", "Amount of known frauds, by a column's value.", *names)
    for one in report.patterns:
        decided.labels(one.column, one.value).set(one.decided)
        flagged.labels(one.column, one.value).set(one.flagged)
        frauds.labels(one.column, one.value).set(one.frauds)
        money.labels(one.column, one.value).set(one.fraud_amount)


def _ages(registry: CollectorRegistry, report: MonitorReport) -> None:
    ages = report.ages
    created = datetime.fromisoformat(ages.model_created).timestamp()
    for name, documentation, at in (
        ("newest_event_timestamp_seconds", "Event time of the newest transaction.", ages.newest_event / 1e6),
        ("newest_arrival_timestamp_seconds", "When the newest transaction arrived.", ages.newest_arrival / 1e6),
        ("newest_label_timestamp_seconds", "When the newest label became known.", _seconds(ages.newest_label)),
        ("rings_refreshed_timestamp_seconds", "As-of time of the newest rings.", _seconds(ages.rings_refreshed)),
        ("model_created_timestamp_seconds", "When the model in use was made.", created),
        ("model_trained_until_timestamp_seconds", "As-of time of its training.", ages.model_trained_until / 1e6),
    ):  # fmt: skip
        if at is not None:
            _gauge(registry, name, documentation).set(at)


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1e6
