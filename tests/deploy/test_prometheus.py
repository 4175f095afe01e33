"""A real Prometheus scrapes the real service: every query of every rule and dashboard finds something to tell."""

import itertools
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from api.keys import KeyFile
from bench.parity import compare
from etl.loading import load
from etl.mapping import read_mapping
from gnn.champion import current_bundle
from gnn.replay import read_history
from graph.records import DAY
from graph.schedule_metrics import publish_refreshed, publish_run
from graph.store import open_store
from tests.api.conftest import ALL_SCOPES, Running
from tests.deploy.conftest import program
from tests.deploy.files import ALERTMANAGER, PROMETHEUS, alerts, panel_queries, recorded
from tests.deploy.told import series

SCORED_DAYS = 14
PATIENCE = 90.0

DAMAGED = """name: damaged
source: {files: damaged.csv}
transaction: {transaction_id: id, occurred_at: {column: at, timezone: UTC}, user_id: user, amount: amount}
quarantine: {limit: %s}
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def quipu(running: Running, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """A command over the store and the folder of a service that runs."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],
        env=running.variables(),
        capture_output=True,
        text=True,
        check=False,
    )


def done(ran: "subprocess.CompletedProcess[str]") -> None:
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of two workers that has scored two weeks, with the jobs run that belong to it."""
    folder = tmp_path_factory.mktemp("watched")
    whole = open_store(f"sqlite:///{small_world}/store.db")
    history = read_history(whole)
    began = int(history.arrived_at[-1]) // DAY * DAY - SCORED_DAYS * DAY
    scored = int((history.arrived_at >= began).sum())
    mapping = small_world / "world" / "mapping.yaml"
    part = open_store(f"sqlite:///{folder}/store.db")
    load(read_mapping(mapping), part, until=began)
    part.close()
    (folder / "var").mkdir()
    shutil.copytree(small_world / "models", folder / "var" / "models")
    _, key = KeyFile(folder / "var" / "keys.json").create("tests", ALL_SCOPES)
    running = Running(folder, key=key, arguments=("--workers", "2")).start()
    try:
        bundle = current_bundle(small_world / "models")
        compare(f"http://127.0.0.1:{running.port}", key, whole, bundle, scored)
        whole.close()
        done(quipu(running, "ingest", mapping))
        (folder / "damaged.csv").write_text("id,at,user,amount\nx1,2025-01-07,u,ten\nx2,never,u,1\n")
        for name, limit in (("stopped", "1%"), ("damaged", "100%")):
            (folder / f"{name}.yaml").write_text((DAMAGED % limit).replace("name: damaged", f"name: {name}"))
        assert quipu(running, "ingest", folder / "stopped.yaml").returncode == 2
        done(quipu(running, "ingest", folder / "damaged.yaml"))
        done(quipu(running, "rings", "find"))
        done(quipu(running, "monitor"))
        var = folder / "var"
        for dag, outcome in (("graph_refresh", "success"), ("monitoring", "failed")):
            publish_run(var, dag, outcome, ended_at=time.time(), seconds=2.0)
        publish_refreshed(var, began)
        yield running
    finally:
        if running.process is not None:
            running.end(signal.SIGTERM)


class Prometheus:
    """A Prometheus with the rules and targets that are deployed, but in a hurry."""

    def __init__(self, folder: Path, service: int, alertmanager: int) -> None:
        shutil.copytree(PROMETHEUS, folder, dirs_exist_ok=True)
        settings = yaml.safe_load((folder / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for file in (folder / "rules").glob("*.yml"):
            text = yaml.safe_load(file.read_text())
            for group in text["groups"]:
                group["interval"] = "1s"
            file.write_text(yaml.safe_dump(text))
        self.port = free_port()
        for job in settings["scrape_configs"]:
            if job["job_name"] == "prometheus":
                job["static_configs"] = [{"targets": [f"127.0.0.1:{self.port}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        for name, port in (("quipu", service), ("alertmanager", alertmanager)):
            (folder / "targets" / f"{name}.yml").write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}"]}]))
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdout=self.log,
            stderr=self.log,
        )

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def found(self, query: str) -> list[Any]:
        """What a query gives now."""
        result: list[Any] = self.ask("query", query=query)["result"]
        return result


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real Alertmanager with the configuration that is deployed."""
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus-alertmanager", "alertmanager"),
                f"--config.file={ALERTMANAGER}",
                f"--storage.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        yield port
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def prometheus(world: Running, alertmanager: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen the service at work long enough for every rate to have its two samples."""
    running = Prometheus(tmp_path_factory.mktemp("prometheus"), world.port, alertmanager)
    try:
        world.until(lambda: answers(running), PATIENCE)
        queries = sorted(panels_and_records()) + compared_by_alerts()
        deadline = time.monotonic() + PATIENCE
        for number in itertools.count():
            for _ in range(2):
                assert world.post("/v1/score", transaction(f"watched-{number}")).status == 200
            # Groups of rules are evaluated at moments of their own. What stays empty, the tests name.
            queries = [query for query in queries if not running.found(query)]
            if not queries or time.monotonic() > deadline:
                break
        yield running
    finally:
        running.end()


def transaction(transaction_id: str) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "occurred_at": "2025-06-01T12:30:00Z",
        "user_id": "U-new",
        "amount": 86.5,
        "device_id": "D-new",
        "ip": "190.232.10.4",
        "restaurant_id": "R-new",
    }


def answers(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.found('up{job="quipu"} == 1'))
    except OSError:
        return False


def panels_and_records() -> dict[str, str]:
    """Where each query of a dashboard or recording rule stands."""
    return {text: place for place, text in panel_queries()} | {text: name for name, text in recorded().items()}


def compared_by_alerts() -> list[str]:
    """The series that alerts compare: an alert's own expression is empty while nothing is wrong."""
    return sorted({name + selector for rule in alerts().values() for name, selector in series(rule["expr"])})


def test_every_query_of_every_dashboard_and_recording_rule_finds_something(prometheus: Prometheus) -> None:
    assert not [f"{place}: {text}" for text, place in panels_and_records().items() if not prometheus.found(text)]


def test_everything_that_alerts_look_at_is_there(prometheus: Prometheus) -> None:
    assert len(compared_by_alerts()) > 20
    assert not [query for query in compared_by_alerts() if not prometheus.found(query)]


def test_all_rules_are_evaluated_without_an_error(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == set(alerts()) | set(recorded())
    assert {rule["health"] for rule in rules} == {"ok"}
    assert not [rule["lastError"] for rule in rules if rule.get("lastError")]


def test_workers_are_counted_together(prometheus: Prometheus, world: Running) -> None:
    (workers,) = prometheus.found("sum(quipu_workers)")
    assert workers["value"][1] == "2"

    def counted(text: str) -> float:
        lines = [line for line in text.splitlines() if line.startswith("quipu_decisions_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    kept = open_store(world.store)
    try:
        # Each answer tells the same sum, whichever worker gives it: that of all decisions.
        world.until(lambda: counted(world.get("/metrics").body.decode()) == kept.status()["decisions"])
        told = {counted(world.get("/metrics").body.decode()) for _ in range(16)}
        assert told == {float(kept.status()["decisions"])}
    finally:
        kept.close()


def test_alerts_reach_alertmanager_and_go_to_whom_they_should(prometheus: Prometheus, alertmanager: int) -> None:
    def known() -> dict[str, Any]:
        try:
            with urlopen(f"http://127.0.0.1:{alertmanager}/api/v2/alerts", timeout=10) as answer:
                return {alert["labels"]["alertname"]: alert for alert in json.load(answer)}
        except OSError:
            return {}

    expected = {"QuipuDagFailed": "tickets", "QuipuQuarantineHigh": "tickets", "QuipuIngestStopped": "pager"}
    Running.until(lambda: set(expected) <= set(known()), PATIENCE)
    for name, receiver in expected.items():
        alert = known()[name]
        assert [each["name"] for each in alert["receivers"]] == [receiver]
        assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
    assert "QuipuDown" not in known()
