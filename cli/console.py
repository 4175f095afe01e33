"""What the commands share in talking to people and machines.

Results go to standard output, progress and errors to standard error, so that `--json` can be piped.
"""

import json
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

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="URL of the graph store.", envvar="QUIPU_STORE", show_default=False)
]


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
    """Prints a result: as one JSON document, or by `text` for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
    else:
        text(result)


def fail(error: QuipuError) -> int:
    """Says what went wrong, where, and what to do; returns the exit status (2 for wrong input, else 1)."""
    err.print(f"[bold red]error:[/] {_plain(error.message)}")
    if error.hint:
        err.print(f"[bold]hint:[/]  {_plain(error.hint)}")
    return 2 if isinstance(error, InputError) else 1


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
