"""`quipu graph embed`: embeddings of all active entities, so that those like another can be found."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, out


def embed(
    at: Annotated[
        str | None,
        typer.Option(help="As of this moment; by default when the newest transaction has arrived.", show_default=False),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Of entities with a transaction in so many days before.")
    ] = 90,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the model; by default the current one.", show_default=False)
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make embeddings of users, devices, addresses, … by the graph network, in place of earlier ones.

    They follow from what had occurred and was known before the moment. With them, `quipu graph similar` and the API
    find entities like another.

    Example: quipu graph embed --at 2026-03-01
    """
    from time import monotonic

    from cli.times import moment
    from gnn.champion import current_bundle
    from gnn.embeddings import embed_store
    from graph.ring_json import iso
    from graph.settings import settings
    from graph.store import embeddings_of, open_store

    before = None if at is None else moment(at)
    path = bundle or current_bundle(settings().var / "models")
    started = monotonic()
    progress = ConsoleProgress()
    opened = open_store(store or settings().store)
    try:
        kept = embeddings_of(opened)
        refresh = embed_store(opened, path, at=before, days=days, progress=progress)
        with progress.stage("writing embeddings"):
            written = kept.write_embeddings(refresh)
    finally:
        opened.close()

    def text(result: dict[str, Any]) -> None:
        for name, count in result["written"].items():
            out.print(f"{name:<24}{count:>14,}")
        out.print(
            f"embeddings of {result['dimension']} numbers, as of {result['at']} by the model {result['model_version']},"
            f" in {result['seconds']:,.1f} s"
        )

    result = {
        "at": iso(refresh.at),
        "model_version": refresh.model,
        "dimension": refresh.dimension,
        "written": written,
        "seconds": round(monotonic() - started, 1),
    }
    emit(result, as_json=as_json, text=text)
