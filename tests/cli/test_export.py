"""`quipu export` and `quipu monitor` on the command line."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq

from tests.cli.conftest import Quipu


def test_export_writes_its_tables_and_says_how_much(quipu: Quipu, tmp_path: Path) -> None:
    told = quipu("export", "reports", "--json").json()
    assert set(told["rows"]) == {"decisions", "rings", "ring_members", "daily"}
    assert pq.read_table(tmp_path / "reports" / "daily.parquet").num_rows == 0
    assert "0 rows" in quipu("export", "reports", "--format", "csv").out


def test_what_cannot_be_exported_is_said(quipu: Quipu, tmp_path: Path) -> None:
    assert "nothing lies between" in quipu("export", "x", "--since", "2025-02-01", "--until", "2025-01-01").complaint()
    (tmp_path / "file").write_text("")
    assert "DIR" in quipu("export", "file").complaint()
    assert "is not a time" in quipu("export", "x", "--since", "soon").complaint()


def test_monitor_without_a_model_says_what_to_do(quipu: Quipu) -> None:
    assert "quipu train" in quipu("monitor").complaint()


def test_monitor_tells_people_machines_and_prometheus(quipu: Quipu, small_world: Path, tmp_path: Path) -> None:
    shutil.copy(small_world / "store.db", tmp_path / "store.db")
    told = quipu("monitor", "--models", small_world / "models", "--json").json()
    assert told["transactions"] > 0
    assert told["label_delay"]["fraud"]["labels"] > 0
    assert "quipu_monitor_transactions" in (tmp_path / "var" / "jobs" / "monitor.prom").read_text()
    text = quipu("monitor", "--models", small_world / "models").out
    assert told["model_version"] in text
    assert "label delay" in text
