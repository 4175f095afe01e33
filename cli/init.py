"""`quipu init`: a commented mapping for somebody's files or table."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import JsonOption, emit, err, out

app = typer.Typer()


@app.command()
def init(
    sample: Annotated[
        str | None, typer.Argument(help="File, folder or glob of transactions.", show_default=False)
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="Mapping file to write.")] = Path("mapping.yaml"),
    name: Annotated[str | None, typer.Option(help="Name of the mapping; of the sample where left out.")] = None,
    url_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds a database's URL, instead of files.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="Table of the database.")] = None,
    query: Annotated[str | None, typer.Option(help="Query to the database, instead of a table.")] = None,
    label_delay: Annotated[
        str | None,
        typer.Option(help="How long after a transaction its label is known, such as 7d; guessed where left out."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the mapping file if it is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a file, folder or database table, and write a commented mapping for it.

    Columns are guessed by name and content. What is unsure is marked DECIDE in the file, for a person to decide.

    Example: quipu init orders.csv --out orders.yaml
    """
    from etl.guessing.initialising import from_database, from_files
    from graph.errors import InputError

    if to.exists() and not force:
        raise InputError(f"{to} is there already", hint="name another file with --out, or replace it with --force")
    if (sample is None) == (url_env is None):
        raise InputError("nothing to look at" if sample is None else "both files and a database are given",
                         hint="give a file, folder or glob, or --url-env with --table or --query")  # fmt: skip
    if url_env is None and (table or query):
        raise InputError("--table and --query need --url-env", hint="name the variable that holds the database's URL")
    if url_env is not None and (table is None) == (query is None):
        raise InputError("give either --table or --query with --url-env")
    err.print("looking …")
    if sample is not None:
        made = from_files(sample, to, name, label_delay)
    else:
        made = from_database(str(url_env), table, query, name, label_delay)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(made.text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{to} cannot be written: {error.strerror or error}", hint="name another file") from error
    emit({"mapping": str(to), **made.as_dict()}, as_json=as_json, text=show)
    if made.guess.lacking:
        raise typer.Exit(1)


def show(result: dict[str, Any]) -> None:
    """Prints what was guessed for people."""
    from rich.table import Table

    from etl.contract.reasons import describe

    shown = Table("column", "taken as", "why", "")
    for finding in result["columns"]:
        names = ", ".join(finding["columns"]) or "(none)"
        shown.add_row(
            names if len(names) <= 40 else names[:37] + "…",
            finding["taken_as"],
            finding["why"],
            "sure" if finding["sure"] else "unsure",
            style=None if finding["sure"] else "bold",
        )
    out.print(shown)
    if result["left_aside"]:
        out.print("left aside: " + ", ".join(result["left_aside"]))
    trial = result["trial"]
    for finding in result["columns"]:
        if not finding["sure"]:
            out.print(f"decide: {finding['taken_as']}: {finding['doubt']}")
    if trial is not None:
        out.print(f"\nof {trial['rows']:,} rows looked at, {trial['accepted']:,} would load")
        for code, count in trial["reasons"].items():
            out.print(f"  {code:<26}{count:>12,}  {describe(code)}")
        if trial["accepted"] < (1 - trial["limit"]) * trial["rows"]:
            out.print("  more than quarantine.limit allows: a load would stop, unless the mapping is corrected")
        if trial["repeated"]:
            out.print(f"  {trial['repeated']:,} of them repeat the id of another")
        if trial["fraud"] or trial["genuine"]:
            out.print(f"labels           {trial['fraud']:,} fraud, {trial['genuine']:,} genuine")
    if result["lacking"]:
        out.print(f"\n{result['mapping']} is written, but cannot be loaded before somebody says: "
                  + ", ".join(result["lacking"]))  # fmt: skip
        return
    doubts = result["to_decide"]
    told = f"; look at the {doubts} places marked DECIDE first" if doubts else ""
    out.print(f"\n{result['mapping']} is written. Load it with: quipu ingest {_shell(result['mapping'])}{told}")


def _shell(path: str) -> str:
    return path if re.fullmatch(r"[\w./+-]+", path) else f"'{path}'"
