"""Integer ids of entities and categories in the Neo4j store."""

from collections.abc import Iterable, Sequence

import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.layout import UNKNOWN
from graph.neo4j_names import CATEGORY, bounded, quoted
from graph.neo4j_state import Columns, State

_CACHED_KEYS = 250_000


def pattern(columns: Columns, position: int) -> str:
    """Cypher for the nodes of the column at this position of `schema.keyed`, up to their further properties."""
    if position < len(columns.types):
        return f":{quoted(columns.types[position].label)} {{"
    return f":{CATEGORY} {{name: $name, "


def find(tx: neo4j.ManagedTransaction, columns: Columns, position: int, keys: Iterable[str]) -> dict[str, int]:
    """The integer ids of those of these keys that have one."""
    text = {bounded(key): key for key in keys}
    found = tx.run(
        f"UNWIND $ids AS id MATCH (n{pattern(columns, position)}id: id}}) RETURN id, n.number",
        ids=list(text), name=columns.schema.keyed[position],
    )  # fmt: skip
    return {text[id_]: number for id_, number in found.values()}


class KeyIds:
    """Integer ids of keys, remembered; used under the store's lock only.

    Ids are never reassigned, so a remembered one holds whatever other processes write. Ids that
    `create` gives may still be rolled back: they are remembered when a later transaction looks them up.
    """

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {}

    def look_up(
        self, tx: neo4j.ManagedTransaction, columns: Columns, position: int, keys: Sequence[str]
    ) -> NDArray[np.int32]:
        """The ids of distinct keys, `UNKNOWN` for those that have none."""
        known = self._known.setdefault(columns.layout.kinds[position], {})
        missing = [key for key in keys if key not in known]
        if missing:
            if len(known) + len(missing) > _CACHED_KEYS:
                known.clear()
                missing = list(keys)
            known.update(find(tx, columns, position, missing))
        return np.fromiter((known.get(key, UNKNOWN) for key in keys), dtype=np.int32, count=len(keys))

    def create(
        self, tx: neo4j.ManagedTransaction, state: State, columns: Columns, position: int, keys: Sequence[str]
    ) -> NDArray[np.int32]:
        """Makes the nodes of distinct keys that have none, with the next ids."""
        ids = [bounded(key) for key in keys]
        counts = "" if position >= len(columns.types) else ", transactions: 0, amount: 0, fraud_known: 0"
        tx.run(
            "UNWIND range(0, size($ids) - 1) AS i"
            f" CREATE (n{pattern(columns, position)}id: $ids[i], long_id: $long_ids[i], number: $first + i{counts}}})",
            ids=ids,
            long_ids=[None if id_ == key else key for id_, key in zip(ids, keys, strict=True)],
            first=state.entities,
            name=columns.schema.keyed[position],
        ).consume()
        first = state.entities
        state.entities += len(keys)
        return np.arange(first, state.entities, dtype=np.int32)
