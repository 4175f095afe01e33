"""A simulated month under a real Airflow, fed day by day, with kills; and ten days of it filled in afterwards.

The store holds ten weeks of a drifting world, and a model that has learnt the first seven is in use. Then the source
brings a day at a time, three rows in a hundred a day late: `graph_refresh` runs for each day, `monitoring` after each
refresh, `model_training` each week and by the asset that `monitoring` announces on drift. The scheduler, and processes
that run tasks, are killed with SIGKILL on the way. At the end the store must hold what one load of everything that was
delivered holds; and a second Airflow that fills in the first ten days at once must come to the same graph as the daily
runs had after ten days.
"""

import shutil
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.airflow import PARTS, Airflow
from bench.content import content
from bench.deliveries import Deliveries
from bench.report import Figure, Section
from bench.setup import Workspace
from etl.loading import load
from etl.mapping import read_mapping
from etl.simulator import WorldSettings
from gnn.champion import history, promote
from gnn.pipeline import train_bundle
from gnn.training import TrainingSettings
from graph.progress import Progress
from graph.records import DAY
from graph.store import open_store

FIRST = date(2025, 1, 6)
LEARNT, HISTORY, MONTH, FILLED = 50, 70, 30, 10
"""Days from a Monday on: the champion knows the first, the store the second; then come a month's, some to fill in."""
_USERS, _SEED, _FRAUD_RATE = 1_000, 5, 0.05
_WORLD = 150
"""Days of the world, over which it drifts; what comes after the month is not delivered."""
_DAGS: Final = ("graph_refresh", "monitoring", "model_training")
_GRAPH, _DRIFT = "quipu_graph", "quipu_model_drift"
_NEVER = "0 0 29 2 *"
"""No interval of it ends before 2028."""
_LONGEST = 900.0
"""Seconds that a day, or the runs after the last one, may take on a busy machine."""


@dataclass(frozen=True, slots=True)
class _Kill:
    """What is to be killed from the moment on when so many days have been delivered: a task, or the scheduler."""

    day: int
    dag: str
    task: str | None = None

    @property
    def name(self) -> str:
        return "scheduler" if self.task is None else f"{self.dag}.{self.task}"


_KILLS: Final = (
    _Kill(2, "graph_refresh"),
    _Kill(3, "graph_refresh", "ingest"),
    _Kill(5, "graph_refresh", "find_rings"),
    _Kill(6, "monitoring", "watch_model"),
    _Kill(7, "model_training", "compare"),
    _Kill(12, "graph_refresh", "snapshot_index"),
    _Kill(15, "model_training"),
    _Kill(18, "graph_refresh", "check_quality"),
    _Kill(22, "graph_refresh"),
    _Kill(24, "monitoring", "has_drifted"),
)


@dataclass(slots=True)
class _Seen:
    """What a month was.

    Attributes:
        killed: in order. to_kill: what is yet to be killed.
        seconds: of each day, from its delivery to the end of its refresh; total: of all, Airflow's start included.
        after: content of the store when the days to fill in later were refreshed.
        runs: by DAG. events: of assets, with the runs that they triggered. verdicts: by run of training.
    """

    to_kill: list[_Kill]
    killed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    total: float = 0.0
    after: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)


def run(work: Workspace, *, days: int = MONTH, filled_days: int = FILLED) -> Section:
    """Feeds so many days, kills on the way, fills in the first of them elsewhere, and compares."""
    folder = work.emptied("schedule")
    settings = WorldSettings(users=_USERS, days=_WORLD, seed=_SEED, fraud_rate=_FRAUD_RATE, drift=1.0, start=FIRST)
    world = Deliveries(folder / "world", settings)
    world.bring(FIRST, HISTORY)
    begin = FIRST + timedelta(days=HISTORY)
    daily, filled, at_once = folder / "daily", folder / "filled", folder / "at-once"
    _prepare(daily, world, begin, work.progress)
    shutil.copytree(daily, filled)
    plan = [kill for kill in _KILLS if kill.day <= days]
    seen = _month(world, daily, begin, (days, filled_days), _Seen(list(plan)), work.progress)
    end = content(f"sqlite:///{daily}/quipu.db")
    with work.progress.stage("filling in days at once"):
        again = _fill(world, filled, begin, filled_days)
    at_once.mkdir()
    expected = _loaded(f"sqlite:///{at_once}/quipu.db", world, begin + timedelta(days=days))
    figures = [
        *_scheduled(seen, days, len(history(daily / "var" / "models"))),
        Figure("killed with SIGKILL", len(seen.killed), at_least=len(plan), note=", ".join(seen.killed)),
        *_kept(world, begin + timedelta(days=days), end, expected),
        _same(f"{filled_days} days filled in at once differ from {filled_days} daily runs", again, seen.after),
        Figure("time of a day, from its delivery to the end of its refresh", statistics.median(seen.seconds), "s"),
        Figure("time of them all", seen.total, "s"),
    ]
    details = {
        "end": end,
        "seconds": seen.seconds,
        "trainings": [
            {"run": one["dag_run_id"], "type": one["run_type"], "state": one["state"]}
            | {"verdict": seen.verdicts.get(one["dag_run_id"])}
            for one in seen.runs["model_training"]
        ],
    }
    return Section("schedule", f"{days} days under a real Airflow, fed day by day, with kills", figures, details)


def _prepare(folder: Path, world: Deliveries, begin: date, progress: Progress) -> None:
    """Makes a store with what was before the month, and a model trained on the first of it."""
    store = open_store(f"sqlite:///{folder}/quipu.db")
    models = folder / "var" / "models"
    try:
        load(read_mapping(world.mapping), store, until=_micro(begin))
        learnt = _micro(FIRST + timedelta(days=LEARNT))
        result = train_bundle(store, models, until=learnt, settings=TrainingSettings(), progress=progress)
    finally:
        store.close()
    promote(models, Path(result["bundle"]).name)


def _month(
    world: Deliveries, place: Path, begin: date, length: tuple[int, int], seen: _Seen, progress: Progress
) -> _Seen:
    airflow = Airflow(place / "airflow", _settings(world.mapping, place, begin))
    days, filled = length
    end = begin + timedelta(days=days)
    started = time.monotonic()
    airflow.start()
    try:
        with progress.stage("day by day", total=days) as advance:
            for day in range(1, days + 1):
                brought = time.monotonic()
                world.bring(begin + timedelta(days=day - 1), 1)
                airflow.wait(f"the refresh of day {day}", partial(_refreshed, airflow, day, seen), _LONGEST)
                seen.seconds.append(time.monotonic() - brought)
                if day == filled:
                    seen.after = content(f"sqlite:///{place}/quipu.db")
                advance(1)
        with progress.stage("the end of monitoring and training"):
            airflow.wait("the end of monitoring and training", lambda: _over(airflow, days, end, seen), _LONGEST)
        seen.runs = {dag: airflow.runs(dag) for dag in _DAGS}
        seen.events = airflow.asset_events()
        for one in seen.runs["model_training"]:
            verdict = airflow.returned("model_training", one["dag_run_id"], "compare")
            if verdict is not None:
                seen.verdicts[one["dag_run_id"]] = verdict
    finally:
        airflow.stop()
    seen.total = time.monotonic() - started
    return seen


def _refreshed(airflow: Airflow, days: int, seen: _Seen) -> bool:
    """Whether so many days are refreshed; kills what is to be killed by now."""
    _strike(airflow, days, seen)
    return len(airflow.runs("graph_refresh", "success")) >= days


def _strike(airflow: Airflow, day: int, seen: _Seen) -> None:
    """Kills what is to be killed by this day and runs just now."""
    for kill in [kill for kill in seen.to_kill if kill.day <= day]:
        if kill.task is not None:
            hit = airflow.kill_task(kill.dag, kill.task)
        elif hit := bool(airflow.tasks(kill.dag, "running")):
            airflow.kill("scheduler")
            airflow.start_part("scheduler")
        if hit:
            seen.to_kill.remove(kill)
            seen.killed.append(f"{kill.name} (day {day})")


def _over(airflow: Airflow, days: int, end: date, seen: _Seen) -> bool:
    """Whether all refreshes were looked at, and nothing goes on; runs of time that was not delivered wait for it."""
    _strike(airflow, days, seen)
    runs = [one for dag in _DAGS[1:] for state in ("running", "queued") for one in airflow.runs(dag, state)]
    if any((one["data_interval_end"] or "")[:10] <= str(end) for one in runs):
        return False
    return sum(bool(_triggered(event, "monitoring")) for event in _of(airflow.asset_events(), _GRAPH)) >= days


def _of(events: list[dict[str, Any]], asset: str) -> list[dict[str, Any]]:
    return [event for event in events if event["name"] == asset]


def _triggered(event: dict[str, Any], dag: str) -> list[str]:
    """The runs of a DAG whose window this event is part of."""
    return [one["run_id"] for one in event["created_dagruns"] if one["dag_id"] == dag]


def _scheduled(seen: _Seen, days: int, models: int) -> list[Figure]:
    """Which runs there were, and by what they were triggered."""
    refreshed, drifts = _of(seen.events, _GRAPH), _of(seen.events, _DRIFT)
    windows = {event["extra"]["until"] for event in refreshed}
    weeks = days // 7
    training = {
        kind: _done([one for one in seen.runs["model_training"] if one["run_type"] == kind])
        for kind in ("scheduled", "asset_triggered")
    }
    by_time = _done([one for one in seen.runs["graph_refresh"] if one["run_type"] == "scheduled"])
    monitored = [one for one in seen.runs["monitoring"] if one["run_type"] == "asset_triggered"]
    failed = sum(one["state"] == "failed" for runs in seen.runs.values() for one in runs)
    judged = [verdict for verdict in seen.verdicts.values() if verdict["figures"]]
    return [
        Figure("graph_refresh by time", by_time, at_least=days, at_most=days),
        Figure("days that it announced", len(windows), at_least=days, at_most=days),
        Figure("days announced more than once", len(refreshed) - len(windows), at_most=0),
        Figure("monitoring by the asset of the graph", _done(monitored), at_least=1),
        Figure(
            "days that it looked at, once each",
            sum(len(_triggered(event, "monitoring")) == 1 for event in refreshed),
            at_least=days,
        ),
        Figure("days on which it announced drift", len(drifts), at_least=min(weeks, 1)),
        Figure("model_training by time", training["scheduled"], at_least=weeks),
        Figure(
            "model_training by the asset of drift",
            training["asset_triggered"],
            at_least=min(weeks, 1),
            note=f"for {sum(bool(_triggered(event, 'model_training')) for event in drifts)} announcements of drift",
        ),
        Figure(
            "challenger and champion compared",
            len(judged),
            note=f"{sum(verdict['promote'] for verdict in judged)} won; models in use in turn: {models}",
        ),
        Figure("runs that failed", failed, at_most=0),
    ]


def _done(runs: list[dict[str, Any]]) -> int:
    return sum(one["state"] == "success" for one in runs)


def _kept(world: Deliveries, end: date, found: dict[str, Any], expected: dict[str, Any]) -> list[Figure]:
    """Whether what was delivered is in the store, once."""
    rows, labels = world.delivered(end)
    facts = {name: value for name, value in expected.items() if name not in ("rings in full", "rings", "embeddings")}
    return [
        Figure("transactions delivered", rows),
        Figure("transactions in the store", found["transactions"], at_least=rows, at_most=rows),
        Figure("labels delivered", labels),
        Figure("labels in the store", found["labels"], at_least=labels, at_most=labels),
        _same("facts that differ from one load of everything delivered", found, facts),
    ]


def _same(name: str, found: dict[str, Any], expected: dict[str, Any]) -> Figure:
    """How many counts and digests differ from what is expected."""
    differ = [key for key in expected if found.get(key) != expected[key]]
    return Figure(name, len(differ), at_most=0, note=", ".join(differ or expected))


def _loaded(url: str, world: Deliveries, end: date) -> dict[str, Any]:
    """What a store holds that everything delivered is loaded into by one load."""
    store = open_store(url)
    try:
        load(read_mapping(world.mapping), store, until=_micro(end))
    finally:
        store.close()
    return content(url)


def _fill(world: Deliveries, place: Path, begin: date, days: int) -> dict[str, Any]:
    """Fills in the first days with all that was ever delivered there to read; returns what the store holds."""
    airflow = Airflow(place / "airflow", _settings(world.as_delivered(begin + timedelta(days=days)), place, None))
    # SQLite has one writer: the scheduler starts when the back-fill's runs are there.
    airflow.start([part for part in PARTS if part != "scheduler"])
    try:
        airflow.wait("the DAG", lambda: airflow.get("/dags/graph_refresh"))
        last = begin + timedelta(days=days - 1)
        airflow.run("backfill", "create", "--dag-id", "graph_refresh", "--from-date", str(begin),
                    "--to-date", str(last), "--max-active-runs", "1")  # fmt: skip
        airflow.start_part("scheduler")
        for day in range(1, days + 1):
            airflow.wait(f"day {day} of the back-fill", partial(_filled, airflow, day), _LONGEST)
    finally:
        airflow.stop()
    return content(f"sqlite:///{place}/quipu.db")


def _filled(airflow: Airflow, days: int) -> bool:
    return _done([run for run in airflow.runs("graph_refresh") if run["run_type"] == "backfill"]) >= days


def _settings(mapping: Path, place: Path, begin: date | None) -> dict[str, str]:
    """What DAGs read; runs are made up for from `begin` on, and without it nothing is trained by time."""
    start = {"QUIPU_TRAINING_SCHEDULE": _NEVER} if begin is None else {"QUIPU_SCHEDULE_START": str(begin)}
    return {
        "QUIPU_STORE": f"sqlite:///{place}/quipu.db",
        "QUIPU_VAR": str(place / "var"),
        "QUIPU_MAPPING": str(mapping),
        # A run of time that was not delivered yet is tried again until it is.
        "QUIPU_SCHEDULE_RETRIES": "1000",
        "QUIPU_SCHEDULE_RETRY_SECONDS": "15",
        **start,
    }


def _micro(day: date) -> int:
    return (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days * DAY
