"""A guessed mapping as a YAML file for people: every choice with its reason, every doubt marked."""

import textwrap
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import yaml

from etl.guessing.draft import LEFT_OUT, NEVER, Finding
from etl.guessing.guess import Guess
from etl.guessing.times import PLACEHOLDER

_WIDTH = 116
_ORDER = (
    "transaction_id", "occurred_at", "arrived_at", "user_id", "amount", "currency", "restaurant_id", "device_id", "ip",
    "payment_method", "transaction_type", "city", "entities", "numeric", "categorical", "times",
)  # fmt: skip
_NO_LABEL = (
    f"{PLACEHOLDER}: no column says what was fraud. Without labels Quipu can load and walk the graph, but not learn. "
    "A column of labels goes under label: {is_fraud: …, known_at: {delay: 7d}}; labels in files of their own go here:"
)
_LABEL_FILES = """\
labels:
  files: "chargebacks/*.csv"
  transaction_id: …
  is_fraud: …
  known_at: …   # when it became known
"""


def mapping_text(
    guess: Guess,
    head: dict[str, Any],
    made_from: str,
    blocks: dict[str, Any] | None = None,
    watermarks: Sequence[str] = (),
) -> str:
    """The mapping file.

    Args:
        head: what stands above `transaction`: name and source.
        made_from: what was looked at, for the first line.
        blocks: `labels` and `attributes`, where there are files of these.
        watermarks: columns of a query that could tell from where to read on.
    """
    doubts = sum(not finding.sure for finding in guess.findings) + guess.unlabelled
    lines = _comment(f"Made by `quipu init` from {made_from}. docs/mapping.md has every key.")
    if doubts:
        lines += _comment(f"A person should decide {_things(doubts)}: look for DECIDE.")
    lines += [f"{key}: {flow(value)}" for key, value in head.items()]
    if "sql" in head.get("source", {}):
        named = f"watermark: {flow(watermarks[0])}" if watermarks else "a watermark, a column that grows"
        lines += _comment(
            f"Every load reads all rows. To read only new ones, add to sql {named} as rows are added or changed; see "
            "docs/mapping.md."
        )
    lines += ["", "transaction:"]
    for key in _ORDER:
        if key in guess.transaction:
            lines += _entry(key, guess.transaction[key], guess.findings)
    if guess.label is not None or guess.unlabelled:
        lines += ["", *_label(guess)]
    lines += _blocks(blocks or {}, guess.findings)
    lines += _apart(guess.findings, NEVER, "Never features, since they tell of what is known only later:")
    lines += _apart(guess.findings, LEFT_OUT, "Left out:")
    if guess.personal:
        lines += ["", *_comment(
            "Raw identifiers of people reach the graph. To replace them by a keyed hash, set QUIPU_PSEUDONYM_KEY to a "
            "secret and take away the sign in front of the next line."
        ), f"# pseudonymise: {flow(list(guess.personal))}"]  # fmt: skip
    lines += ["", "quarantine: {limit: 5%}  # a load with more unusable rows than this stops and changes nothing"]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, date):
        return value.isoformat()
    plain = str(value).isprintable()  # other signs are escaped; a reader would take some for the end of a line
    written: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=plain, width=float("inf"))
    return written.strip()[1:-1]


def _entry(key: str, value: Any, findings: Sequence[Finding]) -> list[str]:
    """One key of the transaction's block with its comments."""
    if key == "entities":
        lines = ["  entities:"]
        for name, columns in value.items():
            found = [finding for finding in findings if finding.taken_as == f"entities.{name}"]
            lines += _decide(found, "    ") + _with_why(f"    {name}: {flow(columns)}", found, "    ")
        return lines
    found = [finding for finding in findings if finding.taken_as == key]
    if key in {"numeric", "categorical", "times"}:
        doubtful = [finding for finding in found if not finding.sure]
        named = [Finding(f.columns, key, f.why, f"{', '.join(f.columns)}: {f.doubt}") for f in doubtful]
        return _decide(named, "  ") + _listed(key, value)
    return _decide(found, "  ") + _with_why(f"  {key}: {flow(value)}", found, "  ")


def _listed(key: str, values: Sequence[Any]) -> list[str]:
    line = f"  {key}: {flow(list(values))}"
    if len(line) <= _WIDTH:
        return [line]
    items = [flow(value) for value in values]
    lines, current = [f"  {key}:"], "    ["
    for place, item in enumerate(items):
        piece = item + ("]" if place == len(items) - 1 else ", ")
        if len(current) + len(piece) > _WIDTH and current.strip() != "[":
            lines.append(current.rstrip())
            current = "     "
        current += piece
    return [*lines, current]


def _label(guess: Guess) -> list[str]:
    if guess.label is None:
        return [*_comment(_NO_LABEL), *(f"# {line}" for line in _LABEL_FILES.splitlines())]
    lines = ["label:"]
    for key, value in guess.label.items():
        found = [finding for finding in guess.findings if finding.taken_as == f"label.{key}"]
        lines += _decide(found, "  ") + _with_why(f"  {key}: {flow(value)}", found, "  ")
    return lines


def _blocks(blocks: dict[str, Any], findings: Sequence[Finding]) -> list[str]:
    lines: list[str] = []
    if "labels" in blocks:
        found = [finding for finding in findings if finding.taken_as == "labels"]
        lines += ["", *_decide(found, ""), "labels:"]
        lines += [f"  {key}: {flow(value)}" for key, value in blocks["labels"].items()]
    if "attributes" in blocks:
        lines += ["", "attributes:"]
        for name, content in blocks["attributes"].items():
            found = [finding for finding in findings if finding.taken_as == f"attributes.{name}"]
            lines += _with_why(f"  {name}: {flow(content)}", found, "  ")
    return lines


def _apart(findings: Iterable[Finding], kind: str, title: str) -> list[str]:
    rows = [(name, finding) for finding in findings if finding.taken_as == kind for name in finding.columns]
    if not rows:
        return []
    wide = min(30, max(len(name) for name, _ in rows))
    lines = ["", *_comment(title)]
    for name, finding in rows:
        told = finding.why + (f" (DECIDE: {finding.doubt})" if finding.doubt else "")
        lines += _comment(f"{_one_line(name):<{wide}}  {told}", first="  ", later=" " * (wide + 4))
    return lines


def _decide(findings: Iterable[Finding], indent: str) -> list[str]:
    return [
        line
        for finding in findings
        if not finding.sure
        for line in _comment(f"{PLACEHOLDER}: {finding.doubt}", indent=indent, later="  ")
    ]


def _with_why(line: str, findings: Sequence[Finding], indent: str) -> list[str]:
    why = _one_line("; ".join(dict.fromkeys(finding.why for finding in findings)))
    return [f"{line}  # {why}"] if why and len(line) + len(why) + 4 <= _WIDTH else [*_comment(why, indent=indent), line]


def _comment(text: str, *, indent: str = "", first: str = "", later: str = "") -> list[str]:
    wrapped = textwrap.wrap(
        _one_line(text, keep_blanks=True), _WIDTH - len(indent) - 2, initial_indent=first, subsequent_indent=later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [f"{indent}# {line}" for line in wrapped]


def _one_line(text: str, *, keep_blanks: bool = False) -> str:
    """Text that cannot leave its comment: names of columns may hold anything."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return shown if keep_blanks else " ".join(shown.split())


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"
