"""`quipu ingest`: transactions, labels and attributes into the store, and a report of what came of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import ConsoleProgress, JsonOption, StoreOption, emit, err, out
from cli.paths import file_to_write
from graph.errors import InputError, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl.mapping import Mapping
    from etl.reporting.report import LoadReport
    from graph.store import Store

app = typer.Typer(help="Load transactions, labels and attributes through a mapping.")

_STYLES = {"problem": "bold red", "check": "bold yellow", "note": "bold blue"}
_WORDS = {"problem": "PROBLEM", "check": "check", "note": "note"}
_SAID = 8
"""Findings that are told on a terminal; problems always are."""
_HUBS = 3


@app.command()
def ingest(
    mapping: Annotated[Path, typer.Argument(help="Mapping file (YAML).", show_default=False)],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Transaction files to read instead of the mapping's own; globs allowed."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Load only what occurred at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Load only what occurred before this time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page with plots to this file, too.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load transactions, labels and attributes through a mapping.

    Every row that is read is loaded, a duplicate, or kept in quarantine with a reason. Loading again changes nothing.
    A page that says what is wrong with the data and what to do is written to the folder reports under QUIPU_VAR.

    Example: quipu ingest examples/handbook.yaml --until 2018-08-08
    """
    from tempfile import TemporaryDirectory

    from etl.cleaning import parse_time
    from etl.loading import load
    from etl.mapping import QuarantinePolicy, read_mapping
    from etl.reporting.metrics import publish_load, publish_stopped
    from etl.sources import expand
    from graph.settings import settings
    from graph.sqlite_database import path_of
    from graph.store import open_store

    read = read_mapping(mapping)
    given = expand(files, Path()) if files else None
    first = parse_time(since, option="--since") if since is not None else None
    end = parse_time(until, option="--until") if until is not None else None

    def loaded(how: "Mapping", *, dry: bool) -> "LoadReport":
        return load(how, opened, files=given, since=first, until=end, dry_run=dry, progress=ConsoleProgress())

    if html is not None:
        html = file_to_write(html, "--html")
    url = store or settings().store
    with TemporaryDirectory() as scratch:
        if dry_run and url.startswith("sqlite:") and not path_of(url).exists():
            url = f"sqlite:///{scratch}/empty.db"  # a dry run leaves no store behind
        opened = open_store(url)
        try:
            report = loaded(read, dry=dry_run)
            document = _told(report, opened, html)
            _measured(lambda var: publish_load(var, report))
        except LimitExceeded as error:
            if not dry_run:
                _measured(lambda var: publish_stopped(var, read.name))
            if dry_run and html is None:
                raise
            # Once more without a limit, for a page that shows what is wrong with all of the rows.
            tolerant = read.model_copy(update={"quarantine": QuarantinePolicy(limit=1.0)})
            page = _page_of_stopped(loaded(tolerant, dry=True), opened, error, html)
            if page is None:
                raise
            raise LimitExceeded(error.message, hint=f"{error.hint}; see {page}, a page with what is wrong") from error
        finally:
            opened.close()
    emit(document, as_json=as_json, text=show)


def _told(report: "LoadReport", store: "Store", html: Path | None) -> dict[str, Any]:
    """The report as a document, with what needs attention and the places of its pages, which are written."""
    from etl.ledger import sidecar
    from etl.reporting.comparison import attention
    from etl.reporting.page import keep_page, page_name, render_page, verdict
    from graph.settings import settings

    document = report.as_dict()
    before = _before(report, store)
    findings = attention(document, before)
    pages: list[str] = []
    if html is not None or report.number is not None:
        page = render_page(document, findings, before)
        if report.number is not None:
            try:
                name = page_name(report.mapping, sidecar(store.url), report.number)
                pages.append(str(keep_page(settings().var / "reports", name, page)))
            except OSError as error:  # the rows are in the store: that counts
                err.print(f"warning: the page of this load cannot be kept: {error}", style="yellow")
        if html is not None:
            pages.append(str(_written(html, page)))
    return {
        "verdict": verdict(findings),
        "attention": [finding.as_dict() for finding in findings],
        **document,
        "compared_with": before["number"] if before else None,
        "pages": pages,
    }


def _measured(publish: "Callable[[Path], None]") -> None:
    """Publishes figures of the load for Prometheus; that they cannot be written is no fault of the load."""
    from graph.settings import settings

    try:
        publish(settings().var)
    except OSError as error:
        err.print(f"warning: the figures of this load cannot be kept for Prometheus: {error}", style="yellow")


def _before(report: "LoadReport", store: "Store") -> dict[str, Any] | None:
    """The report of the load before of the same mapping, where the store has seen one."""
    from etl.ledger import Ledger, sidecar
    from etl.reporting.comparison import load_before

    path = sidecar(store.url)
    if not path.exists():
        return None
    with Ledger(path) as ledger:
        return load_before(ledger.loads(), report.mapping, report.number)


def _page_of_stopped(report: "LoadReport", store: "Store", error: LimitExceeded, html: Path | None) -> Path | None:
    """Writes the page of a load that was stopped; None where that cannot be done."""
    from etl.ledger import sidecar
    from etl.reporting.comparison import attention
    from etl.reporting.page import keep_page, page_name, render_page
    from graph.settings import settings

    document, before = report.as_dict(), _before(report, store)
    reason = error.message.partition(". For example")[0] + "."
    page = render_page(document, attention(document, before), before, stopped=reason)
    if html is not None:
        return _written(html, page)
    try:
        return keep_page(settings().var / "reports", page_name(report.mapping, sidecar(store.url), "stopped"), page)
    except OSError:
        return None


def _written(path: Path, page: str) -> Path:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--html: {path} cannot be written: {error.strerror}", hint="name another file") from error
    return path


def show(report: dict[str, Any]) -> None:
    """Prints a load's report for people: what needs attention first."""
    head = f"{report['read']:,} transactions read in {report['seconds']:.1f} s"
    if report["rows_per_second"]:
        head += f" ({report['rows_per_second']:,} a second)"
    out.print(("dry run, nothing written: " if report["dry_run"] else "") + head)
    files = report["files"]
    if files:
        out.print(f"from             {files[0]}" + (f" and {len(files) - 1} more files" if files[1:] else ""))
    _attention(report)
    _outcomes("transactions", report)
    if report["outside_window"]:
        out.print(f"  {report['outside_window']:,} more lie outside --since and --until")
    if report["first_occurred_at"]:
        out.print(f"times covered    {report['first_occurred_at']} to {report['last_occurred_at']}")
    _labels(report["labels"])
    for name, tally in [
        ("label files", report["label_files"]),
        *((f"about {e}s", t) for e, t in report["attributes"].items()),
    ]:
        if tally["read"]:
            _outcomes(name, tally)
    fresh = {name: count for name, count in report["new_entities"].items() if count}
    if fresh:
        out.print("new entities     " + ", ".join(f"{count:,} {name}" for name, count in fresh.items()))
    for name, share in report["missing"].items():
        bad = report["unreadable"].get(name.partition(":")[2], 0)
        out.print(f"missing          {name} {share:.1%}" + (f" ({bad:,} unreadable)" if bad else ""))
    _values(report)
    _profile(report["profile"])
    if report["quarantined"] and not report["dry_run"]:
        out.print("see them with    quipu quarantine list")
    for page in report["pages"]:
        out.print(f"the whole report {page}")


def _attention(report: dict[str, Any]) -> None:
    from rich.text import Text

    findings = report["attention"]
    if not any(finding["level"] != "note" for finding in findings):
        out.print("No troubles found.", style="bold green")
    else:
        out.print(f"What needs your attention: {report['verdict']}", style="bold")
    said = [f for place, f in enumerate(findings) if f["level"] == "problem" or place < _SAID]
    for finding in said:
        badge = (f"  {_WORDS[finding['level']]:<8}", _STYLES[finding["level"]])
        out.print(Text.assemble(badge, (finding["title"], "bold")))
        if finding["text"]:
            out.print(f"          {finding['text']}")
        out.print(f"          What to do: {finding['action']}")
    if len(findings) > len(said):
        out.print(f"  … and {len(findings) - len(said)} more" + (", on the page" if report["pages"] else ""))


def _labels(labels: dict[str, Any]) -> None:
    from etl.contract.reasons import describe

    if labels["found"] or labels["inferred_genuine"]:
        out.print(
            f"labels in rows   {labels['loaded']:,} loaded, {labels['duplicates']:,} duplicates, "
            f"{labels['unusable']:,} unusable, {labels['unlabelled']:,} rows without"
        )
    if labels["inferred_genuine"]:
        out.print(f"                 {labels['inferred_genuine']:,} inferred genuine from silence")
    for code, count in labels["unusable_reasons"].items():
        out.print(f"  {code:<26}{count:>12,}  {describe(code)}")


def _values(report: dict[str, Any]) -> None:
    for name, count in report["imputed"].items():
        out.print(f"filled in        {name} {count:,}")
    for column, steps in report["steps"].items():
        out.print(f"cleaned          {column}: " + ", ".join(f"{code} {count:,}" for code, count in steps.items()))
    for currency, it in report["amounts"].items():
        out.print(
            f"amounts          {currency + ' ' if currency else ''}{it['rows']:,}: sum {it['sum']:,.2f}, "
            f"median {it['median']:,.2f}, 99 of 100 below {it['p99']:,.2f}, {it['zeros']:,} zeros"
        )
    outliers = report["outliers"]
    if outliers and outliers["marked"]:
        out.print(f"outliers         {outliers['marked']:,} of {outliers['judged']:,} amounts, loaded and marked")


def _profile(profile: dict[str, Any] | None) -> None:
    from etl.reporting.wording import delay_text, percent

    if not profile or not profile["transactions"]:
        return
    if profile["labelled"]:
        out.print(
            f"labelled         {percent(profile['labelled'] / profile['transactions'])} of new transactions, "
            f"{percent(profile['frauds'] / profile['labelled'])} of these fraud"
        )
    for kind, it in profile["label_delays"].items():
        out.print(
            f"label delay      {kind}: half known within {delay_text(it['median_days'])}, "
            f"nine of ten within {delay_text(it['p90_days'])}"
        )
    for entity, it in profile["degrees"].items():
        if it["counts"] == "users":
            out.print(
                f"shared           {entity}: {it['shared']:,} of {it['entities']:,} by more than one user, "
                f"at most {it['largest']:,}"
            )
        for hub in it["hubs"][:_HUBS]:
            out.print(
                f"  look at        {entity} {hub['key']}: {hub['users']:,} user{'s' * (hub['users'] != 1)}, "
                f"{hub['transactions']:,} transactions; {hub['why']}"
            )


def _outcomes(name: str, tally: dict[str, Any]) -> None:
    from rich.table import Table

    from etl.contract.reasons import describe

    out.print(
        f"{name:<17}{tally['read']:,} read = {tally['loaded']:,} loaded + {tally['duplicates']:,} duplicates "
        f"+ {tally['quarantined']:,} quarantined ({tally['newly_quarantined']:,} of them new)"
    )
    if tally["reasons"]:
        table = Table("reason", "rows", "meaning")
        for code, count in tally["reasons"].items():
            table.add_row(code, f"{count:,}", describe(code))
        out.print(table)
