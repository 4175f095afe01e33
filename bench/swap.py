"""A thousand model swaps under load: failed requests, latency beside none, memory; then a challenger beside.

On a small simulated world with two models of it. The load is steady, the same with and without swaps.
"""

import http.client
import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from api.keys import KeyFile
from bench.deployment import Running, free_port, running
from bench.report import Figure, Section
from bench.service import samples
from bench.setup import Workspace, command, environment, loads
from bench.traffic import Told, Traffic
from gnn.champion import challenge, history, list_bundles, promote, withdraw
from graph.errors import QuipuError

SWAPS = 1_000
_WORLD = ("--users", "600", "--days", "60", "--seed", "5")
_WARM_SWAPS = 20
_PER_SECOND = 150.0
_SECONDS = 60.0
_LONGEST = 60.0
_MOST_GROWTH = 32.0
_SWAPS_TOTAL = 'quipu_model_swaps_total{outcome="swapped",role="champion"}'


@dataclass(frozen=True, slots=True)
class _Phase:
    """A stretch of load.

    Attributes:
        told: what the client was told. seconds: how long it lasted.
        before, after: resident memory, bytes.
    """

    told: Told
    seconds: float
    before: int
    after: int

    @property
    def grown(self) -> float:
        """MiB."""
        return (self.after - self.before) / 2**20

    def latency(self, percentile: float) -> float:
        """Milliseconds."""
        return 1000 * float(np.percentile(self.told.seconds, percentile))


def run(work: Workspace) -> Section:
    """Load without swaps, load with them, and load with a challenger."""
    models, store = _made(work)
    folder = work.emptied("swap")
    for name in ("quipu.db", "quipu.db-wal"):
        if (store.parent / name).exists():
            (folder / name).write_bytes((store.parent / name).read_bytes())
    (folder / "models").symlink_to(models)
    _, key = KeyFile(folder / "keys.json").create("bench", ["score", "label", "admin"])
    port = free_port()
    arguments = command("serve", "--store", f"sqlite:///{folder / 'quipu.db'}", "--port", str(port))
    with (folder / "service.log").open("ab") as log:
        began = time.perf_counter()
        with running(arguments, log, environment(var=str(folder))) as process:
            service = Running(process, port, key, began)
            service.answered("/v1/score", json.dumps(Traffic(port, key, per_second=1).transaction(0)).encode())
            return _measured(work, service, models)


def _made(work: Workspace) -> tuple[Path, Path]:
    """A folder with two models, and the store of the world they know."""
    models, world = work.path("swap-models"), work.path("swap-world")
    names = list_bundles(models)
    if len(names) < 2 or not all(loads(models / name) for name in names):
        work.emptied("swap-models")
        work.emptied("swap-world")
        store = f"sqlite:///{world / 'quipu.db'}"
        work.quipu("simulate", str(world / "world"), *_WORLD, "--json")
        work.quipu("ingest", str(world / "world" / "mapping.yaml"), "--store", store, "--json")
        for seed in ("0", "1"):
            work.quipu("train", "--store", store, "--out", str(models), "--seed", seed, "--json")
    withdraw(models)
    return models, world / "quipu.db"


def _measured(work: Workspace, service: Running, models: Path) -> Section:
    # Swaps are made from a process of their own, so that what measures is not held up by it.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:

        def swaps(number: int) -> list[float]:
            return apart.submit(_swap, models, service.port, service.key, number).result()

        def phase(name: str, what: str, meanwhile: Callable[[], object]) -> _Phase:
            traffic = Traffic(service.port, service.key, per_second=_PER_SECOND, name=name)
            with work.progress.stage(what):
                before, began = service.memory().resident, time.monotonic()
                with traffic.running() as told:
                    meanwhile()
                return _Phase(told, time.monotonic() - began, before, service.memory().resident)

        phase("warm", "warming up", lambda: swaps(_WARM_SWAPS))
        alone = phase("alone", "load without swaps", lambda: time.sleep(_SECONDS))
        counted = samples(service)[_SWAPS_TOTAL]
        took: list[float] = []
        during = phase("swaps", f"{SWAPS:,} swaps under load", lambda: took.extend(swaps(SWAPS)))
        counted = samples(service)[_SWAPS_TOTAL] - counted
        challenge(models, next(name for name in list_bundles(models) if name != history(models)[0]))
        beside = phase("beside", "load with a challenger beside", lambda: time.sleep(_SECONDS))
        after = samples(service)
        withdraw(models)
    return _section(alone, during, beside, took, counted, after)


def _swap(models: Path, port: int, key: str, number: int) -> list[float]:
    """Promotes the other of two bundles so many times, each time telling the service; seconds of each."""
    headers = {"Authorization": f"Bearer {key}"}
    names = list_bundles(models)
    took = []
    for _ in range(number):
        name = next(name for name in names if name != history(models)[0])
        promote(models, name)
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LONGEST)
        connection.request("POST", "/v1/models/reload", headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read()
        connection.close()
        took.append(time.perf_counter() - began)
        if status != 200 or json.loads(body)["model_version"] != name:
            raise QuipuError(f"a swap was answered with {status}: {body.decode()}")
    return took


def _section(
    alone: _Phase, during: _Phase, beside: _Phase, took: list[float], counted: float, after: dict[str, float]
) -> Section:
    failed = [failure for phase in (alone, during, beside) for failure in phase.told.failures]
    failed += [f"{phase.told.refused} cut off" for phase in (alone, during, beside) if phase.told.refused]
    versions = {decision["model_version"] for decision in during.told.decisions.values()}
    # A transaction leaves its mark in the index, with swaps and without; per second of load it is the same.
    expected = alone.grown / alone.seconds * during.seconds
    seen = sum(value for name, value in after.items() if name.startswith("quipu_shadow_decisions_total"))
    missed = sum(value for name, value in after.items() if name.startswith("quipu_shadow_missed_total"))
    figures = [
        Figure("swaps", counted, at_least=SWAPS),
        Figure("decisions meanwhile", len(during.told.decisions), note=f"{_PER_SECOND:g} requests/s"),
        Figure("models that made them", len(versions), at_least=2),
        Figure("sent again after other swaps, and given the original decision", during.told.repeated),
        Figure("failed requests", len(failed), at_most=0),
        Figure("a swap: load, verify, warm, go over, p50", 1000 * float(np.median(took)), "ms"),
        Figure("a swap, slowest", 1000 * max(took), "ms"),
    ]
    for name, phase in (("without swaps", alone), ("during swaps", during), ("with a challenger beside", beside)):
        figures += [Figure(f"scored {name}, p{p:g}", phase.latency(p), "ms") for p in (50, 99)]
        figures.append(Figure(f"scored {name}, slowest", 1000 * phase.told.slowest, "ms"))
    figures += [
        Figure("resident memory before the swaps", during.before / 2**20, "MiB"),
        Figure("resident memory after them", during.after / 2**20, "MiB"),
        Figure("grown, beyond what the load itself takes", during.grown - expected, "MiB", at_most=_MOST_GROWTH),
        Figure("compared with the challenger", seen, "transactions"),
        Figure("of these missed", missed, "transactions"),
    ]
    title = f"{counted:,.0f} swaps between two models, one after the other, in {during.seconds:.0f} s"
    return Section("swap", title, figures, {"failures": failed[:20], "grown_mib": [alone.grown, during.grown]})
