"""`quipu train`: a model of what is known, as a bundle."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, SeedOption, StoreOption, emit, out
from cli.paths import folder_to_write

app = typer.Typer()


@app.command()
def train(
    until: Annotated[
        str | None, typer.Option(help="Train on what was known before this time (UTC unless it names a zone).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder of bundles; by default models below QUIPU_VAR.")
    ] = None,
    store: StoreOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a model on what is known, write its bundle and put it in use.

    Example: quipu train --until 2018-08-01
    """
    from cli.times import moment
    from gnn.champion import history, promote
    from gnn.pipeline import train_bundle
    from gnn.policy import Costs
    from gnn.training import TrainingSettings
    from graph.settings import settings
    from graph.store import open_store

    configured = settings()
    at = moment(until) if until is not None else None
    models = folder_to_write(folder, "--out") if folder else folder_to_write(configured.var / "models", "QUIPU_VAR")
    history(models)  # a damaged pointer is told now rather than after the training
    opened = open_store(store or configured.store)
    try:
        result = train_bundle(
            opened,
            models,
            until=at,
            settings=TrainingSettings(seed=seed, costs=Costs.from_settings(configured)),
            progress=ConsoleProgress(),
        )
    finally:
        opened.close()
    promote(models, Path(result["bundle"]).name)

    def text(summary: dict[str, Any]) -> None:
        figures = summary["figures"]
        precision = figures["validation"]["average_precision"]
        out.print(f"bundle        {summary['bundle']} (model_card.md in it tells what it is)")
        out.print(
            f"trained on    {figures['labelled']:,} labelled of {figures['transactions']:,} transactions, "
            f"{figures['frauds']:,} frauds"
        )
        shown = ", ".join(f"{name} {value:.3f}" for name, value in precision.items() if value is not None)
        if shown:
            out.print(f"validation    average precision on the latest {figures['validation']['rows']:,}: {shown}")
        else:
            out.print(
                "no labels     ranks by new accounts on shared devices, and by what is unusual; the level is assumed"
            )
        out.print(f"took          {summary['seconds']:.0f} s, at most {summary['peak_memory_mib']:,} MiB of memory")
        out.print("in use now; next: quipu serve")

    emit(result, as_json=as_json, text=text)
