"""The mapping file: which columns of somebody's rows mean what.

YAML, read into frozen models. Whatever is wrong is a `MappingError` that names the file and
the path inside it; a key that is not known comes with the nearest one that is.
"""

import re
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from graph.errors import InputError, MappingError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ENTITY_FIELDS = {"user": "user_id", "device": "device_id", "ip": "ip", "restaurant": "restaurant_id"}
"""The entity types that have a key of their own under `transaction`, in the order of the schema."""
CATEGORY_FIELDS = ("payment_method", "transaction_type", "city")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", str(value).strip())
    if not found:
        raise PydanticCustomError("duration", "a duration is a number and one of s, m, h, d, w, for instance 7d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def _share(value: Any) -> Any:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip()) if isinstance(value, str) else None
    return float(found[1]) / 100 if found else value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise PydanticCustomError(
            "zone", "{zone} is not a time zone; use a name such as America/Lima", {"zone": repr(value)}
        ) from error
    return value


Name = Annotated[str, StringConstraints(min_length=1)]
Columns = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)]
EntityName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
Value = str | bool | int | float


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """Says of an unknown key which one was perhaps meant."""
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    close = get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(cls.model_fields)}"
                    raise PydanticCustomError(
                        "unknown_key", "unknown key {key}; {hint}", {"key": repr(key), "hint": hint}
                    )
        return data


class TimeColumn(_Part):
    """A column of times: text or timestamps in `timezone` where they name none, or numbers since `origin`."""

    column: Name
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    epoch: Literal["s", "ms", "us"] | None = None
    origin: datetime | None = None

    @field_validator("origin", mode="before")
    @classmethod
    def _instant(cls, value: Any) -> Any:
        return datetime(value.year, value.month, value.day) if type(value) is date else value  # noqa: DTZ001

    @model_validator(mode="after")
    def _fits(self) -> "TimeColumn":
        if self.origin is not None and self.epoch is None:
            raise PydanticCustomError("epoch", "origin needs epoch: s, ms or us")
        if self.epoch is not None and "timezone" in self.model_fields_set:
            raise PydanticCustomError("epoch", "epoch counts from an instant, so timezone has no meaning beside it")
        return self

    @property
    def origin_us(self) -> int:
        """Microseconds from 1970 to the origin (taken as UTC where it names no zone)."""
        if self.origin is None:
            return 0
        aware = self.origin if self.origin.tzinfo else self.origin.replace(tzinfo=UTC)
        return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _time_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Time = Annotated[TimeColumn, BeforeValidator(_time_column)]


class Delay(_Part):
    """Labels become known so long after the transaction."""

    delay: Duration


def _known_at_kind(value: Any) -> str:
    return "#delay" if isinstance(value, Delay) or (isinstance(value, dict) and "delay" in value) else "#column"


KnownAt = Annotated[
    Annotated[Delay, Tag("#delay")] | Annotated[Time, Tag("#column")],
    Discriminator(_known_at_kind),
]


class Source(_Part):
    """Where the transactions are: file patterns."""

    files: Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    sql: Any = None

    @model_validator(mode="after")
    def _readable(self) -> "Source":
        if self.sql is not None:
            raise PydanticCustomError("sql", "SQL sources cannot be read by this version; export to CSV or Parquet")
        if self.files is None:
            raise PydanticCustomError("files", "files is missing: name CSV or Parquet files, globs allowed")
        return self


class TransactionMapping(_Part):
    """Columns of a transaction. Lists of columns under an id make a composite one."""

    transaction_id: Columns
    occurred_at: Time
    arrived_at: Time | None = None
    user_id: Columns
    amount: Name
    device_id: Columns | None = None
    ip: Columns | None = None
    restaurant_id: Columns | None = None
    currency: Name | None = None
    payment_method: Name | None = None
    transaction_type: Name | None = None
    city: Name | None = None
    entities: dict[EntityName, Columns] = Field(default_factory=dict)
    numeric: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = ()
    categorical: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = ()
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


class IsFraud(_Part):
    """A column that says fraud or genuine. Where the values are named, any other is no label."""

    column: Name
    fraud: tuple[Value, ...] | None = None
    genuine: tuple[Value, ...] | None = None

    @field_validator("fraud", "genuine", mode="before")
    @classmethod
    def _values(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, (list, tuple)) else [value]

    @model_validator(mode="after")
    def _named(self) -> "IsFraud":
        if self.genuine is not None and self.fraud is None:
            raise PydanticCustomError("fraud", "genuine is named, so fraud must be too")
        return self


IsFraudColumn = Annotated[IsFraud, BeforeValidator(_time_column)]


class LabelMapping(_Part):
    """Labels that stand in the transaction's own row, and what the silence about a transaction means."""

    is_fraud: IsFraudColumn | None = None
    known_at: KnownAt | None = None
    genuine_after: Duration | None = None
    source: Name | None = None

    @model_validator(mode="after")
    def _complete(self) -> "LabelMapping":
        if self.is_fraud is not None and self.known_at is None:
            raise PydanticCustomError(
                "known_at",
                "known_at is missing: name a column or a delay (known_at: {{delay: 7d}}); a label that "
                "counts as known at once would leak into the past",
            )
        if self.is_fraud is None and self.genuine_after is None:
            raise PydanticCustomError("is_fraud", "is_fraud is missing")
        return self


class SourceColumn(_Part):
    """A label's source: a column, or one name for all."""

    column: Name | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> "SourceColumn":
        if (self.column is None) == (self.name is None):
            raise PydanticCustomError("source", "give either column or name")
        return self


class LabelFiles(_Part):
    """Files of labels: one row says what became known of one transaction, and when."""

    files: Columns
    transaction_id: Columns
    is_fraud: IsFraudColumn
    known_at: Time
    source: Annotated[SourceColumn, BeforeValidator(_time_column)] | None = None


class AttributeFiles(_Part):
    """Files of attributes: one row describes one entity; every column but the key is an attribute."""

    files: Columns
    key: Columns


class QuarantinePolicy(_Part):
    """A load whose share of unusable rows is above `limit` stops before it changes anything."""

    limit: Share = 0.05


class Mapping(_Part):
    """A whole mapping file. `folder` is where it stands: patterns that match nothing here are tried there."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    source: Source
    transaction: TransactionMapping
    label: LabelMapping | None = None
    labels: LabelFiles | None = None
    attributes: dict[EntityName, AttributeFiles] = Field(default_factory=dict)
    pseudonymise: tuple[Name, ...] = ()
    quarantine: QuarantinePolicy = QuarantinePolicy()
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> "Mapping":
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
        if self.label is not None and self.label.is_fraud is None and self.labels is None:
            raise PydanticCustomError("label", "label.genuine_after needs label.is_fraud, or a labels block with files")
        return self

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
