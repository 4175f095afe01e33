"""What tests share: real data that may be absent, and one small world that is simulated, loaded and learnt once."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from gnn.ahead import Ahead
from gnn.champion import CURRENT
from graph.progress import Silent
from tests.browser import browser  # noqa: F401 (fixture)
from tests.neo4j import neo4j_database, neo4j_server_url  # noqa: F401 (fixtures)
from tests.postgres import postgres, postgres_server, worker_name  # noqa: F401 (fixtures)

# The first example compiles; a deadline would measure the compiler.
hypothesis.settings.register_profile("quipu", deadline=None)
hypothesis.settings.load_profile("quipu")


def pytest_configure(config: pytest.Config) -> None:
    """Compiles before there are processes that would each do so for themselves."""
    if config.getoption("numprocesses", None) and not config.option.collectonly:
        with Ahead() as ahead:
            ahead.wait("replay")
            ahead.wait("lookups")


HANDBOOK = Path(__file__).parents[2] / "shared" / "data" / "handbook"


@pytest.fixture(scope="session")
def handbook() -> Path:
    """The folder of the Handbook's transactions; without it the test is skipped (in CI: fails)."""
    if not any(HANDBOOK.glob("*.parquet")):
        reason = "the Handbook's transactions are not here"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return HANDBOOK


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `world/` (simulated), `store.db` (loaded) and `models/` (a trained bundle, in use).

    Only to be read: processes of a parallel run share it, and the first that needs it makes it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "models" / CURRENT).exists():
            _make_small_world(folder)
    return folder


def _make_small_world(folder: Path) -> None:
    from etl.loading import load
    from etl.mapping import read_mapping
    from etl.simulator import WorldSettings, simulate, write
    from gnn.champion import promote
    from gnn.pipeline import train_bundle
    from gnn.training import TrainingSettings
    from graph.store import open_store

    folder.mkdir()
    write(simulate(WorldSettings(users=1500, days=75, seed=11)), folder / "world")
    store = open_store(f"sqlite:///{folder}/store.db")
    load(read_mapping(folder / "world" / "mapping.yaml"), store)
    result = train_bundle(store, folder / "models", until=None, settings=TrainingSettings(), progress=Silent())
    promote(folder / "models", Path(result["bundle"]).name)
    store.close()


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    """Settings are read anew from the environment, before and after."""
    from graph.settings import settings

    settings.cache_clear()
    yield
    settings.cache_clear()
