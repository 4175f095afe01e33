"""The DAGs in a real Airflow: they parse quickly and lightly, and a run of each does what it says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gnn.champion import history
from graph.job_metrics import collected
from graph.refresh_checks import refreshed_until
from graph.store import open_store, rings_of
from tests.dags.conftest import ROOT

DAGS = {
    "graph_refresh": ["announce", "check_quality", "embed_entities", "find_rings", "ingest", "snapshot_index"],
    "model_training": ["compare", "graph_ready", "is_better", "promote", "reload_service", "train"],
    "monitoring": ["call_for_training", "has_drifted", "watch_model"],
}
HEAVY = ["tensorflow", "graph.store", "graph.sqlite_store", "neo4j", "pyarrow", "pandas", "numba", "lightgbm"]

PARSE = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import BundleDagBag
from pathlib import Path
before = set(sys.modules)
folder, heavy = Path(sys.argv[1]), json.loads(sys.argv[2])
found = {}
for file in sorted(folder.glob("*.py")):
    started = time.process_time()
    bag = BundleDagBag(str(file), bundle_path=folder, bundle_name="dags")
    seconds = time.process_time() - started
    dags = {name: sorted(t.task_id for t in dag.tasks) for name, dag in bag.dags.items()}
    found[file.stem] = {"errors": list(bag.import_errors.values()), "dags": dags, "seconds": seconds}
print("FOUND" + json.dumps([found, sorted((set(sys.modules) - before) & set(heavy))]))
"""

ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from datetime import UTC, datetime
from types import SimpleNamespace
from graph.errors import BundleError, StoreUnavailable
from quipu_schedule import AskTheError, window
ask = AskTheError()
def run(**more):
    return SimpleNamespace(run_id="r", **{"conf": None, **more})
def event(since, until):
    return SimpleNamespace(extra={"since": since, "until": until})
def told(context):
    try:
        return window(context)
    except Exception as error:
        return type(error).__name__
day = datetime(2025, 3, 1, tzinfo=UTC)
print("FOUND" + json.dumps({
    "outage": ask.evaluate(StoreUnavailable("away"), 9, 30).action.value,
    "lasting": ask.evaluate(BundleError("damaged"), 1, 30).action.value,
    "reason": ask.evaluate(BundleError("damaged", hint="train again"), 1, 30).reason,
    "unforeseen": [ask.evaluate(ZeroDivisionError(), n, 30).action.value for n in (1, 2, 3)],
    "interval": told({"dag_run": run(), "data_interval_start": day, "data_interval_end": day.replace(day=2)}),
    "events": told({"dag_run": run(), "triggering_asset_events": {"a": [
        event("2025-03-02T00:00:00+00:00", "2025-03-03T00:00:00+00:00"),
        event("2025-03-01T00:00:00+00:00", "2025-03-02T00:00:00+00:00")]}}),
    "given": told({"dag_run": run(conf={"since": "2025-03-01", "until": "2025-03-02T01:00:00+01:00"})}),
    "empty": told({"dag_run": run(), "data_interval_start": day, "data_interval_end": day}),
    "nothing": told({"dag_run": run()}),
    "wrong": told({"dag_run": run(conf={"since": "soon", "until": "later"})}),
}))
"""
RUN = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.dag_processing.bundles.manager import DagBundlesManager
folder = Path(sys.argv[1])
bundles = DagBundlesManager()
bundles.sync_bundles_to_db()
bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
sync_bag_to_db(bag, "dags-folder", None)
outcomes = []
for name, date, conf in json.loads(sys.argv[2]):
    run = bag.dags[name].test(logical_date=datetime.fromisoformat(date).replace(tzinfo=UTC), run_conf=conf or None)
    tasks = run.get_task_instances()
    outcomes.append({
        "state": run.state,
        "returned": {t.task_id: t.xcom_pull(task_ids=t.task_id) for t in tasks if t.state == "success"},
        "skipped": sorted(t.task_id for t in tasks if t.state == "skipped"),
        "tries": {t.task_id: t.try_number for t in tasks},
    })
print("FOUND" + json.dumps(outcomes, default=str))
"""
MARCH = 1_740_787_200_000_000
DAY = 86_400_000_000


def asked(code: str, environment: dict[str, str], *arguments: str) -> Any:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.partition("FOUND")[2])


def test_each_file_parses_in_under_a_second_and_loads_nothing_heavy(airflow_environment: dict[str, str]) -> None:
    found, heavy = asked(PARSE, airflow_environment, str(ROOT / "dags"), json.dumps(HEAVY))
    assert {name: it["errors"] for name, it in found.items()} == {name: [] for name in [*DAGS, "quipu_schedule"]}
    assert {dag: tasks for it in found.values() for dag, tasks in it["dags"].items()} == DAGS
    assert not heavy
    assert all(it["seconds"] < 1 for it in found.values())


def test_retries_ask_the_error_and_windows_come_from_schedule_event_or_configuration(
    airflow_environment: dict[str, str],
) -> None:
    found = asked(ASK, airflow_environment, str(ROOT / "dags"))
    assert found == {
        "outage": "retry",
        "lasting": "fail",
        "reason": "damaged (train again)",
        "unforeseen": ["default", "default", "fail"],
        "interval": [MARCH, MARCH + DAY],
        "events": [MARCH, MARCH + 2 * DAY],
        "given": [MARCH, MARCH + DAY],
        "empty": "InputError",
        "nothing": "InputError",
        "wrong": "InputError",
    }


def test_a_run_of_each_in_turn(airflow_environment: dict[str, str], quipu_world: Path) -> None:
    """One story: a refresh, a first model, a refresh with that model, monitoring, and a day refreshed again."""
    var = quipu_world / "var"
    week = {"since": "2025-02-23", "until": "2025-03-02"}
    day = {"since": "2025-03-02", "until": "2025-03-03"}
    outcomes = outcomes_of(
        airflow_environment,
        ("graph_refresh", "2025-03-02", {}),
        ("model_training", "2025-03-02", week),
        ("graph_refresh", "2025-03-03", {}),
        ("monitoring", "2025-03-03", day),
        ("graph_refresh", "2025-03-02", {}),
        ("model_training", "2025-03-02", week),
    )
    assert [it["state"] for it in outcomes] == ["success"] * 6
    first, _, second, _, again, nothing = outcomes
    assert first["returned"]["ingest"]["loaded"] > 300
    assert second["returned"]["ingest"]["loaded"] > 0
    assert again["returned"]["ingest"]["loaded"] == 0
    assert not again["returned"]["find_rings"]["written"]
    assert not nothing["returned"]["compare"]["promote"]
    assert nothing["skipped"] == ["promote", "reload_service", "train"]
    assert len(history(var / "models")) == 1
    store = open_store(f"sqlite:///{quipu_world}/quipu.db")
    try:
        assert rings_of(store).refreshed_at() == refreshed_until(var) == MARCH + 2 * DAY
    finally:
        store.close()
    figures = collected(var).decode()
    for dag, runs in {"graph_refresh": 3, "model_training": 2, "monitoring": 1}.items():
        assert f'quipu_dag_runs_total{{dag="{dag}",outcome="success"}} {runs}.0' in figures
    assert 'outcome="failed"' not in figures
    assert "quipu_job_published_timestamp_seconds" in figures


def test_what_lasts_fails_at_once_and_is_told(airflow_environment: dict[str, str], quipu_world: Path) -> None:
    wrong = {
        "QUIPU_MAPPING": str(quipu_world / "nowhere.yaml"),
        "QUIPU_VAR": str(quipu_world / "failing"),
        "QUIPU_SCHEDULE_RETRIES": "5",
    }
    (outcome,) = outcomes_of(airflow_environment | wrong, ("graph_refresh", "2025-03-02", {}))
    assert outcome["state"] == "failed"
    assert outcome["tries"]["ingest"] == 1
    assert not outcome["returned"]
    figures = collected(quipu_world / "failing").decode()
    assert 'quipu_dag_runs_total{dag="graph_refresh",outcome="failed"} 1.0' in figures
    assert refreshed_until(quipu_world / "failing") is None


def outcomes_of(environment: dict[str, str], *runs: tuple[str, str, dict[str, str]]) -> list[dict[str, Any]]:
    """What comes of `dags test` of these DAGs, for a date and a configuration each, one after the other."""
    found: list[dict[str, Any]] = asked(RUN, environment, str(ROOT / "dags"), json.dumps(runs))
    return found
