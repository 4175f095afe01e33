"""From files or a database to a mapping file for them, tried out on a sample before anybody sees it."""

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from etl.guessing.guess import Guess, Trial, guess, try_out
from etl.guessing.names import column_name
from etl.guessing.related import Related, relate
from etl.guessing.sources import Table, select_all, table_of_query, tables_of_files, written_files
from etl.guessing.text import mapping_text
from etl.loading import clock
from etl.mapping import SqlQuery, parse_mapping
from graph.errors import InputError

_DURATION = re.compile(r"\d+(\.\d+)?\s*[smhdw]")
_ENDINGS = re.compile(r"(\.(csv|tsv|txt|parquet|pq|jsonl|ndjson|json|gz|bz2|xz|zst|zip))+$", re.I)


@dataclass(frozen=True, slots=True)
class Made:
    """A mapping file, and how it came about.

    Attributes:
        text: the file.
        guess: what each column was taken as.
        trial: what would become of the sample; None where something essential is missing.
        aside: files that are not part of the mapping.
    """

    text: str
    guess: Guess
    trial: Trial | None
    aside: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        findings = self.guess.findings
        return {
            "rows": self.guess.rows,
            "columns": [{**asdict(finding), "sure": finding.sure} for finding in findings],
            "to_decide": sum(not finding.sure for finding in findings) + self.guess.unlabelled,
            "lacking": self.guess.lacking,
            "trial": asdict(self.trial) if self.trial is not None else None,
            "left_aside": list(self.aside),
        }


def from_files(pattern: str, to: Path, name: str | None, label_delay: str | None) -> Made:
    """A mapping for files.

    Where there are tables of several kinds among them, the one that looks most like transactions is it; others are
    taken as files of labels or attributes where they fit.

    Args:
        pattern: a file, a folder or a glob, as seen from the current directory.
        to: where the mapping will stand: files are named as seen from there.
        name: the mapping's name; the files' where None.
        label_delay: how long after a transaction its label is known (`7d`); guessed where None.

    Raises:
        InputError: no file matches, none can be read, or there are no rows.
    """
    _check_delay(label_delay)
    tables, unread = tables_of_files(pattern)
    now = _now()
    guessed = [(guess(table.rows, now, label_delay), table) for table in tables if table.rows.num_rows]
    if not guessed:
        raise InputError(f"{pattern} has no rows", hint="init looks at values: give a file with some rows in it")
    best, table = max(guessed, key=lambda pair: pair[0].fitness)
    related: dict[str, tuple[Related, Table]] = {}
    aside = list(unread)
    for other in sorted(tables, key=lambda other: -other.rows.num_columns):
        if other is table:
            continue
        found = relate(best, table.rows, other.rows, now)
        if found is None or found.block in related:
            aside += other.names
        else:
            related[found.block] = (found, other)
    files = written_files(pattern, table, to.parent, alone=len(tables) == 1 and not unread)
    head = {"name": name or _name(pattern), "source": {"files": files}}
    blocks: dict[str, Any] = {}
    for block, (found, other) in related.items():
        content = {"files": written_files(pattern, other, to.parent, alone=False), **found.content}
        if block == "labels":
            blocks[block] = content
        else:
            blocks.setdefault("attributes", {})[block] = content
    best = replace(best, findings=(*best.findings, *(found.finding for found, _ in related.values())))
    looked = f"{_rows(table.rows.num_rows)} of {Path(table.names[0]).name}"
    looked += f" and {len(table.names) - 1} more files" if len(table.names) > 1 else ""
    return _made(best, table, head, looked, to.parent, blocks, aside)


def from_database(
    url_env: str, table: str | None, query: str | None, name: str | None, label_delay: str | None
) -> Made:
    """A mapping for a table of a database, or a query, of which exactly one is given.

    Args:
        url_env: the environment variable that holds the database's URL.

    Raises:
        InputError: the URL or the query is wrong, or there are no rows.
        SourceUnavailable: the database cannot be reached.
    """
    _check_delay(label_delay)
    text = query or select_all(url_env, table or "")
    found = table_of_query(SqlQuery(url_env=url_env, query=text))
    if not found.rows.num_rows:
        raise InputError(f"{table or 'the query'} has no rows", hint="init looks at values: there have to be some rows")
    best = guess(found.rows, _now(), label_delay)
    changing = [c for c in found.rows.column_names if column_name(c).has("changed") and column_name(c).any("time")]
    head = {"name": name or _name(table or url_env.lower()), "source": {"sql": {"url_env": url_env, "query": text}}}
    return _made(best, found, head, f"{_rows(found.rows.num_rows)} of {table or 'a query'}", Path(), {}, (), changing)


def _made(
    best: Guess,
    table: Table,
    head: dict[str, Any],
    looked: str,
    folder: Path,
    blocks: dict[str, Any],
    aside: Sequence[str],
    watermarks: Sequence[str] = (),
) -> Made:
    text = mapping_text(best, head, looked, blocks, watermarks)
    mapping = parse_mapping(yaml.safe_load(text), folder=folder, where="the guessed mapping")
    trial = None if best.lacking else try_out(mapping, table.rows, clock())
    return Made(text, best, trial, tuple(aside))


def _now() -> int:
    return time.time_ns() // 1_000


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count:,} rows"


def _check_delay(delay: str | None) -> None:
    if delay is not None and not _DURATION.fullmatch(delay.strip()):
        raise InputError(f"--label-delay {delay!r} is not a duration", hint="a number and one of s, m, h, d, w: 7d")


def _name(pattern: str) -> str:
    """A name from a path, a pattern or a table: its last part that says something."""
    parts = [part for part in re.split(r"[\\/]", pattern) if part.strip(". ") and not re.search(r"[*?\[]", part)]
    last = parts[-1] if parts else Path.cwd().name
    return re.sub(r"[^\w-]+", "_", _ENDINGS.sub("", last)).strip("_")[:100] or "transactions"
