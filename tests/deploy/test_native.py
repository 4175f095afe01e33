"""What docker-compose.yml starts, started without containers: its commands, its environment, its health checks."""

import json
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.keys import KeyFile
from etl.loading import load
from etl.mapping import read_mapping
from graph.neo4j_url import Address
from graph.records import DAY
from graph.store import open_store
from tests.api.conftest import Running
from tests.deploy.composed import ROOT, Native, services
from tests.deploy.conftest import program
from tests.deploy.test_prometheus import free_port
from tests.neo4j import Neo4j

TRANSACTION = {
    "transaction_id": "from-compose", "occurred_at": "2025-05-01T12:30:00Z", "user_id": "U-new", "amount": 86.5,
    "device_id": "D-new", "ip": "190.232.10.4", "restaurant_id": "R-new", "currency": "PEN",
}  # fmt: skip

STORE = "bolt://neo4j@neo4j:7687/neo4j"
"""As docker-compose.yml has it."""


@contextmanager
def started(native: Native, name: str, image: str | None = None) -> Iterator[None]:
    """A service that its health check finds well; it must end when it is told to."""
    process = native.start(name, image)
    try:
        Running.until(lambda: process.poll() is not None or native.healthy(name))
        assert process.poll() is None, native.log(name)
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM), native.log(name)
    finally:
        process.kill()
        process.wait()


def asked(url: str, content: Any = None, key: str = "") -> Any:
    body = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("kind", ["sqlite", "neo4j"])
def test_the_service_scores_and_the_schedules_key_reloads(
    small_world: Path, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    port = free_port()
    store_url = f"sqlite:///{tmp_path}/store.db"
    native = Native(tmp_path, {8000: port})
    if kind == "sqlite":
        shutil.copy(small_world / "store.db", tmp_path / "store.db")
        native.changes[STORE] = store_url
    else:
        database: Neo4j = request.getfixturevalue("neo4j_database")
        store_url = database.empty()
        mapping = read_mapping(small_world / "world" / "mapping.yaml")
        with closing(open_store(f"sqlite:///{small_world}/store.db")) as whole:
            began = int(next(iter(whole.transaction_changes())).occurred_at[0])
        with closing(open_store(store_url)) as store:
            load(mapping, store, until=began + DAY)
        # Without its password, which the service takes from the file of the secret.
        address = Address.of(store_url)
        native.changes[STORE] = f"{address.server}/{address.database}"
        secret = tmp_path / "secrets" / "neo4j_password"
        secret.chmod(0o600)
        secret.write_text(address.password)
    (tmp_path / "quipu").mkdir()
    shutil.copytree(small_world / "models", tmp_path / "quipu" / "models")
    key_file = tmp_path / "quipu" / "airflow.key"
    for _ in range(2):  # a second start leaves the key
        assert native.start("quipu-init").wait(60) == 0, native.log("quipu-init")
        schedules = key_file.read_text().strip()
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert len(KeyFile(tmp_path / "quipu" / "keys.json").all()) == 1
    _, key = KeyFile(tmp_path / "quipu" / "keys.json").create("checkout", ["score"])
    with started(native, "quipu"):
        url = f"http://127.0.0.1:{port}"
        decision = asked(f"{url}/v1/score", TRANSACTION, key)
        assert decision["band"] in ("approve", "review", "block")
        assert asked(f"{url}/v1/models/reload", {}, schedules)
    with closing(open_store(store_url)) as store:
        assert set(store.decisions([TRANSACTION["transaction_id"]])) == {TRANSACTION["transaction_id"]}


def test_airflow_finds_its_database_its_secrets_and_the_schedules(tmp_path: Path) -> None:
    pytest.importorskip("airflow", reason="Airflow is not installed")
    api, health, logs = free_port(), free_port(), free_port()
    native = Native(
        tmp_path,
        {8080: api, 8974: health},
        {
            STORE: f"sqlite:///{tmp_path}/store.db",
            "/srv/quipu/dags": str(ROOT / "dags"),
            "airflow-api-server:8080": "localhost:8080",
        },
        # PostgreSQL's driver has one URL for both ways of working, SQLite's have not.
        {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC_CMD": f"echo sqlite+aiosqlite:///{tmp_path}/airflow.db",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(health),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs),
        },
    )
    (tmp_path / "secrets" / "airflow_database_url").chmod(0o600)
    (tmp_path / "secrets" / "airflow_database_url").write_text(f"sqlite:///{tmp_path}/airflow.db")
    (tmp_path / "quipu").mkdir()
    (tmp_path / "quipu" / "airflow.key").write_text("qp_1_2")
    assert native.start("airflow-init").wait(120) == 0, native.log("airflow-init")
    password = json.loads((tmp_path / "secrets" / "airflow_passwords").read_text())["admin"]
    with ExitStack() as running:
        for name in ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor"):
            running.enter_context(started(native, name))
        url = f"http://127.0.0.1:{api}"
        token = asked(f"{url}/auth/token", {"username": "admin", "password": password})["access_token"]
        Running.until(lambda: asked(f"{url}/api/v2/dags", key=token)["total_entries"] == 3)
        found = asked(f"{url}/api/v2/dags", key=token)["dags"]
        assert {dag["dag_id"] for dag in found} == {"graph_refresh", "model_training", "monitoring"}
        assert asked(f"{url}/api/v2/importErrors", key=token)["total_entries"] == 0


def test_prometheus_starts_with_the_deployed_rules(tmp_path: Path) -> None:
    port = free_port()
    native = Native(tmp_path, {9090: port})
    with started(native, "prometheus", program("prometheus")):
        groups = asked(f"http://127.0.0.1:{port}/api/v1/rules")["data"]["groups"]
        assert {rule["name"] for group in groups for rule in group["rules"]} >= {"QuipuDown"}


def test_alertmanager_starts_with_the_deployed_routes(tmp_path: Path) -> None:
    port = free_port()
    native = Native(tmp_path, {9093: port})
    with started(native, "alertmanager", program("alertmanager", "prometheus-alertmanager")):
        assert asked(f"http://127.0.0.1:{port}/api/v2/receivers") == [{"name": "pager"}, {"name": "tickets"}]


def test_a_secret_that_cannot_be_read_stops_a_container(tmp_path: Path) -> None:
    native = Native(tmp_path)
    (tmp_path / "secrets" / "neo4j_password").unlink()
    assert native.start("quipu").wait(60) == 2
    assert "QUIPU_NEO4J_PASSWORD_FILE names" in native.log("quipu")


def test_serving_gets_a_new_number_for_another_model_only(tmp_path: Path) -> None:
    models = tmp_path / "quipu" / "models"
    for name in ("first", "second"):
        (models / name / "saved_model").mkdir(parents=True)
        (models / name / "saved_model" / "saved_model.pb").write_text(name)

    def laid_out(*in_use: str) -> tuple[str, str]:
        (models / "CURRENT").write_text(json.dumps({"bundles": in_use}))
        command = [native.mapped(service, word) for word in service["command"]]
        command[1] = str(Path(__file__).resolve().parents[2] / "deploy" / "docker" / command[1])
        ran = subprocess.run(
            command, cwd=tmp_path, env=native.environment(service), capture_output=True, text=True, check=True
        )
        place = Path(ran.stdout.strip())
        return place.name, (place / "saved_model.pb").read_text()

    native = Native(tmp_path)
    service = services()["tensorflow-serving-model"]
    assert laid_out("first") == ("1", "first")
    assert laid_out("first") == ("1", "first")
    assert laid_out("second", "first") == ("2", "second")
    assert laid_out("first") == ("3", "first"), "going back is a new version to Serving"
    name = services()["tensorflow-serving"]["environment"]["MODEL_NAME"]
    assert (tmp_path / "serving" / name / "3").is_dir()
