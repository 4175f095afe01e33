"""A mapping fitted to the columns that a source has."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from etl.mapping import CATEGORY_FIELDS, Mapping, TimeColumn
from graph.errors import MappingError
from graph.records import USER, GraphSchema

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Layout:
    """A mapping fitted to a source's columns: globs resolved, every name a column that is there.

    Attributes:
        entities: columns by entity type, the user first.
        categories, numeric: column by name in the graph's schema.
        times: time column by the name of the numeric column it becomes.
    """

    entities: dict[str, tuple[str, ...]]
    categories: dict[str, str]
    numeric: dict[str, str]
    times: dict[str, TimeColumn]

    @property
    def schema(self) -> GraphSchema:
        """The graph schema of the rows that this layout reads."""
        return GraphSchema(tuple(self.entities), tuple(self.categories), (*self.numeric, *self.times))


def fit(mapping: Mapping, columns: Sequence[str], where: str) -> Layout:
    """Fits a mapping to the columns of a source.

    Args:
        columns: the source's column names.
        where: the source's name, for messages.

    Raises:
        MappingError: a column is missing, a glob matches nothing, or the label is named as a feature.
    """
    tx = mapping.transaction
    own = [*tx.transaction_id, tx.occurred_at.column, tx.amount.column]
    own += [tx.arrived_at.column] if tx.arrived_at else []
    own += [tx.currency.column] if tx.currency and tx.currency.column else []
    own += [column for group in tx.entity_columns().values() for column in group]
    label = label_columns(mapping)
    require([*own, *label, *(t.column for t in tx.times)], columns, where)

    fixed = {name: getattr(tx, name) for name in CATEGORY_FIELDS if getattr(tx, name)}
    require(fixed.values(), columns, where)
    taken = {*own, *label, *(t.column for t in tx.times), *fixed.values()}
    categories = dict(fixed)
    for column in _resolved(tx.categorical, columns, taken, where, "categorical"):
        if column not in fixed.values():
            if column in categories:
                raise MappingError(
                    f"categorical {column!r} has the name of transaction.{column}, which is another column",
                    hint="leave one of the two out",
                )
            categories[column] = column
    numeric = _resolved(tx.numeric, columns, taken | set(categories.values()), where, "numeric")
    for column in (*categories.values(), *numeric):
        if column in label:
            raise MappingError(
                f"column {column!r} is the label, and cannot be a feature as well",
                hint="take it out of numeric and categorical",
            )
    times = {f"seconds_since_{t.column}": t for t in tx.times}
    entities = tx.entity_columns()
    return Layout({USER: entities.pop(USER), **entities}, categories, {c: c for c in numeric}, times)


def label_columns(mapping: Mapping) -> list[str]:
    """The columns of a transaction's row that belong to its label."""
    label = mapping.label
    if label is None or label.is_fraud is None:
        return []
    return [label.is_fraud.column, *([label.known_at.column] if isinstance(label.known_at, TimeColumn) else [])]


def require(wanted: Iterable[str], columns: Sequence[str], where: str) -> None:
    """Checks that columns are there.

    Raises:
        MappingError: one is missing; the hint lists the nearest names.
    """
    for column in wanted:
        if column not in columns:
            raise MappingError(f"{where} has no column {column!r}", hint=_nearest(column, columns))


def _nearest(column: str, columns: Sequence[str]) -> str:
    lower = {name.lower(): name for name in columns}
    close = [lower[name] for name in get_close_matches(column.lower(), lower, n=3, cutoff=0.6)]
    shown = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"its columns are {shown or '(none)'}"


def _resolved(
    patterns: Sequence[str], columns: Sequence[str], taken: set[str], where: str, key: str
) -> tuple[str, ...]:
    """Columns that patterns name; a glob leaves out what the mapping uses otherwise (the label above all)."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern in columns or not _GLOB.search(pattern):
            require([pattern], columns, where)
            found[pattern] = None
            continue
        matched = [name for name in columns if fnmatchcase(name, pattern) and name not in taken]
        if not matched:
            raise MappingError(f"{where}: no column matches {pattern!r} of {key}", hint=_nearest(pattern, columns))
        found.update(dict.fromkeys(matched))
    return tuple(found)
