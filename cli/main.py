"""The program `quipu`: its sub-commands, and the one place where errors become exit statuses.

Each sub-command lives in a file of its own, which is imported only when it is called.
"""

import io
import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from cli.console import complain, err, fail, out
from graph.errors import QuipuError

if TYPE_CHECKING:
    # Typer brings its own click, for whose types it has no public names.
    from typer._click import Command, Context, HelpFormatter

COMMANDS = {
    "demo": "a small world end to end, then serve",
    "simulate": "write a made-up world of transactions with fraud rings",
    "init": "write a commented mapping for somebody's files or table",
    "ingest": "load transactions, labels and attributes through a mapping",
    "quarantine": "look at rows that were not loaded, and retry them",
    "train": "train a model on what is known, and write its bundle",
    "backtest": "score a period as if it happened now",
    "evaluate": "say how good scores or a bundle are",
    "ablate": "measure what each part of the model is worth, beside standard models",
    "monitor": "tell drift, quality as labels came, and ages",
    "score": "score a file by the same path as the service",
    "export": "write decisions, rings and daily sums for reports",
    "serve": "start the scoring service",
    "models": "list, promote, roll back and challenge bundles",
    "keys": "create, list and revoke API keys",
    "graph": "look at the graph store",
    "rings": "find fraud rings, look at them, and judge them",
}


def _part_of_quipu(command: "Command", name: str) -> "Command":
    """A sub-command's own app as a part of the whole: help in one style, shell completion only at the root."""
    command.name = name
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    if isinstance(command, TyperCommand | TyperGroup):
        command.rich_markup_mode = None
    if isinstance(command, TyperGroup):
        for nested, part in command.commands.items():
            _part_of_quipu(part, nested)
    return command


class LazyGroup(TyperGroup):
    """Imports `cli.<name>` when its command is called; help lists them all without importing any."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        app: typer.Typer = import_module(f"cli.{cmd_name}").app
        return _part_of_quipu(typer.main.get_command(app), cmd_name)

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        if args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyGroup,
    help="Quipu finds payment fraud by its links.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"quipu {version('quipu')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Quipu finds payment fraud by its links."""


def run() -> None:
    """Entry point. Exit status: 0, 1 for a failed job, 2 for wrong usage, 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal has no character for shall not stop the program
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except QuipuError as error:
        sys.exit(fail(error))
    except OSError as error:  # a full disk, a folder that is not ours, a name that is too long
        complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(1)
    except UnicodeError as error:
        complain(f"a text is not valid UTF-8: {error}", "look at names of files, options, and the file .env")
        sys.exit(2)
    except MemoryError as error:
        complain(f"there is not enough memory: {error}" if str(error) else "there is not enough memory")
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    run()
