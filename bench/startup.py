"""From the start of `quipu serve` to its first decision, over all of the Handbook."""

import json
import shutil
from dataclasses import dataclass

from bench.deployment import Deployment, Memory, Requests
from bench.report import Figure, Section
from bench.setup import Workspace

RUNS = 3
FORBIDDEN = frozenset({"tensorflow", "tf_keras", "apache_beam", "airflow"})


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from process start to the first decision, and what the process was like then."""

    seconds: float
    transactions: int
    memory: Memory
    libraries: frozenset[str]


def run(work: Workspace) -> Section:
    """Starts several times without a snapshot and several times with one; the first start is not counted.

    Compiled code is cached by then, and the files are in the system's memory.
    """
    deployment = Deployment(work, "startup")
    requests = Requests(deployment.url)
    rebuilt: list[Start] = []
    opened: list[Start] = []
    with work.progress.stage("one start that is not counted"):
        start(deployment, requests)
    for number in range(RUNS):
        with work.progress.stage(f"start from the store, {number + 1} of {RUNS}"):
            shutil.rmtree(deployment.snapshots)
            rebuilt.append(start(deployment, requests))
        with work.progress.stage(f"start from a snapshot, {number + 1} of {RUNS}"):
            opened.append(start(deployment, requests))
    n = rebuilt[-1].transactions
    libraries = frozenset[str]().union(*(seen.libraries for seen in (*rebuilt, *opened)))
    foreign = sorted(libraries & FORBIDDEN)
    figures = [
        Figure.median(
            "first decision after a start from the store", [s.seconds for s in rebuilt], "s", at_most=3 + 3 * n / 1e6
        ),
        Figure.median("first decision after a start from a snapshot", [s.seconds for s in opened], "s", at_most=4),
        *_memory("store", rebuilt),
        *_memory("snapshot", opened),
        Figure(
            "training libraries loaded",
            len(foreign),
            at_most=0,
            note=", ".join(foreign) or f"none of {', '.join(sorted(FORBIDDEN))}",
        ),
    ]
    title = f"`quipu serve` over {n:,} transactions, compiled code cached, from process start to the answer over HTTP"
    return Section("startup", title, figures, {"libraries": sorted(libraries)})


def start(deployment: Deployment, requests: Requests) -> Start:
    """Starts the service, scores one transaction, and stops it."""
    body = requests.take(1)[0]
    with deployment.service() as service:
        seconds = service.answered("/v1/score", body)
        ready = json.loads(service.request("GET", "/health/ready")[1])
        return Start(seconds, ready["transactions"], service.memory(), service.libraries())


def _memory(source: str, starts: list[Start]) -> list[Figure]:
    gib = 2**30
    return [
        Figure.median(
            f"resident memory after a start from the {source}", [s.memory.resident / gib for s in starts], "GiB"
        ),
        Figure.median(
            f"of it the process's own, from the {source}",
            [s.memory.own / gib for s in starts],
            "GiB",
            note="the rest is mapped from files: libraries, the store, the snapshot",
        ),
    ]
