"""`quipu graph copy`: all of a store into another one."""

from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, emit, err, out
from graph.parts import Part

_MANY = 100_000


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="URL of the store to read.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="URL of the store to write; what it lacks is added.")],
    only: Annotated[Part | None, typer.Option(help="Copy this part alone; all by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a store into another one, of whatever kinds they are; running it again changes nothing.

    The exit status is 1 where the target then has less than the source, or something else under the same id.

    Example: quipu graph copy sqlite:///var/quipu.db neo4j://neo4j@127.0.0.1:7687/neo4j
    """
    from graph.copying import copy as copy_store
    from graph.copying import differences
    from graph.errors import InputError
    from graph.store import open_store

    if source == target:
        raise InputError("FROM and TO are the same store", hint="name another one to copy to")
    first = open_store(source)
    try:
        second = open_store(target)
        try:
            transactions = first.watermark().transaction
            empty = not second.watermark().transaction
            if target.startswith(("neo4j", "bolt")) and empty and transactions > _MANY and only in (None, Part.FACTS):
                err.print(
                    f"note: {transactions:,} transactions go into an empty Neo4j"
                    " much faster by quipu graph export-import"
                )
            done = copy_store(first, second, only=only, progress=ConsoleProgress())
            found = differences(first, second) if only is None else {}
        finally:
            second.close()
    finally:
        first.close()
    conflicts = sum(tally.get("conflicts", 0) for tally in done.values())
    lacking = {name: pair for name, pair in found.items() if pair[1] < pair[0]}
    result = {"copied": done, "differences": {n: {"from": a, "to": b} for n, (a, b) in found.items()},
              "complete": not conflicts and not lacking}  # fmt: skip

    def text(result: dict[str, Any]) -> None:
        for name, tally in result["copied"].items():
            out.print(f"{name:<16}" + ", ".join(f"{count:,} {what}" for what, count in tally.items()))
        for name, pair in result["differences"].items():
            out.print(f"{name}: {pair['from']:,} in the source, {pair['to']:,} in the target")
        out.print(
            "complete" if result["complete"] else "not complete", style=None if result["complete"] else "bold red"
        )

    emit(result, as_json=as_json, text=text)
    if not result["complete"]:
        raise typer.Exit(1)
