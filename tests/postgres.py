"""A real PostgreSQL for tests: the server of `QUIPU_TEST_POSTGRES`, or a private one that lives as long as the tests.

Without either the tests are skipped; in CI they fail.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

PASSWORD = "llama-und-quipu"
_TRIES = 5


class Postgres:
    """A database of its own on a server, with plain ways to fill and to ask it."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url.render_as_string(hide_password=False)
        self._engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")

    def run(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Executes one statement, at once for everybody to see; returns its rows."""
        with self._engine.connect() as connection:
            result = connection.execute(sa.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture(scope="session")
def postgres_server(worker_name: str) -> Iterator[sa.URL]:
    """The URL of a server on which databases can be created."""
    given = os.environ.get("QUIPU_TEST_POSTGRES")
    if given:
        yield sa.make_url(given)
        return
    programs = _programs()
    if programs is None:
        reason = "there is no PostgreSQL: neither QUIPU_TEST_POSTGRES nor initdb"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with tempfile.TemporaryDirectory(prefix="quipu-postgres-") as folder:
        yield from _private(programs, Path(folder))


@pytest.fixture(scope="session")
def worker_name() -> str:
    """Tells processes of a parallel test run apart."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture
def postgres(postgres_server: sa.URL, worker_name: str) -> Iterator[Postgres]:
    """An empty database."""
    name = f"quipu_test_{worker_name}_{os.getpid()}"
    server = Postgres(postgres_server)
    server.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    server.run(f'CREATE DATABASE "{name}"')
    yield Postgres(postgres_server.set(database=name))
    server.run(f'DROP DATABASE "{name}" WITH (FORCE)')


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl: of the newest version that is installed."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    newest = sorted(folders, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    return newest[-1] if newest else Path(on_path).resolve().parent if on_path else None


def _private(programs: Path, folder: Path) -> Iterator[sa.URL]:
    user = _unprivileged()
    if user is not None:
        shutil.chown(folder, user)

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, "-D", folder / "data", *arguments],
            cwd=folder, user=user, capture_output=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")

    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    call("initdb", "-U", "quipu", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync")
    port = 0
    for attempt in range(_TRIES):
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        try:
            call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
            break
        except RuntimeError:  # perhaps somebody else took the port
            if attempt == _TRIES - 1:
                raise
    try:
        yield sa.URL.create("postgresql+pg8000", "quipu", PASSWORD, "127.0.0.1", port, "postgres")
    finally:
        call("pg_ctl", "-m", "immediate", "stop")


def _unprivileged() -> str | None:
    """Whom the server runs as where the tests run as root, which it refuses."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
