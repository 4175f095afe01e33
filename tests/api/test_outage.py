"""The graph store goes away, hangs and comes back, and the service restarts meanwhile: nothing is lost or doubled."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.deployment import free_port
from bench.traffic import Before, Traffic, compare
from deploy.local import neo4j_server
from tests.api.conftest import ROOT, Running, copied

Make = Callable[..., dict[str, Any]]
PER_SECOND = 30.0
PATIENCE = 300.0
"""Seconds: on a busy machine a server that has just started is slow."""


class Server:
    """A Neo4j that a test may stop, hold up and start again; not started yet."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._bolt, self._http = neo4j_server.free_port(), neo4j_server.free_port()

    def start(self) -> str:
        """Starts it where it is not running; returns its URL, which stays the same."""
        return neo4j_server.start(self.home, bolt=self._bolt, http=self._http, heap="512m")

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        neo4j_server.stop(self.home)

    def signal(self, number: int) -> None:
        state = self.home / "server.json"
        if state.exists():
            os.kill(json.loads(state.read_text())["pid"], number)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if lacking := neo4j_server.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no Neo4j that can be stopped ({lacking})")
    with tempfile.TemporaryDirectory(prefix="quipu-outage-") as folder:
        made = Server(Path(folder))
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def not_started(server: Server, small_world: Path, tmp_path: Path) -> Iterator[Running]:
    """A service that is to use the server, always at the same port."""
    running = copied(small_world, tmp_path / "service")
    running.arguments = ("--port", str(free_port()))
    yield running
    server.signal(signal.SIGCONT)
    if running.process is not None:
        running.end(signal.SIGKILL)


@pytest.fixture
def on_neo4j(server: Server, not_started: Running) -> Running:
    """The same, where the server runs."""
    not_started.environment["QUIPU_STORE"] = server.start()
    return not_started


def port(running: Running) -> int:
    return int(running.arguments[-1])


def health(running: Running) -> dict[str, Any]:
    told: dict[str, Any] = running.get("/health/ready").json()
    return told


def until_drained(running: Running) -> None:
    """Waits until the store has all; only where nothing new comes in."""
    running.until(lambda: (health(running)["status"], health(running)["spool_backlog"]) == ("ready", 0), PATIENCE)


def until_kept(running: Running) -> None:
    """Waits until a restart can do without the store."""
    running.until(lambda: any((running.folder / "var" / "index").glob("index-*")))


def gauge(running: Running, name: str) -> float:
    lines = running.get("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


def test_the_first_start_waits_for_the_store(server: Server, not_started: Running) -> None:
    service = not_started
    service.environment["QUIPU_STORE"] = server.start()
    server.stop()
    service.port = port(service)
    with (service.folder / "service.log").open("a") as log:
        service.process = subprocess.Popen(
            service.command(), cwd=ROOT, env=service.variables(), stdout=subprocess.PIPE, stderr=log, text=True
        )

    def says_why() -> bool:
        try:
            answer = service.get("/health/ready")
        except OSError:
            return False
        return answer.status == 503 and bool(answer.json()["reasons"])

    service.until(says_why)
    service.until(lambda: "waiting for the graph store" in service.log())
    server.start()
    service.until(lambda: service.get("/health/ready").status == 200, PATIENCE)


def test_workers_that_wait_for_the_store_end_when_told(server: Server, not_started: Running) -> None:
    service = not_started
    service.environment["QUIPU_STORE"] = server.start()
    service.arguments = ("--workers", "2")
    server.stop()
    with (service.folder / "service.log").open("a") as log:
        service.process = subprocess.Popen(
            service.command(), cwd=ROOT, env=service.variables(), stdout=subprocess.PIPE, stderr=log, text=True
        )
    service.until(lambda: service.log().count("waiting for the graph store") == 2)
    assert service.end() == 0
    server.start()


def test_a_store_that_stops_loses_nothing_though_the_service_restarts(
    server: Server, on_neo4j: Running, transaction: Make
) -> None:
    service, url = on_neo4j.start(), server.start()

    def earlier(name: str, minute: int) -> float:
        """Scores one more transaction of a user; how many the service knew of before it."""
        body = transaction(name, user_id="U-waits", occurred_at=f"2025-05-02T10:{minute:02d}:00Z")
        assert service.post("/v1/score", body).status == 200
        features = service.get(f"/v1/decisions/{name}?features=true").json()["features"]
        return float(features["user_tx_all"])

    assert earlier("w0", 0) == 0
    until_kept(service)
    until_drained(service)
    before = Before.of(url)
    traffic = Traffic(port(service), service.key, per_second=PER_SECOND, name="stop")
    with traffic.running() as told:
        service.until(lambda: len(told.labels) > 1)
        server.stop()
        service.until(lambda: health(service)["status"] == "degraded")
        service.until(
            lambda: gauge(service, "quipu_store_up") == 0 and gauge(service, "quipu_spool_backlog_records") > 9
        )
        assert health(service)["reasons"]
        assert service.post("/v1/labels", {**traffic.label(0), "transaction_id": "w0"}).status == 202
        refused = service.get("/v1/entities/user/stop-U1")
        assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
        assert refused.headers["retry-after"]
        assert service.get("/v1/rings").status == 503
        assert earlier("w1", 1) == 1
        decided = len(told.decisions)
        assert service.end() == 0
        service.start()
        restarted = health(service)
        assert restarted["status"] == "degraded"
        assert restarted["transactions"] >= decided + before.transactions
        assert earlier("w2", 2) == 2
        name = next(iter(told.decisions))
        assert service.get(f"/v1/decisions/{name}").json() == {**told.decisions[name], "replayed": True}
        labels = len(told.labels)
        service.until(lambda: len(told.labels) > labels)
        waiting = health(service)["spool_backlog"]
        server.start()
        service.until(lambda: health(service)["spool_backlog"] < waiting, PATIENCE)
    until_drained(service)
    assert earlier("w3", 3) == 3
    until_drained(service)
    assert not told.failures
    assert told.repeated
    found = compare(url, traffic, Before(before.transactions + 3, before.labels + 1))
    assert found.clean, found


def test_a_store_that_hangs_holds_nothing_up(server: Server, on_neo4j: Running) -> None:
    service, url = on_neo4j.start(), server.start()
    before = Before.of(url)
    traffic = Traffic(port(service), service.key, per_second=PER_SECOND, name="hang")
    with traffic.running() as told:
        service.until(lambda: len(told.labels) > 1)
        until_kept(service)
        server.signal(signal.SIGSTOP)
        service.until(lambda: health(service)["status"] == "degraded")
        decided = len(told.decisions)
        service.until(lambda: len(told.decisions) > decided + 30)
        assert service.get("/v1/entities/user/hang-U1").status == 503
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        service.start()
        assert health(service)["status"] == "degraded"
        decided = len(told.decisions)
        service.until(lambda: len(told.decisions) > decided + 30)
        server.signal(signal.SIGCONT)
    until_drained(service)
    assert not told.failures
    found = compare(url, traffic, before)
    assert found.clean, found


def test_workers_know_of_each_other_while_the_store_is_away(server: Server, on_neo4j: Running) -> None:
    on_neo4j.arguments = ("--workers", "2", *on_neo4j.arguments)
    service, url = on_neo4j.start(), server.start()
    before = Before.of(url)
    traffic = Traffic(port(service), service.key, per_second=PER_SECOND, name="both")
    with traffic.running() as told:
        service.until(lambda: len(told.labels) > 1)
        server.signal(signal.SIGSTOP)
        service.until(lambda: health(service)["status"] == "degraded")
        decided = len(told.decisions)
        service.until(lambda: len(told.decisions) > decided + 30)
    everything = before.transactions + len(told.decisions)
    for _ in range(8):  # connections, so workers in turn
        service.until(lambda: health(service)["transactions"] == everything)
    server.signal(signal.SIGCONT)
    until_drained(service)
    assert not told.failures
    found = compare(url, traffic, before)
    assert found.clean, found
