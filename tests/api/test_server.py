"""Starting and stopping: whatever is wrong is said in a sentence, with what to do."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.server import Server
from gnn.champion import current_bundle
from graph.errors import BundleError, InputError, QuipuError
from graph.settings import Settings
from tests.api.conftest import PATIENCE, ROOT, Running


def failing(running: Running, bundle: Path | None = None, **changes: Any) -> QuipuError:
    """Starts a service that cannot run, in this process; returns what it says."""
    settings = Settings(var=running.folder / "var", store=running.store, port=0, **changes)
    told: list[str] = []
    with pytest.raises(QuipuError) as caught:
        server = Server(settings, bundle or current_bundle(settings.var / "models"))
        server.bind()
        server.run(lambda: told.append("ready"))
    assert not told
    return caught.value


def own_bundle(running: Running) -> Path:
    """Gives the service models of its own, which a test may damage."""
    models = running.folder / "var" / "models"
    original = models.resolve()
    models.unlink()
    shutil.copytree(original, models)
    return next(path for path in models.iterdir() if path.is_dir())


def test_a_port_that_is_taken(service: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server(Settings(var=service.folder / "var", port=port), service.folder)
        with pytest.raises(InputError, match=str(port)) as caught:
            server.bind()
    assert "--port" in (caught.value.hint or "")


def test_no_model_yet(service: Running) -> None:
    (service.folder / "var" / "models").unlink()
    assert "quipu train" in (failing(service).hint or "")


def damage(bundle: Path) -> None:
    with (bundle / "head.npz").open("r+b") as file:
        file.seek(100)
        file.write(b"damage")


def test_a_damaged_model(service: Running) -> None:
    damage(own_bundle(service))
    error = failing(service)
    assert isinstance(error, BundleError)
    assert "head.npz" in error.message


def test_a_damaged_model_stops_the_program_with_one_sentence(service: Running) -> None:
    damage(own_bundle(service))
    service.arguments = ("--workers", "2")
    command, variables = service.command(), service.variables()
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("is damaged") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_folder_that_is_no_model(service: Running, tmp_path: Path) -> None:
    assert "manifest" in failing(service, tmp_path).message


def test_a_store_that_is_no_store(service: Running) -> None:
    (service.folder / "store.db").write_bytes(b"certainly not a database " * 1000)
    assert "not a SQLite database" in failing(service).message


def test_a_spool_that_is_no_spool(service: Running) -> None:
    (service.folder / "var" / "spool.db").write_bytes(b"certainly not a database " * 1000)
    assert "spool" in failing(service).message


@pytest.mark.slow
def test_a_worker_that_cannot_load_stops_the_program(service: Running) -> None:
    (service.folder / "var" / "spool.db").write_bytes(b"certainly not a database " * 1000)
    assert "worker" in failing(service, workers=2).message


def test_an_empty_store_is_a_beginning(service: Running, transaction: Any) -> None:
    (service.folder / "store.db").unlink()
    service.start()
    answer = service.post("/v1/score", transaction("first"))
    assert answer.status == 200, answer.body
    assert answer.json()["graph_as_of"] is None
    assert service.post("/v1/score", transaction("second")).json()["graph_as_of"] == "2025-05-01T12:30:00Z"
    assert service.end(signal.SIGINT) == 0


def test_requests_in_flight_are_finished_when_it_stops(service: Running, transaction: Any) -> None:
    service.start()
    connections = []
    for i in range(8):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
        body = json.dumps([transaction(f"flight-{i}-{k}") for k in range(200)]).encode()
        connection.request("POST", "/v1/score/batch", body, service.headers(body))
        connections.append(connection)
    service.until(lambda: service.get("/metrics").body.count(b"quipu_batch_transactions_count") > 0)
    assert service.end() == 0
    for connection in connections:
        try:
            answer = connection.getresponse()
        except http.client.RemoteDisconnected:
            continue  # not accepted before the stop, so nothing was acknowledged
        assert answer.status == 200
        assert {result["status"] for result in json.loads(answer.read())["results"]} == {200}
        connection.close()
