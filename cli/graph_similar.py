"""`quipu graph similar`: entities like another, by their embeddings."""

from typing import Annotated, Any

import typer

from cli.console import JsonOption, StoreOption, emit, out


def similar(
    entity: Annotated[str, typer.Argument(metavar="TYPE", help="Type: user, device, …", show_default=False)],
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key of the entity.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most entities to show.")] = 10,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the entities most like one, as the graph network saw them when `quipu graph embed` ran last.

    Example: quipu graph similar user U-1042
    """
    from graph.ids import canonical
    from graph.settings import settings
    from graph.similar import similar_entities
    from graph.store import open_store

    opened = open_store(store or settings().store)
    try:
        found = similar_entities(opened, entity, canonical(entity, key) or key, limit=limit)
    finally:
        opened.close()
    emit(found, as_json=as_json, text=_tell)


def _tell(found: dict[str, Any]) -> None:
    for other in found["similar"]:
        told = [f"{other['transactions']:,} transactions", f"{other['fraud_known']:,} known fraud"]
        if other["band"]:
            told.append(f"worst band {other['band']}")
        if other["last_at"]:
            told.append(f"last {other['last_at'][:16].replace('T', ' ')}")
        out.print(f"{other['similarity']:6.3f}", style="bold", end="  ")
        out.print("  ".join([other["key"], *told]))
    if not found["similar"]:
        out.print(f"there is no other {found['type']} with an embedding")
    out.print(f"like {found['type']} {found['key']}, as of {found['as_of']}")
