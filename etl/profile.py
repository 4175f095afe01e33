"""What the rows that a load brought look like in the graph, from the store's change feed."""

from dataclasses import dataclass
from typing import Any

from graph.store import Store, Watermark


@dataclass(frozen=True, slots=True)
class Profile:
    """The transactions and labels that came into a store after some moment.

    Attributes:
        transactions: how many.
    """

    transactions: int

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {"transactions": self.transactions}


def profile(store: Store, since: Watermark) -> Profile:
    """Profiles what the store got after `since`; takes time by the number of those rows alone.

    Raises:
        StoreError: the store failed.
    """
    return Profile(sum(len(changes.seq) for changes in store.transaction_changes(since.transaction)))
