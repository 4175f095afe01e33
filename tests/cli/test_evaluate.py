"""`quipu evaluate` from the outside: figures for people and machines, clear words where it cannot."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import run
from gnn.bundle import write_bundle


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = 3_000
    p = rng.random(rows) ** 4
    table = pa.table(
        {
            "transaction_id": [str(i) for i in range(rows)],
            "occurred_at": pa.array(1_533_686_400_000_000 + np.sort(rng.integers(0, 14 * 86_400_000_000, rows))).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "probability": p,
            "band": np.where(p > 0.8, "block", np.where(p > 0.3, "review", "approve")),
            "model_version": ["20180808-0123456789ab"] * rows,
            "is_fraud": rng.random(rows) < p,
            "user_id": [str(i) for i in rng.integers(0, 200, rows)],
            "amount": rng.lognormal(3, 1, rows),
        }
    )
    pq.write_table(table, tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def quipu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["quipu", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_prints_figures_for_people(
    scores: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text, _ = quipu(monkeypatch, capsys, scores)
    assert status == 0
    assert "3,000 labelled transactions from 2018-08-08" in text
    assert "Average precision" in text
    assert "2018-08-15" in text


def test_prints_json_and_writes_a_page(
    scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    status, text, _ = quipu(monkeypatch, capsys, scores, "--against", scores, "--html", page, "--json")
    document = json.loads(text)
    assert status == 0
    assert 0.5 < document["figures"]["auc"]["value"] < 1
    assert document["against"]["figures"]["auc"]["value"] == 0
    assert len(document["weeks"]) == 2
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(page.with_suffix(".json").read_text())["summary"] == document["summary"]


def test_prints_what_a_bundle_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_bundle(tmp_path, {"a": b"1"}, {"figures": {"average_precision": 0.75}})
    status, text, _ = quipu(monkeypatch, capsys, bundle, "--json")
    assert status == 0
    assert json.loads(text)["figures"] == {"average_precision": 0.75}
    assert json.loads(text)["bundle"] == bundle.name
    status, text, _ = quipu(monkeypatch, capsys, bundle)
    assert "figures.average_precision" in text
    (bundle / "a").write_bytes(b"2")
    status, _, error = quipu(monkeypatch, capsys, bundle)
    assert status == 1
    assert "damaged" in error


def test_says_what_is_wrong(
    scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pq.read_table(scores)
    cases = {
        "nothing.parquet": (None, 2, "there is no file"),
        "text.parquet": (b"transaction_id,probability\n", 2, "cannot be read as Parquet"),
        "columns.parquet": (table.drop_columns(["is_fraud"]), 2, "no column is_fraud"),
        "unlabelled.parquet": (
            table.set_column(5, "is_fraud", pa.nulls(len(table), pa.bool_())),
            1,
            "none of the 3,000",
        ),
        "genuine.parquet": (table.set_column(5, "is_fraud", pa.array([False] * len(table))), 1, "are genuine"),
        "empty.parquet": (table.slice(0, 0), 1, "none of the 0"),
    }
    for name, (content, expected, message) in cases.items():
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            pq.write_table(content, path)
        status, out, error = quipu(monkeypatch, capsys, path, "--json")
        assert (status, out) == (expected, ""), name
        assert message in " ".join(error.split()), name
        assert "hint" in error
    for arguments in (
        (scores, "--html", tmp_path / "nowhere" / "r.html"),
        (tmp_path, "--against", scores),
        (scores, "--against", tmp_path / "nothing.parquet"),
    ):
        status, _, error = quipu(monkeypatch, capsys, *arguments)
        assert status == 2
        assert "hint" in error
