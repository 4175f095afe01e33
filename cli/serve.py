"""`quipu serve`: the scoring service."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import StoreOption, err, out

app = typer.Typer(help="Start the scoring service.")


@app.command()
def serve(
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", help="Folder of the model to keep; by default the one in use, also after a change of it."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 picks one.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=64, help="Processes.")] = None,
    store: StoreOption = None,
) -> None:
    """Start the scoring service; it runs until it is interrupted.

    It prints its address once it can score, and drains and saves what it has when it is stopped.

    Example: quipu serve --port 8000
    """
    from api.server import Server
    from gnn.champion import MODELS, current_bundle
    from graph.settings import settings

    given = {"host": host, "port": port, "workers": workers, "store": store}
    config = settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    loaded = bundle or current_bundle(config.var / MODELS)
    server = Server(config, bundle)
    url = server.bind()
    if config.require_keys and not (config.var / "keys.json").exists():
        err.print("there are no API keys yet: `quipu keys create --name me --scopes score,label,investigate` makes one")

    def ready() -> None:
        out.print(f"Quipu listens on {url}")
        out.print(f"API documentation: {url}/docs")

    err.print(f"loading {loaded} …")
    server.run(ready)
