"""`quipu graph export-import`: a store as files for the import tool of Neo4j."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out


def export_import(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files: a new one, or an empty one.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the files of a first load into an empty Neo4j, and print how to run it.

    Transactions, labels, entities, their attributes and embeddings, and decisions; rings follow with quipu graph copy
    --only rings.

    Example: quipu graph export-import var/import --store sqlite:///var/quipu.db
    """
    from graph.bulk.export import export
    from graph.bulk.files import ARGUMENTS
    from graph.settings import settings
    from graph.store import open_store

    opened = open_store(store or settings().store)
    try:
        counts = export(opened, folder, ConsoleProgress())
        shown = opened.url
    finally:
        opened.close()
    arguments = folder.resolve() / ARGUMENTS
    result = {**counts, "command": f'neo4j-admin database import full "@{arguments}" --overwrite-destination neo4j'}

    def text(result: dict[str, Any]) -> None:
        out.print(
            f"{result['transactions']:,} transactions, {result['labels']:,} labels, {result['decisions']:,} decisions "
            f"and {result['entities']:,} entities in {result['bytes'] / 1e6:,.0f} MB, in {result['seconds']} s"
        )
        out.print("With the server stopped, and no database of that name that you want to keep:")
        out.print(f"  {result['command']}")
        out.print(f"The local server of this repository:  make neo4j-import DIR={folder}")
        out.print(f"Rings follow, if there are any:        quipu graph copy {shown} neo4j://… --only rings")

    emit(result, as_json=as_json, text=text)
