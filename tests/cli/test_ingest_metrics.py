"""A load's data quality as Prometheus sees it: the same figures as its report."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from graph.job_metrics import collected
from tests.cli.conftest import Quipu

MAPPING = """name: "a shop/1.0"
source: {files: rows.csv}
transaction:
  transaction_id: id
  occurred_at: {column: at, timezone: UTC}
  user_id: user
  amount: amount
  device_id: device
quarantine: {limit: 50%}
"""
ROWS = """id,at,user,amount,device
1,2025-01-06T10:00:00,u1,10,d1
2,2025-01-06T11:00:00,u2,20,
3,2025-01-06T12:00:00,u3,ten,d3
4,2025-01-06T13:00:00,u4,40,d1
5,never,u5,50,d1
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path / "mapping.yaml"


def told(var: Path) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(collected(var).decode())
    return {
        (s.name, *(v for k, v in sorted(s.labels.items()) if k != "mapping")): s.value
        for f in families
        for s in f.samples
    }


def test_figures_are_those_of_the_report_and_add_up_over_loads(quipu: Quipu, mapping: Path, tmp_path: Path) -> None:
    report = quipu("ingest", mapping, "--json").json()
    assert (report["loaded"], report["quarantined"]) == (3, 2)
    first = told(tmp_path / "var")
    rows = {outcome: first["quipu_ingest_rows_total", "transactions", outcome]
            for outcome in ("loaded", "duplicate", "quarantined")}  # fmt: skip
    assert rows == {"loaded": 3, "duplicate": 0, "quarantined": 2}
    reasons = {key[2]: value for key, value in first.items() if key[0] == "quipu_ingest_quarantined_rows_total"}
    assert reasons == report["reasons"]
    assert first["quipu_ingest_quarantined_ratio",] == pytest.approx(0.4)
    assert first["quipu_ingest_missing_ratio", "entity:device"] == pytest.approx(1 / 3)
    assert first["quipu_ingest_newest_event_timestamp_seconds",] == 1736168400
    quipu("ingest", mapping)
    again = told(tmp_path / "var")
    assert again["quipu_ingest_rows_total", "transactions", "loaded"] == 3
    assert again["quipu_ingest_rows_total", "transactions", "duplicate"] == 3
    assert again["quipu_ingest_rows_total", "transactions", "quarantined"] == 4


def test_a_dry_run_tells_nothing(quipu: Quipu, mapping: Path, tmp_path: Path) -> None:
    assert quipu("ingest", mapping, "--dry-run").status == 0
    assert told(tmp_path / "var") == {}


def test_a_load_that_was_stopped_is_counted(quipu: Quipu, mapping: Path, tmp_path: Path) -> None:
    mapping.write_text(MAPPING.replace("50%", "1%"))
    assert quipu("ingest", mapping).status == 2
    assert quipu("ingest", mapping).status == 2
    found = told(tmp_path / "var")
    assert found["quipu_ingest_stopped_total",] == 2
    assert found["quipu_ingest_stopped_timestamp_seconds",] > 0
    assert ("quipu_ingest_finished_timestamp_seconds",) not in found


def test_figures_that_cannot_be_kept_do_not_fail_the_load(quipu: Quipu, mapping: Path, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "jobs").write_text("no folder")
    ran = quipu("ingest", mapping)
    assert ran.status == 0
    assert "cannot be kept for Prometheus" in " ".join(ran.err.split())
