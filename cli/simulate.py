"""`quipu simulate`: a made-up world of transactions, with its truth."""

from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, emit, out
from cli.paths import folder_to_write

app = typer.Typer()


class FileFormat(str, Enum):  # noqa: UP042 (typer shows a StrEnum's members less well)
    """Format of the transactions' file."""

    parquet = "parquet"
    csv = "csv"


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; made where missing.")],
    users: Annotated[int, typer.Option(help="Everyday accounts; fraud accounts come on top.")] = 20_000,
    days: Annotated[int, typer.Option(help="Length of the period.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 1,
    fraud_rate: Annotated[float, typer.Option(help="Share of transactions that are fraud, 0 to 0.2.")] = 0.012,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2025, 1, 6),  # noqa: DTZ001
    drift: Annotated[
        float, typer.Option(help="How much habits, prices and fraud change over the period, 0 (not at all) to 1.")
    ] = 0.3,
    mess: Annotated[
        float, typer.Option(help="Share of transactions to damage, 0 to 1; truth/damage.parquet says which.")
    ] = 0.0,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Of the transactions.")] = FileFormat.parquet,
    as_json: JsonOption = False,
) -> None:
    """Write a made-up world: transactions, labels, attributes, a mapping for them, and the truth.

    Examples:

      quipu simulate world --users 20000 --days 120 --seed 1

      quipu simulate drifting --drift 1 --fraud-rate 0.005

      quipu simulate messy --mess 0.1 --format csv
    """
    from etl.simulator.settings import WorldSettings
    from etl.simulator.world import simulate as make
    from etl.simulator.writing import write
    from graph.errors import InputError

    if not 1990 <= start.year < 2200:
        raise InputError(f"the first day is {start:%Y-%m-%d}", hint="choose one from 1990 to 2199")
    settings = WorldSettings(users, days, seed, fraud_rate, start.date(), drift, mess)
    folder_to_write(folder, "DIR")
    progress = ConsoleProgress()
    world = make(settings, progress)
    files = write(world, folder, file_format.value, progress)

    typologies: dict[str, dict[str, int]] = {}
    for ring in world.rings:
        counts = typologies.setdefault(ring["typology"], {"rings": 0, "came_back": 0, "transactions": 0})
        counts["rings"] += 1
        counts["came_back"] += ring["came_back"] > 0
        counts["transactions"] += ring["transactions"]
    result = {
        "folder": str(folder),
        "mapping": str(folder / "mapping.yaml"),
        "files": [str(file) for file in files],
        "transactions": world.transactions.num_rows,
        "labels": world.labels.num_rows,
        "users": world.users.num_rows,
        "devices": world.devices.num_rows,
        "restaurants": world.restaurants.num_rows,
        "fraud": sum(ring["transactions"] for ring in world.rings),
        "rings": len(world.rings),
        "typologies": typologies,
    }

    def text(result: dict[str, Any]) -> None:
        for name in ("transactions", "labels", "users", "devices", "restaurants", "fraud", "rings"):
            out.print(f"{name:<24}{result[name]:>14,}")
        for name, counts in result["typologies"].items():
            rings = f"{counts['rings']:,} rings, {counts['came_back']:,} of which came back"
            out.print(f"  {name:<22}{counts['transactions']:>14,} in {rings}")
        out.print(f"\nLoad it with: quipu ingest {result['mapping']}")

    emit(result, as_json=as_json, text=text)
