"""`quipu ablate`: what each part of the model is worth, and how standard models do on the same rows."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, SeedOption, StoreOption, emit, out
from cli.paths import file_to_write, folder_to_write

app = typer.Typer()


@app.command()
def ablate(
    train_until: Annotated[str, typer.Option(help="Score from this time on; the models know what came before.")],
    until: Annotated[str | None, typer.Option(help="Score up to this time; by default to the end.")] = None,
    retrain_every: Annotated[
        str | None, typer.Option(help="Train all anew after each such time, e.g. 7d; by default once.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Names of variants, with commas; by default all.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="What truly happened (.parquet or .csv), to judge by instead of labels.")
    ] = None,
    shuffle_labels: Annotated[
        bool, typer.Option("--shuffle-labels", help="Give labels to transactions at random: a test for leaks.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for scores.parquet (a column a variant) and figures.json.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots, and its figures as .json.")] = None,
    store: StoreOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train and score the model whole, without each of its parts, and standard models, all on the same rows.

    Example: quipu ablate --train-until 2018-08-08 --until 2018-09-05 --html ablation.html
    """
    from cli.times import duration, moment
    from gnn.ablation import ablate as run
    from gnn.policy import Costs
    from gnn.training import TrainingSettings
    from gnn.truth import read_truth
    from graph.errors import InputError
    from graph.settings import settings
    from graph.store import open_store

    first, end = moment(train_until), None if until is None else moment(until)
    every = None if retrain_every is None else duration(retrain_every)
    if end is not None and end <= first:
        raise InputError("--until is not after --train-until", hint="the period to score lies between them")
    if truth is not None and shuffle_labels:
        raise InputError(
            "--truth and --shuffle-labels exclude each other", hint="shuffled labels are judged by themselves"
        )
    names = None if only is None else [name.strip() for name in only.split(",") if name.strip()]
    verdicts = None if truth is None else read_truth(truth)
    if html is not None:
        file_to_write(html, "--html")
    if folder is not None:
        folder_to_write(folder, "--out")
    opened = open_store(store or settings().store)
    try:
        result = run(
            opened,
            train_until=first,
            until=end,
            retrain_every=every,
            only=names,
            truth=verdicts,
            shuffle_labels=shuffle_labels,
            settings=TrainingSettings(seed=seed, costs=Costs.from_settings(settings())),
            progress=ConsoleProgress(),
        )
    finally:
        opened.close()
    document = result.to_dict()
    if html is not None:
        from gnn.ablation_report import write_ablation

        write_ablation(result, html)
        document["html"] = str(html)
    if folder is not None:
        import json

        import pyarrow.parquet as pq

        pq.write_table(result.scores, folder / "scores.parquet")
        (folder / "figures.json").write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")
        document["out"] = str(folder)
    emit(document, as_json=as_json, text=_text)


def _text(result: dict[str, Any]) -> None:
    from cli.tables import print_columns
    from gnn.ablation_report import SHOWN, beaten_by
    from gnn.meanings import MEANINGS

    summary, variants = result["summary"], result["variants"]
    by = "what truly happened" if summary["judged_by"] == "truth" else "labels"
    out.print(
        f"{summary['transactions']:,} transactions from {summary['from'][:10]} to {summary['until'][:10]}, "
        f"{summary['frauds']:,} of them fraud ({100 * summary['fraud_share']:.2f}%), judged by {by}"
    )
    if summary["unlabelled"]:
        out.print(f"{summary['unlabelled']:,} more have no label and are not counted")
    shown = [name for name in SHOWN if name in variants[0]["figures"]]
    rows = [["", *(cell for name in shown for cell in (_HEADS[name], "to whole", "95% interval"))]]
    for variant in variants:
        cells = [variant["title"]]
        for name in shown:
            meaning, figure = MEANINGS[name], variant["figures"][name]
            difference = figure["difference"]
            cells.append(meaning.shown(figure["value"]))
            if difference is None:
                cells += ["", ""]
            else:
                cells.append(meaning.shown(difference["value"]))
                cells.append(f"{meaning.shown(difference['low'])} to {meaning.shown(difference['high'])}")
        rows.append(cells)
    print_columns(rows)
    out.print()
    if variants[0].get("typologies"):
        kinds = variants[0]["typologies"]
        rows = [["recall at 0.5% false alarms", *(f"{kind['title']} ({kind['frauds']})" for kind in kinds)]]
        shown_as = MEANINGS["recall_at_0.5%_fpr"].shown
        rows += [[v["title"], *(shown_as(kind["recall_at_0.5%_fpr"]) for kind in v["typologies"])] for v in variants]
        print_columns(rows)
        out.print()
    better = beaten_by(variants)
    if summary["shuffled_labels"]:
        out.print("labels were shuffled: an AUC that is not about 0.5 tells of a leak")
    elif better:
        out.print(f"above the whole model in average precision: {', '.join(v['title'] for v in better)}")
    else:
        out.print("nothing is above the whole model in average precision")
    for name in ("html", "out"):
        if name in result:
            out.print(f"written to {result[name]}")


_HEADS = {
    "average_precision": "avg precision",
    "auc": "AUC",
    "recall_at_0.5%_fpr": "recall@0.5%",
    "user_precision_at_100": "users@100",
}
