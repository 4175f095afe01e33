"""Columns in a mapping file, each with what is to be known for reading it."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from etl.mapping.values import Columns, Currency, Duration, Name, Part, Value, ZoneName


class TimeColumn(Part):
    """A column of times, or several that make up one: a date and a time of day, joined by a blank.

    Text in any common form or timestamps, in `timezone` where they name none; with `format` only text of that
    strptime form; `day_first` reads 03/04/2026 as the third of April. Or numbers of `epoch` units since `origin`.
    """

    column: Columns
    timezone: ZoneName = "UTC"
    epoch: Literal["ns", "us", "ms", "s", "m", "h", "d"] | None = None
    origin: datetime | None = None
    format: Name | None = None
    day_first: bool = False

    @field_validator("origin", mode="before")
    @classmethod
    def _instant(cls, value: Any) -> Any:
        return datetime(value.year, value.month, value.day) if type(value) is date else value  # noqa: DTZ001

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.origin is not None and self.epoch is None:
            raise PydanticCustomError("epoch", "origin needs epoch: s, ms, us, ns, m, h or d")
        if self.format is not None and (self.epoch is not None or self.day_first):
            raise PydanticCustomError("format", "format says everything; leave epoch and day_first out")
        if self.epoch is not None and len(self.column) > 1:
            raise PydanticCustomError("epoch", "epoch reads numbers of one column; leave it out, or name one column")
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


def as_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _as_columns(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | list | tuple) else value


Time = Annotated[TimeColumn, BeforeValidator(_as_columns)]


class Delay(Part):
    """Labels become known so long after the transaction."""

    delay: Duration


def _known_at_kind(value: Any) -> str:
    return "#delay" if isinstance(value, Delay) or (isinstance(value, dict) and "delay" in value) else "#column"


KnownAt = Annotated[
    Annotated[Delay, Tag("#delay")] | Annotated[Time, Tag("#column")],
    Discriminator(_known_at_kind),
]


class AmountColumn(Part):
    """A column of amounts.

    `decimal` is the decimal sign where `1,234` and `1.234` are to be told apart; `unit: cents` reads hundredths;
    `negative: refund` loads a negative amount as a refund: its absolute value under transaction_type `refund`, unless
    the row's own transaction_type says something else (`etl.contract.refunds`); such a row is refused.
    A currency that an amount names itself ("S/ 12.50") holds where the column of currencies names none.
    """

    column: Name
    decimal: Literal[".", ","] | None = None
    unit: Literal["units", "cents"] = "units"
    negative: Literal["refuse", "refund"] = "refuse"


class CurrencyColumn(Part):
    """A column of currencies, or the currency of all rows, or of those that name none."""

    column: Name | None = None
    default: Currency | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.column is None and self.default is None:
            raise PydanticCustomError("currency", "give column, default, or both")
        return self


class IsFraud(Part):
    """A column that says fraud or genuine. Where the values are named, any other is no label."""

    column: Name
    fraud: tuple[Value, ...] | None = None
    genuine: tuple[Value, ...] | None = None

    @field_validator("fraud", "genuine", mode="before")
    @classmethod
    def _values(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, (list, tuple)) else [value]

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.genuine is not None and self.fraud is None:
            raise PydanticCustomError("fraud", "genuine is named, so fraud must be too")
        return self


IsFraudColumn = Annotated[IsFraud, BeforeValidator(as_column)]


class SourceColumn(Part):
    """A label's source: a column, or one name for all."""

    column: Name | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.column is None) == (self.name is None):
            raise PydanticCustomError("source", "give either column or name")
        return self
