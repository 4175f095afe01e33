"""`quipu ablate` from the outside: what cannot be done is told in plain words, before any work."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

Quipu = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--train-until", "soon"), "'soon' is not a time"),
        (("--train-until", "2024-02-02", "--until", "2024-02-01"), "--until is not after --train-until"),
        (("--train-until", "2024-02-02", "--retrain-every", "often"), "'often' is not a duration"),
        (("--train-until", "2024-02-02", "--truth", "none.parquet"), "there is no file none.parquet"),
        (("--train-until", "2024-02-02", "--html", "nowhere/page.html"), "--html: there is no folder"),
        (("--train-until", "2024-02-02", "--truth", "t.csv", "--shuffle-labels"), "exclude each other"),
        (("--train-until", "2024-02-02"), "there are no transactions to score"),
    ],
)
def test_what_cannot_be_done_is_told(quipu: Quipu, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    (tmp_path / "t.csv").write_text("transaction_id,is_fraud\n1,true\n")
    ran = quipu("ablate", *options)
    assert message in ran.complaint()
    assert "hint" in ran.err


def test_parts_are_judged_by_the_truth_and_by_kind_of_fraud(small_world: Path, quipu: Quipu, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = quipu(
        *("ablate", "--train-until", "2025-02-05", "--only", "no-links,decision-tree", "--out", str(out)),
        *("--truth", str(small_world / "world" / "truth" / "fraud.parquet"), "--html", str(tmp_path / "page.html")),
        *("--store", f"sqlite:///{small_world}/store.db"),
    )
    assert ran.status == 0, ran.err
    figures = json.loads((out / "figures.json").read_text())
    variants = {variant["name"]: variant for variant in figures["variants"]}
    assert set(variants) >= {"whole", "head-alone", "no-links", "decision-tree"}
    scores = pq.read_table(out / "scores.parquet").to_pandas()
    assert scores.is_fraud.sum() == figures["summary"]["frauds"]
    for name, variant in variants.items():
        value = variant["figures"]["average_precision"]["value"]
        assert value == pytest.approx(average_precision_score(scores.is_fraud, scores[name]))
        assert 0 < variant["average_precision_by_labels"] <= 1
        assert sum(kind["frauds"] for kind in variant["typologies"]) == figures["summary"]["frauds"]
    for kind in variants["whole"]["typologies"]:
        assert kind["title"] in ran.out
        assert kind["title"] in (tmp_path / "page.html").read_text()


def test_missing_libraries_are_told_with_what_to_install(quipu: Quipu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    ran = quipu("ablate", "--train-until", "2024-02-02")
    assert ran.status == 1
    assert "libraries for training are not installed (lightgbm)" in ran.complaint()
    assert "uv sync --group training" in " ".join(ran.err.split())
