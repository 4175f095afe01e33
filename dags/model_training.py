"""Trains a challenger, compares it with the champion on the same recent weeks, and promotes only beyond noise."""

import logging
from collections.abc import Iterator
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, Metadata, chain, dag, get_current_context, task
from quipu_schedule import (
    CONFIGURED,
    MODEL,
    MODEL_DRIFT,
    TASKS,
    on_failure,
    on_success,
    said,
    start,
    store,
    timetable,
    window,
)

FIRST, CATCHUP = start()


@dag(
    dag_id="model_training",
    schedule=AssetOrTimeSchedule(timetable=timetable(CONFIGURED.training_schedule), assets=[MODEL_DRIFT]),
    start_date=FIRST,
    catchup=CATCHUP,
    max_active_runs=1,
    default_args=TASKS,
    on_success_callback=on_success,
    on_failure_callback=on_failure,
    doc_md=__doc__,
    tags=["quipu"],
)
def model_training() -> None:
    @task.short_circuit
    def graph_ready() -> bool:
        """Is tried again until the graph is refreshed so far; stops here where a later run does more."""
        from graph.refresh_checks import is_due, refreshed_until

        context = get_current_context()
        since, until = window(context)
        worth_it = is_due(refreshed_until(CONFIGURED.var), until, until - since)
        return worth_it or context["dag_run"].run_type != "scheduled"

    @task
    def compare() -> dict[str, Any]:
        """The challenger's backtest against the champion."""
        from gnn.challenge import challenge
        from gnn.policy import Costs
        from gnn.training import TrainingSettings

        with store() as opened:
            return challenge(
                opened,
                CONFIGURED.var / "models",
                window(get_current_context())[1],
                weeks=CONFIGURED.challenge_weeks,
                settings=TrainingSettings(costs=Costs.from_settings(CONFIGURED)),
            ).to_dict()

    @task.short_circuit
    def is_better(verdict: dict[str, Any]) -> bool:
        """Stops here where the champion stays."""
        logging.getLogger("airflow.task").info(verdict["why"])
        return bool(verdict["promote"])

    @task
    def train() -> str:
        """A bundle of all that was known before the window's end."""
        from gnn.challenge import train_successor
        from gnn.policy import Costs
        from gnn.training import TrainingSettings

        with store() as opened:
            return train_successor(
                opened,
                CONFIGURED.var / "models",
                window(get_current_context())[1],
                settings=TrainingSettings(costs=Costs.from_settings(CONFIGURED)),
            )

    @task
    def promote(name: str) -> str:
        """Puts the bundle in use."""
        from gnn.champion import promote as put_in_use

        return put_in_use(CONFIGURED.var / "models", name).name

    @task(outlets=[MODEL])
    def reload_service(name: str, verdict: dict[str, Any]) -> Iterator[Metadata]:
        """Has the service load it; where the service refuses, the one before is in use again."""
        from api.reload_client import reload_or_roll_back

        if CONFIGURED.service_url is not None:
            key = CONFIGURED.service_key
            reload_or_roll_back(
                CONFIGURED.service_url, key.get_secret_value() if key else None, CONFIGURED.var / "models", name
            )
        yield Metadata(MODEL, extra={**said(window(get_current_context())), "model": name, "why": verdict["why"]})

    verdict: Any = compare()
    trained: Any = train()
    promoted: Any = promote(trained)
    chain(graph_ready(), verdict, is_better(verdict), trained)
    reload_service(promoted, verdict)


model_training()
