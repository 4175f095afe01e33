"""docker-compose.yml as Python, and its services without containers: paths become folders of a test."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.make_secrets import make

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = DOCKER / "Dockerfile"


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def lasting() -> dict[str, dict[str, Any]]:
    """The services that go on running; the others do one thing and end."""
    return {name: service for name, service in services().items() if service.get("restart") != "no"}


def image_environment(image: str) -> dict[str, str]:
    """What the Dockerfile sets for one of its images, `service` or `airflow`."""
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.M)
    own = [stage for stage in stages if stage.split("\n")[0].endswith((" AS base", f" AS {image}"))]
    found = [pair for stage in own for line in re.findall(r"^ENV (.*)$", stage, re.M) for pair in line.split()]
    return {name: value for name, _, value in (pair.partition("=") for pair in found) if name != "PATH"}


@dataclass(slots=True)
class Native:
    """What compose would start, in a folder instead of containers.

    Attributes:
        ports: another port for each one that the services listen on.
        changes: replaces what a container has and this machine has not, in commands and in the environment.
        variables: goes before what compose gives.
    """

    folder: Path
    ports: dict[int, int] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        make(self.folder / "secrets")

    def mapped(self, service: dict[str, Any], text: str) -> str:
        """A text with the service's paths in the container, and ports, as they are here."""
        for before, after in self.changes.items():
            text = text.replace(before, after)
        for volume in service.get("volumes", ()):
            here, there, *_ = volume.split(":")
            place = ROOT / here if here.startswith(".") else self.folder / here
            if not here.startswith("."):
                place.mkdir(exist_ok=True)
            text = re.sub(rf"(?<![\w/]){re.escape(there)}(?=/|$|\s|')", str(place), text)
        text = text.replace("/run/secrets", str(self.folder / "secrets"))
        text = re.sub(r"=:(\d+)$", r"=127.0.0.1:\1", text)
        for before, after in self.ports.items():
            text = re.sub(rf"(?<!\d){before}(?!\d)", str(after), text)
        return text.replace("$$", "$")

    def environment(self, service: dict[str, Any]) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "QUIPU", "PYTEST"))
        }
        given = image_environment(service["build"]["target"]) if "build" in service else {}
        given |= service.get("environment", {})
        own = {name: self.mapped(service, value) for name, value in given.items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**kept, "PATH": path, **own, **self.variables}

    def start(self, name: str, program: str | None = None) -> "subprocess.Popen[str]":
        """Starts a service's command; `program` is what its image starts, by default the images' own entry point."""
        service = services()[name]
        command = [self.mapped(service, word) for word in service["command"]]
        with (self.folder / f"{name}.log").open("a") as log:
            return subprocess.Popen(
                [program or str(DOCKER / "entrypoint.sh"), *command],
                cwd=self.folder, env=self.environment(service), stdout=log, stderr=log, text=True,
            )  # fmt: skip

    def healthy(self, name: str) -> bool:
        """What the service's health check says."""
        service = services()[name]
        kind, *test = (self.mapped(service, word) for word in service["healthcheck"]["test"])
        command = test if kind == "CMD" else ["sh", "-c", *test]
        ran = subprocess.run(command, cwd=self.folder, env=self.environment(service), capture_output=True, check=False)
        return ran.returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()
