"""The vocabulary: entity types, the schema of a graph, and the columns in which facts travel.

Facts travel as Arrow tables, so that one row and a million rows take the same way.
A table of transactions has the columns of `transaction_columns(schema)`, one of
labels those of `LABEL_COLUMNS`. Times are microseconds since the epoch, UTC. Amounts
are integer hundredths of the currency unit, so that sums do not depend on their order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import pyarrow as pa

USER = "user"
TIMESTAMP = pa.timestamp("us", tz="UTC")
SECOND = 1_000_000
DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class EntityType:
    """A kind of node that transactions link to.

    Attributes:
        name: as in mappings, wire models and column names: `device`.
        label: node label in the graph store and Browser: `Device`.
        relationship: from the transaction to the entity: `ON_DEVICE` (for the user: `MADE`, from the user).
        aggregate: from the user to the entity: `USES` (empty for the user).
    """

    name: str
    label: str
    relationship: str
    aggregate: str = ""


KNOWN_TYPES = {
    t.name: t
    for t in (
        EntityType(USER, "User", "MADE"),
        EntityType("device", "Device", "ON_DEVICE", "USES"),
        EntityType("ip", "IP", "FROM_IP", "CONNECTS_FROM"),
        EntityType("restaurant", "Restaurant", "AT", "DINES_AT"),
        EntityType("card", "Card", "WITH_CARD", "PAYS_WITH"),
        EntityType("phone", "Phone", "WITH_PHONE", "HAS_PHONE"),
        EntityType("email", "Email", "WITH_EMAIL", "HAS_EMAIL"),
        EntityType("address", "Address", "TO_ADDRESS", "HAS_ADDRESS"),
    )
}


def entity_type(name: str) -> EntityType:
    """The known type of this name, or one made up by the same rules (`loyalty_id` -> `LoyaltyId`)."""
    known = KNOWN_TYPES.get(name)
    if known is not None:
        return known
    label = "".join(part.capitalize() for part in name.split("_"))
    return EntityType(name, label, f"WITH_{name.upper()}", f"HAS_{name.upper()}")


@dataclass(frozen=True, slots=True)
class GraphSchema:
    """What a store's transactions carry. Append-only: positions never change once given.

    Attributes:
        entities: linked entity types; the user comes first.
        categories: extra categorical columns. They are counted like entities, but link nothing.
        numeric: extra numeric columns.
    """

    entities: tuple[str, ...] = (USER,)
    categories: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.entities or self.entities[0] != USER:
            raise ValueError("a schema's first entity type is the user")

    @property
    def keyed(self) -> tuple[str, ...]:
        """Entity types, then categories: the columns of a transaction's integer ids, in order."""
        return self.entities + self.categories

    def merged(self, other: "GraphSchema") -> "GraphSchema":
        """This schema with what `other` has more appended, in its order."""
        return GraphSchema(
            _appended(self.entities, other.entities),
            _appended(self.categories, other.categories),
            _appended(self.numeric, other.numeric),
        )


def _appended(mine: tuple[str, ...], theirs: Iterable[str]) -> tuple[str, ...]:
    return mine + tuple(name for name in dict.fromkeys(theirs) if name not in mine)


def entity_column(name: str) -> str:
    """Column of an entity type's keys in a table of transactions (nullable text)."""
    return f"entity:{name}"


def category_column(name: str) -> str:
    """Column of a categorical value (nullable text)."""
    return f"category:{name}"


def numeric_column(name: str) -> str:
    """Column of an extra number (nullable float64)."""
    return f"numeric:{name}"


def transaction_columns(schema: GraphSchema) -> pa.Schema:
    """The columns of a table of transactions.

    `occurred_at` is the event time. `arrived_at` is when the platform had the row: the order
    in which history is replayed; where a source doesn't tell, it equals `occurred_at`.
    """
    fields = [
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("occurred_at", TIMESTAMP, nullable=False),
        pa.field("arrived_at", TIMESTAMP, nullable=False),
        pa.field("amount", pa.int64(), nullable=False),
        pa.field("currency", pa.string()),
    ]
    fields += [pa.field(entity_column(n), pa.string(), nullable=n != USER) for n in schema.entities]
    fields += [pa.field(category_column(n), pa.string()) for n in schema.categories]
    fields += [pa.field(numeric_column(n), pa.float64()) for n in schema.numeric]
    return pa.schema(fields)


LABEL_COLUMNS = pa.schema(
    [
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("is_fraud", pa.bool_(), nullable=False),
        pa.field("known_at", TIMESTAMP, nullable=False),
        pa.field("source", pa.string(), nullable=False),
    ]
)


class Decision(msgspec.Struct, frozen=True):
    """What was answered for one transaction; written once, never changed.

    Attributes:
        transaction_id: the idempotency key.
        digest: SHA-256 of the canonical request; another digest under the same id is a conflict.
        decided_at: microseconds since the epoch, UTC.
        probability, band, model_version: the answer, for queries.
        response: the answer's JSON as it was sent, without `replayed`.
        features: float32 values in the order of the bundle's catalogue, for audit and parity.
    """

    transaction_id: str
    digest: bytes
    decided_at: int
    probability: float
    band: str
    model_version: str
    response: bytes
    features: bytes = b""
