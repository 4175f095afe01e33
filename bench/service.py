"""The full scoring path over all of the Handbook, beside an endpoint of the same framework that does nothing.

Both servers run at the same time and are asked in turn, with the same bodies and headers, by the same client.
"""

import os
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.deployment import Deployment, Requests, Running, noop
from bench.load import LoadResult
from bench.load import run as load
from bench.report import Figure, Section
from bench.setup import Workspace
from graph.errors import QuipuError

ROUNDS = 5
CONNECTIONS = 16
MANY = 6_000
ALONE = 3_000
WARM_UP = 1_000
WRITES = 300
WRITE_BYTES = 8_192

Samples = dict[str, float]
"""A service's metrics: value by name and labels, as they are exposed."""


def run(work: Workspace) -> Section:
    """Rounds of load on both, at 16 connections and at one."""
    deployment = Deployment(work, "service")
    requests = Requests(deployment.url)
    results: dict[str, list[LoadResult]] = {name: [] for name in ("noop_16", "score_16", "noop_1", "score_1")}
    stages: dict[str, list[dict[str, float]]] = {"score_16": [], "score_1": []}
    disk: list[NDArray[np.float64]] = []
    with noop() as idle, deployment.service() as service:
        idle.answered("/noop", b"{}")
        with work.progress.stage("starting the service"):
            service.answered("/v1/score", requests.take(1)[0])
        _round(idle, "/noop", requests.take(WARM_UP), CONNECTIONS)
        _round(service, "/v1/score", requests.take(WARM_UP), CONNECTIONS)
        for number in range(ROUNDS):
            disk.append(write_times(deployment.folder / "writes"))
            with work.progress.stage(f"round {number + 1} of {ROUNDS}", total=4) as advance:
                for connections, size in ((CONNECTIONS, MANY), (1, ALONE)):
                    bodies = requests.take(size)
                    results[f"noop_{connections}"].append(_round(idle, "/noop", bodies, connections))
                    advance(1)
                    before = samples(service)
                    results[f"score_{connections}"].append(_round(service, "/v1/score", bodies, connections))
                    stages[f"score_{connections}"].append(stage_means(before, samples(service)))
                    advance(1)
        memory = service.memory()
        transactions = int(samples(service)["quipu_index_transactions"])
    figures = _figures(results)
    note = (
        f"{WRITE_BYTES // 1024} KiB and fdatasync, nothing else running: what a durable decision cannot be faster than"
    )
    figures += [
        Figure.median(f"durable write to this disk, p{p}", [float(np.percentile(t, p)) for t in disk], "ms", note=note)
        for p in (50, 99)
    ]
    figures += _stage_figures(stages)
    figures.append(Figure("resident memory afterwards", memory.resident / 2**30, "GiB"))
    details: dict[str, Any] = {
        **{name: [asdict(result) for result in rounds] for name, rounds in results.items()},
        "stages": stages,
    }
    title = (
        f"`POST /v1/score` over {transactions:,} transactions, keys on, decisions on disk before they are answered; "
        f"{ROUNDS} rounds in turn with the no-op"
    )
    return Section("service", title, figures, details)


def _round(server: Running, path: str, bodies: list[bytes], connections: int) -> LoadResult:
    result = load(f"{server.url}{path}", bodies, connections=connections, headers=server.headers)
    if set(result.statuses) != {200} or result.unanswered:
        raise QuipuError(
            f"{path} answered {result.statuses}, and {result.unanswered} requests not at all",
            hint="only answers with status 200 can be compared",
        )
    return result


def write_times(path: Path) -> NDArray[np.float64]:
    """What each of a few small durable writes to a new file takes, milliseconds."""
    times = np.empty(WRITES)
    content = os.urandom(WRITE_BYTES)
    with path.open("wb", buffering=0) as file:
        for number in range(WRITES):
            began = time.perf_counter()
            file.write(content)
            os.fdatasync(file.fileno())
            times[number] = 1000 * (time.perf_counter() - began)
    path.unlink()
    return times


def _figures(results: dict[str, list[LoadResult]]) -> list[Figure]:
    def each(name: str, what: str) -> list[float]:
        return [float(getattr(result, what)) for result in results[name]]

    score, idle = each(f"score_{CONNECTIONS}", "per_second"), each(f"noop_{CONNECTIONS}", "per_second")
    ratios = [a / b for a, b in zip(score, idle, strict=True)]
    return [
        Figure.median(f"scored at {CONNECTIONS} connections", score, "requests/s"),
        Figure.median(f"no-op at {CONNECTIONS} connections", idle, "requests/s"),
        Figure.median("scored beside the no-op", ratios, at_least=0.25, note="ratio of the two, round by round"),
        Figure.median(f"scored at {CONNECTIONS} connections, p50", each(f"score_{CONNECTIONS}", "p50_ms"), "ms"),
        Figure.median(f"scored at {CONNECTIONS} connections, p99", each(f"score_{CONNECTIONS}", "p99_ms"), "ms"),
        Figure.median("scored at one connection, p50", each("score_1", "p50_ms"), "ms"),
        Figure.median("scored at one connection, p99", each("score_1", "p99_ms"), "ms", at_most=2),
        Figure.median("no-op at one connection, p50", each("noop_1", "p50_ms"), "ms"),
        Figure.median("no-op at one connection, p99", each("noop_1", "p99_ms"), "ms"),
    ]


def _stage_figures(stages: dict[str, list[dict[str, float]]]) -> list[Figure]:
    figures = []
    for name, where in ((f"score_{CONNECTIONS}", f"at {CONNECTIONS} connections"), ("score_1", "at one connection")):
        rounds = stages[name]
        figures.append(Figure.median(f"scored in one step {where}", [r["batch"] for r in rounds], "transactions"))
        for stage, about in (
            ("lookup", "is it known already, in spool and store"),
            ("score", "features, ego-graph, models, reasons"),
            ("spool", "durable write"),
            ("other", "HTTP, checks, waiting for its turn"),
        ):
            values = [1000 * r[stage] for r in rounds]
            figures.append(Figure.median(f"{stage} {where}, mean", values, "ms", note=f"{about}; a step"))
    return figures


def samples(service: Running) -> Samples:
    """The service's metrics as they stand."""
    text = service.request("GET", "/metrics")[1].decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def stage_means(before: Samples, after: Samples) -> dict[str, float]:
    """Mean seconds a step spends in each stage, and how many transactions a step has, between two readings.

    `other` is what is left of a request's time.
    """

    def mean(name: str, labels: str = "") -> float:
        counted = [
            after.get(f"{name}_{p}{labels}", 0.0) - before.get(f"{name}_{p}{labels}", 0.0) for p in ("sum", "count")
        ]
        return counted[0] / counted[1] if counted[1] else 0.0

    means = {
        stage: mean("quipu_stage_duration_seconds", f'{{stage="{stage}"}}') for stage in ("lookup", "score", "spool")
    }
    route = next(
        (
            n.partition("_count")[2]
            for n in after
            if n.startswith("quipu_http_request_duration_seconds_count") and "/v1/score" in n
        ),
        "",
    )
    means["other"] = mean("quipu_http_request_duration_seconds", route) - sum(means.values())
    means["batch"] = mean("quipu_batch_transactions")
    return means
