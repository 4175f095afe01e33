"""A Neo4j of one's own, without containers: fetched by Maven, started on loopback, stopped again.

    python deploy/local/neo4j_server.py start|stop|status [--home DIR]
    python deploy/local/neo4j_server.py import FILES [--home DIR]

Needs Java 17 or 21, and Maven for the first time. The server's files and its data lie under
`var/neo4j` (or DIR), and so does its generated password, readable by the owner alone.
Only the standard library is used, so that any Python 3.11 can run it.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / "var" / "neo4j"
JARS = HOME / "lib"
START_SECONDS = 120
STOP_SECONDS = 60
BOLT, HTTP = 7687, 7474
_OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent", "java.lang")
_started: dict[int, subprocess.Popen[bytes]] = {}
"""The servers that this process has started, by their number: it is told when they end."""


class LocalServerError(Exception):
    """The server cannot be fetched, started or stopped; the message says why and what to do."""


def missing() -> str | None:
    """What this machine lacks for a local server; None where nothing is lacking."""
    if shutil.which("java") is None:
        return "java is not installed (Debian: apt-get install openjdk-17-jre-headless)"
    if not _fetched() and shutil.which("mvn") is None:
        return "mvn is not installed (Debian: apt-get install maven)"
    return None


def fetch() -> Path:
    """The folder of the server's jars, fetched from Maven Central where they are not there yet."""
    if lacking := missing():
        raise LocalServerError(lacking)
    if not _fetched():
        coming = JARS.with_name(f"lib-{os.getpid()}")
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={coming}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(coming, ignore_errors=True)
            raise LocalServerError(f"mvn could not fetch the server:\n{(done.stdout + done.stderr).strip()[-2000:]}")
        with suppress(OSError):  # somebody else was quicker
            coming.rename(JARS)
        shutil.rmtree(coming, ignore_errors=True)
        _stamp().write_text((HERE / "pom.xml").read_text())
    return JARS


def start(home: Path = HOME, *, bolt: int = BOLT, http: int = HTTP, heap: str = "1g") -> str:
    """Starts the server of `home`, or finds it running; returns its URL with user and password."""
    if (running := _state(home)) is not None:
        if _alive(running["pid"]):
            return _url(running)
        _file(home).unlink()
    jars = fetch()
    _folders(home)
    password = _password(home, jars)
    for port in (bolt, http):
        if _answers(port):
            raise LocalServerError(f"port {port} is taken: stop what listens there, or choose others (--bolt, --http)")
    (home / "conf" / "neo4j.conf").write_text(
        "server.default_listen_address=127.0.0.1\n"
        f"server.bolt.listen_address=:{bolt}\nserver.http.listen_address=:{http}\n"
        f"server.bolt.advertised_address=127.0.0.1:{bolt}\n"  # what Browser connects to by itself
        "server.https.enabled=false\ndbms.usage_report.enabled=false\n"
        f"server.memory.heap.initial_size={heap}\nserver.memory.heap.max_size={heap}\n"
        "server.memory.pagecache.size=512m\n"
        "db.tx_log.rotation.retention_policy=keep_none\n"
    )
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    with (home / "logs" / "console.log").open("ab") as log:
        process = subprocess.Popen(
            ["java", *opened, f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseG1GC", "-cp", f"{jars}/*",
             "org.neo4j.server.CommunityEntryPoint", f"--home-dir={home}", f"--config-dir={home / 'conf'}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    _started[process.pid] = process
    state = {"pid": process.pid, "bolt": bolt, "http": http, "password": password}
    _write_private(_file(home), json.dumps(state))
    deadline = time.monotonic() + START_SECONDS
    while not (_answers(bolt) and _answers(http)):
        if process.poll() is not None or time.monotonic() > deadline:
            stop(home)
            raise LocalServerError(f"the server did not start; {home / 'logs'} says why")
        time.sleep(0.1)
    return _url(state)


def stop(home: Path = HOME) -> bool:
    """Stops the server of `home` and waits until it is gone; False where none was running."""
    state = _state(home)
    if state is None:
        return False
    pid = state["pid"]
    was_alive = _alive(pid)
    if was_alive:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    _file(home).unlink(missing_ok=True)
    return was_alive


def import_files(files: Path, home: Path = HOME, *, overwrite: bool = False) -> None:
    """Makes the database of `home` from the files of `quipu graph export-import`; its server must not be running.

    Raises:
        LocalServerError: there is a database already (and not `overwrite`), or the import failed.
    """
    arguments = files.resolve() / "import.args"
    if not arguments.is_file():
        raise LocalServerError(f"{files} has no import.args: quipu graph export-import writes such a folder")
    jars = fetch()
    _folders(home)
    _password(home, jars)
    if (home / "data" / "databases" / "neo4j").is_dir() and not overwrite:
        raise LocalServerError(f"{home} has a database already: --overwrite deletes it, --home names another place")
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    with tempfile.TemporaryDirectory(dir=home / "run") as scratch:
        done = subprocess.run(
            ["java", *opened, "-Xmx2g", "-XX:+UseParallelGC", "-cp", f"{jars}/*", "org.neo4j.cli.AdminTool",
             "database", "import", "full", f"@{arguments}", "--overwrite-destination=true", "neo4j"],
            env={**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")},
            cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise LocalServerError(f"the import failed:\n{(done.stdout + done.stderr).strip()[-3000:]}")


def free_port() -> int:
    """A port on loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fetched() -> bool:
    return _stamp().is_file() and _stamp().read_text() == (HERE / "pom.xml").read_text()


def _stamp() -> Path:
    return JARS / "fetched.xml"


def _folders(home: Path) -> None:
    for folder in ("conf", "data", "logs", "plugins", "import", "run"):
        (home / folder).mkdir(parents=True, exist_ok=True)


def _file(home: Path) -> Path:
    return home / "server.json"


def _state(home: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(_file(home).read_text())
    except FileNotFoundError:
        return None
    return state


def _url(state: dict[str, Any]) -> str:
    return f"neo4j://neo4j:{state['password']}@127.0.0.1:{state['bolt']}/neo4j"


def _password(home: Path, jars: Path) -> str:
    """The server's password; generated before the first start."""
    kept = home / "password"
    if not kept.exists():
        password = secrets.token_urlsafe(18).replace("-", "x")  # a leading dash would be an option
        done = subprocess.run(
            ["java", "-cp", f"{jars}/*", "org.neo4j.cli.AdminTool", "dbms", "set-initial-password", password],
            env={**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise LocalServerError(f"the password could not be set: {done.stderr.replace(password, '…').strip()}")
        _write_private(kept, password)
    return kept.read_text()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _alive(pid: int) -> bool:
    if (child := _started.get(pid)) is not None:
        return child.poll() is None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return b"CommunityEntryPoint" in command  # not another process that has got the number since


def main() -> int:
    parser = argparse.ArgumentParser(description="A local Neo4j on loopback, without containers.")
    parser.add_argument("action", choices=["start", "stop", "status", "import"])
    parser.add_argument("files", nargs="?", type=Path, help="for import: what quipu graph export-import wrote")
    parser.add_argument("--home", type=Path, default=HOME, help="where its data and password lie")
    parser.add_argument("--bolt", type=int, default=BOLT, help="port of the driver's protocol")
    parser.add_argument("--http", type=int, default=HTTP, help="port of Neo4j Browser")
    parser.add_argument("--overwrite", action="store_true", help="for import: delete the database that is there")
    options = parser.parse_args()
    home = options.home.resolve()
    if (options.files is None) == (options.action == "import"):
        parser.error("import needs FILES, the others take none")
    try:
        if options.action == "start":
            start(home, bolt=options.bolt, http=options.http)
        elif options.action == "stop":
            sys.stdout.write("neo4j: stopped\n" if stop(home) else "neo4j: was not running\n")
            return 0
        elif options.action == "import":
            stop(home)
            import_files(options.files, home, overwrite=options.overwrite)
            sys.stdout.write("neo4j: imported\n")
            start(home, bolt=options.bolt, http=options.http)
    except LocalServerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    state = _state(home)
    if state is None or not _alive(state["pid"]):
        sys.stdout.write("neo4j: not running; make neo4j starts it\n")
        return 0
    sys.stdout.write(
        f"neo4j: running, process {state['pid']}\n"
        f"  Browser   http://127.0.0.1:{state['http']}/browser/ (user neo4j, password in {home / 'password'})\n"
        f'  Quipu     export QUIPU_NEO4J_PASSWORD="$(cat {home / "password"})"\n'
        f"            quipu --help  # with --store neo4j://neo4j@127.0.0.1:{state['bolt']}/neo4j\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
