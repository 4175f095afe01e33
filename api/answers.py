"""Answers, as the API documentation shows them. They are written as raw JSON, so these models describe, and check
nothing at run time; `tests/api/test_documentation.py` holds real answers against them.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field


class ReasonOut(BaseModel):
    code: str
    text: str
    evidence: dict[str, Any]


class TouchedRingOut(BaseModel):
    """The active ring that a transaction touches: `through` says by which of its entities."""

    ring_id: str
    status: Literal["new", "watched", "confirmed"]
    score: float = Field(ge=0, le=1)
    members: int
    through: list[Literal["user", "device", "ip"]]


class DecisionOut(BaseModel):
    """The decision on one transaction."""

    transaction_id: str
    probability: float = Field(ge=0, le=1, description="Calibrated probability of fraud.")
    band: Literal["approve", "review", "block"]
    reasons: list[ReasonOut] = Field(description="Strongest first.")
    neighbourhood: dict[str, Any] = Field(description="Nodes seen by kind; `truncated` where a cap cut the walk.")
    ring: TouchedRingOut | None
    links: dict[str, str] = Field(
        description="`self`: this decision; `browser`: its neighbourhood and ring in Neo4j Browser, where there is one."
    )
    model_version: str
    graph_as_of: datetime | None = Field(description="The newest event in the graph when this was decided.")
    decided_at: datetime
    replayed: bool = Field(description="This is the original decision of an earlier request with the same body.")


class BatchItemOut(BaseModel):
    """One transaction's outcome: `decision` or `problem`, by `status`."""

    transaction_id: str | None
    status: int
    decision: DecisionOut | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """Outcomes in the order of the request."""

    results: list[BatchItemOut]


class LabelsOut(BaseModel):
    """What became of the labels. `kept`: the store is away, and they will be written when it is back."""

    loaded: int
    duplicates: int
    conflicts: int
    kept: int


class RingSummaryOut(BaseModel):
    """A ring in a list. Amounts are in units of the currency."""

    ring_id: str
    status: Literal["new", "watched", "confirmed", "dismissed"]
    score: float = Field(ge=0, le=1, description="Higher is more suspicious.")
    active: bool = Field(description="Whether the latest refresh found it.")
    users: int
    members: int
    transactions: int
    amount: float
    fraud_known: int
    first_at: datetime
    last_at: datetime
    found_at: datetime = Field(description="The moment as of which it was first found.")
    refreshed_at: datetime = Field(description="The moment as of which it is told here.")
    reasons: list[str] = Field(description="Why it is one, strongest first.")


class RingsOut(BaseModel):
    """Rings by score; `refreshed_at` is the moment as of which rings were last looked for."""

    refreshed_at: datetime | None
    rings: list[RingSummaryOut]


class RingMemberOut(BaseModel):
    """An entity in a ring, since its first transaction there; `band` is the worst of those transactions'."""

    entity: str
    key: str
    since: datetime
    transactions: int
    band: Literal["approve", "review", "block"] | None


class RingLinkOut(BaseModel):
    """A member user's transactions over another member."""

    user: str
    entity: str
    key: str
    transactions: int
    first_at: datetime
    last_at: datetime


class RingEventOut(BaseModel):
    """Something that happened to a ring, at a refresh or by a verdict."""

    at: datetime
    kind: Literal["found", "grew", "shrank", "split", "merged", "returned", "gone", "verdict"]
    details: dict[str, Any]
    text: str


class RingOut(BaseModel):
    """All that is known of a ring."""

    ring_id: str
    status: Literal["new", "watched", "confirmed", "dismissed"]
    score: float = Field(ge=0, le=1, description="Higher is more suspicious.")
    active: bool = Field(description="Whether the latest refresh found it.")
    users: int
    members: list[RingMemberOut]
    links: list[RingLinkOut]
    transactions: int
    amount: float
    fraud_known: int
    first_at: datetime
    last_at: datetime
    found_at: datetime
    refreshed_at: datetime
    structure: dict[str, float | None] = Field(description="Figures of its graph.")
    reasons: list[ReasonOut] = Field(description="Why it is one, strongest first.")
    came_from: list[str] = Field(description="Rings that it was split or merged from.")
    became: list[str] = Field(description="Rings that hold its members now, where it is no longer found itself.")
    history: list[RingEventOut]
    browser: str | None = Field(None, description="Opens it in Neo4j Browser; only where there is one.")


class RingNodeOut(BaseModel):
    """A member, with sums over its transactions in the ring."""

    id: str
    type: str
    key: str
    band: Literal["approve", "review", "block"] | None
    since: datetime
    transactions: int
    amount: float
    fraud_known: int
    first_at: datetime | None
    last_at: datetime | None


class RingGraphLinkOut(BaseModel):
    """From a user to another member, with sums over its transactions there."""

    source: str
    target: str
    relationship: str
    transactions: int
    amount: float
    fraud_known: int
    first_at: datetime | None
    last_at: datetime | None


class RingGraphOut(BaseModel):
    """A ring as a graph, from its transactions before its latest refresh."""

    nodes: list[RingNodeOut]
    links: list[RingGraphLinkOut]


class VerdictOut(BaseModel):
    """The ring as it is judged now, and what became of the labels that follow from the verdict."""

    ring: RingOut
    labels: LabelsOut


class SimilarEntityOut(BaseModel):
    """An entity like the one asked about; `band` is the worst of its latest transactions'."""

    type: str
    key: str
    similarity: float = Field(ge=-1, le=1, description="Cosine of the angle between the embeddings.")
    transactions: int
    fraud_known: int
    first_at: datetime | None
    last_at: datetime | None
    band: Literal["approve", "review", "block"] | None


class SimilarOut(BaseModel):
    """Entities like one, the most alike first; `as_of` is the moment as of which they are compared."""

    type: str
    key: str
    as_of: datetime
    model_version: str
    similar: list[SimilarEntityOut]


class ProblemOut(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    hint: str | None = None
    errors: list[dict[str, str]] | None = None


EXAMPLE = {
    "transaction_id": "T-20260131-0001",
    "occurred_at": "2026-01-31T12:30:00-05:00",
    "user_id": "U-1042",
    "amount": 86.5,
    "restaurant_id": "R-17",
    "device_id": "D-9c41",
    "ip": "190.232.10.4",
    "currency": "PEN",
}
LABEL_EXAMPLE = {
    "transaction_id": "T-20260131-0001",
    "is_fraud": True,
    "known_at": "2026-02-14T09:00:00Z",
    "source": "chargeback",
}
VERDICT_EXAMPLE = {"verdict": "confirmed", "by": "Ana", "note": "three accounts, one phone, the same menu"}
SIMILAR_EXAMPLE = {
    "type": "user",
    "key": "U-1042",
    "as_of": "2026-02-01T00:00:00Z",
    "model_version": "20260131-9c41f2a7b6e0",
    "similar": [
        {
            "type": "user",
            "key": "U-2077",
            "similarity": 0.9312,
            "transactions": 4,
            "fraud_known": 1,
            "first_at": "2026-01-29T18:02:11Z",
            "last_at": "2026-01-31T19:40:05Z",
            "band": "block",
        }
    ],
}
