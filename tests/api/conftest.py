"""A real service: `quipu serve` in a process of its own, over a copy of the small world."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api.keys import KeyFile

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
ALL_SCOPES = ("score", "label", "investigate")


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Running:
    """A service over the files in `folder`; it may be stopped, killed and started again."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    key: str = ""
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/store.db"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "cli.main", "serve", "--port", "0", *self.arguments]

    def variables(self) -> dict[str, str]:
        own = {"QUIPU_VAR": str(self.folder / "var"), "QUIPU_STORE": self.store}
        return {**os.environ, "PYTHONUNBUFFERED": "1", **own, **self.environment}

    def start(self) -> "Running":
        """Starts it and waits until it scores."""
        log = (self.folder / "service.log").open("a")
        self.process = subprocess.Popen(
            self.command(), cwd=ROOT, env=self.variables(), stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listens on" in line, f"{line!r}; its log:\n{self.log()}"
        self.port = int(line.rsplit(":", 1)[1])
        self.until(lambda: self.get("/health/ready").status == 200)
        return self

    def log(self) -> str:
        return (self.folder / "service.log").read_text()

    def ready_workers(self) -> list[int]:
        """Process ids of all that said that they can score, in that order."""
        return [int(number) for number in re.findall(r"process (\d+) is ready", self.log())]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers if headers is not None else self.headers(body))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def headers(self, body: bytes | None = None) -> dict[str, str]:
        kind = {} if body is None else {"Content-Type": "application/json"}
        return {"Authorization": f"Bearer {self.key}", **kind}

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, content: Any) -> Answer:
        return self.request("POST", path, content if isinstance(content, bytes) else json.dumps(content).encode())

    def post_at_once(self, path: str, content: Any, clients: int) -> list[Answer]:
        """The answers to so many clients that send the same content at the same moment."""
        start = threading.Barrier(clients)

        def ask(_: int) -> Answer:
            start.wait()
            return self.post(path, content)

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(ask, range(clients)))

    @staticmethod
    def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Waits for a condition that must come true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def small_bundle(small_world: Path) -> Path:
    from gnn.champion import current_bundle

    return current_bundle(small_world / "models")


def copied(small_world: Path, folder: Path) -> Running:
    """A service over its own copy of the world, not started yet."""
    (folder / "var").mkdir(parents=True)
    shutil.copy(small_world / "store.db", folder / "store.db")
    (folder / "var" / "models").symlink_to(small_world / "models")
    _, key = KeyFile(folder / "var" / "keys.json").create("tests", ALL_SCOPES)
    return Running(folder, key=key)


@pytest.fixture
def service(small_world: Path, tmp_path: Path) -> Iterator[Running]:
    """A service of the test's own, not started yet."""
    running = copied(small_world, tmp_path / "service")
    yield running
    if running.process is not None:
        running.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def shared(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that the module's tests share; they use transaction ids of their own."""
    running = copied(small_world, tmp_path_factory.mktemp("shared") / "service").start()
    yield running
    if running.process is not None:
        assert running.end() == 0


@pytest.fixture(scope="session")
def transaction() -> Callable[..., dict[str, Any]]:
    """Makes a request body; fields may be changed, and left out by `...`."""

    def make(transaction_id: str, **changes: Any) -> dict[str, Any]:
        body = {
            "transaction_id": transaction_id,
            "occurred_at": "2025-05-01T12:30:00Z",
            "user_id": "U-new",
            "amount": 86.5,
            "device_id": "D-new",
            "ip": "190.232.10.4",
            "restaurant_id": "R-new",
            "currency": "PEN",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not ...}

    return make
