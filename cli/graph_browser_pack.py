"""`quipu graph browser-pack`: what an investigator needs in Neo4j Browser."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import JsonOption, StoreOption, emit, out


def browser_pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; made where missing.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the investigator's pack for Neo4j Browser: favourite queries, a style, and a guide.

    Browser keeps both in the web browser of whoever uses it: open guide.html, and drag two files onto Browser's page.

    Example: quipu graph browser-pack browser-pack
    """
    from graph.browser.links import BrowserLinks
    from graph.browser.pack import write_pack
    from graph.errors import InputError
    from graph.settings import settings
    from graph.store import open_store

    url = store or settings().store
    links = BrowserLinks.of(url)
    if links is None:
        raise InputError(
            "the store is not Neo4j, so there is no Neo4j Browser to write the pack for",
            hint="name a Neo4j store (--store), or Browser's address (QUIPU_BROWSER_URL)",
        )
    opened = open_store(url)
    try:
        schema = opened.schema()
    finally:
        opened.close()
    written = write_pack(folder, schema, links)

    def text(result: dict[str, Any]) -> None:
        out.print(f"wrote {len(result['files'])} files to {result['folder']}")
        out.print(f"open {result['guide']}, and drag quipu.grass and quipu.zip onto {result['browser']}")

    result = {
        "folder": str(folder),
        "files": [str(path) for path in written],
        "guide": str(folder / "guide.html"),
        "browser": links.browser,
    }
    emit(result, as_json=as_json, text=text)
