"""Decisions in the Neo4j store: written once, never changed; a band shows as a label of its transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
import neo4j
import numpy as np
from numpy.typing import NDArray

from graph.neo4j_names import DECISION, TRANSACTION, bounded
from graph.neo4j_state import State
from graph.neo4j_times import from_epoch, micros, split
from graph.records import Decision
from graph.store import Outcome

_SHOW_BAND = (
    "SET t.band = d.band"
    " FOREACH (_ IN CASE WHEN d.band = 'review' THEN [1] ELSE [] END | SET t:Review)"
    " FOREACH (_ IN CASE WHEN d.band = 'block' THEN [1] ELSE [] END | SET t:Blocked)"
)


def write_decisions(tx: neo4j.ManagedTransaction, state: State, decisions: Sequence[Decision]) -> NDArray[np.int8]:
    """Keeps what is new of some decisions; an `Outcome` each."""
    ids = [bounded(decision.transaction_id) for decision in decisions]
    digests: dict[str, bytes] = dict(
        tx.run(
            f"UNWIND $ids AS id MATCH (d:{DECISION} {{id: id}}) RETURN id, d.digest", ids=list(dict.fromkeys(ids))
        ).values()
    )
    outcomes = np.full(len(ids), Outcome.LOADED, dtype=np.int8)
    new = []
    for i, (id_, decision) in enumerate(zip(ids, decisions, strict=True)):
        kept = digests.get(id_)
        if kept is None:
            digests[id_] = decision.digest
            new.append(i)
        else:
            outcomes[i] = Outcome.DUPLICATE if kept == decision.digest else Outcome.CONFLICT
    if new:
        _create(tx, state, [ids[i] for i in new], [decisions[i] for i in new])
    return outcomes


def _create(tx: neo4j.ManagedTransaction, state: State, ids: list[str], decisions: list[Decision]) -> None:
    decided_s, decided_n = split(np.array([d.decided_at for d in decisions], dtype=np.int64))
    tx.run(
        "UNWIND range(0, size($ids) - 1) AS i"
        f" CREATE (:{DECISION} {{id: $ids[i], long_id: $long_ids[i], digest: $digest[i],"
        f" decided_at: {from_epoch('decided')}, probability: $probability[i], band: $band[i],"
        " model_version: $model_version[i], response: $response[i], features: $features[i], waiting: true})",
        ids=ids,
        long_ids=[None if d.transaction_id == id_ else d.transaction_id for d, id_ in zip(decisions, ids, strict=True)],
        digest=[d.digest for d in decisions],
        decided_s=decided_s, decided_n=decided_n,
        probability=[d.probability for d in decisions],
        band=[d.band for d in decisions],
        model_version=[d.model_version for d in decisions],
        response=[d.response for d in decisions],
        features=[d.features for d in decisions],
    ).consume()  # fmt: skip
    state.waiting_decisions += len(decisions)
    adopt_decisions(tx, state, ids)


def adopt_decisions(tx: neo4j.ManagedTransaction, state: State, ids: list[str]) -> None:
    """Shows the bands of decisions that waited for these transactions (ids are bounded)."""
    if not state.waiting_decisions:
        return
    adopted = tx.run(
        f"UNWIND $ids AS id MATCH (d:{DECISION} {{id: id}}) WHERE d.waiting MATCH (t:{TRANSACTION} {{id: id}})"
        f" REMOVE d.waiting {_SHOW_BAND} RETURN count(*)",
        ids=ids,
    ).single(strict=True)
    state.waiting_decisions -= adopted.value()


def read_decisions(tx: neo4j.ManagedTransaction, transaction_ids: Sequence[str]) -> dict[str, Decision]:
    """The kept decisions of these transactions."""
    text = {bounded(id_): id_ for id_ in transaction_ids}
    rows = tx.run(
        f"UNWIND $ids AS id MATCH (d:{DECISION} {{id: id}}) RETURN id, d.digest, {micros('d.decided_at')},"
        " d.probability, d.band, d.model_version, d.response, d.features",
        ids=list(text),
    ).values()
    return {text[id_]: decision_of(text[id_], *rest) for id_, *rest in rows}


def decision_of(*values: Any) -> Decision:
    """A decision from the values of its attributes, in order; the import tool leaves empty bytes out."""
    decision = Decision(*values)
    return msgspec.structs.replace(decision, response=decision.response or b"", features=decision.features or b"")
