"""`quipu monitor`: whether the model in use still fits what it scores, and how its decisions turned out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, err, out
from cli.tables import print_columns

app = typer.Typer(help="Tell drift, quality as labels came, and ages.")


@app.command()
def monitor(
    since: Annotated[
        str | None,
        typer.Option(
            help="Look at what occurred since then; by default, and at least, seven days.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="As known before this time; by default all that is known.", show_default=False)
    ] = None,
    weeks: Annotated[int, typer.Option(min=1, max=104, help="Weeks to tell the quality of.")] = 8,
    models: Annotated[
        Path | None, typer.Option(help="Folder of bundles; by default below QUIPU_VAR.", show_default=False)
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how far the model in use lies from what it learnt from, and how its decisions turned out.

    It looks at the decisions that the service left in the store; where there are none, at what the model says of the
    transactions since it was trained. The figures go to the service's /metrics, too, from the folder QUIPU_VAR.

    Example: quipu monitor --until 2025-06-02
    """
    from cli.times import moment
    from gnn.monitor_metrics import JOB, metrics_of
    from gnn.monitoring import monitor as look
    from graph.job_metrics import publish
    from graph.settings import settings
    from graph.store import open_store

    first = moment(since) if since is not None else None
    end = moment(until) if until is not None else None
    opened = open_store(store or settings().store)
    try:
        folder = models or settings().var / "models"
        report = look(opened, folder, since=first, until=end, weeks=weeks, progress=ConsoleProgress())
    finally:
        opened.close()
    try:
        publish(settings().var, JOB, metrics_of(report))
    except OSError as error:
        err.print(f"warning: the figures cannot be kept for Prometheus: {error}", style="yellow")
    emit({**report.as_dict(), "strongest": report.strongest()}, as_json=as_json, text=show)


def show(report: dict[str, Any]) -> None:
    """Prints a report for people: the verdict first."""
    if report["drifted"]:
        out.print("The model should be trained anew:", style="bold yellow")
        for reason in report["why"]:
            out.print(f"  {reason}")
    else:
        out.print("Nothing speaks for a new training.", style="bold green")
    out.print(f"model            {report['model_version']}, trained on what was known until "
              f"{report['ages']['model_trained_until']}")  # fmt: skip
    told = "of the service" if report["source"] == "decisions" else "of a replay with this model"
    out.print(f"period           {report['since']} to {report['until']}: {report['transactions']:,} transactions, "
              f"{report['decided']:,} decisions {told}")  # fmt: skip
    _volume(report)
    for kind, delay in report["label_delay"].items():
        if delay["labels"]:
            days = delay["days"]
            out.print(f"label delay      {kind}: half within {days['0.5']:.1f} days, nine of ten within "
                      f"{days['0.9']:.1f}, 99 of 100 within {days['0.99']:.1f}")  # fmt: skip
    _weeks(report["weeks"])
    _features(report)


def _volume(report: dict[str, Any]) -> None:
    alerts, promised = report["alerts"], report["promised"]
    if alerts is None:
        return
    line = f"flagged          {_percent(alerts['flagged_share'], 2)} of the transactions"
    if promised:
        line += f"; promised: {_percent(promised['review_share'] + promised['block_share'], 2)}"
    out.print(line)
    if report["probabilities_psi"] is not None:
        out.print(f"probabilities    PSI {report['probabilities_psi']:.2f} against the held-out rows")


def _weeks(weeks: list[dict[str, Any]]) -> None:
    if not weeks:
        return
    head = ["week of", "decided", "labelled", "frauds", "precision", "recall", "saved", "labels"]
    print_columns([head, *map(_week, weeks)])


def _week(week: dict[str, Any]) -> list[str]:
    return [
        week["from"][:10],
        f"{week['decided']:,}",
        f"{week['labelled']:,}",
        f"{week['frauds']:,}",
        _percent(week["precision"]),
        _percent(week["recall"]),
        f"{week['saved']:,.0f}",
        "ripe" if week["ripe"] else "still coming",
    ]


def _features(report: dict[str, Any]) -> None:
    if not report["strongest"]:
        return
    rows = [["feature", "PSI", "limit", "weight", ""]]
    for one in report["strongest"]:
        mark = "shifted" if one["shifted"] else ""
        rows.append([one["feature"], f"{one['psi']:.2f}", f"{one['limit']:.2f}", _percent(one["gain"], 1), mark])
    print_columns(rows)


def _percent(share: float | None, digits: int = 0) -> str:
    return "-" if share is None else f"{share:.{digits}%}"
