"""A real Prometheus and Alertmanager for drills: the rules and routes that are deployed, looked at each second."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from bench.deployment import free_port
from bench.setup import ROOT
from graph.errors import QuipuError

_DEPLOYED = ROOT / "deploy"


class Alerting:
    """Where the two listen on loopback."""

    def __init__(self, prometheus: int, alertmanager: int) -> None:
        self._alerts = f"http://127.0.0.1:{prometheus}/api/v1/alerts"
        self._received = f"http://127.0.0.1:{alertmanager}/api/v2/alerts"

    def firing(self, name: str) -> bool:
        """Whether an alert fires in Prometheus; false where it does not answer."""
        alerts = _asked(self._alerts).get("data", {}).get("alerts", [])
        return any(alert["labels"]["alertname"] == name and alert["state"] == "firing" for alert in alerts)

    def receivers(self, name: str) -> list[str]:
        """Whom Alertmanager tells of an alert; nobody where it does not have it, or does not answer."""
        alerts: Any = _asked(self._received) or []
        return [r["name"] for a in alerts if a["labels"]["alertname"] == name for r in a["receivers"]]


@contextmanager
def alerting(folder: Path, service: int) -> Iterator[Alerting]:
    """Starts both in an empty folder, with the deployed configuration; they watch the service on this port.

    Only the intervals of scraping and of evaluating rules differ: they are a second. What rules say, and for how long
    it must hold, is as deployed.

    Raises:
        QuipuError: one of the programs is not installed.
    """
    shutil.copytree(_DEPLOYED / "prometheus", folder)
    prometheus, alertmanager = free_port(), free_port()
    settings = yaml.safe_load((folder / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"] = [job for job in settings["scrape_configs"] if job["job_name"] == "quipu"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    for file in (folder / "rules").glob("*.yml"):
        rules = yaml.safe_load(file.read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
        file.write_text(yaml.safe_dump(rules))
    for name, port in (("quipu", service), ("alertmanager", alertmanager)):
        (folder / "targets" / f"{name}.yml").write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}"]}]))
    commands = [
        [
            _program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={_DEPLOYED / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        ],
        [
            _program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ],
    ]
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "log").open("ab") as log:
        try:
            started.extend(subprocess.Popen(command, stdout=log, stderr=log) for command in commands)
            yield Alerting(prometheus, alertmanager)
        finally:
            for process in started:
                process.kill()
                process.wait()


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise QuipuError(f"{names[0]} is not installed", hint="the drill needs Prometheus and Alertmanager")


def _asked(url: str) -> Any:
    try:
        with urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return {}
