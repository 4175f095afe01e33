"""`quipu backtest`: scores of a period, as if each transaction had just happened."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, SeedOption, StoreOption, emit, out
from cli.paths import file_to_write

app = typer.Typer()


@app.command()
def backtest(
    scores: Annotated[Path, typer.Option("--out", help="Parquet file for the scores.")],
    train_until: Annotated[str, typer.Option(help="Score from this time on; the first model knows what came before.")],
    until: Annotated[str | None, typer.Option(help="Score up to this time; by default to the end.")] = None,
    retrain_every: Annotated[str | None, typer.Option(help="Train anew after each such time, e.g. 7d.")] = None,
    store: StoreOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Score each transaction of a period as of its own time, by models that know only what was known before.

    Example: quipu backtest --train-until 2018-08-08 --until 2018-09-05 --retrain-every 7d --out scores.parquet
    """
    import pyarrow.parquet as pq

    from cli.times import duration, moment
    from gnn.backtest import backtest as run
    from gnn.policy import Costs
    from gnn.training import TrainingSettings
    from graph.errors import InputError
    from graph.settings import settings
    from graph.store import open_store

    first, end = moment(train_until), None if until is None else moment(until)
    every = None if retrain_every is None else duration(retrain_every)
    if end is not None and end <= first:
        raise InputError("--until is not after --train-until", hint="the period to score lies between them")
    file_to_write(scores, "--out")
    opened = open_store(store or settings().store)
    try:
        table = run(
            opened,
            train_until=first,
            until=end,
            retrain_every=every,
            settings=TrainingSettings(seed=seed, costs=Costs.from_settings(settings())),
            progress=ConsoleProgress(),
        )
    finally:
        opened.close()
    pq.write_table(table, scores)

    def text(summary: dict[str, Any]) -> None:
        out.print(
            f"{summary['transactions']:,} transactions scored by {summary['models']} models, "
            f"{summary['labelled']:,} of them labelled"
        )
        out.print(f"written to {summary['scores']}; next: quipu evaluate {summary['scores']}")

    emit(
        {
            "scores": str(scores),
            "transactions": table.num_rows,
            "labelled": table.num_rows - table["is_fraud"].null_count,
            "models": len(table["model_version"].unique()),
        },
        as_json=as_json,
        text=text,
    )
