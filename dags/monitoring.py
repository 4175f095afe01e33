"""Looks at the model in use after each refresh: drift, quality as labels came, alerts; calls for training on drift."""

from collections.abc import Iterator
from typing import Any

from airflow.sdk import Metadata, dag, get_current_context, task
from quipu_schedule import CONFIGURED, GRAPH, MODEL_DRIFT, TASKS, on_failure, on_success, said, start, store, window

FIRST, _ = start()


@dag(
    dag_id="monitoring",
    schedule=[GRAPH],
    start_date=FIRST,
    catchup=False,
    max_active_runs=1,
    default_args=TASKS,
    on_success_callback=on_success,
    on_failure_callback=on_failure,
    doc_md=__doc__,
    tags=["quipu"],
)
def monitoring() -> None:
    @task
    def watch_model() -> dict[str, Any]:
        """Measures the model in use as of the window's end, and publishes the figures."""
        from gnn.watch import watch

        since, until = window(get_current_context())
        with store() as opened:
            return watch(opened, CONFIGURED.var / "models", CONFIGURED.var, since=since, until=until)

    @task.short_circuit
    def has_drifted(seen: dict[str, Any]) -> bool:
        """Stops here where nothing new speaks for a training."""
        return bool(seen["call"])

    @task(outlets=[MODEL_DRIFT])
    def call_for_training(seen: dict[str, Any]) -> Iterator[Metadata]:
        """Tells the training that the model has drifted, as of when, and why."""
        from gnn.watch import note_drift

        now = window(get_current_context())
        note_drift(CONFIGURED.var, seen["model"], now[1])
        yield Metadata(MODEL_DRIFT, extra={**said(now), "model": seen["model"], "why": seen["why"]})

    seen: Any = watch_model()
    has_drifted(seen) >> call_for_training(seen)


monitoring()
