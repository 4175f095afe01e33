"""A load against the load before of the same mapping: what changed that should not have."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from etl.contract.reasons import describe
from etl.reporting.advice import advice
from etl.reporting.attention import CHECK, NOTE, PROBLEM, PROBLEM_SHARE, Finding, example_text, ordered, troubles
from etl.reporting.wording import amount, column_name, percent

_MISSING_JUMP = 0.05
_MISSING_LEAP = 0.15
_SELDOM = 0.01
_REASON_TIMES = 3.0
_REASON_SHARE = 0.002
_REASON_ROWS = 10
_VOLUME_DROP = 0.6
_VOLUME_RISE = 3.0
_LEAST_ROWS = 20
_AMOUNT_TIMES = 5.0
_HUNDRED = (50.0, 200.0)
_FRAUD_TIMES = 3.0
_LEAST_LABELS = 100
_DAY = 86_400.0


def load_before(loads: list[dict[str, Any]], mapping: str, number: int | None) -> dict[str, Any] | None:
    """The report of the last finished load of this mapping that read anything, before the load `number`.

    Args:
        loads: `Ledger.loads()`.
        number: None for a load that has none, such as a dry run.
    """
    for load in reversed(loads):
        if load["mapping"] == mapping and load["outcome"] == "done" and (number is None or load["number"] < number):
            report: dict[str, Any] | None = load["report"]
            if report and report.get("read"):
                return {**report, "number": load["number"]}
    return None


def attention(report: dict[str, Any], before: dict[str, Any] | None) -> list[Finding]:
    """All that a person should know of a load, the loudest first; nothing twice.

    Args:
        report: `LoadReport.as_dict()`.
        before: what `load_before` gave.
    """
    changed = list(changes(report, before)) if before else []
    said = {finding.about for finding in changed if finding.about} | (_as_ever(report, before) if before else set())
    return ordered([*changed, *(finding for finding in troubles(report) if finding.about not in said)])


def _as_ever(report: dict[str, Any], before: dict[str, Any]) -> set[str]:
    """Columns that were missing as often, or more often, in the load before: whoever wanted to know knows."""
    return {
        f"missing:{column}"
        for column, share in report["missing"].items()
        if share < 1 and share - before["missing"].get(column, 0.0) < _MISSING_JUMP
    }


def changes(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    """What a load has otherwise than the load before.

    Args:
        report: `LoadReport.as_dict()`.
        before: the same of the load before, perhaps of an older version of Quipu, which lacks some parts.
    """
    yield from _volume(report, before)
    if not report["accepted"]:
        yield from _reasons(report, before)
        return
    yield from _missing(report, before)
    yield from _reasons(report, before)
    yield from _amounts(report, before)
    yield from _frauds(report, before)


def _volume(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    read, then = report["read"], before["read"]
    if not read:
        sql = any(name.startswith("sql:") for name in report["files"])
        if not sql and not report["outside_window"]:
            yield Finding(
                PROBLEM, f"This load read nothing; the load before read {then:,} transactions.", "",
                "Check that the delivery arrived and is whole.", 1,
            )  # fmt: skip
        return
    span, earlier = _span(report), _span(before)
    if span is None or earlier is None or max(read, then) < _LEAST_ROWS:
        return
    if 0.5 <= span / earlier <= 2:
        now, was, unit = float(read), float(then), "transactions"
    elif min(span, earlier) >= 1:
        now, was, unit = read / span, then / earlier, "transactions a day"
    else:
        return
    ratio = now / was
    if ratio <= _VOLUME_DROP:
        yield Finding(
            PROBLEM, f"Volume fell by {percent(1 - ratio)}: {now:,.0f} {unit}, {was:,.0f} in the load before.", "",
            "If business did not slump, part of the delivery is missing: ask the source for the rest, and load it; "
            "what is there already does no harm.", 1 - ratio,
        )  # fmt: skip
    elif ratio >= _VOLUME_RISE:
        yield Finding(
            CHECK, f"Volume rose to {ratio:.1f} times: {now:,.0f} {unit}, {was:,.0f} in the load before.", "",
            "Check whether the source delivers rows twice under new ids.", 0.5,
        )  # fmt: skip


def _span(report: dict[str, Any]) -> float | None:
    """Days that a load covers, at least an hour."""
    first, last = report.get("first_occurred_at"), report.get("last_occurred_at")
    if not first or not last:
        return None
    return max((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / _DAY, 1 / 24)


def _missing(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    if not before.get("accepted"):
        return
    for column in sorted(report["missing"].keys() | before["missing"].keys()):
        share, was = report["missing"].get(column, 0.0), before["missing"].get(column, 0.0)
        name = column_name(column)
        if share - was >= _MISSING_JUMP:
            loud = share - was >= _MISSING_LEAP or was < _SELDOM
            yield Finding(
                PROBLEM if loud else CHECK,
                f"{name} is suddenly missing in {percent(share)} of transactions; it was {percent(was)} in the load "
                "before.",
                "What links through it cannot be seen for these transactions.",
                f"Ask the source what became of {name}: a renamed column, a new app version, another export. Then load "
                "the corrected rows under the same mapping.",
                share - was,
                f"missing:{column}",
            )


def _reasons(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    for code, rows in report["reasons"].items():
        share = rows / max(report["read"], 1)
        was = before["reasons"].get(code, 0) / before["read"]
        if rows >= _REASON_ROWS and share >= _REASON_SHARE and share >= _REASON_TIMES * was:
            yield Finding(
                PROBLEM if share >= PROBLEM_SHARE else CHECK,
                f"{rows:,} of {report['read']:,} transactions ({percent(share)}) were held back because "
                f"{describe(code)}: far more than in the load before ({percent(was)}).",
                example_text(report["examples"].get(code, [])),
                f"Ask what changed in the source. {advice(code)}",
                share,
                f"reason:{code}",
            )


def _amounts(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    earlier = before.get("amounts", {})
    for code, found in report["amounts"].items():
        name = code or "no named currency"
        if code not in earlier:
            if earlier and found["rows"] >= _REASON_ROWS:
                yield Finding(
                    NOTE, f"{found['rows']:,} amounts are in {name}, which the load before did not have.", "",
                    "Nothing, if that is meant.", found["rows"] / max(report["accepted"], 1),
                )  # fmt: skip
            continue
        now, was = found["median"], earlier[code]["median"]
        if min(found["rows"], earlier[code]["rows"]) < _LEAST_ROWS or min(now, was) <= 0:
            continue
        times = max(now / was, was / now)
        if times >= _AMOUNT_TIMES:
            hundred = _HUNDRED[0] <= times <= _HUNDRED[1]
            yield Finding(
                PROBLEM,
                f"Amounts{' in ' + code if code else ''} are {times:,.0f} times {'larger' if now > was else 'smaller'} "
                f"than in the load before: the median is {amount(now)}, it was {amount(was)}.",
                "Hundredths may have become units, or the reverse." if hundred else "",
                "Check unit and decimal of amount in the mapping against the source.",
                0.9,
            )


def _frauds(report: dict[str, Any], before: dict[str, Any]) -> Iterator[Finding]:
    now, was = report["profile"], before.get("profile")
    if not now or not was or min(now["labelled"], was["labelled"]) < _LEAST_LABELS:
        return
    share, then = now["frauds"] / now["labelled"], was["frauds"] / was["labelled"]
    if then > 0 and max(share / then, then / max(share, 1e-9)) >= _FRAUD_TIMES:
        yield Finding(
            CHECK, f"{percent(share)} of labelled transactions are fraud; it was {percent(then)} in the load before.",
            "A wave of fraud looks like this; so does a change in who labels, or labels that have not come yet.",
            "Ask those who report fraud whether anything changed.", 0.3,
        )  # fmt: skip
