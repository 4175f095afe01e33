"""A walk outward from one entity, bounded in nodes and in transactions looked at; the same in every store."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph.records import entity_type

WALK = 1_000
"""Most recent transactions looked at for one entity of a neighbourhood."""
BUDGET = 5_000
"""Most transactions looked at for one neighbourhood."""
MAX_DEPTH = 3

Looked = tuple[int, int, int, bool, list[int]]
"""A transaction: sequence number, time of occurrence, amount, whether it is known as fraud, and the integer
ids of its entities, the user's first; -1 is missing."""
Latest = Callable[[int, int], list[Looked]]
"""The latest transactions by event time of an entity, newest first, at most so many."""


@dataclass(slots=True)
class Link:
    """Sums over the transactions looked at between a user and another entity."""

    transactions: int = 0
    amount: int = 0
    first_at: int = 2**63 - 1
    last_at: int = -(2**63)
    fraud_known: int = 0

    def add(self, occurred_at: int, amount: int, is_fraud: bool) -> None:
        self.transactions += 1
        self.amount += amount
        self.first_at = min(self.first_at, occurred_at)
        self.last_at = max(self.last_at, occurred_at)
        self.fraud_known += is_fraud


@dataclass(slots=True)
class Walk:
    """What a walk has found.

    Attributes:
        nodes: steps from the start, by entity.
        links: by user and other entity.
        truncated: whether any of the bounds cut something off.
    """

    limit: int
    nodes: dict[int, int] = field(default_factory=dict)
    links: dict[tuple[int, int], Link] = field(default_factory=dict)
    truncated: bool = False
    _counted: set[tuple[int, int]] = field(default_factory=set)
    """Transaction and other entity that are in a link already: both ends may be walked."""
    _budget: int = BUDGET

    def go(self, start: int, depth: int, latest: Latest) -> "Walk":
        """Walks `depth` steps (1 to 3); a step goes from a user to a device, address, …, or back."""
        self.nodes[start] = 0
        frontier = [start]
        for _ in range(min(max(depth, 1), MAX_DEPTH)):
            found: list[int] = []
            for node in frontier:
                if self._budget <= 0:
                    self.truncated = True
                    break
                found += self._step(node, latest)
            frontier = found
        return self

    def _step(self, entity: int, latest: Latest) -> list[int]:
        """Looks at the latest transactions of a node; returns the nodes found."""
        take = min(WALK, self._budget)
        rows = latest(entity, take + 1)
        if len(rows) > take:
            self.truncated = True
            rows = rows[:take]
        self._budget -= len(rows)
        found = []
        depth = self.nodes[entity] + 1
        for seq, occurred_at, amount, is_fraud, (user, *others) in rows:
            for other in others if user == entity else (entity,):
                if other < 0 or (seq, other) in self._counted:
                    continue
                far = other if user == entity else user
                if far not in self.nodes:
                    if len(self.nodes) >= self.limit:
                        self.truncated = True
                        continue
                    self.nodes[far] = depth
                    found.append(far)
                self._counted.add((seq, other))
                self.links.setdefault((user, other), Link()).add(occurred_at, amount, is_fraud)
        return found

    def told(self, known: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
        """The subgraph as the port gives it; `known` describes each entity."""
        name = {id_: f"{node['type']}:{node['key']}" for id_, node in known.items()}
        return {
            "nodes": [{"id": name[id_], **known[id_], "depth": steps} for id_, steps in self.nodes.items()],
            "links": [
                {
                    "source": name[user],
                    "target": name[other],
                    "relationship": entity_type(known[other]["type"]).aggregate,
                    "transactions": link.transactions,
                    "amount": link.amount,
                    "first_at": link.first_at,
                    "last_at": link.last_at,
                    "fraud_known": link.fraud_known,
                }
                for (user, other), link in self.links.items()
            ],
            "truncated": self.truncated,
        }
