"""The parts of a store that can be copied by themselves."""

from enum import StrEnum


class Part(StrEnum):
    """What a copy may be restricted to."""

    FACTS = "facts"
    """The schema, transactions, labels (also those that wait for their transaction) and attributes."""
    DECISIONS = "decisions"
    EMBEDDINGS = "embeddings"
    RINGS = "rings"
    """Rings with their refreshes, events, members and verdicts."""
