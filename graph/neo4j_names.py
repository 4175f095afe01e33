"""Names in Neo4j: labels and relationship types of a schema, and ids that an index can hold."""

import hashlib
import re
from collections.abc import Iterable

from graph.errors import InputError
from graph.records import EntityType, entity_type

STORE, LEDGER = "QuipuStore", "QuipuMigration"
TRANSACTION, FRAUD_LABEL, DECISION, CATEGORY = "Transaction", "FraudLabel", "Decision", "Category"
HUB_TRANSACTION = "HubTransaction"
RING, REFRESH, RING_EVENT, RING_CHANGE, RING_MARK = "Ring", "RingRefresh", "RingEvent", "RingChange", "RingMark"
FRAUD = "Fraud"
"""Label of transactions whose last known label says fraud."""
_STATES = (FRAUD, "Review", "Blocked", "Confirmed", "Dismissed")
OWN = (
    *(STORE, LEDGER, TRANSACTION, FRAUD_LABEL, DECISION, CATEGORY, HUB_TRANSACTION),
    *(RING, REFRESH, RING_EVENT, RING_CHANGE, RING_MARK),
    *_STATES,
)
"""Node labels that no entity type can have."""

_LONGEST = 1_000
_SHORTENED = re.compile(r".*… sha256:[0-9a-f]{64}\Z", re.DOTALL)


def bounded(text: str) -> str:
    """The text as property `id`: itself, or a beginning and a hash where it is too long for an index.

    Different texts have different bounded forms; the whole of a shortened one is kept as `long_id`.

    Raises:
        UnicodeEncodeError: the text has a lone surrogate.
    """
    encoded = text.encode()
    if len(encoded) <= _LONGEST and not _SHORTENED.match(text):
        return text
    return f"{text[:100]}… sha256:{hashlib.sha256(encoded).hexdigest()}"


def quoted(name: str) -> str:
    """A label, relationship type or property name as Cypher takes it, whatever it contains."""
    return f"`{name.replace('`', '``')}`"


def types_of(entities: Iterable[str]) -> tuple[EntityType, ...]:
    """The entity types of these names.

    Raises:
        InputError: two of them, or one and Quipu itself, would have the same node label or relationship.
    """
    found: list[EntityType] = []
    taken = dict.fromkeys(OWN, "a label of Quipu")
    for name in entities:
        mine = entity_type(name)
        for text in (mine.label, mine.relationship, mine.aggregate):
            if text and text in taken:
                raise InputError(
                    f"the entity type {name!r} cannot be kept: {text} is {taken[text]}", hint="rename it in the mapping"
                )
            taken[text] = f"of the entity type {name!r}"
        found.append(mine)
    return tuple(found)
