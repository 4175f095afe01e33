"""`quipu graph`: a look at the graph store."""

import typer

from cli.console import JsonOption, StoreOption, emit, out
from cli.graph_embed import embed
from cli.graph_export import export_import
from cli.graph_similar import similar

app = typer.Typer(help="Look at the graph store.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at the graph store."""


@app.command()
def status(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Print what the store holds.

    Example: quipu graph status --store sqlite:///var/quipu.db
    """
    from graph.settings import settings
    from graph.store import open_store

    opened = open_store(store or settings().store)
    counts = opened.status()
    opened.close()

    def text(result: dict[str, int]) -> None:
        for name, count in result.items():
            out.print(f"{name:<24}{count:>14,}")

    emit(counts, as_json=as_json, text=text)


app.command()(embed)
app.command()(export_import)
app.command()(similar)
