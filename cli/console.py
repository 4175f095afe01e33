"""What the commands share in talking to people and machines.

Results go to standard output, progress and errors to standard error, so that `--json` can be piped.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from graph.errors import InputError, QuipuError
from graph.progress import Advance

# Ids, paths and values of others are printed as they are: markup is only where a call asks for it.
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def _named(store: str | None) -> str | None:
    if store is not None and not store.strip():
        raise typer.BadParameter("it is empty; name a store, or leave it out for the default one")
    return store


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="URL of the graph store.", envvar="QUIPU_STORE", show_default=False, callback=_named),
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of every random choice.")]


class ConsoleProgress:
    """Progress bars on a terminal; a line a finished stage where standard error is not one."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        if not err.is_terminal:
            err.print(f"{name} …")
            yield lambda _done: None
            return
        with RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
        ) as bars:
            task = bars.add_task(name, total=total)
            yield lambda done: bars.advance(task, done)


def emit(result: dict[str, Any], *, as_json: bool, text: Callable[[dict[str, Any]], None]) -> None:
    """Prints a result: as one JSON document (numbers that JSON has no form for as null), or by `text` for people."""
    if as_json:
        sys.stdout.write(json.dumps(_finite(result), ensure_ascii=False, allow_nan=False, default=str) + "\n")
    else:
        text(result)


def fail(error: QuipuError) -> int:
    """Says what went wrong, where, and what to do; returns the exit status (2 for wrong input, else 1)."""
    complain(error.message, error.hint)
    return 2 if isinstance(error, InputError) else 1


def complain(message: str, hint: str | None = None) -> None:
    """Prints what went wrong, and what can be done about it."""
    err.print("error:", style="bold red", end=" ")
    err.print(message)
    if hint:
        err.print("hint: ", style="bold", end=" ")
        err.print(hint)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
