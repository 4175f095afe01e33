"""`quipu ingest`: transactions, labels and attributes into the store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out

app = typer.Typer(help="Load transactions, labels and attributes through a mapping.")


@app.command()
def ingest(
    mapping: Annotated[Path, typer.Argument(help="Mapping file (YAML).", show_default=False)],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Transaction files to read instead of the mapping's own; globs allowed."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Load only what occurred at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Load only what occurred before this time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load transactions, labels and attributes through a mapping.

    Every row that is read is loaded, a duplicate, or kept in quarantine with a reason. Loading again changes nothing.

    Example: quipu ingest examples/handbook.yaml --until 2018-08-08
    """
    from tempfile import TemporaryDirectory

    from etl.cleaning import parse_time
    from etl.loading import load
    from etl.mapping import read_mapping
    from etl.sources import expand
    from graph.settings import settings
    from graph.sqlite_database import path_of
    from graph.store import open_store

    read = read_mapping(mapping)
    given = expand(files, Path()) if files else None
    first = parse_time(since, option="--since") if since is not None else None
    end = parse_time(until, option="--until") if until is not None else None
    url = store or settings().store
    with TemporaryDirectory() as scratch:
        if dry_run and url.startswith("sqlite:") and not path_of(url).exists():
            url = f"sqlite:///{scratch}/empty.db"  # a dry run leaves no store behind
        opened = open_store(url)
        try:
            report = load(
                read, opened, files=given, since=first, until=end, dry_run=dry_run, progress=ConsoleProgress()
            )
        finally:
            opened.close()
    emit(report.as_dict(), as_json=as_json, text=show)


def show(report: dict[str, Any]) -> None:
    """Prints a load's report for people."""
    from etl.reasons import describe

    head = f"{report['read']:,} transactions read in {report['seconds']:.1f} s"
    if report["rows_per_second"]:
        head += f" ({report['rows_per_second']:,} a second)"
    out.print(("dry run, nothing written: " if report["dry_run"] else "") + head)
    files = report["files"]
    out.print(f"from             {files[0]}" + (f" and {len(files) - 1} more files" if files[1:] else ""))
    _outcomes("transactions", report)
    if report["outside_window"]:
        out.print(f"  {report['outside_window']:,} more lie outside --since and --until")
    if report["first_occurred_at"]:
        out.print(f"times covered    {report['first_occurred_at']} to {report['last_occurred_at']}")
    labels = report["labels"]
    if labels["found"] or labels["inferred_genuine"]:
        out.print(
            f"labels in rows   {labels['loaded']:,} loaded, {labels['duplicates']:,} duplicates, "
            f"{labels['unusable']:,} unusable, {labels['unlabelled']:,} rows without"
        )
    if labels["inferred_genuine"]:
        out.print(f"                 {labels['inferred_genuine']:,} inferred genuine from silence")
    for code, count in labels["unusable_reasons"].items():
        out.print(f"  {code:<26}{count:>12,}  {describe(code)}")
    for name, tally in [
        ("label files", report["label_files"]),
        *((f"about {e}s", t) for e, t in report["attributes"].items()),
    ]:
        if tally["read"]:
            _outcomes(name, tally)
    fresh = {name: count for name, count in report["new_entities"].items() if count}
    if fresh:
        out.print("new entities     " + ", ".join(f"{count:,} {name}" for name, count in fresh.items()))
    for name, share in report["missing"].items():
        bad = report["unreadable"].get(name.partition(":")[2], 0)
        out.print(f"missing          {name} {share:.1%}" + (f" ({bad:,} unreadable)" if bad else ""))
    if report["quarantined"]:
        out.print("see them with    quipu quarantine list")


def _outcomes(name: str, tally: dict[str, Any]) -> None:
    from rich.table import Table

    from etl.reasons import describe

    out.print(
        f"{name:<17}{tally['read']:,} read = {tally['loaded']:,} loaded + {tally['duplicates']:,} duplicates "
        f"+ {tally['quarantined']:,} quarantined ({tally['newly_quarantined']:,} of them new)"
    )
    if tally["reasons"]:
        table = Table("reason", "rows", "meaning")
        for code, count in tally["reasons"].items():
            table.add_row(code, f"{count:,}", describe(code))
        out.print(table)
