"""A real Airflow for measurements: api server, scheduler and dag processor, with SQLite, on loopback."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from bench.setup import ROOT
from graph.errors import QuipuError

PARTS = ("api-server", "scheduler", "dag-processor")
_LONGEST = 180.0
_PAGE = 1000
"""Runs, task instances or events asked for at once; there are never more."""


class Airflow:
    """One Airflow in a folder of its own.

    Args:
        home: empty folder for its database and logs.
        quipu: settings of Quipu that its DAGs read (`QUIPU_…`).
    """

    def __init__(self, home: Path, quipu: dict[str, str]) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        base = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "QUIPU"))}
        self.environment = {
            **base,
            # Tasks share few cores: threads of theirs that wait for each other would only take time from the others.
            "OMP_NUM_THREADS": "1",
            **quipu,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": str(_PAGE),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._token: str | None = None

    def start(self, parts: Sequence[str] = PARTS) -> None:
        """Makes the database and starts these parts, the API's among them; returns when the API answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.run("db", "migrate")
        for part in parts:
            self.start_part(part)
        self.wait("the API of Airflow", lambda: self.get("/monitor/health")["metadatabase"]["status"] == "healthy")

    def start_part(self, part: str) -> None:
        """Starts one of `PARTS` in a process group of its own."""
        with (self.home / f"{part}.log").open("ab") as log:
            self._running[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """Kills a part, and all that it started, with SIGKILL."""
        process = self._running.pop(part)
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        for pid in family:
            _kill_if_there(pid)
        process.wait()

    def kill_task(self, dag: str, task: str) -> bool:
        """Kills the process that runs this task of a DAG, with SIGKILL; returns whether one ran."""
        titles = {f"airflow worker -- {one['id']}" for one in self.tasks(dag, "running") if one["task_id"] == task}
        scheduler = psutil.Process(self._running["scheduler"].pid)
        for child in scheduler.children(recursive=True):
            try:
                title = " ".join(child.cmdline()).strip()
                if title in titles:
                    child.kill()
                    return True
            except psutil.Error:  # it has just ended
                continue
        return False

    def stop(self) -> None:
        """Kills all that runs."""
        for part in list(self._running):
            self.kill(part)

    def run(self, *arguments: str) -> str:
        """Runs the program `airflow`; returns what it printed.

        Raises:
            QuipuError: it failed.
        """
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise QuipuError(f"airflow {' '.join(arguments)} failed: {(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def get(self, path: str) -> dict[str, Any]:
        """An answer of the API below /api/v2."""
        if self._token is None:
            self._token = str(json.loads(self._read("/auth/token"))["access_token"])
        answer: dict[str, Any] = json.loads(self._read(f"/api/v2{path}", self._token))
        return answer

    def runs(self, dag: str, state: str | None = None) -> list[dict[str, Any]]:
        """The runs of a DAG, in order of creation."""
        of_state = f"&state={state}" if state else ""
        runs: list[dict[str, Any]] = self.get(f"/dags/{dag}/dagRuns?limit={_PAGE}&order_by=id{of_state}")["dag_runs"]
        return runs

    def tasks(self, dag: str, state: str) -> list[dict[str, Any]]:
        """The task instances of a DAG in a state."""
        path = f"/dags/{dag}/dagRuns/~/taskInstances?state={state}&limit={_PAGE}"
        found: list[dict[str, Any]] = self.get(path)["task_instances"]
        return found

    def asset_events(self) -> list[dict[str, Any]]:
        """What was announced of assets, in order, each with the runs that it triggered (`created_dagruns`)."""
        events: list[dict[str, Any]] = self.get(f"/assets/events?limit={_PAGE}&order_by=timestamp")["asset_events"]
        return events

    def returned(self, dag: str, run: str, task: str) -> Any:
        """What a task of a run returned; None where it did not end well, or was left out."""
        path = f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/xcomEntries/return_value"
        try:
            value = self.get(path)["value"]
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise
        return json.loads(value) if isinstance(value, str) else value

    def wait(self, what: str, done: Callable[[], object], longest: float = _LONGEST) -> None:
        """Waits until `done()` is true; an API that does not answer counts as false.

        Raises:
            QuipuError: it did not come true.
        """
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            try:
                if done():
                    return
            except (OSError, ValueError, KeyError):
                self._token = None
            time.sleep(0.5)
        raise QuipuError(f"{what} did not come within {longest:.0f} s", hint=f"see the logs in {self.home}")

    def _read(self, path: str, token: str | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: bytes = answer.read()
            return body


def _kill_if_there(pid: int) -> None:
    """Kills a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
