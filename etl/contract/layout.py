"""A mapping fitted to the columns that a source has."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from etl.mapping import CATEGORY_FIELDS, ENTITY_FIELDS, Impute, Mapping, Policy, TimeColumn
from graph.errors import MappingError
from graph.records import USER, GraphSchema, category_column, entity_column, numeric_column

TRANSACTION_TYPE = "transaction_type"
ORIGINAL_CURRENCY = "original_currency"
"""Category: the currency that an amount had before it was converted."""
IP_RANGE = "ip_range"
"""Category: what kind of range an IP address lies in (`graph.ids.address_range`)."""
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Layout:
    """A mapping fitted to a source's columns: globs resolved, every name a column that is there.

    Attributes:
        entities: columns by entity type, the user first.
        categories: column by name in the graph's schema; None where the contract derives the values.
        numeric: column by name in the graph's schema.
        times: time column by the name of the numeric column it becomes.
        policies: what is to be done where a value is missing, by the value's name in the mapping, globs resolved;
            only where something is to be done.
    """

    entities: dict[str, tuple[str, ...]]
    categories: dict[str, str | None]
    numeric: dict[str, str]
    times: dict[str, TimeColumn]
    policies: dict[str, Policy]

    @property
    def schema(self) -> GraphSchema:
        """The graph schema of the rows that this layout reads."""
        marks = (imputed_mark(name) for name in self.imputed)
        return GraphSchema(tuple(self.entities), tuple(self.categories), (*self.numeric, *self.times, *marks))

    @property
    def imputed(self) -> dict[str, Impute]:
        """Values to be filled in where they are missing, by their name in the mapping."""
        return {name: policy for name, policy in self.policies.items() if isinstance(policy, Impute)}

    def graph_column(self, name: str) -> str:
        """The column, in a table of transactions, of a value by its name in the mapping (`city`, `device_id` …)."""
        entity = next((e for e in self.entities if ENTITY_FIELDS.get(e, e) == name), None)
        if entity is not None:
            return entity_column(entity)
        if name in self.categories:
            return category_column(name)
        return numeric_column(name) if name in self.numeric else name


def imputed_mark(name: str) -> str:
    """The name of the numeric column that says (1.0 or 0.0) whether a value was filled in."""
    return f"imputed_{name}"


def fit(mapping: Mapping, columns: Sequence[str], where: str) -> Layout:
    """Fits a mapping to the columns of a source.

    Args:
        columns: the source's column names.
        where: the source's name, for messages.

    Raises:
        MappingError: a column is missing, a glob matches nothing, or the label is named as a feature.
    """
    tx = mapping.transaction
    own = [*tx.transaction_id, *tx.occurred_at.column, tx.amount.column]
    own += tx.arrived_at.column if tx.arrived_at else ()
    own += [tx.currency.column] if tx.currency and tx.currency.column else []
    own += [column for group in tx.entity_columns().values() for column in group]
    label = label_columns(mapping)
    moments = [column for t in tx.times for column in t.column]
    require([*own, *label, *moments], columns, where)

    fixed = {name: getattr(tx, name) for name in CATEGORY_FIELDS if getattr(tx, name)}
    require(fixed.values(), columns, where)
    taken = {*own, *label, *moments, *fixed.values()}
    categories: dict[str, str | None] = dict(fixed)
    if tx.amount.negative == "refund":
        categories.setdefault(TRANSACTION_TYPE, None)
    for column in _resolved(tx.categorical, columns, taken, where, "categorical"):
        if column not in fixed.values():
            if column in categories:
                raise MappingError(
                    f"categorical {column!r} has the name of transaction.{column}, which is another column",
                    hint="leave one of the two out",
                )
            categories[column] = column
    numeric = _resolved(tx.numeric, columns, taken | {*filter(None, categories.values())}, where, "numeric")
    for column in (*filter(None, categories.values()), *numeric):
        if column in label:
            raise MappingError(
                f"column {column!r} is the label, and cannot be a feature as well",
                hint="take it out of numeric and categorical",
            )
    times = {f"seconds_since_{'_'.join(t.column)}": t for t in tx.times}
    entities = tx.entity_columns()
    policies = _policies(mapping, numeric, [name for name in categories if name not in CATEGORY_FIELDS], where)
    _add_derived(categories, mapping)
    layout = Layout(
        {USER: entities.pop(USER), **entities},
        categories,
        {column: column for column in numeric},
        times,
        policies,
    )
    for name in layout.imputed:
        if imputed_mark(name) in {*numeric, *times}:
            raise MappingError(
                f"numeric {imputed_mark(name)!r} has the name of the mark of values filled in by missing.{name}",
                hint="rename the column, or leave one of the two out",
            )
    return layout


def _add_derived(categories: dict[str, str | None], mapping: Mapping) -> None:
    """The categories that the contract makes itself."""
    tx = mapping.transaction
    derived = [ORIGINAL_CURRENCY] if mapping.currencies is not None else []
    derived += [IP_RANGE] if tx.ip is not None and len(tx.ip) == 1 else []
    for name in derived:
        if name in categories:
            raise MappingError(
                f"categorical {name!r} has the name of a column that Quipu makes itself",
                hint="rename the column in the source, or leave it out",
            )
        categories[name] = None


def _policies(mapping: Mapping, numeric: Sequence[str], categories: Sequence[str], where: str) -> dict[str, Policy]:
    """Policies by value; one for a single column holds before one for a glob."""
    tx = mapping.transaction
    single = {"amount", "currency", *CATEGORY_FIELDS, *numeric, *categories}
    single |= {ENTITY_FIELDS.get(name, name) for name in tx.entity_columns()}
    found: dict[str, Policy] = {}
    for name, policy in sorted(mapping.missing.items(), key=lambda item: item[0] in single):
        if name in single:
            found[name] = policy
            continue
        kind = policy.impute if isinstance(policy, Impute) else None
        columns = {"median": numeric, "most_frequent": categories}.get(kind or "", (*numeric, *categories))
        matched = [column for column in columns if fnmatchcase(column, name)]
        if not matched:
            raise MappingError(f"{where}: no column matches {name!r} of missing", hint=_nearest(name, columns))
        found.update(dict.fromkeys(matched, policy))
    return {name: policy for name, policy in found.items() if policy != "leave"}


def label_columns(mapping: Mapping) -> list[str]:
    """The columns of a transaction's row that belong to its label."""
    label = mapping.label
    if label is None or label.is_fraud is None:
        return []
    return [label.is_fraud.column, *(label.known_at.column if isinstance(label.known_at, TimeColumn) else ())]


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
