"""A load as one page that needs nothing else: what is wrong with the data, what to do, and figures with plots."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from etl.cleaning.steps import Step
from etl.contract.reasons import describe
from etl.reporting.advice import advice
from etl.reporting.attention import Finding, gaps, tallies
from etl.reporting.hubs import plural, singular
from etl.reporting.wording import amount, column_name, day_text, delay_text, file_name, percent

KEPT = 50
"""Pages of loads that are kept; older ones are removed."""
_CURRENCIES = 4
_NAMES = {"problem": "Problem", "check": "Please check", "note": "Good to know"}


def page_name(mapping: str, ledger: Path, load: int | str) -> str:
    """What the page of a load is called.

    Loads are numbered by store, so the name holds the store as well, by its ledger's file: its stem for people, and
    the hash of its path for stores whose files have the same name.
    """
    place = hashlib.sha256(str(ledger.resolve()).encode()).hexdigest()[:6]
    words = (mapping, ledger.name.removesuffix(".etl.db").removesuffix(".db"))
    shown = [re.sub(r"[^\w.]+", "-", word).strip("-.")[:40] for word in words]
    return "-".join(["load", *filter(None, shown), place, str(load)])


def keep_page(folder: Path, name: str, page: str) -> Path:
    """Writes the page of a load into `folder` (made where missing, for its owner alone), and removes the oldest.

    Args:
        name: `page_name`.

    Returns:
        Where the page lies: `<name>.html`.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # keys of devices and addresses are personal data
    path = folder / f"{name}.html"
    fresh = path.with_suffix(".tmp")
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(path)
    for old in sorted(folder.glob("load-*.html"), key=lambda p: p.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def render_page(
    report: dict[str, Any],
    findings: Sequence[Finding],
    before: dict[str, Any] | None = None,
    *,
    stopped: str | None = None,
) -> str:
    """The page's text.

    Args:
        report: `LoadReport.as_dict()`.
        findings: what needs attention, the loudest first.
        before: the report of the load before, where there is one.
        stopped: why the load changed nothing, where it was stopped.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        percent=percent,
        money=amount,
        count=lambda n: f"{n:,}",
        column=column_name,
        plural=plural,
        delay=delay_text,
        file=file_name,
    )
    environment.globals.update(describe=describe, advice=advice, step=_step, day=_day)
    template = environment.from_string(files("etl.reporting").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        title=title(report),
        report=report,
        findings=findings,
        level_names=_NAMES,
        verdict=verdict(findings),
        before=before,
        compared=_compared(report, before) if before else [],
        stopped=stopped,
        tallies=[(name, tally) for name, tally in tallies(report) if tally["read"] or name == "transactions"],
        columns=_columns(report),
        currencies=sorted(report["amounts"].items(), key=lambda item: -item[1]["rows"])[:_CURRENCIES],
        plots=_plots(report),
    )


def verdict(findings: Sequence[Finding]) -> str:
    """How a load went, in a few words: `2 problems, 1 thing to check`, or that there is no trouble."""
    problems = sum(f.level == "problem" for f in findings)
    checks = sum(f.level == "check" for f in findings)
    parts = [
        f"{n} {name}{'s' * (n > 1)}{rest}"
        for n, name, rest in ((problems, "problem", ""), (checks, "thing", " to check"))
        if n
    ]
    return ", ".join(parts) or "No troubles found"


def title(report: dict[str, Any]) -> str:
    """What the page is about: `Load 12 of shop`."""
    if report["dry_run"]:
        return f"Trial of {report['mapping']}"
    return f"Load {report['number']} of {report['mapping']}" if report["number"] else f"Load of {report['mapping']}"


def _day(text: str) -> str:
    return day_text(datetime.fromisoformat(text).date())


def _step(code: str) -> str:
    return next(step.description for step in Step if step.value == code)


def _columns(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns with values that are missing, could not be read or were filled in, those with most of them first."""
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str) -> dict[str, Any]:
        return rows.setdefault(name, {"name": name, "missing": 0.0, "unreadable": 0, "imputed": 0})

    for column, share in report["missing"].items():
        row(column_name(column))["missing"] = share
    for column, values in report["unreadable"].items():
        row(column)["unreadable"] = values
    for name, values in report["imputed"].items():
        row(name)["imputed"] = values
    accepted = max(report["accepted"], 1)
    return sorted(rows.values(), key=lambda r: -max(r["missing"], r["unreadable"] / accepted, r["imputed"] / accepted))


def _plots(report: dict[str, Any]) -> dict[str, Any]:
    from etl.reporting import plots

    profile = report["profile"] or {}
    drawn: dict[str, Any] = {"days": None, "amounts": {}, "degrees": {}, "delays": None}
    days = report["days"]
    if len(days) > 1:
        missing = gaps(days)
        text = f"Transactions by day: {len(days)} days with rows, {len(missing)} gaps."
        drawn["days"] = plots.rows_per_day(days, missing, text)
    for currency, found in report["amounts"].items():
        if found["bars"]:
            text = f"Amounts {currency}: median {amount(found['median'])}, 99 of 100 below {amount(found['p99'])}."
            drawn["amounts"][currency] = plots.amounts(found["bars"], found["median"], found["p99"], currency, text)
    for entity, found in profile.get("degrees", {}).items():
        counts = found["counts"]
        text = f"{plural(entity)} by number of {counts}: at most {found['largest']:,}, usually {found['median']:,}."
        name = f"{counts} of one {singular(entity)}"
        drawn["degrees"][entity] = plots.shared_by(found["buckets"], plural(entity), name, text)
    delays = profile.get("label_delays")
    if delays:
        ranges = next(iter(delays.values()))["ranges"]
        text = "; ".join(
            f"{kind} labels take {delay_text(d['median_days'])} at the median" for kind, d in delays.items()
        )
        drawn["delays"] = plots.label_delays(delays, [_delay_range(r) for r in ranges], text)
    return drawn


def _delay_range(it: dict[str, Any]) -> str:
    low, high = it["from_days"], it["to_days"]
    if high is None:
        return f"over {low:g} d"
    if high < 1:
        return "under 1 h"
    return "1–24 h" if low < 1 else f"{low:g}–{high:g} d"


def _compared(report: dict[str, Any], before: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Figures of both loads: name, this load, the load before."""

    def rows(of: dict[str, Any]) -> dict[str, str]:
        read = max(of["read"], 1)
        profile = of.get("profile") or {}
        labelled = profile.get("labelled", 0)
        found = {
            "transactions read": f"{of['read']:,}",
            "loaded": f"{of['loaded']:,}",
            "duplicates": percent(of["duplicates"] / read),
            "held back": percent(of["quarantined"] / read),
            **{f"held back: {code}": percent(n / read) for code, n in of["reasons"].items()},
            "first transaction": (of["first_occurred_at"] or "–")[:10],
            "last transaction": (of["last_occurred_at"] or "–")[:10],
            **{f"{column_name(c)} missing": percent(share) for c, share in of["missing"].items()},
            **{f"median amount {c}".strip(): amount(a["median"]) for c, a in of.get("amounts", {}).items()},
        }
        if labelled:
            found["fraud among labelled"] = percent(profile["frauds"] / labelled)
        return found

    now, then = rows(report), rows(before)
    absent = {
        name: "0%" if name.startswith("held back: ") or name.endswith(" missing") else "–" for name in {**now, **then}
    }
    return [(name, now.get(name, absent[name]), then.get(name, absent[name])) for name in {**now, **then}]
