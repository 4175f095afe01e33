"""What there is to look at: a sample of every table among some files, or of a query."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from etl import cleaning
from etl.mapping import Source, SqlQuery
from etl.sources import Rows, expand, open_file, sample
from graph.errors import InputError

_MOST_ROWS = 50_000
_MOST_VALUES = 3_000_000
_LEAST_ROWS = 2_000
_FILES = 4
_MOST_STEPS_UP = 3


@dataclass(frozen=True, slots=True)
class Table:
    """Files of the same columns, or a query, and a sample of their rows.

    Attributes:
        names: the files' paths, or the query's name.
        rows: the sample, text where the source is text.
    """

    names: tuple[str, ...]
    rows: pa.Table


def tables_of_files(pattern: str) -> tuple[list[Table], list[str]]:
    """Samples of the tables among the files that a path, a folder or a glob names; the largest first.

    Files with the same columns are one table; the sample is of a few of them, the first and the last among these.
    Of several files, those that cannot be read are only named.

    Raises:
        InputError: no file matches, or none can be read.
    """
    alike: dict[frozenset[str], list[Rows]] = {}
    paths = expand((pattern,), Path())
    unread: list[str] = []
    for path in paths:
        try:
            rows = open_file(path)
        except InputError:
            if len(paths) == 1:
                raise
            unread.append(str(path))
        else:
            alike.setdefault(frozenset(rows.columns), []).append(rows)
    if not alike:
        open_file(paths[0])  # says what is wrong
    tables = [Table(tuple(rows.name for rows in group), _sampled(group)) for group in alike.values()]
    return sorted(tables, key=lambda table: -sum(Path(name).stat().st_size for name in table.names)), unread


def table_of_query(query: SqlQuery) -> Table:
    """A sample of what a query answers.

    Raises:
        InputError: the URL or the query is wrong.
        SourceUnavailable: the database cannot be reached.
    """
    plain = Source(sql=SqlQuery(url_env=query.url_env, query=query.query))
    return Table((f"sql:{query.url_env}",), sample(plain, _MOST_ROWS // 2))


def select_all(url_env: str, table: str) -> str:
    """The query that reads a table (`orders`, `shop.orders`), its name quoted where the database needs it.

    Raises:
        InputError: the environment variable is not set, or holds no URL.
    """
    from sqlalchemy import URL

    from etl.sources.database import Database

    preparer = URL.create(Database(url_env).driver).get_dialect()().identifier_preparer
    return "SELECT * FROM " + ".".join(preparer.quote(part) for part in table.split("."))


def written_files(pattern: str, table: Table, folder: Path, *, alone: bool) -> str | list[str]:
    """How a mapping in `folder` names these files: as a person named them, where nothing else is meant by that.

    Args:
        alone: the pattern names files of this table only.
    """
    if alone:
        return _seen_from(pattern, folder)
    names = [_seen_from(name, folder) for name in table.names]
    return names[0] if len(names) == 1 else names


def _seen_from(name: str, folder: Path) -> str:
    """A path or pattern as seen from a folder; absolute where it lies far away."""
    absolute = os.path.abspath(name)  # noqa: PTH100 (a pattern is no path, and links stay as they are)
    try:
        relative = os.path.relpath(absolute, folder.resolve())
    except ValueError:  # another drive
        return absolute
    up = Path(relative).parts.count("..")
    if up > _MOST_STEPS_UP or folder.resolve() != Path(os.path.abspath(folder)):  # noqa: PTH100
        return absolute
    return relative


def _sampled(group: Sequence[Rows]) -> pa.Table:
    chosen = _spread(group)
    columns = chosen[0].columns
    most = max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_VALUES // max(1, len(columns)))) // len(chosen)
    parts = []
    for rows in chosen:
        taken: list[pa.Table] = []
        for chunk in rows.chunks(most):
            taken.append(chunk.table)
            if sum(table.num_rows for table in taken) >= most:
                break
        if taken:
            parts.append(pa.concat_tables(taken).slice(0, most).select(list(columns)))
    if not parts:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    return _joined(parts)


def _spread(group: Sequence[Rows]) -> list[Rows]:
    """A few of many files, the first and the last among them."""
    if len(group) <= _FILES:
        return list(group)
    return [group[round(place * (len(group) - 1) / (_FILES - 1))] for place in range(_FILES)]


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """One table of several; columns whose types differ become text."""
    columns: dict[str, Any] = {}
    for name in parts[0].column_names:
        arrays = [cleaning.column_of(part, name) for part in parts]
        if len({array.type for array in arrays}) > 1:
            arrays = [cleaning.as_text(array) for array in arrays]
        columns[name] = pa.chunked_array(arrays)
    return pa.table(columns)
