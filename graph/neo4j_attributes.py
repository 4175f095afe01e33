"""Attributes of entities in the Neo4j store: whole as JSON, and each plain one as a property of its name."""

import json

import neo4j
import numpy as np

from graph.attributes import Attributes, as_text
from graph.layout import UNKNOWN
from graph.neo4j_keys import KeyIds, pattern
from graph.neo4j_state import Columns, State

OWN_PROPERTIES = frozenset(
    [
        "id",
        "long_id",
        "number",
        "attributes",
        "transactions",
        "first_at",
        "last_at",
        "amount",
        "fraud_known",
        "hub",
        "embedding",
        "embedding_model",
        "embedded_at",
    ]
)
"""Properties of an entity's node that no attribute takes; such an attribute is in `attributes` only."""


def write_attributes(
    tx: neo4j.ManagedTransaction,
    state: State,
    columns: Columns,
    known: KeyIds,
    position: int,
    given: dict[str, Attributes],
) -> None:
    """Merges attributes into the entities of the type at `position`, creating those that are not there."""
    keys = list(given)
    numbers = known.look_up(tx, columns, position, keys)
    fresh = np.flatnonzero(numbers == UNKNOWN)
    if fresh.size:
        numbers[fresh] = known.create(tx, state, columns, position, [keys[i] for i in fresh.tolist()])
    node = f"(n{pattern(columns, position)}number: number}})"
    before = dict(
        tx.run(f"UNWIND $numbers AS number MATCH {node} RETURN number, n.attributes", numbers=numbers.tolist()).values()
    )
    changes = []
    for key, number in zip(keys, numbers.tolist(), strict=True):
        old = json.loads(before[number]) if before[number] else {}
        merged = {**old, **given[key]}
        if merged != old:
            changes.append([number, as_text(merged), plain(given[key])])
    if changes:
        tx.run(
            f"UNWIND $changes AS c WITH c, c[0] AS number MATCH {node} SET n += c[2], n.attributes = c[1]",
            changes=changes,
        ).consume()


def plain(attributes: Attributes) -> Attributes:
    """Those that are properties of the node, too: plain values under names that Quipu does not use itself."""
    return {
        name: value
        for name, value in attributes.items()
        if name
        and name not in OWN_PROPERTIES
        and (isinstance(value, str | bool | float) or (isinstance(value, int) and -(2**63) <= value < 2**63))
    }
