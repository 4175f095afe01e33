"""The scoring path's own terms: what is asked, what is answered. Free of any web framework.

A request makes a handful of each; a frozen dataclass takes ten times as long to make.
"""

from typing import Any

import msgspec


class Question(msgspec.Struct, frozen=True):
    """One transaction to score.

    Attributes:
        transaction_id: its id.
        occurred_at: event time, microseconds UTC. The answer uses only what occurred and was known before it.
        amount: hundredths of the currency unit.
        entities: key by entity type; must have the user. Missing types are left out.
        categories: value by categorical column.
        numeric: number by extra numeric column.
        indexed: the as-of index has this transaction already; otherwise scoring appends it.
    """

    transaction_id: str
    occurred_at: int
    amount: int
    entities: dict[str, str]
    categories: dict[str, str] = msgspec.field(default_factory=dict)
    numeric: dict[str, float] = msgspec.field(default_factory=dict)
    indexed: bool = False


class Reason(msgspec.Struct, frozen=True):
    """Why the probability is what it is: a stable code, a sentence for people, and the facts in it."""

    code: str
    text: str
    evidence: dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """The decision on one question.

    Attributes:
        probability: calibrated probability of fraud, 0 to 1.
        band: approve, review or block.
        reasons: strongest first; at least one.
        neighbourhood: node counts by kind, and `truncated` where a cap cut the walk.
        features: float32 values in the order of the bundle's catalogue, as bytes.
    """

    probability: float
    band: str
    reasons: list[Reason]
    neighbourhood: dict[str, Any]
    features: bytes
