"""`python -m bench` as a person and a script meet it."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.__main__ import BENCHES, main
from bench.handbook import DAY, FIRST_TEST_DAY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@pytest.mark.parametrize("name", BENCHES)
def test_every_benchmark_can_be_run_and_is_documented(name: str) -> None:
    assert callable(import_module(f"bench.{name}").run)
    assert f"## {name}" in PAGE.read_text(encoding="utf-8")


def test_an_unknown_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["indx"])
    assert ended.value.code == 2
    assert "there is no benchmark 'indx'" in capsys.readouterr().err


def test_without_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "--data", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no *.parquet files" in said
    assert "--data" in said


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A folder with a small made-up Handbook in `data/`, and scores of its test weeks."""
    rng = np.random.default_rng(0)
    n = 5000
    at = np.sort(rng.integers((FIRST_TEST_DAY - 14) * DAY, (FIRST_TEST_DAY + 28) * DAY, n))
    customer, fraud = rng.integers(0, 900, n), rng.random(n) < 0.03
    (tmp_path / "data").mkdir()
    columns = {"CUSTOMER_ID": customer, "TX_DATETIME": pa.array(at // 1000, pa.timestamp("ms")), "TX_FRAUD": fraud * 1}
    pq.write_table(pa.table(columns), tmp_path / "data" / "a.parquet")
    tested = at >= FIRST_TEST_DAY * DAY
    scores = {
        "occurred_at": pa.array(at[tested], pa.timestamp("us", "UTC")),
        "probability": np.clip(fraud[tested] * 0.9 + rng.random(int(tested.sum())) * 0.1, 0, 1),
        "is_fraud": fraud[tested],
        "user_id": pa.array(customer[tested]).cast(pa.string()),
    }
    pq.write_table(pa.table(scores), tmp_path / "scores.parquet")
    return tmp_path


def test_scores_at_hand_are_measured_for_people_and_machines(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "handbook",
        "--data",
        f"{scored}/data",
        "--work",
        f"{scored}/w",
        "--scores",
        f"{scored}/scores.parquet",
    ]
    status = main([*arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    figures = {figure["name"]: figure for figure in document["sections"][0]["figures"]}
    assert figures["AUC"]["value"] == 1.0
    assert figures["AUC"]["holds"] is True
    assert len(figures["AUC"]["runs"]) == 4
    holds = figures["card precision@100"]["holds"]
    assert figures["card precision@100"]["value"] <= figures["what a perfect ranking would have there"]["value"]
    assert holds is (figures["card precision@100"]["value"] >= 0.31)
    assert document["holds"] is holds
    assert status == (0 if holds else 1)
    assert document["machine"]["cores"] >= 1
    assert main(arguments) == status
    assert "AUC" in capsys.readouterr().out
