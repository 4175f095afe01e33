"""The mapping file: which columns of somebody's rows mean what.

YAML, read into frozen models. Whatever is wrong is a `MappingError` that names the file and
the path inside it; a key that is not known comes with the nearest one that is.
"""

from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from etl.mapping.columns import (
    AmountColumn,
    CurrencyColumn,
    IsFraudColumn,
    KnownAt,
    SourceColumn,
    Time,
    as_column,
)
from etl.mapping.values import Columns, Currency, Duration, EntityName, Name, Part, Share, listed
from graph.errors import InputError, MappingError

ENTITY_FIELDS = {"user": "user_id", "device": "device_id", "ip": "ip", "restaurant": "restaurant_id"}
"""The entity types that have a key of their own under `transaction`, in the order of the schema."""
CATEGORY_FIELDS = ("payment_method", "transaction_type", "city")


class Csv(Part):
    """How CSV files are written, where it is not to be recognised from their beginning."""

    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    quote: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = None
    encoding: Name | None = None


class SqlQuery(Part):
    """A query to a database: the connection's URL stands in the environment variable `url_env`.

    With a `watermark` column, which grows as rows are added or changed, each load reads on from where the last one
    ended, going back by `overlap` (of a column of times) for rows that were committed late.
    """

    url_env: Name
    query: Name
    watermark: Name | None = None
    overlap: Duration = timedelta(0)


class _Rows(Part):
    """Where rows are: file patterns, or a query."""

    files: Annotated[Columns, Field(min_length=1)] | None = None
    csv: Csv = Csv()
    sql: SqlQuery | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.files is None) == (self.sql is None):
            raise PydanticCustomError("files", "give either files (patterns) or sql (a query)")
        return self


class Source(_Rows):
    """Where the transactions are."""


class TransactionMapping(Part):
    """Columns of a transaction. Lists of columns under an id make a composite one."""

    transaction_id: Columns
    occurred_at: Time
    arrived_at: Time | None = None
    user_id: Columns
    amount: Annotated[AmountColumn, BeforeValidator(as_column)]
    device_id: Columns | None = None
    ip: Columns | None = None
    restaurant_id: Columns | None = None
    currency: Annotated[CurrencyColumn, BeforeValidator(as_column)] | None = None
    payment_method: Name | None = None
    transaction_type: Name | None = None
    city: Name | None = None
    entities: dict[EntityName, Columns] = Field(default_factory=dict)
    numeric: Annotated[tuple[Name, ...], BeforeValidator(listed)] = ()
    categorical: Annotated[tuple[Name, ...], BeforeValidator(listed)] = ()
    times: tuple[Time, ...] = ()

    @field_validator("entities")
    @classmethod
    def _free_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in ENTITY_FIELDS:
                raise PydanticCustomError(
                    "entity",
                    "{name} has a key of its own: transaction.{key}",
                    {"name": name, "key": ENTITY_FIELDS[name]},
                )
        return value

    def entity_columns(self) -> dict[str, tuple[str, ...]]:
        """Columns by entity type, the user first."""
        own = {name: getattr(self, field) for name, field in ENTITY_FIELDS.items()}
        return {name: columns for name, columns in own.items() if columns} | self.entities


class LabelMapping(Part):
    """Labels that stand in the transaction's own row, and what the silence about a transaction means."""

    is_fraud: IsFraudColumn | None = None
    known_at: KnownAt | None = None
    genuine_after: Duration | None = None
    source: Name | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.is_fraud is not None and self.known_at is None:
            raise PydanticCustomError(
                "known_at",
                "known_at is missing: name a column or a delay (known_at: {{delay: 7d}}); a label that "
                "counts as known at once would leak into the past",
            )
        if self.is_fraud is None and self.genuine_after is None:
            raise PydanticCustomError("is_fraud", "is_fraud is missing")
        return self


class LabelFiles(_Rows):
    """Labels of their own: one row says what became known of one transaction, and when."""

    transaction_id: Columns
    is_fraud: IsFraudColumn
    known_at: Time
    source: Annotated[SourceColumn, BeforeValidator(as_column)] | None = None


class AttributeFiles(_Rows):
    """Attributes: one row describes one entity; every column but the key is an attribute."""

    key: Columns


class Currencies(Part):
    """Amounts in one currency: `rates` are files with the columns date, currency, rate (units of `base` for one).

    The latest rate dated at or before a transaction's day (UTC) holds.
    """

    base: Currency
    rates: Columns


class Impute(Part):
    """Fill in a missing value from earlier transactions: the median of similar ones, or the user's most frequent."""

    impute: Literal["median", "most_frequent"]
    by: Columns | None = None


Policy = Literal["leave", "quarantine"] | Impute
"""What is done where a value is missing."""


class Outliers(Part):
    """Which amounts count as outliers among those of the same restaurant and payment method.

    Robust z-score above `z` (by the median absolute deviation), and beyond `iqr` interquartile ranges from the
    quartiles; groups of fewer than `least` transactions are judged by what they are part of.
    """

    by: Columns = ("restaurant_id", "payment_method")
    z: Annotated[float, Field(gt=0)] = 6.0
    iqr: Annotated[float, Field(gt=0)] = 3.0
    least: Annotated[int, Field(ge=4)] = 20


class QuarantinePolicy(Part):
    """A load whose share of unusable rows is above `limit` stops before it changes anything."""

    limit: Share = 0.05


class Mapping(Part):
    """A whole mapping file. `folder` is where it stands: patterns that match nothing here are tried there."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    source: Source
    transaction: TransactionMapping
    label: LabelMapping | None = None
    labels: LabelFiles | None = None
    attributes: dict[EntityName, AttributeFiles] = Field(default_factory=dict)
    currencies: Currencies | None = None
    missing: dict[Name, Policy] = Field(default_factory=dict)
    outliers: Outliers | Literal[False] = Outliers()
    pseudonymise: tuple[Name, ...] = ()
    quarantine: QuarantinePolicy = QuarantinePolicy()
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = self.transaction.entity_columns()
        for name in self.attributes:
            if name not in known:
                raise PydanticCustomError(
                    "attributes",
                    "attributes.{name}: no such entity type; mapped are {known}",
                    {"name": name, "known": ", ".join(known)},
                )
        fields = ["transaction_id", *(ENTITY_FIELDS.get(name, name) for name in known)]
        for name in self.pseudonymise:
            if name not in fields:
                raise PydanticCustomError(
                    "pseudonymise",
                    "pseudonymise: {name} is no mapped identifier; mapped are {known}",
                    {"name": repr(name), "known": ", ".join(fields)},
                )
        self._check_missing()
        if self.currencies is not None and self.transaction.currency is None:
            raise PydanticCustomError(
                "currencies", "currencies needs transaction.currency: a column, or {default: PEN}"
            )
        if self.label is not None and self.label.is_fraud is None and self.labels is None:
            raise PydanticCustomError("label", "label.genuine_after needs label.is_fraud, or a labels block with files")
        return self

    def _check_missing(self) -> None:
        tx = self.transaction
        entities = {ENTITY_FIELDS.get(name, name) for name in tx.entity_columns()}
        categories = {*(name for name in ("currency", *CATEGORY_FIELDS) if getattr(tx, name)), *tx.categorical}
        numbers = {"amount", *tx.numeric}
        for name, policy in self.missing.items():
            allowed = {"median": numbers, "most_frequent": categories}
            fits = allowed[policy.impute] if isinstance(policy, Impute) else entities | categories | numbers
            if not any(name == fit or fnmatchcase(name, fit) for fit in fits):
                raise PydanticCustomError(
                    "policy",
                    "missing.{name}: {policy} is for {fits}",
                    {
                        "name": name,
                        "policy": policy.impute if isinstance(policy, Impute) else policy,
                        "fits": ", ".join(sorted(fits)) or "no column of this mapping",
                    },
                )
            if policy == "leave" and name in {"amount", "user_id"}:
                raise PydanticCustomError(
                    "policy", "missing.{name}: every transaction needs it, so it cannot be left missing", {"name": name}
                )
            if isinstance(policy, Impute):
                self._check_groups(f"missing.{name}.by", policy.by or ())
        if isinstance(self.missing.get("currency"), Impute) and self.currencies is not None:
            raise PydanticCustomError(
                "policy",
                "missing.currency: amounts are converted before values are filled in; name currency.default",
            )
        if isinstance(self.outliers, Outliers) and "by" in self.outliers.model_fields_set:
            self._check_groups("outliers.by", self.outliers.by)

    def _check_groups(self, place: str, names: Iterable[str]) -> None:
        """Groups are of identifiers and categories that are mapped."""
        tx = self.transaction
        known = [ENTITY_FIELDS.get(name, name) for name in tx.entity_columns()]
        known += [name for name in ("currency", *CATEGORY_FIELDS) if getattr(tx, name)]
        known += tx.categorical
        for name in names:
            if not any(name == mapped or fnmatchcase(name, mapped) for mapped in known):
                raise PydanticCustomError(
                    "groups",
                    "{place}: {name} is no mapped identifier or category; mapped are {known}",
                    {"place": place, "name": repr(name), "known": ", ".join(known)},
                )

    def pseudonymised(self, entity: str) -> bool:
        """Whether this entity type's keys (or `transaction_id`) are replaced by a keyed hash."""
        return ENTITY_FIELDS.get(entity, entity) in self.pseudonymise


def read_mapping(path: Path) -> Mapping:
    """Reads and validates a mapping file.

    Raises:
        MappingError: it is not there, not YAML, or not a mapping; the message names the place.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MappingError(f"there is no mapping file {path}", hint="give the path of a YAML mapping") from error
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise MappingError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise MappingError(f"{path} is not a mapping: it should have name, source and transaction at its top")
    if "folder" in document:
        raise MappingError(f"{path}: folder: unknown key")
    return parse_mapping(document, folder=path.parent, where=str(path))


def parse_mapping(document: dict[str, Any], *, folder: Path = Path(), where: str = "mapping") -> Mapping:
    """Validates a mapping that is already a document (what the YAML file would hold).

    Raises:
        MappingError: it is wrong; the message names the path inside the document.
    """
    try:
        return Mapping.model_validate({**document, "folder": folder})
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = _told(problems[0])
        more = f" (and {len(problems) - 1} more: {'; '.join(map(_told, problems[1:4]))})" if problems[1:] else ""
        raise MappingError(f"{where}: {first}{more}", hint="docs/mapping.md has every key") from error
    except InputError as error:
        raise MappingError(f"{where}: {error.message}", hint=error.hint) from error


def _told(problem: ErrorDetails) -> str:
    path = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("#"))
    message = problem["msg"]
    if problem["type"] == "missing":
        message = "is missing"
    return f"{path}: {message}" if path else message
