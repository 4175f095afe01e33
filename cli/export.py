"""`quipu export`: decisions, rings and daily sums as files for Tableau, Power BI and the like."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out
from cli.paths import folder_to_write
from graph.errors import InputError

app = typer.Typer(help="Write decisions, rings and daily sums for reports.")


class Form(StrEnum):
    """What files to write."""

    parquet = "parquet"
    csv = "csv"
    both = "both"


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write to; made where missing.", show_default=False)
    ],
    since: Annotated[
        str | None, typer.Option(help="Only decisions on what occurred at this time or later.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only decisions on what occurred before this time.", show_default=False)
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Files to write of each table.")] = Form.both,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write decisions, rings, ring_members and daily to files for reports.

    Files of an earlier export are replaced, each as a whole. Rings are always all of them.

    Example: quipu export reports --since 2025-05-01 --format parquet
    """
    from cli.times import moment
    from graph.exports import export as write
    from graph.settings import settings
    from graph.store import open_store

    first = moment(since) if since is not None else None
    end = moment(until) if until is not None else None
    if first is not None and end is not None and first >= end:
        raise InputError("nothing lies between --since and --until", hint="choose --since before --until")
    place = folder_to_write(folder, "DIR")
    opened = open_store(store or settings().store)
    try:
        rows = write(opened, place, since=first, until=end, form=form.value, progress=ConsoleProgress())
    finally:
        opened.close()
    emit({"folder": str(place), "rows": rows}, as_json=as_json, text=_show)


def _show(result: dict[str, Any]) -> None:
    for name, number in result["rows"].items():
        out.print(f"{name:<14}{number:>12,} rows")
    out.print(f"written to {result['folder']}")
