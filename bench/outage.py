"""The graph store stops for ten minutes under load, and the service is restarted meanwhile: what is lost, what doubled?

On an empty Neo4j of its own, with a model of a small simulated world.
"""

import http.client
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.keys import KeyFile
from bench.deployment import free_port
from bench.report import Figure, Section
from bench.setup import ROOT, Workspace, command, environment
from bench.traffic import Before, Told, Traffic, compare
from deploy.local import neo4j_server
from graph.errors import QuipuError
from graph.store import open_store

_WORLD = ("--users", "600", "--days", "60", "--seed", "5")
_BEFORE_SECONDS = 20.0
_AFTER_SECONDS = 10.0
_LONGEST = 600.0


def run(work: Workspace, *, minutes: float = 10.0, per_second: float = 60.0) -> Section:
    """Load for a while, the store stops, half-way the service restarts, the store comes back, the backlog drains."""
    if lacking := neo4j_server.missing():
        raise QuipuError(f"the drill needs a Neo4j of its own: {lacking}")
    models = _models(work)
    folder = work.emptied("outage")
    home = folder / "neo4j"
    ports = {"bolt": neo4j_server.free_port(), "http": neo4j_server.free_port()}
    try:
        with work.progress.stage("starting Neo4j"):
            url = neo4j_server.start(home, heap="512m", **ports)
            open_store(url).close()
        return _drill(work, models, folder, home, url, ports, minutes, per_second)
    finally:
        neo4j_server.stop(home)


def _models(work: Workspace) -> Path:
    folder = work.path("outage-models")
    if not (folder / "CURRENT").exists():
        world = work.emptied("outage-world")
        store = f"sqlite:///{world / 'quipu.db'}"
        work.quipu("simulate", str(world / "world"), *_WORLD, "--json")
        work.quipu("ingest", str(world / "world" / "mapping.yaml"), "--store", store, "--json")
        work.quipu("train", "--store", store, "--out", str(folder), "--json")
    return folder


class _Service:
    """`quipu serve` on a port of its own, which it keeps over restarts."""

    def __init__(self, folder: Path, url: str, models: Path) -> None:
        self.folder = folder
        self.port = free_port()
        _, self.key = KeyFile(folder / "keys.json").create("bench", ["score", "label", "investigate"])
        (folder / "models").symlink_to(models)
        self._url = url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts it; seconds until it says that it is ready."""
        began = time.monotonic()
        arguments = command("serve", "--store", self._url, "--port", str(self.port))
        with (self.folder / "service.log").open("ab") as log:
            environ = environment(var=str(self.folder))
            self._process = subprocess.Popen(arguments, cwd=ROOT, env=environ, stdout=log, stderr=log)
        self.until(lambda told: told.get("status") in {"ready", "degraded"})
        return time.monotonic() - began

    def stop(self) -> None:
        """As an operator stops it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_LONGEST)
            self._process = None

    def health(self) -> dict[str, Any]:
        """What it says of itself; nothing where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/health/ready")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> float:
        """Waits until its health is such; returns the seconds."""
        began = time.monotonic()
        while not condition(self.health()):
            if self._process is None or self._process.poll() is not None or time.monotonic() - began > _LONGEST:
                raise QuipuError("the service does not become what it should", hint=f"see {self.folder}/service.log")
            time.sleep(0.2)
        return time.monotonic() - began


def _drill(
    work: Workspace,
    models: Path,
    folder: Path,
    home: Path,
    url: str,
    ports: dict[str, int],
    minutes: float,
    per_second: float,
) -> Section:
    before = Before.of(url)
    service = _Service(folder, url, models)
    peak = 0
    statuses: list[str] = []

    def watch(seconds: float) -> None:
        nonlocal peak
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told = service.health()
            peak = max(peak, int(told.get("spool_backlog", 0)))
            statuses.append(str(told.get("status", "no answer")))
            time.sleep(0.5)

    try:
        service.start()
        traffic = Traffic(service.port, service.key, per_second=per_second)
        with traffic.running() as told:
            with work.progress.stage("load, all well"):
                watch(_BEFORE_SECONDS)
            with work.progress.stage(f"the store is away for {minutes:g} minutes"):
                began = time.monotonic()
                neo4j_server.stop(home)
                statuses.clear()
                watch(30 * minutes)
                service.stop()
                restart = service.start()
                watch(60 * minutes - (time.monotonic() - began))
                away = time.monotonic() - began
            degraded = statuses.count("degraded") / max(len(statuses), 1)
            with work.progress.stage("the store is back"):
                neo4j_server.start(home, heap="512m", **ports)
                back = time.monotonic()
                watch(_AFTER_SECONDS)
        service.until(lambda told: told.get("spool_backlog") == 0 and told.get("status") == "ready")
        drained = time.monotonic() - back
    finally:
        service.stop()
    found = compare(url, traffic, before)
    shutil.copy(folder / "service.log", work.path("outage.log"))
    return Section(
        "outage",
        f"Neo4j stopped for {away / 60:.1f} minutes at {per_second:g} requests/s, the service restarted meanwhile",
        [
            *_told(told),
            Figure("restart of the service while the store is away", restart, "s"),
            Figure("of the health checks meanwhile, that said degraded", degraded),
            Figure("most records that waited for the store", peak, "records"),
            Figure("until all were in the store, from its start", drained, "s", note="under load for the first 10 s"),
            Figure("lost: transactions, decisions, labels", found.lost, at_most=0),
            Figure("doubled: transactions, labels", found.doubled, at_most=0),
            Figure("decisions or labels that are others than those told", found.other, at_most=0),
            Figure("missing numbers in the change feed", found.gaps, at_most=0),
            Figure("users with wrong sums", found.sums, at_most=0),
        ],
        {"failures": told.failures[:20], "statuses": dict(told.statuses)},
    )


def _told(told: Told) -> list[Figure]:
    return [
        Figure("transactions decided", len(told.decisions)),
        Figure("of them sent again, and given the original decision", told.repeated),
        Figure("labels taken", len(told.labels)),
        Figure("failed requests", len(told.failures), at_most=0),
        Figure(
            "requests that met no service while it restarted",
            told.refused,
            note="refused, cut off or told to come back; all of them were answered when sent again",
        ),
        Figure("slowest answer, but for those", told.slowest, "s"),
    ]
