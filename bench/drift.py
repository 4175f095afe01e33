"""A drifting world from start to end: drift is found, the alert fires, a challenger is trained and wins, the service
goes over to it under load, and delayed labels say what that was worth.

A model learns a world's first weeks and serves. What came later is loaded by the refresh of a real Airflow; all that
follows, nobody starts: monitoring, the alert in Prometheus and Alertmanager, the training by the asset that monitoring
announces, the promotion, and the swap in the service, which answers a steady load all the while. Afterwards the old
and the new model are judged on the same weeks to come. The same world without drift must not be called drifted.
"""

import json
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from api.keys import KeyFile
from bench.airflow import PARTS, Airflow
from bench.alerting import Alerting, alerting
from bench.deployment import Running, free_port, running
from bench.report import Figure, Section
from bench.service import samples
from bench.setup import Workspace, command, environment
from bench.traffic import Told, Traffic
from etl.loading import load
from etl.mapping import read_mapping
from etl.simulator import WorldSettings, simulate, write
from gnn.bundle import open_bundle
from gnn.champion import current_bundle, history, promote
from gnn.decided import replayed_decisions
from gnn.delayed import Quality, wilson
from gnn.monitor_report import MonitorReport
from gnn.monitoring import monitor
from gnn.pipeline import train_bundle
from gnn.replay import read_history
from gnn.training import TrainingSettings
from gnn.watch import watch
from graph.progress import Progress, Silent
from graph.records import DAY
from graph.store import open_store

FIRST = date(2025, 1, 6)
LEARNT, FOUND, DAYS, JUDGED = 50, 120, 160, 210
"""Days: the champion knows the first ones, drift is looked for at the second, the world ends at the third, and labels
have come in until the last."""
_USERS, _SEED, _FRAUD_RATE = 2_000, 5, 0.05
_PER_SECOND = 20.0
_ALERT = "QuipuDrift"
_SWAPS_TOTAL = 'quipu_model_swaps_total{outcome="swapped",role="champion"}'
_NEVER = "0 0 29 2 *"
"""No interval of it ends before 2028: runs of the drill are started by hand and by assets alone."""
_LONGEST = 600.0


@dataclass(slots=True)
class _Seen:
    """What was seen between the refresh and the swap; seconds count from when the scheduler was started.

    Attributes:
        seconds: by what happened, in order. receivers: whom Alertmanager tells of the alert.
        verdict: of the comparison of challenger and champion. runs: states and types of runs by DAG.
        swaps: counted by the service. told: what the client was told.
    """

    told: Told
    seconds: dict[str, float] = field(default_factory=dict)
    receivers: list[str] = field(default_factory=list)
    verdict: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    swaps: float = 0.0


class _Place:
    """A store with the first days of a world, and a champion that has learnt them."""

    def __init__(self, folder: Path, drift: float, seed: int, progress: Progress) -> None:
        self.seed, self.folder = seed, folder
        self.var, self.models = folder / "var", folder / "var" / "models"
        world = WorldSettings(users=_USERS, days=DAYS, seed=seed, fraud_rate=_FRAUD_RATE, drift=drift, start=FIRST)
        write(simulate(world), folder / "world")
        self.mapping = folder / "world" / "mapping.yaml"
        self.url = f"sqlite:///{folder}/quipu.db"
        self.load(LEARNT)
        store = open_store(self.url)
        try:
            result = train_bundle(
                store, self.models, until=_day(LEARNT), settings=TrainingSettings(), progress=progress
            )
        finally:
            store.close()
        self.champion = promote(self.models, Path(result["bundle"]).name).name

    def load(self, until: int) -> None:
        """Loads what occurred, and the labels that became known, before a day."""
        store = open_store(self.url)
        try:
            load(read_mapping(self.mapping), store, until=_day(until))
        finally:
            store.close()

    def monitored(self, models: Path, until: int) -> MonitorReport:
        """What monitoring says as of a day of a model's decisions since the champion learnt."""
        store = open_store(self.url)
        try:
            return monitor(store, models, since=_day(LEARNT), until=_day(until))
        finally:
            store.close()


def run(work: Workspace, *, seed: int = _SEED) -> Section:
    """The drill, and the same world without drift; the seed is of the world."""
    folder = work.emptied("drift")
    with work.progress.stage("the same world without drift"):
        steady = _Place(folder / "steady", 0.0, seed, work.progress)
        steady.load(FOUND)
        calm = steady.monitored(steady.models, FOUND)
    place = _Place(folder / "drifting", 1.0, seed, work.progress)
    # What the first model would have gone on to do is asked of a folder in which it stays in use.
    shutil.copytree(place.models, folder / "before")
    _, key = KeyFile(place.var / "keys.json").create("bench", ["score", "label", "admin"])
    port = free_port()
    arguments = command("serve", "--store", place.url, "--port", str(port))
    with (folder / "service.log").open("ab") as log:
        began = time.perf_counter()
        with running(arguments, log, environment(var=str(place.var))) as process:
            service = Running(process, port, key, began)
            service.answered("/v1/score", json.dumps(Traffic(port, key, per_second=1).transaction(0)).encode())
            with alerting(folder / "prometheus", port) as alerts:
                seen = _until_swapped(place, service, alerts, work.progress)
                after, resolved = _aftermath(place, alerts)
    old = place.monitored(folder / "before", JUDGED)
    section = _section(place, calm, seen, old, after, resolved)
    for when, models in (("had the first model stayed", folder / "before"), ("by the new model", place.models)):
        section.figures.append(Figure(f"average precision after the swap, {when}", ranking(place.url, models)))
    return section


def ranking(url: str, models: Path) -> float:
    """Average precision of the model in use on what came after drift was looked for: it asks for no threshold."""
    store = open_store(url)
    try:
        whole = read_history(store)
    finally:
        store.close()
    wanted = (whole.occurred_at >= _day(FOUND)) & (whole.occurred_at < _day(DAYS))
    bundle = open_bundle(current_bundle(models))
    decided = replayed_decisions(whole, bundle, wanted, np.zeros(len(whole), np.bool_), Silent())
    if decided is None:
        return float("nan")
    label = whole.labels_as_of(None)[0][decided.rows]
    known = label >= 0
    return float(average_precision_score(label[known] == 1, decided.probability[known]))


def _until_swapped(place: _Place, service: Running, alerts: Alerting, progress: Progress) -> _Seen:
    airflow = Airflow(
        place.folder / "airflow",
        {
            "QUIPU_STORE": place.url,
            "QUIPU_VAR": str(place.var),
            "QUIPU_MAPPING": str(place.mapping),
            "QUIPU_REFRESH_SCHEDULE": _NEVER,
            "QUIPU_TRAINING_SCHEDULE": _NEVER,
            "QUIPU_SCHEDULE_RETRY_SECONDS": "2",
            "QUIPU_SERVICE_URL": service.url,
            "QUIPU_SERVICE_KEY": service.key,
        },
    )
    dags = ("graph_refresh", "monitoring", "model_training")
    # SQLite has one writer: the scheduler starts when the run is there.
    airflow.start([part for part in PARTS if part != "scheduler"])
    try:
        airflow.wait("the DAGs", lambda: all(airflow.get(f"/dags/{dag}") for dag in dags))
        period = {"since": _moment(LEARNT).isoformat(), "until": _moment(FOUND).isoformat()}
        airflow.run("dags", "trigger", "graph_refresh", "--conf", json.dumps(period))
        traffic = Traffic(service.port, service.key, per_second=_PER_SECOND)
        with progress.stage("from drift to another model"), traffic.running() as told:
            seen = _Seen(told)
            before = samples(service).get(_SWAPS_TOTAL, 0.0)
            began = time.monotonic()
            airflow.start_part("scheduler")
            for what, done in (
                ("the alert fires in Prometheus", lambda: alerts.firing(_ALERT)),
                ("Alertmanager has the alert", lambda: alerts.receivers(_ALERT)),
                ("the training has begun", lambda: airflow.runs("model_training")),
                ("the training has ended", lambda: _ended(airflow, "model_training")),
            ):
                airflow.wait(what, done, _LONGEST)
                seen.seconds[what] = time.monotonic() - began
            seen.receivers = alerts.receivers(_ALERT)
            time.sleep(5)  # load on the model that is in use now
            seen.swaps = samples(service).get(_SWAPS_TOTAL, 0.0) - before
        for dag in dags:
            seen.runs[dag] = [(one["run_type"], one["state"]) for one in airflow.runs(dag)]
        training = airflow.runs("model_training")[0]["dag_run_id"]
        seen.verdict = airflow.returned("model_training", training, "compare")
    finally:
        airflow.stop()
    return seen


def _aftermath(place: _Place, alerts: Alerting) -> tuple[MonitorReport, bool]:
    """The weeks to come, with labels as they came, by the model in use; and whether the alert is gone after them."""
    place.load(JUDGED)
    store = open_store(place.url)
    try:
        seen = watch(store, place.models, place.var, since=_day(FOUND), until=_day(JUDGED))
    finally:
        store.close()
    deadline = time.monotonic() + 30  # the service has to be scraped, and the rule evaluated
    while alerts.firing(_ALERT) != seen["drifted"] and time.monotonic() < deadline:
        time.sleep(0.5)
    return place.monitored(place.models, JUDGED), not alerts.firing(_ALERT)


def _ended(airflow: Airflow, dag: str) -> bool:
    return any(one["state"] in {"success", "failed"} for one in airflow.runs(dag))


def _section(
    place: _Place, calm: MonitorReport, seen: _Seen, old: MonitorReport, new: MonitorReport, resolved: bool
) -> Section:
    told, verdict = seen.told, seen.verdict
    lead = verdict["figures"].get("average_precision", {})
    failed = [*told.failures, *([f"{told.refused} cut off"] if told.refused else [])]
    versions = {decision["model_version"] for decision in told.decisions.values()}
    now = history(place.models)[0]
    by_asset = [state for kind, state in seen.runs["model_training"] if kind.startswith("asset")]
    before = _together([week for week in old.weeks if week.end <= _day(FOUND)])
    stayed, swapped = (_together(_ripe_since_swap(report)) for report in (old, new))
    figures = [
        Figure("the same world without drift is called drifted", float(calm.drifted), at_most=0),
        *(Figure(f"until {what}", seconds, "s") for what, seconds in seen.seconds.items()),
        Figure("receivers told by Alertmanager", len(seen.receivers), at_least=1, note=", ".join(seen.receivers)),
        Figure("runs of training that the drift triggered", len(by_asset), at_least=1, note=", ".join(by_asset)),
        Figure("average precision, champion", _or_nan(lead.get("b")), note=f"{verdict['frauds']} frauds known"),
        Figure("average precision, challenger", _or_nan(lead.get("a"))),
        Figure("lead, lower end of its 95% interval", _or_nan(lead.get("low")), at_least=0.0),
        Figure("lead", _or_nan(lead.get("value"))),
        Figure("lead, upper end", _or_nan(lead.get("high"))),
        Figure("the challenger is put in use", float(now != place.champion), at_least=1, note=verdict["why"]),
        Figure("swaps of the service", seen.swaps, at_least=1),
        Figure("models that decided under load", len(versions), at_least=2),
        Figure("requests under load", sum(told.statuses.values()), note=f"{_PER_SECOND:g} a second"),
        Figure("failed requests", len(failed), at_most=0),
        Figure("scored under load, p99", 1000 * float(np.percentile(told.seconds, 99)), "ms"),
        *_quality("before the swap", before),
        *_quality("after it, had the first model stayed", stayed),
        *_quality("after it, by the new model", swapped),
        Figure("recall gained by the swap", _recall(swapped) - _recall(stayed), at_least=0.01),
        Figure("share of the money saved gained by the swap", swapped.saved - stayed.saved, at_least=0.01),
        Figure("the alert is gone after it", float(resolved), note="; ".join(new.why)),
    ]
    details = {
        "runs": seen.runs,
        "verdict": verdict,
        "failures": failed[:20],
        "why": old.why,
        "weeks": {name: _by_week(report) for name, report in (("first model", old), ("new model", new))},
    }
    title = f"{_USERS:,} users, seed {place.seed}, {DAYS} days; learnt {LEARNT}, drift looked for on day {FOUND}"
    return Section("drift", title, figures, details)


def _ripe_since_swap(report: MonitorReport) -> list[Quality]:
    """Complete weeks after the swap, most of whose frauds are known."""
    return [week for week in report.weeks if week.start >= _day(FOUND) and week.ripe]


@dataclass(frozen=True, slots=True)
class _Sum:
    """Sums over weeks: known frauds, those found, flagged and labelled rows, share saved of the money at stake."""

    weeks: int
    frauds: int
    caught: int
    flagged: int
    labelled: int
    saved: float


def _together(weeks: list[Quality]) -> _Sum:
    at_stake = sum(week.at_stake for week in weeks)
    return _Sum(
        len(weeks),
        sum(week.frauds for week in weeks),
        sum(week.caught for week in weeks),
        sum(week.flagged for week in weeks),
        sum(week.labelled for week in weeks),
        sum(week.saved for week in weeks) / at_stake if at_stake else float("nan"),
    )


def _recall(found: _Sum) -> float:
    return found.caught / found.frauds if found.frauds else float("nan")


def _quality(when: str, found: _Sum) -> list[Figure]:
    low, high = wilson(found.caught, found.frauds)
    precision = found.caught / found.flagged if found.flagged else float("nan")
    counted = f"{found.caught} of {found.frauds} frauds, complete weeks: {found.weeks}; 95%: {low:.2f} to {high:.2f}"
    return [
        Figure(f"recall {when}", _recall(found), note=counted),
        Figure(f"precision {when}", precision, note=f"{found.flagged:,} of {found.labelled:,} flagged"),
        Figure(f"share of the money at stake saved {when}", found.saved),
    ]


def _by_week(report: MonitorReport) -> list[dict[str, Any]]:
    weeks: list[dict[str, Any]] = report.as_dict()["weeks"]
    return weeks


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _moment(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=day)


def _day(day: int) -> int:
    """Microseconds UTC."""
    return (FIRST - date(1970, 1, 1) + timedelta(days=day)).days * DAY
