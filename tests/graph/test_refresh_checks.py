"""The quality gate of a refresh names every reason; what has passed is noted, and never goes back."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import NotYet, QualityError, StoreError
from graph.job_metrics import collected
from graph.refresh_checks import check_refresh, is_due, mark_refreshed, refreshed_until
from graph.schedule_metrics import publish_refreshed, publish_run
from graph.store import Store, open_store
from tests.graph.conftest import sqlite_url
from tests.graph.test_bulk_import import fill


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = sqlite_url(tmp_path)
    store = open_store(made)
    fill(store)
    with sqlite3.connect(made.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM decisions")  # one is of a transaction that is not there
    connection.close()
    store.close()
    return made


def loaded(store: Store, **more: Any) -> dict[str, Any]:
    now = store.status()
    return {"read": 10, "loaded": 0, "quarantined": 0, "before": now, "after": now, **more}


def test_a_sound_refresh_passes(url: str) -> None:
    store = open_store(url)
    passed = check_refresh(store, loaded(store), quarantine_limit=0.05)
    assert passed.invariants > 5
    assert passed.disturbed == ()
    store.close()


def test_each_reason_is_named(url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM transactions WHERE seq = 7")
    connection.close()
    store = open_store(url)
    now = store.status()
    more = {name: count + 1 for name, count in now.items()}
    with pytest.raises(QualityError) as told:
        check_refresh(store, loaded(store, quarantined=2, before=more, after=more, loaded=3), quarantine_limit=0.1)
    store.close()
    message = told.value.message
    assert not told.value.retryable
    assert "2 of 10 rows (20.0%) were quarantined, more than 10.0%" in message
    assert "3 transactions were loaded, but there are only 0 more" in message
    assert f"there are {now['labels']:,} labels, and were {now['labels'] + 1:,}" in message
    assert "numbered from 1 without gaps" in message


def test_what_has_passed_goes_forward_only(tmp_path: Path) -> None:
    assert refreshed_until(tmp_path) is None
    assert mark_refreshed(tmp_path, 20) == 20
    assert mark_refreshed(tmp_path, 10) == 20
    assert refreshed_until(tmp_path) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["graph-refreshed.json"]
    (tmp_path / "graph-refreshed.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        refreshed_until(tmp_path)


@given(st.one_of(st.none(), st.integers(0, 100)), st.integers(0, 100), st.integers(1, 50))
def test_a_job_waits_for_the_graph_and_leaves_what_is_long_past(refreshed: int | None, until: int, period: int) -> None:
    if refreshed is None or refreshed < until:
        with pytest.raises(NotYet) as told:
            is_due(refreshed, until, period)
        assert told.value.retryable
    else:
        assert is_due(refreshed, until, period) == (refreshed - until < period)


def test_outcomes_of_runs_are_counted_and_kept_beside_each_other(tmp_path: Path) -> None:
    publish_run(tmp_path, "graph_refresh", "success", ended_at=100.0, seconds=5.0)
    publish_run(tmp_path, "graph_refresh", "failed", ended_at=200.0, seconds=1.0)
    publish_run(tmp_path, "graph_refresh", "success", ended_at=300.0, seconds=6.0)
    publish_refreshed(tmp_path, 1_500_000)
    told = collected(tmp_path).decode()
    for line in (
        'quipu_dag_runs_total{dag="graph_refresh",outcome="success"} 2.0',
        'quipu_dag_runs_total{dag="graph_refresh",outcome="failed"} 1.0',
        'quipu_dag_last_run_timestamp_seconds{dag="graph_refresh",outcome="failed"} 200.0',
        'quipu_dag_last_run_timestamp_seconds{dag="graph_refresh",outcome="success"} 300.0',
        'quipu_dag_last_run_duration_seconds{dag="graph_refresh",outcome="success"} 6.0',
        "quipu_graph_refreshed_timestamp_seconds 1.5",
    ):
        assert line in told.splitlines()
