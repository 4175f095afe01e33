"""What in a load needs a person's attention, in words with numbers, and what to do about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

from etl.contract.reasons import describe
from etl.reporting.advice import advice
from etl.reporting.hubs import plural, singular
from etl.reporting.wording import amount, column_name, days_text, file_name, listed, percent
from graph.records import USER

PROBLEM: Final = "problem"
CHECK: Final = "check"
NOTE: Final = "note"
LEVELS: Final = (PROBLEM, CHECK, NOTE)
"""How loudly something is said: it spoils the data; it may, and a person has to look; it is good to know."""

PROBLEM_SHARE: Final = 0.01
"""Rows held back are a problem from this share on."""

_NAMED = 4
_EMPTY_SHARE = 0.5
_UNREADABLE_SHARE = 0.01
_NULL_LIKE_SHARE = 0.05
_IMPUTED_SHARE = 0.2
_ZERO_SHARE = 0.2
_OUTLIER_SHARE = 0.01
_LEAST_A_DAY = 10
_THIN = 0.2
_LEAST_LABELS = 50
_MANY_LABELS = 1_000
_HOUR = 1 / 24


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know of a load.

    Attributes:
        level: one of `LEVELS`.
        title: what it is, in one sentence with its numbers.
        text: more of it: examples, what it means; may be empty.
        action: what to do.
        weight: share of rows that it touches, 0 to 1; findings of one level are ordered by it.
        about: what it is about, where it could be said twice: `missing:entity:device`, `reason:bad_time`.
    """

    level: str
    title: str
    text: str
    action: str
    weight: float = 0.0
    about: str = ""

    def as_dict(self) -> dict[str, str]:
        """For machines."""
        return {"level": self.level, "title": self.title, "text": self.text, "action": self.action}


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The loudest first."""
    return sorted(findings, key=lambda f: (LEVELS.index(f.level), -f.weight))


def troubles(report: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong or odd in a load, by itself.

    Args:
        report: `LoadReport.as_dict()`.
    """
    yield from _nothing(report)
    for name, tally in tallies(report):
        yield from _held_back(name, tally, first=name == "transactions")
    yield from _columns(report)
    yield from _gaps(report["days"])
    yield from _hubs(report)
    yield from _labels(report)
    yield from _amounts(report)
    yield from _outliers(report["outliers"])


def tallies(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The outcomes of a load's rows, by what the rows are called."""
    return [
        ("transactions", report),
        ("rows of label files", report["label_files"]),
        *((f"rows about {plural(entity)}", tally) for entity, tally in report["attributes"].items()),
    ]


def _nothing(report: dict[str, Any]) -> Iterator[Finding]:
    read, outside = report["read"], report["outside_window"]
    if not read and outside:
        yield Finding(
            CHECK, f"All {outside:,} transactions lie outside the window that was asked for.", "",
            "Check --since and --until.", 1,
        )  # fmt: skip
    elif not read:
        sql = any(name.startswith("sql:") for name in report["files"])
        yield Finding(
            NOTE if sql else PROBLEM, "The source had no transactions." if not sql else "The database had nothing new.",
            "", "Nothing, if nothing happened." if sql else "Check that the files are whole and are the right ones.", 1,
        )  # fmt: skip
    elif report["duplicates"] == read:
        yield Finding(
            NOTE, f"All {read:,} transactions were in the graph already.", "", "Nothing: loading again is harmless.", 1
        )


def _held_back(name: str, tally: dict[str, Any], *, first: bool) -> Iterator[Finding]:
    read, reasons = tally["read"], tally["reasons"]
    for code, rows in list(reasons.items())[:_NAMED]:
        share = rows / max(read, 1)
        examples = tally.get("examples", {}).get(code, [])
        yield Finding(
            PROBLEM if share >= PROBLEM_SHARE else CHECK,
            f"{rows:,} of {read:,} {name} ({percent(share)}) were held back because {describe(code)}.",
            example_text(examples),
            advice(code),
            share if first else share / 2,
            f"reason:{code}" if first else "",
        )
    rest = list(reasons.values())[_NAMED:]
    if rest:
        yield Finding(
            CHECK,
            f"{sum(rest):,} more {name} were held back for {len(rest)} other reason{'s' * (len(rest) > 1)}.",
            "",
            "See “Rows by outcome and reason”.",
        )


def example_text(examples: list[dict[str, Any]]) -> str:
    """Where an offending value stands, as a sentence; empty without examples."""
    if not examples:
        return ""
    it = examples[0]
    where = f"{file_name(it['file'])}, row {it['row']:,}"
    if not it["column"]:
        return f"For example {where}."
    columns = f"column{'s' * (', ' in it['column'])} {it['column']}"
    if it["value"] is None:
        return f"For example {columns} in {where}."
    if not it["value"].strip(", "):
        return f"For example {columns} is empty in {where}."
    return f"For example “{it['value']}” in {columns} ({where})."


def _columns(report: dict[str, Any]) -> Iterator[Finding]:
    accepted = max(report["accepted"], 1)
    imputed = report["imputed"]
    for column, share in report["missing"].items():
        name = column_name(column)
        if share == 1 and report["accepted"]:
            yield Finding(
                PROBLEM, f"{name} is missing in every transaction.", "",
                f"Check that the mapping names the right column for {name}; if you do not have it, leave it out.", 1,
                f"missing:{column}",
            )  # fmt: skip
        elif share >= _EMPTY_SHARE:
            yield Finding(
                CHECK, f"{name} is missing in {percent(share)} of transactions.", "",
                "Fine if it is rarely known; else check the column and its null-like values in the source.", share,
                f"missing:{column}",
            )  # fmt: skip
    for column, values in report["unreadable"].items():
        share = values / accepted
        if share >= _UNREADABLE_SHARE:
            yield Finding(
                CHECK, f"{values:,} values of {column} ({percent(share)}) cannot be read and count as missing.", "",
                "See what the column holds: a text column belongs under categorical, and times may need a format.",
                share,
            )  # fmt: skip
    for column, steps in report["steps"].items():
        share = steps.get("null_like", 0) / accepted
        if share >= _NULL_LIKE_SHARE:
            yield Finding(
                CHECK,
                f"{steps['null_like']:,} values of {column} ({percent(share)}) only say that there is none.",
                "Such as null, unknown or 00000000: they count as missing, and link nobody.",
                "Ask the source why it does not know them.", share,
            )  # fmt: skip
        if steps.get("bad_address"):
            yield Finding(
                CHECK, f"{steps['bad_address']:,} values of {column} are no IP addresses and count as missing.", "",
                "Check that the column holds addresses, one each.", steps["bad_address"] / accepted,
            )  # fmt: skip
        if steps.get("daylight_saving"):
            yield Finding(
                CHECK,
                f"{steps['daylight_saving']:,} times of {column} fall into an hour that the change of the clocks makes "
                "double or impossible.", "They may be an hour off.",
                "Ask for times in UTC or with their offset.", steps["daylight_saving"] / accepted,
            )  # fmt: skip
    for name, values in imputed.items():
        if values / accepted >= _IMPUTED_SHARE:
            yield Finding(
                CHECK, f"{values:,} values of {name} ({percent(values / accepted)}) were filled in, not known.", "",
                "So much guessing teaches a model little: find out why the source lacks them.", values / accepted,
            )  # fmt: skip


def _gaps(days: dict[str, int]) -> Iterator[Finding]:
    if len(days) < 3:
        return
    usual = median(days.values())
    if usual < _LEAST_A_DAY:
        return
    for missing, title in (
        (gaps(days), "No transactions {when} ({n}), where a usual day has {usual:,.0f}."),
        (thin_days(days), "Far fewer transactions than usual {when} ({n}); a usual day has {usual:,.0f}."),
    ):
        if missing:
            total = sum((last - first).days + 1 for first, last in missing)
            yield Finding(
                CHECK,
                title.format(when=days_text(missing), n=f"{total} day{'s' * (total > 1)}", usual=usual),
                "",
                "If business was open, a file is missing or was cut off: ask for these days and load them; "
                "the order does not matter.",
                min(1.0, total / len(days)),
            )


def gaps(days: dict[str, int]) -> list[tuple[date, date]]:
    """Stretches (first and last day) without rows between the first and the last day of a load."""
    there = [date.fromisoformat(day) for day in days]
    one = timedelta(days=1)
    return [(a + one, b - one) for a, b in pairwise(there) if b - a > one]


def thin_days(days: dict[str, int]) -> list[tuple[date, date]]:
    """Stretches of days (the first and last day of the load, often parts of days, aside) with far fewer rows than
    usual."""
    usual = median(days.values())
    found: list[tuple[date, date]] = []
    for day, rows in list(days.items())[1:-1]:
        at = date.fromisoformat(day)
        if rows < _THIN * usual:
            if found and found[-1][1] + timedelta(days=1) == at:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
    return found


def _hubs(report: dict[str, Any]) -> Iterator[Finding]:
    degrees = (report["profile"] or {}).get("degrees", {})
    accepted = max(report["accepted"], 1)
    users = degrees.get(USER, {}).get("hubs", [])
    if users:
        top = users[0]
        yield Finding(
            CHECK,
            f"{_many(USER, users)} made far more transactions than others, {top['key']} alone {top['transactions']:,}.",
            f"{top['why'][0].upper()}{top['why'][1:]}.",
            "If it is a guest, test or till account and no person, leave its user id empty in the source.",
            top["transactions"] / accepted,
        )
    shared = {entity: it["hubs"] for entity, it in degrees.items() if entity != USER and it["hubs"]}
    if shared:
        tops = [hubs[0] for hubs in shared.values()]
        yield Finding(
            CHECK,
            f"{listed([_many(entity, hubs) for entity, hubs in shared.items()])} "
            f"{'are' if sum(map(len, shared.values())) > 1 else 'is'} shared by far more users than others.",
            " ".join(f"{top['key']} by {top['users']:,} ({top['why']})." for top in tops),
            "Look before you decide (see “Who shares what”): a placeholder, kiosk or office router joins strangers and "
            "is better left empty in the source; a fraud ring must stay in.",
            max(top["transactions"] for top in tops) / accepted,
        )


def _many(entity: str, hubs: list[dict[str, Any]]) -> str:
    return f"{len(hubs)} {plural(entity)}" if len(hubs) > 1 else f"1 {singular(entity)}"


def _labels(report: dict[str, Any]) -> Iterator[Finding]:
    labels, profile = report["labels"], report["profile"]
    for code, rows in labels["unusable_reasons"].items():
        share = rows / max(labels["found"], 1)
        yield Finding(
            PROBLEM if share >= PROBLEM_SHARE else CHECK,
            f"{rows:,} of {labels['found']:,} labels ({percent(share)}) were not used: {describe(code)}.",
            "Their transactions are loaded, without a label.", advice(code), share,
        )  # fmt: skip
    if not profile or not profile["transactions"]:
        return
    labelled, frauds = profile["labelled"], profile["frauds"]
    if not labelled:
        yield Finding(
            NOTE, "None of the new transactions has a label yet.", "",
            "Nothing, if labels come later; a model is trained on labelled transactions only.",
        )  # fmt: skip
    elif not frauds and labelled >= _MANY_LABELS:
        yield Finding(
            CHECK, f"Not one of {labelled:,} labelled transactions is fraud.", "",
            "Check which values mean fraud: is_fraud: {column: …, fraud: […], genuine: […]}.", 0.5,
        )  # fmt: skip
    elif frauds > labelled / 2 and labelled >= _LEAST_LABELS:
        yield Finding(
            PROBLEM, f"{percent(frauds / labelled)} of labelled transactions are fraud.",
            "Either only fraud is reported, or fraud and genuine are swapped.",
            "If only fraud is reported, say genuine_after under label; else check the values that mean fraud.", 0.5,
        )  # fmt: skip
    delays = profile["label_delays"].get("fraud")
    if delays and delays["labels"] >= _LEAST_LABELS and delays["p90_days"] < _HOUR:
        yield Finding(
            PROBLEM, "Nearly all fraud is said to be known within an hour of the transaction.",
            "Fraud is usually reported after days. If this is wrong, a model is trained on knowledge that nobody had.",
            "Check known_at in the mapping: it must be when the label became known, or a usual delay such as 7d.", 0.4,
        )  # fmt: skip


def _amounts(report: dict[str, Any]) -> Iterator[Finding]:
    amounts, accepted = report["amounts"], max(report["accepted"], 1)
    if len(amounts) > 1:
        shares = sorted(((found["rows"] / accepted, code) for code, found in amounts.items()), reverse=True)
        listed = ", ".join(f"{code or 'none named'} {percent(share)}" for share, code in shares[:5])
        unnamed = amounts.get("")
        yield Finding(
            CHECK, f"Amounts come in {len(amounts)} currencies ({listed}) and are compared as they stand.", "",
            "Give a rate table: currencies: {base: …, rates: …}"
            + (", and transaction.currency.default for rows that name none." if unnamed else "."),
            1 - shares[0][0],
        )  # fmt: skip
    zeros = sum(found["zeros"] for found in amounts.values())
    if zeros / accepted >= _ZERO_SHARE:
        yield Finding(
            CHECK, f"{percent(zeros / accepted)} of amounts are zero.", "",
            "Card checks are zero, but rarely so many: check that amount is the right column.", zeros / accepted,
        )  # fmt: skip


def _outliers(outliers: dict[str, Any] | None) -> Iterator[Finding]:
    if not outliers or not outliers["marked"]:
        return
    share = outliers["marked"] / max(outliers["judged"], 1)
    worst = outliers["worst"]
    text = ""
    if worst:
        it = worst[0]
        text = (
            f"The farthest: {amount(it['amount'])} in transaction {it['transaction_id']}, "
            f"where {it['group']} usually has {amount(it['median'])}."
        )
    hundredfold = sum(it["median"] > 0 and 80 <= it["amount"] / it["median"] <= 125 for it in worst)
    yield Finding(
        CHECK if share >= _OUTLIER_SHARE or hundredfold >= 3 else NOTE,
        f"{outliers['marked']:,} amount{'s lie' if outliers['marked'] != 1 else ' lies'} far from what is usual "
        f"({percent(share)} of those that could be compared).",
        text,
        "Several are about a hundred times the usual: a decimal sign may be lost, check decimal and unit of amount."
        if hundredfold >= 3
        else "They are loaded and marked. Have a look at the worst; unusual amounts may well be true.",
        share,
    )
