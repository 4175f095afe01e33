"""Requests: read strictly, checked, and brought into one form."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from api.errors import FieldError, InvalidRequest, invalid_body
from gnn.scoring import Question
from graph.errors import QuipuError
from graph.ids import address_range, canonical, category
from graph.records import SECOND, USER, GraphSchema

MAX_BATCH = 1_000
MAX_AMOUNT = 1e12
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RANGE = "ip_range"  # the category that loading derives from the address, and so does the service

# Control characters (NUL among them) have no place in a key: some stores and terminals choke on them.
_TEXT = r"^[^\x00-\x1f\x7f]*$"
Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256, pattern=_TEXT)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_TEXT)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Wire(BaseModel):
    """Requests are read strictly: an unknown field or a number in quotes is a mistake to tell, not to guess at."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Transaction(Wire):
    """One transaction to score."""

    transaction_id: Id = Field(description="Idempotency key: the same body again gives the original decision.")
    occurred_at: AwareDatetime = Field(description="When it occurred: ISO 8601 with a zone.")
    user_id: Id
    amount: Annotated[float, Field(ge=0, le=MAX_AMOUNT)] = Field(
        description="In units of the currency, rounded to hundredths; zero is a card check."
    )
    restaurant_id: Id | None = None
    device_id: Id | None = None
    ip: Id | None = None
    currency: Currency | None = Field(None, description="ISO 4217.")
    payment_method: Id | None = None
    transaction_type: Id | None = None
    city: Id | None = None
    entities: Annotated[dict[Name, Id | None], Field(max_length=32)] = Field(
        default_factory=dict, description="Further linked entities of the model: key by type."
    )
    categories: Annotated[dict[Name, Id | None], Field(max_length=256)] = Field(
        default_factory=dict, description="Further categorical columns of the model."
    )
    numeric: Annotated[dict[Name, Number | None], Field(max_length=1024)] = Field(
        default_factory=dict, description="Further numeric columns of the model."
    )
    times: Annotated[dict[Name, AwareDatetime | None], Field(max_length=256)] = Field(
        default_factory=dict, description="Further times; the distance of each to occurred_at is a number of the model."
    )


class Label(Wire):
    """What became known about one transaction."""

    transaction_id: Id
    is_fraud: bool
    known_at: AwareDatetime | None = Field(None, description="When it became known; now, where it is left out.")
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=_TEXT)] = (
        Field("api", description="Who says so: chargeback, investigator, …")
    )


class Submission(msgspec.Struct, frozen=True, array_like=True):
    """A transaction that has been checked, in the one form that is compared, scored and kept.

    Attributes:
        occurred_at: microseconds UTC. amount: hundredths. Missing values are left out of the mappings.
    """

    transaction_id: str
    occurred_at: int
    amount: int
    currency: str | None
    entities: dict[str, str]
    categories: dict[str, str]
    numeric: dict[str, float]

    def question(self, *, indexed: bool = False) -> Question:
        """What is asked of the scorer."""
        return Question(
            self.transaction_id,
            self.occurred_at,
            self.amount,
            self.entities,
            self.categories,
            self.numeric,
            indexed,
        )

    def digest(self) -> bytes:
        """SHA-256 of the content; the order of fields and the notation of numbers and times do not matter."""
        return sha256(_CANONICAL.encode(self)).digest()


_CANONICAL = msgspec.msgpack.Encoder(order="sorted")

read_transaction = Transaction.__pydantic_validator__.validate_json
_read_transactions = TypeAdapter(Annotated[list[Transaction], Field(min_length=1, max_length=MAX_BATCH)]).validate_json
_read_list = TypeAdapter(Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]).validate_json
_read_labels = TypeAdapter(Annotated[list[Label], Field(min_length=1, max_length=MAX_BATCH)]).validate_json
_read_key = TypeAdapter(Id).validate_python


@dataclass(frozen=True, slots=True)
class Refused:
    """One entry of a batch that cannot be scored, and why."""

    transaction_id: str | None
    error: QuipuError


def read_batch(body: bytes) -> list[Transaction | Refused]:
    """The transactions of a batch; a malformed one is refused without touching the others.

    Raises:
        ValidationError: the body is not a JSON list of 1 to `MAX_BATCH` entries.
    """
    try:
        return list(_read_transactions(body))
    except ValidationError:
        entries = _read_list(body)
    read: list[Transaction | Refused] = []
    for entry in entries:
        try:
            read.append(read_transaction(json.dumps(entry)))
        except ValidationError as error:
            name = entry.get("transaction_id") if isinstance(entry, dict) else None
            read.append(Refused(name if isinstance(name, str) else None, invalid_body(error)))
    return read


def read_labels(body: bytes) -> list[Label]:
    """One label, or a list of up to `MAX_BATCH`."""
    if body.lstrip()[:1] == b"[":
        return _read_labels(body)
    return [Label.model_validate_json(body)]


def read_key(name: str, value: str) -> str:
    """A key from a path.

    Raises:
        InvalidRequest: it is empty, too long, or has control characters.
    """
    try:
        return _read_key(value)
    except ValidationError as error:
        raise InvalidRequest([FieldError(f"/path/{name}", error.errors()[0]["msg"])]) from None


def microseconds(time: datetime) -> int:
    """Microseconds since the epoch, UTC."""
    return (time - EPOCH) // _MICROSECOND


def iso(time: int) -> str:
    """Microseconds since the epoch as ISO 8601, UTC."""
    return (EPOCH + timedelta(microseconds=time)).isoformat().replace("+00:00", "Z")


class Intake:
    """Checks what pydantic cannot: times against the clock, names against what the model knows.

    Args:
        schema: entity types, categories and numbers that the model knows.
        future_tolerance: seconds a time may lie in the future.
    """

    def __init__(self, schema: GraphSchema, future_tolerance: int) -> None:
        self._entities = frozenset(schema.entities)
        self._categories = frozenset(schema.categories)
        self._numeric = frozenset(schema.numeric)
        self._ranged = _RANGE in self._categories
        self._tolerance = timedelta(seconds=future_tolerance)

    def submission(self, transaction: Transaction, prefix: str = "") -> Submission:
        """The one form of a transaction; `prefix` is where it stands in the body, for error pointers.

        Raises:
            InvalidRequest: with every field that cannot be used.
        """
        errors: list[FieldError] = []
        occurred_at = transaction.occurred_at
        self._check_time(f"{prefix}/occurred_at", occurred_at, errors)
        t = transaction
        user = canonical(USER, t.user_id)
        if user is None:
            errors.append(FieldError(f"{prefix}/user_id", "this names no user"))
        entities = {USER: user or t.user_id}
        self._collect(
            "entity types",
            (("restaurant", t.restaurant_id), ("device", t.device_id), ("ip", t.ip)),
            ("/restaurant_id", "/device_id", "/ip"),
            t.entities,
            "/entities",
            self._entities,
            entities,
            canonical,
            prefix,
            errors,
        )
        categories: dict[str, str] = {}
        self._collect(
            "categories",
            (("payment_method", t.payment_method), ("transaction_type", t.transaction_type), ("city", t.city)),
            ("/payment_method", "/transaction_type", "/city"),
            t.categories,
            "/categories",
            self._categories,
            categories,
            _category,
            prefix,
            errors,
        )
        if self._ranged and _RANGE not in categories and (found := address_range(entities.get("ip", ""))):
            categories[_RANGE] = found
        numeric = self._numbers(t, prefix, errors) if t.numeric or t.times else {}
        if errors:
            raise InvalidRequest(errors)
        return Submission(
            t.transaction_id,
            (occurred_at - EPOCH) // _MICROSECOND,
            round(t.amount * 100),
            t.currency.upper() if t.currency else None,
            entities,
            categories,
            numeric,
        )

    def known_at(self, label: Label, now: int, prefix: str = "") -> int:
        """When a label became known, microseconds UTC."""
        if label.known_at is None:
            return now
        errors: list[FieldError] = []
        self._check_time(f"{prefix}/known_at", label.known_at, errors)
        if errors:
            raise InvalidRequest(errors)
        return microseconds(label.known_at)

    def _check_time(self, pointer: str, time: datetime, errors: list[FieldError]) -> None:
        if time < EARLIEST:
            errors.append(FieldError(pointer, "this time is before 1990; is it in another unit?"))
        elif time > datetime.now(UTC) + self._tolerance:
            seconds = int(self._tolerance.total_seconds())
            errors.append(FieldError(pointer, f"this time is more than {seconds} s in the future"))

    @staticmethod
    def _collect(
        what: str,
        fixed: tuple[tuple[str, str | None], ...],
        pointers: tuple[str, ...],
        further: dict[str, str | None],
        further_at: str,
        known: frozenset[str],
        into: dict[str, str],
        in_one_form: Callable[[str, str], str | None],
        prefix: str,
        errors: list[FieldError],
    ) -> None:
        for (name, key), pointer in zip(fixed, pointers, strict=True):
            form = None if key is None else in_one_form(name, key)
            if form is None:
                continue
            if name not in known:
                errors.append(FieldError(prefix + pointer, _unknown(name, what, known)))
            into[name] = form
        for name, key in further.items():
            pointer = f"{prefix}{further_at}/{name}"
            if name not in known:
                errors.append(FieldError(pointer, _unknown(name, what, known)))
            elif key is not None and (form := in_one_form(name, key)) is not None:
                if name in into:
                    errors.append(FieldError(pointer, f"{name} is given twice; it has a field of its own"))
                into[name] = form

    def _numbers(self, transaction: Transaction, prefix: str, errors: list[FieldError]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for name, value in transaction.numeric.items():
            if name not in self._numeric:
                errors.append(FieldError(f"{prefix}/numeric/{name}", _unknown(name, "numbers", self._numeric)))
            elif value is not None:
                numbers[name] = value
        for name, time in transaction.times.items():
            column = f"seconds_since_{name}"
            if column not in self._numeric:
                known = frozenset(
                    n.removeprefix("seconds_since_") for n in self._numeric if n.startswith("seconds_since_")
                )
                errors.append(FieldError(f"{prefix}/times/{name}", _unknown(name, "times", known)))
            elif time is not None:
                numbers[column] = ((transaction.occurred_at - time) // _MICROSECOND) / SECOND
        return numbers


def _category(_name: str, value: str) -> str | None:
    return category(value)


def _unknown(name: str, what: str, known: frozenset[str]) -> str:
    return f"the model does not know {name!r}; its {what} are: {', '.join(sorted(known)) or 'none'}"
