"""`quipu ablate` from the outside: what cannot be done is told in plain words, before any work."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


def test_missing_libraries_are_told_with_what_to_install(quipu: Quipu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    ran = quipu("ablate", "--train-until", "2024-02-02")
    assert ran.status == 1
    assert "libraries for training are not installed (lightgbm)" in ran.complaint()
    assert "uv sync --group training" in " ".join(ran.err.split())
