"""Keeps the graph current: new rows, then rings, embeddings and a snapshot of the index, then checks."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from airflow.sdk import Metadata, dag, get_current_context, task
from quipu_schedule import CONFIGURED, GRAPH, TASKS, on_failure, on_success, said, start, store, timetable, window

FIRST, CATCHUP = start()


@dag(
    dag_id="graph_refresh",
    schedule=timetable(CONFIGURED.refresh_schedule),
    start_date=FIRST,
    catchup=CATCHUP,
    max_active_runs=1,
    default_args=TASKS,
    on_success_callback=on_success,
    on_failure_callback=on_failure,
    doc_md=__doc__,
    tags=["quipu"],
)
def graph_refresh() -> None:
    @task
    def ingest() -> dict[str, Any]:
        """Loads what occurred in the run's window."""
        from etl.loading.interval import HOUR, load_interval
        from graph.errors import InputError

        if CONFIGURED.mapping is None:
            raise InputError("QUIPU_MAPPING is not set", hint="name the mapping file by which new rows are loaded")
        since, until = window(get_current_context())
        with store() as opened:
            return load_interval(
                CONFIGURED.mapping,
                opened,
                since=since,
                until=until,
                overlap=CONFIGURED.refresh_overlap_hours * HOUR,
                late=CONFIGURED.refresh_late_hours * HOUR,
                var=CONFIGURED.var,
            )

    @task
    def find_rings() -> dict[str, Any]:
        """Rings as of the window's end."""
        from graph.rings.refresh import refresh_rings

        with store() as opened:
            return asdict(refresh_rings(opened, window(get_current_context())[1]))

    @task
    def embed_entities() -> dict[str, Any]:
        """Embeddings as of the window's end, by the model in use."""
        from gnn.refresh import refresh_embeddings

        with store() as opened:
            return refresh_embeddings(opened, CONFIGURED.var / "models", window(get_current_context())[1])

    @task
    def snapshot_index() -> dict[str, Any]:
        """A snapshot of the as-of index of all that the store has."""
        from gnn.refresh import refresh_snapshot

        with store() as opened:
            return refresh_snapshot(opened, CONFIGURED.var / "models", CONFIGURED.refreshed_index)

    @task
    def check_quality(loaded: dict[str, Any]) -> dict[str, Any]:
        """Fails where nothing should be built on this refresh."""
        from graph.refresh_checks import check_refresh

        with store() as opened:
            return asdict(check_refresh(opened, loaded, quarantine_limit=CONFIGURED.refresh_quarantine_limit))

    @task(outlets=[GRAPH])
    def announce() -> Iterator[Metadata]:
        """Tells what waits for the graph that it is refreshed, and of which window."""
        from graph.refresh_checks import mark_refreshed
        from graph.schedule_metrics import publish_refreshed

        now = window(get_current_context())
        publish_refreshed(CONFIGURED.var, mark_refreshed(CONFIGURED.var, now[1]))
        yield Metadata(GRAPH, extra={**said(now)})

    loaded: Any = ingest()
    checked = check_quality(loaded)
    loaded >> find_rings() >> embed_entities() >> snapshot_index() >> checked >> announce()


graph_refresh()
