"""`quipu quarantine`: rows that were not loaded."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out

app = typer.Typer(help="Look at rows that were not loaded, and retry them.", no_args_is_help=True)

ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only rows kept for this reason code.")]


@app.callback()
def _group() -> None:
    """Look at rows that were not loaded, and retry them."""


@app.command("list")
def list_rows(
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to show.")] = 50,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rows in quarantine, and how many there are for each reason.

    Example: quipu quarantine list --reason bad_time
    """
    from etl.quarantine import Ledger, sidecar
    from graph.settings import settings

    _check_reason(reason)
    with Ledger(sidecar(store or settings().store)) as ledger:
        result = {
            "counts": ledger.counts(),
            "rows": [row.as_dict() for row in ledger.rows(reason=reason, limit=limit)],
        }

    def text(found: dict[str, Any]) -> None:
        from rich.table import Table

        from etl.reasons import describe

        if not found["counts"]:
            out.print("nothing is in quarantine")
            return
        for code, count in found["counts"].items():
            out.print(f"{code:<26}{count:>12,}  {describe(code)}")
        table = Table("id", "reason", "column", "value", "file", "row")
        for column in table.columns[:2]:
            column.no_wrap = True
        for row in found["rows"]:
            cells = (row["id"][:12], row["reason"], row["column"], row["value"][:40], row["file"], str(row["row"]))
            table.add_row(*cells)
        out.print(table)

    emit(result, as_json=as_json, text=text)


@app.command()
def show(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the row, or its beginning.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one row as it was in its source, and what is wrong with it.

    Example: quipu quarantine show 3f2a
    """
    from etl.quarantine import Ledger, sidecar
    from graph.settings import settings

    with Ledger(sidecar(store or settings().store)) as ledger:
        found = ledger.row(row_id).as_dict()

    def text(row: dict[str, Any]) -> None:
        from etl.reasons import describe

        out.print(f"{row['reason']}: {describe(row['reason'])}")
        for name in ("id", "mapping", "kind", "file", "row", "column", "value"):
            out.print(f"{name:<10}{row[name]}")
        for name, value in row["raw"].items():
            out.print(f"  {name} = {value!r}")

    emit(found, as_json=as_json, text=text)


@app.command()
def retry(
    mapping: Annotated[Path, typer.Argument(help="Mapping file (YAML), corrected perhaps.", show_default=False)],
    reason: ReasonOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the kept rows of a mapping through it again; those that pass are loaded and leave quarantine.

    Example: quipu quarantine retry mapping.yaml --reason future_time
    """
    from etl.mapping import read_mapping
    from etl.retry import retry as run
    from graph.settings import settings
    from graph.store import open_store

    _check_reason(reason)
    read = read_mapping(mapping)
    opened = open_store(store or settings().store)
    try:
        report = run(read, opened, reason=reason, progress=ConsoleProgress())
    finally:
        opened.close()

    def text(result: dict[str, Any]) -> None:
        out.print(
            f"{result['tried']:,} tried = {result['loaded']:,} loaded + {result['duplicates']:,} duplicates "
            f"+ {result['kept']:,} still in quarantine"
        )
        for code, count in result["reasons"].items():
            out.print(f"  {code:<26}{count:>12,}")

    emit(report.as_dict(), as_json=as_json, text=text)


def _check_reason(reason: str | None) -> None:
    from etl.reasons import Reason
    from graph.errors import InputError

    if reason is not None and reason not in set(Reason):
        raise InputError(f"there is no reason {reason!r}", hint=f"reasons are {', '.join(Reason)}")
