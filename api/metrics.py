"""What the service counts and measures, for Prometheus: base units, bounded labels."""

import os
from collections import Counter as TallyOf
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from api.model_meters import BANDS, ModelMeters
from gnn.policy import APPROVE
from gnn.scoring import Answer

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (
    *(0.0005, 0.00075, 0.001, 0.00125, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005, 0.006, 0.008),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_STAGES = (
    *(0.00002, 0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005),
    *(0.01, 0.025, 0.1, 0.5, 2.5),
)


class Meters:
    """The process's metrics, on a registry of their own."""

    def __init__(self) -> None:
        r = CollectorRegistry()
        self._registry = r
        self._requests = Counter(
            "quipu_http_requests", "Requests by route, method and status.", ["route", "method", "status"], registry=r
        )
        self._durations = Histogram(
            "quipu_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route", "method"],
            buckets=_SECONDS,
            registry=r,
        )
        stages = Histogram(
            "quipu_stage_duration_seconds",
            "Time a micro-batch spends in each stage of scoring.",
            ["stage"],
            buckets=_STAGES,
            registry=r,
        )
        self.lookup = stages.labels("lookup")
        self.score = stages.labels("score")
        self.spool = stages.labels("spool")
        decisions = Counter("quipu_decisions", "New decisions by band.", ["band"], registry=r)
        self._decisions = {band: decisions.labels(band) for band in BANDS}
        amounts = Counter(
            "quipu_decided_amount_currency",
            "Amount of new decisions by band, in units of the currency.",
            ["band"],
            registry=r,
        )
        self._amounts = {band: amounts.labels(band) for band in BANDS}
        self._reasons = Counter(
            "quipu_decision_reasons",
            "New decisions to review or block, by band and by the code of the first reason.",
            ["band", "code"],
            registry=r,
        )
        self._probability = Histogram(
            "quipu_decision_probability",
            "Calibrated fraud probability of new decisions.",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
            registry=r,
        )
        self.batch = Histogram(
            "quipu_batch_transactions",
            "Transactions scored in one step.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            registry=r,
        )
        self.replays = Counter("quipu_replays", "Requests answered by their original decision.", registry=r)
        self.conflicts = Counter("quipu_conflicts", "Requests refused: same id, other content.", registry=r)
        self._truncated = Counter("quipu_truncated_neighbourhoods", "Neighbourhoods that a cap cut.", registry=r)
        self.unknown = Counter("quipu_unknown_entities", "Entities not seen before, by type.", ["entity"], registry=r)
        self.labels = Counter("quipu_labels", "Labels received, by outcome.", ["outcome"], registry=r)
        for outcome in ("loaded", "duplicates", "conflicts"):
            self.labels.labels(outcome)
        self.queue = Gauge(
            "quipu_queue_transactions", "Transactions waiting to be scored.", registry=r, multiprocess_mode="livesum"
        )
        self.backlog = Gauge(
            "quipu_spool_backlog_records",
            "Spooled records not yet in the graph store.",
            registry=r,
            multiprocess_mode="livemax",
        )
        self.lag = Gauge(
            "quipu_spool_lag_seconds",
            "Age of the oldest spooled record not yet in the graph store.",
            registry=r,
            multiprocess_mode="livemax",
        )
        self.refused = Gauge(
            "quipu_spool_refused_records",
            "Records the graph store would not take; they stay in the spool.",
            registry=r,
            multiprocess_mode="livemax",
        )
        self.index_transactions = Gauge(
            "quipu_index_transactions", "Transactions in the index.", registry=r, multiprocess_mode="livemin"
        )
        self.index_bytes = Gauge("quipu_index_bytes", "Memory of the index.", registry=r, multiprocess_mode="livesum")
        self.index_synced = Gauge(
            "quipu_index_synced_timestamp_seconds",
            "When the index was last known to have all that the store has.",
            registry=r,
            multiprocess_mode="livemin",
        )
        self.index_newest = Gauge(
            "quipu_index_newest_event_timestamp_seconds",
            "Event time of the newest transaction.",
            registry=r,
            multiprocess_mode="livemin",
        )
        self.index_saved = Gauge(
            "quipu_index_snapshot_timestamp_seconds",
            "When the index was last written to disk.",
            registry=r,
            multiprocess_mode="livemax",
        )
        workers = Gauge("quipu_workers", "Processes that serve.", registry=r, multiprocess_mode="livesum")
        workers.set(1)
        self.store_up = Gauge(
            "quipu_store_up", "Whether the graph store answers.", registry=r, multiprocess_mode="livemin"
        )
        self.models = ModelMeters(r)
        self._request_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one request."""
        key = (route, method, status)
        children = self._request_children.get(key)
        if children is None:
            children = (self._requests.labels(route, method, str(status)), self._durations.labels(route, method))
            self._request_children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def answered(self, told: Sequence[tuple[Answer, int]]) -> None:
        """Counts new decisions, each with its transaction's amount in hundredths."""
        bands: TallyOf[str] = TallyOf()
        amounts: TallyOf[str] = TallyOf()
        reasons: TallyOf[tuple[str, str]] = TallyOf()
        truncated = 0
        for answer, amount in told:
            bands[answer.band] += 1
            amounts[answer.band] += amount
            truncated += bool(answer.neighbourhood.get("truncated"))
            if answer.band != APPROVE:
                reasons[answer.band, answer.reasons[0].code] += 1
            self._probability.observe(answer.probability)
        for band, number in bands.items():
            self._decisions[band].inc(number)
            self._amounts[band].inc(amounts[band] / 100)
        for (band, code), number in reasons.items():
            self._reasons.labels(band, code).inc(number)
        if truncated:
            self._truncated.inc(truncated)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format; of all workers where there are several."""
        if os.environ.get(MULTIPROCESS):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self._registry)


def forget_dead_workers() -> None:
    """Drops the gauges of workers that are no longer alive."""
    folder = os.environ.get(MULTIPROCESS)
    if not folder:
        return
    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]
