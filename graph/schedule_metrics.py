"""Outcomes of scheduled runs, for Prometheus."""

from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from graph.job_metrics import publish
from graph.records import SECOND

RunOutcome = Literal["success", "failed"]


def publish_run(var: Path, dag: str, outcome: RunOutcome, *, ended_at: float, seconds: float) -> None:
    """Counts a finished run of a DAG.

    Args:
        ended_at: seconds since the epoch.
        seconds: how long it took.

    Raises:
        OSError: the figures cannot be written.
    """
    registry = CollectorRegistry()
    labels = {"dag": dag, "outcome": outcome}
    names = list(labels)
    Counter("quipu_dag_runs", "Finished runs of a DAG, by outcome (success, failed).", names, registry=registry).labels(
        **labels
    ).inc()
    Gauge(
        "quipu_dag_last_run_timestamp_seconds",
        "When the latest run of a DAG with this outcome ended.",
        names,
        registry=registry,
    ).labels(**labels).set(ended_at)
    Gauge(
        "quipu_dag_last_run_duration_seconds",
        "How long the latest run of a DAG with this outcome took.",
        names,
        registry=registry,
    ).labels(**labels).set(seconds)
    # A file an outcome: gauges of a file are replaced as a whole.
    publish(var, f"dag {dag} {outcome}", registry)


def publish_refreshed(var: Path, until: int) -> None:
    """Tells up to which moment (microseconds UTC) the graph has passed the checks of a refresh.

    Raises:
        OSError: the figures cannot be written.
    """
    registry = CollectorRegistry()
    Gauge(
        "quipu_graph_refreshed_timestamp_seconds",
        "As-of time of the latest refresh of the graph that has passed its checks.",
        registry=registry,
    ).set(until / SECOND)
    publish(var, "graph refresh", registry)
