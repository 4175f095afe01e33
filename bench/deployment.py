"""A service of the program over a copy of the store, as a client meets it: a process, an address and a key."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import numpy as np

from api.keys import KeyFile
from bench.setup import ROOT, Workspace, command, environment
from graph.errors import QuipuError
from graph.store import open_store

_LONGEST = 120.0


class Deployment:
    """A folder with a store and a key; services can be started on it, one after the other.

    Args:
        fill: makes the store in the folder and returns its URL; by default a copy of the whole.

    Attributes:
        folder: the service's QUIPU_VAR. url: of the store. key: with scopes score, label and investigate.
    """

    def __init__(self, work: Workspace, name: str, fill: Callable[[Path], str] | None = None) -> None:
        self.bundle = work.bundle()
        self.folder = work.emptied(name)
        self.url = (fill or work.copy_of_store)(self.folder)
        _, self.key = KeyFile(self.folder / "keys.json").create("bench", ["score", "label", "investigate"])

    @property
    def snapshots(self) -> Path:
        """Where the service keeps snapshots of its index."""
        return self.folder / "index"

    @contextmanager
    def service(self) -> Iterator["Running"]:
        """Starts the service; on leaving, stops it as an operator would, so that it drains and saves."""
        port = free_port()
        arguments = command("serve", "--bundle", str(self.bundle), "--store", self.url, "--port", str(port))
        with (self.folder / "service.log").open("ab") as log:
            began = time.perf_counter()
            with running(arguments, log, environment(var=str(self.folder))) as process:
                yield Running(process, port, self.key, began)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process, and how much of it is its own (not mapped from files); bytes."""

    resident: int
    own: int


@dataclass(frozen=True, slots=True)
class Running:
    """A server's process; `began` is when it was started, by `time.perf_counter`."""

    process: "subprocess.Popen[bytes]"
    port: int
    key: str
    began: float

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends along."""
        return {"Authorization": f"Bearer {self.key}"}

    def answered(self, path: str, body: bytes) -> float:
        """Posts until the answer is 200, as a client does that waits for a start; seconds since the start.

        Raises:
            QuipuError: the process ended, or did not answer in time.
        """
        while time.perf_counter() - self.began < _LONGEST:
            if self.process.poll() is not None:
                raise QuipuError(f"the service ended with {self.process.returncode}", hint="its log says why")
            if self.request("POST", path, body)[0] == 200:
                return time.perf_counter() - self.began
            time.sleep(0.01)
        raise QuipuError(f"the service did not answer within {_LONGEST:.0f} s", hint="its log says why")

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request; status (0 where nothing listens) and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_LONGEST)
        try:
            connection.request(method, path, body, {**self.headers, "Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def memory(self) -> Memory:
        """The process's memory as it stands."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB$", text, re.M))
        return Memory(int(found["VmRSS"]) * 1024, int(found["RssAnon"]) * 1024)

    def libraries(self) -> frozenset[str]:
        """Top-level packages of this environment whose compiled parts the process has mapped."""
        text = Path(f"/proc/{self.process.pid}/maps").read_text(encoding="utf-8")
        return frozenset(re.findall(r"site-packages/([^/\s]+)/\S+\.so", text))


@contextmanager
def noop() -> Iterator[Running]:
    """Starts the endpoint that does nothing."""
    port = free_port()
    began = time.perf_counter()
    with running([*command()[:2], "bench.noop", "--port", str(port)], subprocess.DEVNULL, environment()) as process:
        yield Running(process, port, "none", began)


@contextmanager
def running(
    arguments: Sequence[str], log: IO[bytes] | int, environ: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Starts a server; on leaving, stops it as an operator would."""
    process = subprocess.Popen(arguments, cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        yield process
        if process.poll() is not None:
            raise QuipuError(f"a server ended with {process.returncode} while it was measured", hint="its log says why")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Requests:
    """New transactions that go on where the store's history ends.

    Customers, terminals and amounts are those of transactions of the last quarter, drawn anew; the time between two
    is the history's mean. Every transaction has an id of its own.

    Args:
        url: the store's.
    """

    def __init__(self, url: str, *, seed: int = 0) -> None:
        store = open_store(url)
        try:
            last = store.watermark().transaction
            chunks = list(store.transaction_changes(3 * last // 4))
            keys = [key for chunk in store.entity_keys() for key in chunk.keys]
        finally:
            store.close()
        at = np.concatenate([c.occurred_at for c in chunks])
        self._ids = np.concatenate([c.ids for c in chunks])
        self._amount = np.concatenate([c.amount for c in chunks])
        self._keys = keys
        self._next = datetime.fromtimestamp(int(at.max()) / 1e6, UTC)
        self._gap = timedelta(microseconds=int((at.max() - at.min()) / len(at)))
        self._rng = np.random.default_rng(seed)
        self._made = 0

    def take(self, n: int) -> list[bytes]:
        """The next n, as JSON bodies."""
        bodies = []
        for row in self._rng.integers(0, len(self._amount), n).tolist():
            self._next += self._gap
            self._made += 1
            user, restaurant = (self._keys[number] for number in self._ids[row].tolist())
            body = {
                "transaction_id": f"bench-{os.getpid()}-{self._made}",
                "occurred_at": self._next.isoformat(),
                "user_id": user,
                "restaurant_id": restaurant,
                "amount": int(self._amount[row]) / 100,
            }
            bodies.append(json.dumps(body, separators=(",", ":")).encode())
        return bodies


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
