"""From files or a database to a mapping file for them, tried out on a sample before anybody sees it."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from etl.guess_draft import Finding
from etl.guess_sources import Table, require_rows, select_all, table_of_query, tables_of_files, written_files
from etl.guessing import Guess, Trial, guess, try_out
from etl.loading import clock
from etl.mapping import SqlQuery, parse_mapping
from etl.mapping_text import mapping_text
from graph.errors import InputError

_DURATION = re.compile(r"\d+(\.\d+)?\s*[smhdw]")


@dataclass(frozen=True, slots=True)
class Made:
    """A mapping file, and how it came about.

    Attributes:
        text: the file.
        guess: what each column was taken as.
        trial: what would become of the sample; None where something essential is missing.
        beside: files that are not part of the mapping.
    """

    text: str
    guess: Guess
    trial: Trial | None
    beside: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "rows": self.guess.rows,
            "columns": [_finding(finding) for finding in self.guess.findings],
            "to_decide": sum(not finding.sure for finding in self.guess.findings),
            "lacking": self.guess.lacking,
            "trial": _trial(self.trial) if self.trial is not None else None,
            "left_aside": list(self.beside),
        }


def from_files(pattern: str, to: Path, name: str | None, label_delay: str | None) -> Made:
    """A mapping for files.

    Args:
        pattern: a file, a folder or a glob, as seen from the current directory.
        to: where the mapping will stand: files are named as seen from there.
        name: the mapping's name; the files' where None.
        label_delay: how long after a transaction its label is known (`7d`); guessed where None.

    Raises:
        InputError: no file matches, one cannot be read, or there are no rows.
    """
    _check_delay(label_delay)
    tables = tables_of_files(pattern)
    for table in tables[:1]:
        require_rows(table)
    guessed = [(guess(table.rows, _now(), label_delay), table) for table in tables if table.rows.num_rows]
    best, table = max(guessed, key=lambda pair: pair[0].fitness)
    files = written_files(pattern, table, to.parent, alone=len(tables) == 1)
    head = {"name": name or _name(pattern), "source": {"files": files}}
    looked = f"{table.rows.num_rows:,} rows of {Path(table.names[0]).name}"
    looked += f" and {len(table.names) - 1} more files" if len(table.names) > 1 else ""
    beside = tuple(name for other in tables if other is not table for name in other.names)
    return _made(best, table, head, looked, to.parent, beside)


def from_database(
    url_env: str, table: str | None, query: str | None, name: str | None, label_delay: str | None
) -> Made:
    """A mapping for a table of a database, or a query.

    Raises:
        InputError: the URL or the query is wrong, or there are no rows.
        SourceUnavailable: the database cannot be reached.
    """
    _check_delay(label_delay)
    text = query or select_all(url_env, table or "")
    found = table_of_query(SqlQuery(url_env=url_env, query=text))
    require_rows(found)
    best = guess(found.rows, _now(), label_delay)
    head = {"name": name or _name(table or url_env), "source": {"sql": {"url_env": url_env, "query": text}}}
    return _made(best, found, head, f"{found.rows.num_rows:,} rows of {table or 'a query'}", Path(), ())


def _made(best: Guess, table: Table, head: dict[str, Any], looked: str, folder: Path, beside: tuple[str, ...]) -> Made:
    text = mapping_text(best, head, looked)
    mapping = parse_mapping(yaml.safe_load(text), folder=folder, where="the guessed mapping")
    trial = None if best.lacking else try_out(mapping, table.rows, clock())
    return Made(text, best, trial, beside)


def _now() -> int:
    return time.time_ns() // 1_000


def _check_delay(delay: str | None) -> None:
    if delay is not None and not _DURATION.fullmatch(delay.strip()):
        raise InputError(f"--label-delay {delay!r} is not a duration", hint="a number and one of s, m, h, d, w: 7d")


def _name(pattern: str) -> str:
    """A name from a path, a pattern or a table: its last part that says something."""
    parts = [part for part in re.split(r"[\\/]", pattern) if part and not re.search(r"[*?\[]", part) and part != ".."]
    last = parts[-1] if parts else Path.cwd().name
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq|jsonl|ndjson|json|gz|bz2|xz|zst|zip))+$", "", last, flags=re.I)
    name = re.sub(r"[^\w-]+", "_", stem).strip("_")[:100]
    return name or "transactions"


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "columns": list(finding.columns),
        "taken_as": finding.taken_as,
        "why": finding.why,
        "sure": finding.sure,
        "doubt": finding.doubt,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "rows": trial.rows,
        "accepted": trial.accepted,
        "repeated": trial.repeated,
        "reasons": trial.reasons,
        "fraud": trial.fraud,
        "genuine": trial.genuine,
        "unusable_labels": trial.unusable_labels,
        "unreadable": trial.unreadable,
    }
