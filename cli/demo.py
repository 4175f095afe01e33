"""`quipu demo`: a small world end to end, then a service to play with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, err, out
from cli.paths import folder_to_write

if TYPE_CHECKING:
    from gnn.ahead import Ahead
    from graph.settings import Settings

app = typer.Typer()

_TIMEOUT_SECONDS = 90


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the scores instead of serving on.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo's world, store and model live.")] = Path("var/demo"),
    users: Annotated[int, typer.Option(min=500, max=100_000, help="Users of the simulated world.")] = 5000,
    days: Annotated[int, typer.Option(min=40, max=1000, help="Days of the simulated world.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated world.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the service; 0 picks one.")] = 8000,
) -> None:
    """Simulate a small world, load it, train on it, serve it, and score an ordinary payment and one from a new ring.

    Example: quipu demo --once
    """
    import json

    from gnn.ahead import Ahead
    from graph.settings import settings

    folder_to_write(folder, "--folder")
    configured = settings().model_copy(
        update={"store": f"sqlite:///{folder}/quipu.db", "var": folder, "port": port, "host": "127.0.0.1"}
    )
    with Ahead() as ahead:
        _train(configured, folder, ahead, users=users, days=days, seed=seed)
    err.rule("4 of 4: the scoring service")
    told = json.loads((folder / "world" / "truth" / "demo.json").read_text(encoding="utf-8"))
    _serve(configured, told, once=once)


def _train(configured: "Settings", folder: Path, ahead: "Ahead", *, users: int, days: int, seed: int) -> None:
    err.rule("1 of 4: a world of users, devices, addresses and restaurants, with fraud rings in it")
    from etl.loading import load
    from etl.mapping import read_mapping
    from etl.simulator import WorldSettings, simulate, write
    from gnn.champion import promote
    from gnn.pipeline import train_bundle
    from gnn.policy import Costs
    from gnn.training import TrainingSettings
    from graph.store import open_store

    progress = ConsoleProgress()
    with progress.stage("simulating"):
        write(simulate(WorldSettings(users=users, days=days, seed=seed)), folder / "world")
    err.rule("2 of 4: its transactions and labels into the graph store")
    store = open_store(configured.store)
    report = load(read_mapping(folder / "world" / "mapping.yaml"), store, progress=progress)
    err.print(f"{report.transactions.read:,} transactions read, {report.transactions.quarantined:,} quarantined")
    err.rule("3 of 4: a model of what is known")
    models = configured.var / "models"
    with progress.stage("compiling, unless that was done before"):
        ahead.wait("replay")
    result = train_bundle(
        store,
        models,
        until=None,
        settings=TrainingSettings(costs=Costs.from_settings(configured)),
        progress=progress,
    )
    store.close()
    ahead.wait("lookups")
    promote(models, Path(result["bundle"]).name)
    precision = result["figures"]["validation"]["average_precision"]["blend"]
    err.print(f"trained in {result['seconds']:.0f} s; average precision on the latest weeks {precision:.2f}")


def _serve(configured: "Settings", told: dict[str, Any], *, once: bool) -> None:
    import os
    import signal
    import threading

    from api.keys import KeyFile
    from api.server import Server

    _, key = KeyFile(configured.var / "keys.json").create("demo", ["score", "label", "investigate"])
    server = Server(configured, None)
    url = server.bind()
    failures: list[BaseException] = []

    def show() -> None:
        try:
            _score(url, key, told)
            if not once:
                _how_to_go_on(url, key, configured)
        except BaseException as error:  # carried to the main thread, which raises it
            failures.append(error)
        if once or failures:
            os.kill(os.getpid(), signal.SIGTERM)

    server.run(on_ready=lambda: threading.Thread(target=show, daemon=True).start())
    if failures:
        raise failures[0]


def _score(url: str, key: str, told: dict[str, Any]) -> None:
    for transaction in told["history"]:
        _post(f"{url}/v1/score", key, transaction)
    for title, transaction in (
        ("An ordinary transaction", told["ordinary"]),
        ("A transaction of a ring that the model never saw", told["ring"]),
    ):
        decision = _post(f"{url}/v1/score", key, transaction)
        out.print(f"\n{title} ({transaction['transaction_id']}, {transaction['amount']:,.2f})", style="bold")
        out.print(f"  {decision['band']}, probability of fraud {_percent(decision['probability'])}")
        for reason in decision["reasons"]:
            out.print(f"  - {reason['text']}")


def _percent(probability: float) -> str:
    return "below 0.1%" if probability < 0.001 else f"{probability:.1%}"


def _post(url: str, key: str, transaction: dict[str, Any]) -> dict[str, Any]:
    import json
    from urllib.request import Request, urlopen

    times = {name: transaction[name] for name in transaction if name.endswith("_at") and name != "occurred_at"}
    body = {name: value for name, value in transaction.items() if name not in times}
    if times:
        body["times"] = times
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = Request(url, json.dumps(body).encode(), headers)  # noqa: S310 (our own address)
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


def _how_to_go_on(url: str, key: str, configured: "Settings") -> None:
    out.print(f"\nThe service goes on at {url} until you press Ctrl-C.")
    out.print(f"  API docs   {url}/docs   (key: {key})")
    out.print(f"  metrics    {url}/metrics")
    out.print("Next, in another terminal:")
    environment = f"QUIPU_VAR={configured.var} QUIPU_STORE={configured.store}"
    for command in ("graph status", "models list", "quarantine list"):
        out.print(f"  {environment} .venv/bin/quipu {command}")
