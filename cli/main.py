"""The program `quipu`: its sub-commands, and the one place where errors become exit statuses.

Each sub-command lives in a file of its own, which is imported only when it is called.
"""

import sys
from importlib import import_module

import click
import typer
from typer.core import TyperGroup

from cli.console import err, fail
from graph.errors import QuipuError

COMMANDS = {
    "demo": "a small world end to end, then serve",
    "simulate": "write a made-up world of transactions with fraud rings",
    "ingest": "load transactions, labels and attributes through a mapping",
    "quarantine": "look at rows that were not loaded, and retry them",
    "train": "train a model on what is known, and write its bundle",
    "backtest": "score a period as if it happened now",
    "evaluate": "say how good scores or a bundle are",
    "score": "score a file by the same path as the service",
    "serve": "start the scoring service",
    "models": "list, promote and roll back bundles",
    "keys": "create, list and revoke API keys",
    "graph": "look at the graph store",
}


class LazyGroup(TyperGroup):
    """Imports `cli.<name>` when its command is called; help lists them all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        app: typer.Typer = import_module(f"cli.{cmd_name}").app
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    help="Quipu finds payment fraud by its links.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Quipu finds payment fraud by its links."""


def run() -> None:
    """Entry point. Exit status: 0, 1 for a failed job, 2 for wrong usage, 130 when interrupted."""
    try:
        app()
    except QuipuError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    run()
