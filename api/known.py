"""What the graph store knows of transactions that are about to be scored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from api import facts
from api.link import StoreLink
from api.wire import Submission
from graph.errors import StoreUnavailable
from graph.records import Decision, GraphSchema
from graph.store import Outcome, Store

_PATIENCE_SECONDS = 0.5
"""Scoring stands still meanwhile, but only once: then the store counts as away until it answers again."""


@dataclass(slots=True)
class Known:
    """What the store has.

    Attributes:
        decisions: the decisions on those that it has decisions on, by transaction id.
        loaded: sequence numbers of the others that it has, by transaction id.
    """

    decisions: dict[str, Decision] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)


def known(link: StoreLink, transaction_ids: Sequence[str]) -> Known:
    """Looks transactions up in the store. While it is away nothing is known: the spool alone guards against
    deciding twice."""
    if not transaction_ids or link.health.reading is not None:
        return Known()

    def look(store: Store) -> Known:
        loaded = store.sequence_numbers(transaction_ids)
        if not loaded:
            return Known()
        decisions = store.decisions(list(loaded))
        return Known(decisions, {name: seq for name, seq in loaded.items() if name not in decisions})

    try:
        return link.ask_quickly(look, patience=_PATIENCE_SECONDS)
    except StoreUnavailable as error:
        link.health.read(error)
        return Known()


def contradicting(link: StoreLink, loaded: Sequence[Submission], schema: GraphSchema) -> set[str]:
    """Ids of those of these transactions that were loaded with other content. Not known while the store is busy.

    Args:
        loaded: transactions that the store has.
        schema: what a request can give.
    """

    def compare(store: Store) -> set[str]:
        theirs = store.schema()
        if theirs.merged(schema) != theirs or schema.merged(theirs) != schema:
            return set()  # The store has columns that no request can give, so there is nothing to compare.
        outcomes = store.upsert_transactions(facts.table([facts.encode(submission, 0) for submission in loaded]))
        return {loaded[i].transaction_id for i in np.flatnonzero(outcomes == Outcome.CONFLICT).tolist()}

    try:
        return link.ask_quickly(compare, patience=_PATIENCE_SECONDS)
    except StoreUnavailable:
        return set()
