"""The schedule under a real Airflow, a few days of it: kills lose and double nothing, a back-fill comes to the same."""

from pathlib import Path

import pytest

from bench.schedule import run
from bench.setup import Workspace


@pytest.mark.slow
def test_days_with_kills_and_days_filled_in(tmp_path: Path) -> None:
    section = run(Workspace(tmp_path, tmp_path / "work"), days=5, filled_days=3)
    assert section.holds, [figure for figure in section.figures if figure.holds is False]
