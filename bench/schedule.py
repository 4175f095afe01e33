"""A simulated month under a real Airflow, fed day by day, with kills; and ten days of it filled in afterwards.

A first month is loaded and learnt. Then the source brings a day at a time, three rows in a hundred a day late;
`graph_refresh` runs for each day, `monitoring` after each refresh, `model_training` each week. The scheduler, and a
process that runs a task, are killed with SIGKILL on the way. At the end everything that was delivered must be in the
store, once; and a second Airflow that fills in the first ten days at once must come to the same graph as the daily runs
had after ten days.
"""

import shutil
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.airflow import PARTS, Airflow
from bench.content import content
from bench.report import Figure, Section
from bench.setup import Workspace
from etl.loading import load
from etl.mapping import read_mapping
from etl.simulator import WorldSettings, simulate, write
from gnn.champion import history, promote
from gnn.pipeline import train_bundle
from gnn.training import TrainingSettings
from graph.progress import Progress
from graph.records import DAY
from graph.store import open_store

FIRST = date(2025, 1, 6)
HISTORY, MONTH, FILLED = 35, 30, 10
_LATE = 33
"""One row in so many is delivered a day late."""


class Deliveries:
    """A world whose files come a day at a time.

    Args:
        folder: with the simulated world; files are delivered to `<folder>/in`.
        days: how many are to be delivered one by one.
    """

    def __init__(self, folder: Path, days: int) -> None:
        self.folder, self.target = folder, folder / "in"
        write(simulate(WorldSettings(users=600, days=HISTORY + days, seed=5, fraud_rate=0.05, start=FIRST)), folder)
        rows = pd.read_parquet(folder / "transactions.parquet").sort_values("occurred_at", kind="stable")
        number = pd.Series(range(len(rows)), index=rows.index)
        late = pd.to_timedelta((number % _LATE == 0).astype(int), unit="D")
        self.rows = rows.assign(arrived_at=rows.occurred_at + late)
        self.labels = pd.read_csv(folder / "labels.csv")
        self.label_day = pd.to_datetime(self.labels.known_at, utc=True).dt.date
        mapping = yaml.safe_load((folder / "mapping.yaml").read_text())
        mapping["source"]["files"] = "in/transactions-*.parquet"
        mapping["labels"]["files"] = "in/labels-*.csv"
        mapping["transaction"]["arrived_at"] = {"column": "arrived_at", "timezone": "UTC"}
        self.mapping = folder / "daily.yaml"
        self.mapping.write_text(yaml.safe_dump(mapping, sort_keys=False))
        self.target.mkdir()

    def bring(self, first: date, days: int) -> None:
        """Delivers what arrives in these days, as a file of transactions and one of labels."""
        end = first + timedelta(days=days)
        arrived = self.rows.arrived_at.dt.date
        here = (arrived >= first) & (arrived < end)
        known = (self.label_day >= first) & (self.label_day < end)
        self._write(self.labels[known], f"labels-{first}.csv")
        self._write(self.rows[here], f"transactions-{first}.parquet")

    def _write(self, rows: pd.DataFrame, name: str) -> None:
        """All of it or nothing: the refresh may look at any moment."""
        draft = self.folder / f".{name}"
        if name.endswith(".csv"):
            rows.to_csv(draft, index=False)
        else:
            rows.to_parquet(draft, index=False)
        draft.rename(self.target / name)

    def as_delivered(self, end: date) -> Path:
        """A mapping that finds only what was delivered before a day."""
        folder = self.folder / f"in-{end}"
        folder.mkdir()
        for file in self.target.iterdir():
            if file.stem.partition("-")[2] < str(end):
                shutil.copy(file, folder)
        mapping = self.folder / f"until-{end}.yaml"
        mapping.write_text(self.mapping.read_text().replace("in/", f"{folder.name}/"))
        return mapping

    def delivered(self, end: date) -> tuple[int, int]:
        """How many transactions occurred, and labels became known, before a day, of what has arrived before it."""
        moment = pd.Timestamp(end, tz="UTC")
        rows = (self.rows.arrived_at < moment).sum()
        return int(rows), int((self.label_day < end).sum())


def run(work: Workspace, *, days: int = MONTH, filled_days: int = FILLED) -> Section:
    """Feeds so many days, kills on the way, fills in the first of them elsewhere, and compares."""
    folder = work.emptied("schedule")
    world = Deliveries(folder / "world", days)
    world.bring(FIRST, HISTORY)
    begin = FIRST + timedelta(days=HISTORY)
    daily, filled = _place(folder / "daily", world, begin, work.progress), folder / "filled"
    shutil.copytree(daily, filled)
    figures, after_ten = _month(world, daily, begin, (days, filled_days), work.progress)
    with work.progress.stage("filling in days at once"):
        again = _fill(world, filled, begin, filled_days)
    differ = [name for name in again if again[name] != after_ten[name]]
    figures.append(
        Figure(
            f"{filled_days} days filled in at once differ from {filled_days} daily runs",
            len(differ),
            at_most=0,
            note=", ".join(differ) or "counts, transactions, labels, attributes, rings with their history, embeddings",
        )
    )
    return Section("schedule", f"{days} days under a real Airflow, fed day by day, with kills", figures, {"end": again})


def _place(folder: Path, world: Deliveries, begin: date, progress: Progress) -> Path:
    """A store with what was before the month, and a model trained on it."""
    store = open_store(f"sqlite:///{folder}/quipu.db")
    try:
        load(read_mapping(world.mapping), store, until=_micro(begin))
        result = train_bundle(
            store, folder / "var" / "models", until=_micro(begin), settings=TrainingSettings(), progress=progress
        )
    finally:
        store.close()
    promote(folder / "var" / "models", Path(result["bundle"]).name)
    return folder


def _month(
    world: Deliveries, place: Path, begin: date, length: tuple[int, int], progress: Progress
) -> tuple[list[Figure], dict[str, Any]]:
    airflow = Airflow(place / "airflow", _settings(world.mapping, place, begin))
    url = f"sqlite:///{place}/quipu.db"
    days, filled = length
    killed: list[str] = []
    started = time.monotonic()
    airflow.start()
    try:
        with progress.stage("day by day", total=days) as advance:
            for number in range(days):
                world.bring(begin + timedelta(days=number), 1)
                if number == filled // 2:
                    airflow.wait("a running task", lambda: airflow.tasks("graph_refresh", "running"))
                    airflow.kill("scheduler")
                    airflow.start_part("scheduler")
                    killed.append("scheduler")
                if number == filled // 2 + 1:
                    airflow.wait("a killed task", lambda: _killed(airflow, killed))
                airflow.wait(f"the refresh of day {number + 1}", partial(_reached, airflow, number + 1), 300)
                if number + 1 == filled:
                    after_ten = content(url)
                advance(1)
        end_of_feed = begin + timedelta(days=days)
        airflow.wait("the end of monitoring and training", lambda: not _open(airflow, end_of_feed), 600)
        counted = {dag: airflow.runs(dag) for dag in ("graph_refresh", "monitoring", "model_training")}
    finally:
        airflow.stop()
    seconds = time.monotonic() - started
    rows, labels = world.delivered(begin + timedelta(days=days))
    end = content(url)
    before = end["transactions"]
    store = open_store(url)
    try:
        report = load(read_mapping(world.mapping), store, until=_micro(begin + timedelta(days=days)))
    finally:
        store.close()
    failed = sum(run["state"] == "failed" for runs in counted.values() for run in runs)
    by_asset = [r for dag in ("monitoring", "model_training") for r in counted[dag] if "asset" in r["run_type"]]
    by_time = [r for runs in counted.values() for r in runs if r["run_type"] == "scheduled"]
    return [
        Figure("days refreshed, one run each", _done_of(counted["graph_refresh"]), at_least=days),
        Figure("runs by time", len(by_time)),
        Figure("runs by asset", len(by_asset), at_least=1),
        Figure("runs of monitoring", len(counted["monitoring"])),
        Figure(
            "runs of training",
            len(counted["model_training"]),
            note=f"{len(history(place / 'var/models'))} models in use in turn",
        ),
        Figure("runs that failed", failed, at_most=0),
        Figure("killed with SIGKILL", len(killed), at_least=2, note=", ".join(killed)),
        Figure("transactions delivered", rows),
        Figure("transactions lost or doubled", abs(before - rows), at_most=0),
        Figure("labels lost or doubled", abs(end["labels"] - labels), at_most=0),
        Figure("rows that loading all again adds", report.transactions.loaded, at_most=0),
        Figure("time", seconds, "s"),
    ], after_ten


def _open(airflow: Airflow, end: date) -> list[dict[str, Any]]:
    """Runs of monitoring and training that go on; but for those of time that was not delivered, which wait for it."""
    runs = [run for dag in ("monitoring", "model_training") for state in _OPEN for run in airflow.runs(dag, state)]
    return [run for run in runs if (run["data_interval_end"] or "")[:10] <= str(end)]


_OPEN = ("running", "queued")


def _killed(airflow: Airflow, killed: list[str]) -> bool:
    task = airflow.kill_task("graph_refresh")
    if task is not None:
        killed.append(f"task {task}")
    return task is not None


def _reached(airflow: Airflow, days: int) -> bool:
    return len(airflow.runs("graph_refresh", "success")) >= days


def _done_of(runs: list[dict[str, Any]]) -> int:
    return len({run["data_interval_end"] for run in runs if run["state"] == "success"})


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
        airflow.wait("the end of the back-fill", lambda: _filled(airflow) > days - 1, 600)
    finally:
        airflow.stop()
    return content(f"sqlite:///{place}/quipu.db")


def _filled(airflow: Airflow) -> int:
    return sum(run["run_type"] == "backfill" for run in airflow.runs("graph_refresh", "success"))


def _settings(mapping: Path, place: Path, begin: date | None) -> dict[str, str]:
    start = {} if begin is None else {"QUIPU_SCHEDULE_START": str(begin)}
    return {
        "QUIPU_STORE": f"sqlite:///{place}/quipu.db",
        "QUIPU_VAR": str(place / "var"),
        "QUIPU_MAPPING": str(mapping),
        "QUIPU_SCHEDULE_RETRIES": "1000",
        "QUIPU_SCHEDULE_RETRY_SECONDS": "2",
        "QUIPU_CHALLENGE_WEEKS": "2",
        **start,
    }


def _micro(day: date) -> int:
    return (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days * DAY
