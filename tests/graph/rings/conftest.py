"""Made worlds as a fixture."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from graph.rings import Evidence
from tests.graph.rings.made import Tx, World, evidence_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Reads rows, written to an empty store in their order, as of a day."""
    made = 0

    def read(rows: Sequence[Tx], day: float) -> Evidence:
        nonlocal made
        made += 1
        return evidence_of(tmp_path / f"{made}.db", rows, day)

    return read
