"""The program `quipu` as its tests call it: in this process, with the exit status and both outputs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from graph.settings import settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a call of the program came to."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON document on standard output of a call that went well."""
        assert self.status == 0, self.err
        return json.loads(self.out, parse_constant=_no_number)

    def complaint(self) -> str:
        """The message and the hint of a call that went wrong, on one line; it printed no result and no traceback."""
        assert self.status in (1, 2), (self.status, self.out, self.err)
        assert not self.out
        assert "Traceback" not in self.err
        text = " ".join(self.err.split())
        assert "rror: " in text
        return text


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


Quipu = Callable[..., Ran]


@pytest.fixture
def quipu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fresh_settings: None
) -> Quipu:
    """Calls the program in this process; its store and its files are in `tmp_path`, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUIPU_STORE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("QUIPU_VAR", str(tmp_path / "var"))

    def call(*arguments: object, **environment: str) -> Ran:
        settings.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["quipu", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                run()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the program in a process of its own, over the same store and files as `quipu`."""

    def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
        own = {"QUIPU_STORE": f"sqlite:///{tmp_path}/store.db", "QUIPU_VAR": str(tmp_path / "var")}
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
