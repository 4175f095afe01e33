"""`quipu graph`: a look at the graph store."""

import typer

from cli.graph_backup import backup, restore
from cli.graph_browser_pack import browser_pack
from cli.graph_copy import copy
from cli.graph_embed import embed
from cli.graph_export import export_import
from cli.graph_similar import similar
from cli.graph_status import status

app = typer.Typer(help="Look at the graph store.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look at the graph store."""


app.command()(status)
app.command()(copy)
app.command()(backup)
app.command()(restore)
app.command()(embed)
app.command()(export_import)
app.command()(similar)
app.command("browser-pack")(browser_pack)
