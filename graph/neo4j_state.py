"""The store's own node: which columns there are, and how far the counters have come."""

from dataclasses import dataclass

import neo4j

from graph.errors import StoreError
from graph.layout import Layout
from graph.neo4j_names import STORE, types_of
from graph.records import USER, EntityType, GraphSchema

CREATE = (
    f"MERGE (s:{STORE} {{name: 'store'}}) ON CREATE SET s.columns = ['entity:{USER}'],"
    " s.transactions = 0, s.labels = 0, s.entities = 0, s.waiting_labels = 0, s.label_tickets = 0,"
    " s.waiting_decisions = 0"
)
_LOCK = f"MATCH (s:{STORE} {{name: 'store'}}) SET s.locked = true"
_READ = (
    f"MATCH (s:{STORE} {{name: 'store'}})"
    " RETURN s.columns, s.transactions, s.labels, s.entities, s.waiting_labels, s.label_tickets,"
    " s.waiting_decisions"
)
_SAVE = (
    f"MATCH (s:{STORE} {{name: 'store'}}) SET s.columns = $columns, s.transactions = $transactions,"
    " s.labels = $labels, s.entities = $entities, s.waiting_labels = $waiting_labels,"
    " s.label_tickets = $label_tickets, s.waiting_decisions = $waiting_decisions"
)


@dataclass(slots=True)
class State:
    """What the store's node says; a writer changes it, and saves it with its transaction.

    Attributes:
        columns: `role:name` in order of addition, roles being entity, category and numeric.
        transactions, labels: the highest sequence numbers given.
        entities: integer ids given to entities and categories.
        waiting_labels, waiting_decisions: how many wait for their transaction.
        label_tickets: how many labels have ever had to wait; gives their order.
    """

    columns: tuple[str, ...]
    transactions: int
    labels: int
    entities: int
    waiting_labels: int
    label_tickets: int
    waiting_decisions: int

    @classmethod
    def read(cls, tx: neo4j.ManagedTransaction) -> "State":
        """The state as it was last committed."""
        record = tx.run(_READ).single()
        if record is None:
            raise StoreError("the store's own node (:QuipuStore) is gone", hint="restore the database from a backup")
        columns, *counters = record.values()
        return cls(tuple(columns), *counters)

    @classmethod
    def locked(cls, tx: neo4j.ManagedTransaction) -> "State":
        """The state, once all other writers have committed; none gets further until this transaction ends."""
        tx.run(_LOCK).consume()  # a statement by itself: the next one reads what others wrote meanwhile
        return cls.read(tx)

    def save(self, tx: neo4j.ManagedTransaction) -> None:
        """Writes the state back."""
        tx.run(
            _SAVE,
            columns=list(self.columns),
            transactions=self.transactions,
            labels=self.labels,
            entities=self.entities,
            waiting_labels=self.waiting_labels,
            label_tickets=self.label_tickets,
            waiting_decisions=self.waiting_decisions,
        ).consume()


@dataclass(frozen=True, slots=True)
class Columns:
    """A store's columns at one moment.

    Attributes:
        names: as in `State.columns`.
        layout: how they lie in a transaction's `ids` and `numbers`.
        types: the entity types, in the order of the schema.
    """

    names: tuple[str, ...]
    layout: Layout
    types: tuple[EntityType, ...]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Columns":
        """Takes the columns of a state apart."""
        parts = (text.partition(":") for text in names)
        layout = Layout.of((number, role, name) for number, (role, _, name) in enumerate(parts))
        return cls(names, layout, types_of(layout.schema.entities))

    @property
    def schema(self) -> GraphSchema:
        return self.layout.schema

    def type(self, name: str) -> EntityType | None:
        """The entity type of this name; None where the schema lacks it."""
        return next((mine for mine in self.types if mine.name == name), None)

    def with_schema(self, schema: GraphSchema) -> "Columns":
        """These columns, and after them what they lack of `schema`."""
        mine = self.schema
        whole = mine.merged(schema)
        return Columns.of(
            (
                *self.names,
                *(f"entity:{name}" for name in whole.entities[len(mine.entities) :]),
                *(f"category:{name}" for name in whole.categories[len(mine.categories) :]),
                *(f"numeric:{name}" for name in whole.numeric[len(mine.numeric) :]),
            )
        )


class ColumnsCache:
    """Takes columns apart again only when some were added."""

    def __init__(self) -> None:
        self.newest: Columns | None = None
        """What was last taken apart; None before the first time."""

    def of(self, state: State) -> Columns:
        columns = self.newest
        if columns is None or columns.names != state.columns:
            columns = self.newest = Columns.of(state.columns)
        return columns
