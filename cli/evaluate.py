"""`quipu evaluate`: how good scores are, or what a bundle says about itself."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import JsonOption, emit, out
from cli.paths import file_to_write
from cli.tables import print_columns
from graph.errors import InputError

app = typer.Typer()


@app.command()
def evaluate(
    what: Annotated[Path, typer.Argument(metavar="SCORES|BUNDLE", help="Scores (.parquet), or a bundle's directory.")],
    against: Annotated[Path | None, typer.Option(help="Other scores to compare with, on the same rows.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="What truly happened (.parquet or .csv): judges instead of labels, and tells kinds of fraud."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots, and its figures as .json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how good scores are: ranking, money, calibration, overall, by week and by kind, with 95% intervals.

    Example: quipu evaluate scores.parquet --against before.parquet --html report.html
    """
    if what.is_dir():
        if against or html or truth:
            raise InputError(
                f"{what} is a bundle; --against, --truth and --html take scores",
                hint="make some: quipu backtest --out FILE",
            )
        _bundle(what, as_json)
        return
    from gnn.evaluation import compare
    from gnn.evaluation import evaluate as measure
    from gnn.policy import Costs
    from gnn.truth import judged_by, read_truth
    from graph.settings import settings

    if html is not None:
        file_to_write(html, "--html")
    costs = Costs.from_settings(settings())
    scores, other = _read(what), None if against is None else _read(against)
    if truth is not None:
        verdicts = read_truth(truth)
        scores, other = judged_by(scores, verdicts), None if other is None else judged_by(other, verdicts)
    result = measure(scores, costs=costs)
    compared = compare(scores, other, costs=costs) if other is not None else None
    if html is not None:
        from gnn.report import write_report

        by = ", judged by what truly happened" if truth is not None else ""
        write_report(result, html, title=f"Quality of {what.name}{by}", against=compared)
    document = result.to_dict()
    document["judged_by"] = "labels" if truth is None else "truth"
    if compared is not None:
        document["against"] = compared
    if html is not None:
        document["html"] = str(html)
    emit(document, as_json=as_json, text=_text)


def _read(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", hint="make it: quipu backtest --out FILE") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}", hint="make it: quipu backtest") from error


def _bundle(path: Path, as_json: bool) -> None:
    from gnn.bundle import open_bundle

    bundle = open_bundle(path)
    shown = {key: value for key, value in bundle.manifest.items() if key not in ("catalogue", "files")}
    emit({"bundle": bundle.name, **shown}, as_json=as_json, text=_bundle_text)


def _bundle_text(result: dict[str, Any]) -> None:
    for name, value in _flat(result):
        out.print(f"{name:<52}{value}")


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}" if name else str(key))]


def _text(result: dict[str, Any]) -> None:
    from gnn.meanings import MEANINGS

    summary, compared = result["summary"], result.get("against")
    out.print(
        f"{summary['transactions']:,} labelled transactions from {summary['from'][:10]} to {summary['until'][:10]}, "
        f"{summary['frauds']:,} of them fraud ({100 * summary['fraud_share']:.2f}%)"
    )
    if summary["unlabelled"]:
        out.print(f"{summary['unlabelled']:,} more have no label and are not counted")
    rows = [["", "value", "95% interval", *(("other", "difference", "95% interval") if compared else ())]]
    for name, figure in result["figures"].items():
        meaning = MEANINGS[name]
        cells = [meaning.title, meaning.shown(figure["value"]), _interval(meaning, figure)]
        if compared and name in compared["figures"]:
            other = compared["figures"][name]
            cells += [meaning.shown(other["b"]), meaning.shown(other["value"]), _interval(meaning, other)]
        rows.append(cells)
    print_columns(rows)
    shown = {name: title for name, title in _WEEKLY.items() if name in result["figures"]}
    rows = [["week from", "transactions", "frauds", *shown.values()]]
    for week in result["weeks"]:
        values = (MEANINGS[name].shown(week["figures"].get(name, {}).get("value")) for name in shown)
        rows.append([week["from"], f"{week['transactions']:,}", f"{week['frauds']:,}", *values])
    print_columns(rows)
    for groups in (result["typologies"], result["histories"]):
        if groups:
            rows = [["", "transactions", "frauds", *_GROUPED.values()]]
            for group in groups:
                values = (MEANINGS[name].shown(group["figures"].get(name, {}).get("value")) for name in _GROUPED)
                rows.append([group["title"], f"{group['transactions']:,}", f"{group['frauds']:,}", *values])
            print_columns(rows)
    if "html" in result:
        out.print(f"\nreport: {result['html']}")


_GROUPED = {
    "average_precision": "avg precision",
    "auc": "AUC",
    "recall_at_0.5%_fpr": "recall@0.5%",
    "recall": "recall of the policy",
}
_WEEKLY = {
    "average_precision": "avg precision",
    "auc": "AUC",
    "user_precision_at_100": "users@100",
    "recall_at_1%_fpr": "recall@1%",
    "flagged_share": "flagged",
    "flagged_to_promised": "to promised",
    "saved": "saved",
}


def _interval(meaning: Any, figure: dict[str, Any]) -> str:
    return f"{meaning.shown(figure['low'])} to {meaning.shown(figure['high'])}"
