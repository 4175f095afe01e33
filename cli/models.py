"""`quipu models`: which bundles there are, and which is in use."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import JsonOption, emit, out

app = typer.Typer(help="List, promote and roll back bundles.", no_args_is_help=True)

FolderOption = Annotated[Path | None, typer.Option("--models", help="Folder of bundles; by default below QUIPU_VAR.")]


@app.callback()
def _group() -> None:
    """List, promote and roll back bundles."""


def _folder(given: Path | None) -> Path:
    from graph.settings import settings

    return given or settings().var / "models"


@app.command("list")
def list_models(models: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the bundles, and say which is in use.

    Example: quipu models list
    """
    from gnn.champion import history, list_bundles

    folder = _folder(models)
    names, used = list_bundles(folder), history(folder)

    def text(result: dict[str, Any]) -> None:
        for name in result["bundles"]:
            out.print(f"{name}{'  in use' if name == result['in_use'] else ''}")
        if not result["bundles"]:
            out.print(f"no bundles in {folder}; train one: quipu train")

    emit({"bundles": names, "in_use": used[0] if used else None}, as_json=as_json, text=text)


@app.command()
def promote(name: str, models: FolderOption = None, as_json: JsonOption = False) -> None:
    """Put a bundle in use, after checking that it can be served.

    Example: quipu models promote 20260301-0f3a9c21d4be
    """
    from gnn.champion import promote as put_in_use

    folder = _folder(models)
    _try(folder, name)
    bundle = put_in_use(folder, name)
    emit({"in_use": bundle.name}, as_json=as_json, text=lambda r: out.print(f"in use: {r['in_use']}"))


@app.command()
def rollback(models: FolderOption = None, as_json: JsonOption = False) -> None:
    """Put the bundle before the one in use back in use.

    Example: quipu models rollback
    """
    from gnn.champion import history
    from gnn.champion import rollback as go_back

    folder = _folder(models)
    for name in history(folder)[1:2]:
        _try(folder, name)
    bundle = go_back(folder)
    emit({"in_use": bundle.name}, as_json=as_json, text=lambda r: out.print(f"in use: {r['in_use']}"))


def _try(folder: Path, name: str) -> None:
    """Loads a bundle as the service would, so that what cannot be served is not put in use."""
    from gnn.servable import load_servable

    if name == Path(name).name and (folder / name).is_dir():  # what is not there is told by what comes next
        load_servable(folder / name)
