"""`quipu graph status`: what a store holds, whether it is sound, and how it differs from another one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out

if TYPE_CHECKING:
    from graph.store import Store


def status(
    store: StoreOption = None,
    check: Annotated[bool, typer.Option("--check", help="Read all of it, and check that it is sound.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --check: the sums of all entities, not of 500 a type.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(metavar="URL", help="Compare the counts with those of another store.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the store holds.

    The exit status is 1 where a check fails or the counts of the other store differ.

    Example: quipu graph status --check --store sqlite:///var/quipu.db
    """
    from graph.copying import counts
    from graph.invariants import SAMPLE
    from graph.invariants import check as checked
    from graph.settings import settings
    from graph.store import open_store

    opened = open_store(store or settings().store)
    try:
        result: dict[str, Any] = {**opened.status(), **_about(opened)}
        if check:
            found = checked(opened, sample=None if full else SAMPLE, progress=ConsoleProgress())
            result["checks"] = [
                {
                    "name": c.name,
                    "holds": c.holds,
                    "looked_at": c.looked_at,
                    "wrong": c.wrong,
                    "examples": [*c.examples],
                }
                for c in found
            ]
        if against is not None:
            other = open_store(against)
            try:
                mine, theirs = counts(opened), counts(other)
            finally:
                other.close()
            result["against"] = {
                name: {"here": mine.get(name, 0), "there": theirs.get(name, 0)}
                for name in dict.fromkeys((*mine, *theirs))
            }
    finally:
        opened.close()
    emit(result, as_json=as_json, text=_show)
    compared = result.get("against", {}).values()
    if not all(c["holds"] for c in result.get("checks", ())) or any(c["here"] != c["there"] for c in compared):
        raise typer.Exit(1)


def _about(store: "Store") -> dict[str, Any]:
    """What counts do not tell: how far the feed is, its newest transaction, the schema, and rings."""
    from graph.ring_json import iso
    from graph.store import RingStore

    mark, schema = store.watermark(), store.schema()
    newest = max((int(p.occurred_at.max()) for p in store.transaction_changes(mark.transaction - 1)), default=None)
    refreshed = store.refreshed_at() if isinstance(store, RingStore) else None
    return {
        "feed": {"transaction": mark.transaction, "label": mark.label},
        "last_occurred_at": None if newest is None else iso(newest),
        "rings_as_of": None if refreshed is None else iso(refreshed),
        "schema": {
            "entities": [*schema.entities], "categories": [*schema.categories], "numeric": [*schema.numeric]
        },
    }  # fmt: skip


def _show(result: dict[str, Any]) -> None:
    from rich.table import Table

    for name, value in result.items():
        if isinstance(value, int):
            out.print(f"{name:<24}{value:>14,}")
    feed = result["feed"]
    out.print(f"{'feed':<24}{feed['transaction']:>14,} transactions, {feed['label']:,} labels")
    out.print(f"{'last one occurred at':<24}{result['last_occurred_at'] or '-'}")
    out.print(f"{'rings found as of':<24}{result['rings_as_of'] or '-'}")
    for role, names in result["schema"].items():
        if names:
            out.print(f"{role:<24}{', '.join(names)}")
    for c in result.get("checks", ()):
        mark, style = ("ok   ", "green") if c["holds"] else ("WRONG", "bold red")
        out.print(mark, style=style, end=" ")
        out.print(f"{c['name']} ({c['looked_at']:,} looked at" + (f", {c['wrong']:,} wrong)" if c["wrong"] else ")"))
        for example in c["examples"]:
            out.print(f"        {example}")
    if "against" in result:
        table = Table("", "here", "there", "")
        for name, c in result["against"].items():
            table.add_row(name, f"{c['here']:,}", f"{c['there']:,}", "" if c["here"] == c["there"] else "differs")
        out.print(table)
