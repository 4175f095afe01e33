"""What the benchmarks share: the data, a store with all of it, a model trained on it, and processes of the program.

Everything is kept in one folder and made once; a store or a model of an earlier version is made anew.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cli.console import ConsoleProgress
from gnn.bundle import open_bundle
from gnn.serving import load_predictor
from graph.errors import InputError, QuipuError
from graph.sqlite_database import path_of
from graph.store import open_store

ROOT = Path(__file__).resolve().parent.parent
MAPPING = ROOT / "examples" / "handbook.yaml"


@dataclass(frozen=True, slots=True)
class Finished:
    """A run of the program that succeeded.

    Attributes:
        result: the JSON document that it printed.
        seconds: wall time; cpu_seconds: of all its threads; peak_bytes: the most memory it had resident.
    """

    result: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Workspace:
    """The folder that the benchmarks work in, and what is in it.

    Args:
        data: the folder of the Handbook's transactions, `*.parquet`.
        folder: where stores, models and scores are kept.
        scores: a table of `quipu backtest` to measure instead of running the backtest.
    """

    def __init__(self, data: Path, folder: Path, *, scores: Path | None = None) -> None:
        self.data = data
        self.folder = folder
        self.scores = scores
        self.progress = ConsoleProgress()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """A file or folder of the workspace."""
        return self.folder / name

    def emptied(self, name: str) -> Path:
        """A folder of the workspace, empty."""
        path = self.path(name)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def files(self) -> list[Path]:
        """The Handbook's transactions.

        Raises:
            InputError: there are none.
        """
        found = sorted(self.data.glob("*.parquet"))
        if not found:
            raise InputError(
                f"there are no *.parquet files in {self.data}",
                hint="the Handbook's simulated transactions are needed there; --data names another folder",
            )
        return found

    @cached_property
    def _store(self) -> str:
        path = self.path("handbook") / "quipu.db"
        marker = self.path("handbook") / "complete"
        url = f"sqlite:///{path}"
        if not marker.exists() or not _opens(url):
            self.emptied("handbook")
            self.quipu("ingest", str(MAPPING), *map(str, self.files()), "--store", url, "--json")
            marker.touch()
        return url

    def store(self) -> str:
        """URL of a store with all of the Handbook, which nobody writes to."""
        return self._store

    def copy_of_store(self, folder: Path) -> str:
        """A copy of the store in another folder, to be written to; returns its URL."""
        with self.progress.stage("copying the store"):
            original = path_of(self.store())
            with_log = [p for p in original.parent.glob(f"{original.name}*") if p.is_file()]
            for path in with_log:
                shutil.copyfile(path, folder / path.name)
        return f"sqlite:///{folder / original.name}"

    def bundle(self) -> Path:
        """The model of the latest run of the training benchmark, or one trained now, on all of the Handbook."""
        named = self.path("bundle.json")
        if named.exists():
            path = self.path("models") / str(json.loads(named.read_text()))
            if path.is_dir() and loads(path):
                return path
        return self.keep_bundle(self.train().result)

    def train(self) -> Finished:
        """Trains on all of the Handbook."""
        folder = self.emptied("models")
        return self.quipu("train", "--store", self.store(), "--out", str(folder), "--json")

    def keep_bundle(self, result: dict[str, Any]) -> Path:
        """Notes which model `train` wrote."""
        path = Path(result["bundle"])
        self.path("bundle.json").write_text(json.dumps(path.name))
        return path

    def quipu(self, *arguments: str) -> Finished:
        """Runs the program to its end; its progress goes to standard error.

        Raises:
            QuipuError: it failed.
        """
        started = time.perf_counter()
        process = subprocess.Popen(command(*arguments), cwd=ROOT, env=environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            with process.stdout as pipe:
                printed = pipe.read()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise QuipuError(f"`quipu {arguments[0]}` ended with {process.returncode}", hint="see its message above")
        return Finished(json.loads(printed), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def command(*arguments: str) -> list[str]:
    """The program's command line in this environment."""
    return [sys.executable, "-m", "cli.main", *arguments]


def environment(**settings: str) -> dict[str, str]:
    """The environment of the program's processes: this one's without its settings of Quipu, and `settings`.

    Python may keep its compiled code, as it does unless told otherwise.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("QUIPU_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, **{f"QUIPU_{name.upper()}": value for name, value in settings.items()}}


def _opens(url: str) -> bool:
    try:
        open_store(url).close()
    except QuipuError:
        return False
    return True


def loads(bundle: Path) -> bool:
    """Whether a bundle is one of this version."""
    try:
        load_predictor(open_bundle(bundle))
    except QuipuError:
        return False
    return True
