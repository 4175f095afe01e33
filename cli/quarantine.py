"""`quipu quarantine`: rows that were not loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out
from cli.paths import file_to_write

if TYPE_CHECKING:
    from etl.ledger import Ledger

app = typer.Typer(help="Look at rows that were not loaded, and retry them.", no_args_is_help=True)

ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only rows kept for this reason code.")]
_SHOWN = 40
_PAGE = 10_000


@app.callback()
def _group() -> None:
    """Look at rows that were not loaded, and retry them."""


@app.command("list")
def list_rows(
    reason: ReasonOption = None,
    column: Annotated[str | None, typer.Option(help="Only rows kept for what stands in this column.")] = None,
    mapping: Annotated[str | None, typer.Option(help="Only rows of the mapping of this name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to show.")] = 50,
    csv: Annotated[
        Path | None, typer.Option(help="Write all these rows to a CSV file that only you can read.", show_default=False)
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List rows in quarantine: how many for each reason and column, with examples, and the first of them.

    Example: quipu quarantine list --reason bad_time
    """
    from etl.ledger import Ledger, sidecar
    from graph.settings import settings

    _check_reason(reason)
    if csv is not None:
        file_to_write(csv, "--csv")
    with Ledger(sidecar(store or settings().store)) as ledger:
        result: dict[str, Any] = {
            "counts": ledger.counts(),
            "groups": ledger.groups(reason=reason, mapping=mapping, column=column),
            "rows": [row.as_dict() for row in ledger.rows(reason=reason, mapping=mapping, column=column, limit=limit)],
        }
        if csv is not None:
            result["csv"] = str(csv)
            result["written"] = _export(ledger, csv, {"reason": reason, "mapping": mapping, "column": column})
    emit(result, as_json=as_json, text=_show_list)


def _show_list(found: dict[str, Any]) -> None:
    from rich.table import Table

    from etl.contract.reasons import describe

    if not found["counts"]:
        out.print("nothing is in quarantine")
        return
    if not found["groups"]:
        out.print("no such rows are in quarantine; there are others: " + ", ".join(found["counts"]))
        return
    groups = Table("reason", "column", "mapping", "rows", "values, for example", "meaning")
    for group in found["groups"]:
        examples = ", ".join(repr(value[:_SHOWN]) for value in group["examples"] if value)
        where = group["mapping"] + ("" if group["kind"] == "transaction" else f" ({group['kind']})")
        groups.add_row(
            group["reason"], group["column"], where, f"{group['rows']:,}", examples, describe(group["reason"])
        )
    groups.columns[0].no_wrap = True
    out.print(groups)
    rows = Table("id", "reason", "column", "value", "file", "row")
    for column in rows.columns[:2]:
        column.no_wrap = True
    for row in found["rows"]:
        cells = (row["id"][:12], row["reason"], row["column"], row["value"][:_SHOWN], row["file"], str(row["row"]))
        rows.add_row(*cells)
    out.print(rows)
    total = sum(group["rows"] for group in found["groups"])
    if total > len(found["rows"]):
        out.print(f"the first {len(found['rows']):,} of {total:,}; more with --limit, all of them with --csv FILE")
    if "csv" in found:
        out.print(f"{found['written']:,} rows written to {found['csv']}")
    out.print("one in full, and what to do about it, with quipu quarantine show ID")


def _export(ledger: "Ledger", path: Path, wanted: dict[str, str | None]) -> int:
    """Writes kept rows to a CSV file, the whole row of each as JSON; returns how many."""
    import csv
    import os

    written, after = 0, ""
    # Raw rows hold personal data: the file is its owner's from the beginning, also where it was there before.
    with open(path, "w", newline="", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        path.chmod(0o600)
        writer = csv.writer(file)
        writer.writerow(["id", "mapping", "kind", "reason", "column", "value", "file", "row", "raw"])
        while rows := ledger.rows(**wanted, after=after, limit=_PAGE):
            for kept in rows:
                row = kept.row
                place = (row.file, row.row)
                writer.writerow([kept.id, kept.mapping, row.kind, row.reason, row.column, row.value, *place, row.raw])
            after = rows[-1].id
            written += len(rows)
    return written


@app.command()
def show(
    row_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the row, or its beginning.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one row as it was in its source, what is wrong with it, and what to do.

    Example: quipu quarantine show 3f2a
    """
    from etl.contract.reasons import describe
    from etl.ledger import Ledger, sidecar
    from etl.reporting.advice import advice
    from graph.settings import settings

    with Ledger(sidecar(store or settings().store)) as ledger:
        kept = ledger.row(row_id)
    found = kept.as_dict() | {"meaning": describe(kept.row.reason), "advice": advice(kept.row.reason)}

    def text(row: dict[str, Any]) -> None:
        out.print(f"{row['reason']}: {row['meaning']}")
        for name in ("id", "mapping", "kind", "file", "row", "column", "value"):
            out.print(f"{name:<10}{row[name]}")
        wrong = row["column"].split(", ")
        out.print("the row, as it was in its source:")
        for name, value in row["raw"].items():
            out.print(f"{'>' if name in wrong else ' '} {name} = {value!r}", style="bold" if name in wrong else None)
        out.print(f"what to do: {row['advice']}")
        out.print(f"then        quipu quarantine retry MAPPING --reason {row['reason']}")

    emit(found, as_json=as_json, text=text)


@app.command()
def retry(
    mapping: Annotated[Path, typer.Argument(help="Mapping file (YAML), corrected perhaps.", show_default=False)],
    reason: ReasonOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the kept rows of a mapping through it again; those that pass are loaded and leave quarantine.

    Rows are taken from quarantine as they were, whether they came from files or from a database. What was corrected at
    its source comes with the next load instead.

    Example: quipu quarantine retry mapping.yaml --reason future_time
    """
    from etl.loading.retry import retry as run
    from etl.mapping import read_mapping
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
        from etl.contract.reasons import describe

        out.print(
            f"{result['tried']:,} tried = {result['loaded']:,} loaded + {result['duplicates']:,} duplicates "
            f"+ {result['kept']:,} still in quarantine"
        )
        for code, count in result["reasons"].items():
            out.print(f"  {code:<26}{count:>12,}  {describe(code)}")
        if not result["tried"]:
            out.print(f"no rows of the mapping {read.name!r} are in quarantine" + (f" for {reason}" if reason else ""))

    emit(report.as_dict(), as_json=as_json, text=text)


def _check_reason(reason: str | None) -> None:
    from etl.contract.reasons import Reason
    from graph.errors import InputError

    if reason is not None and reason not in set(Reason):
        raise InputError(f"there is no reason {reason!r}", hint=f"reasons are {', '.join(Reason)}")
