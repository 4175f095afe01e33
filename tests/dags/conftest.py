"""A real Airflow of its own, and a small world that its DAGs work on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def quipu_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `world/`: two months of a small world."""
    from etl.simulator import WorldSettings, simulate, write

    folder = tmp_path_factory.mktemp("dags")
    write(simulate(WorldSettings(users=400, days=60, seed=11, fraud_rate=0.008)), folder / "world")
    return folder


@pytest.fixture(scope="session")
def airflow_environment(quipu_world: Path) -> dict[str, str]:
    """The environment of an Airflow whose database is made, and of the Quipu that its DAGs run."""
    home = quipu_world / "airflow"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "QUIPU", "PYTEST"))
    }
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "QUIPU_STORE": f"sqlite:///{quipu_world}/quipu.db",
        "QUIPU_VAR": str(quipu_world / "var"),
        "QUIPU_MAPPING": str(quipu_world / "world" / "mapping.yaml"),
        "QUIPU_REFRESH_OVERLAP_HOURS": str(60 * 24),
        "QUIPU_SCHEDULE_RETRIES": "0",
        "QUIPU_SCHEDULE_RETRY_SECONDS": "1",
    }
    home.mkdir()
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return environment
