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


class DecisionOut(BaseModel):
    """The decision on one transaction."""

    transaction_id: str
    probability: float = Field(ge=0, le=1, description="Calibrated probability of fraud.")
    band: Literal["approve", "review", "block"]
    reasons: list[ReasonOut] = Field(description="Strongest first.")
    neighbourhood: dict[str, Any] = Field(description="Nodes seen by kind; `truncated` where a cap cut the walk.")
    ring: dict[str, Any] | None
    links: dict[str, str]
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
