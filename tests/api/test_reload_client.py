"""Telling a service to reload, over a real socket: what it answers, and what becomes of a model that it refuses."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from api.keys import KeyFile
from api.reload_client import reload_or_roll_back, tell_to_reload
from gnn.bundle import write_bundle
from gnn.champion import history, promote
from graph.errors import BundleError, InputError, ServiceUnavailable
from tests.api.conftest import Running


@contextmanager
def service(status: int, said: bytes, seen: list[tuple[str, str | None]] | None = None) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if seen is not None:
                seen.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        promote(tmp_path, write_bundle(tmp_path, {"part": name.encode()}, {}).name)
    return tmp_path


def test_it_asks_with_its_key_and_returns_the_answer() -> None:
    seen: list[tuple[str, str | None]] = []
    with service(200, b'{"champion": "m2"}', seen) as url:
        assert tell_to_reload(url + "/", "secret") == {"champion": "m2"}
    assert seen == [("/v1/models/reload", "Bearer secret")]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_an_outage(status: int) -> None:
    with service(status, b"wait") as url, pytest.raises(ServiceUnavailable) as told:
        tell_to_reload(url, None)
    assert told.value.retryable


def test_no_service_is_an_outage() -> None:
    with service(200, b"{}") as url:
        pass
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        tell_to_reload(url, None)


def test_a_wrong_key_is_told() -> None:
    problem = json.dumps({"detail": "needs admin"}).encode()
    with service(403, problem) as url, pytest.raises(InputError, match=r"403.*needs admin"):
        tell_to_reload(url, "k")
    with pytest.raises(InputError, match="no address"):
        tell_to_reload("file:///etc", None)


def test_a_refused_model_is_rolled_back(models: Path) -> None:
    newest, before = history(models)
    problem = json.dumps({"detail": "other features"}).encode()
    with service(409, problem) as url, pytest.raises(BundleError, match="refuses the model: other features"):
        reload_or_roll_back(url, None, models, newest)
    assert history(models) == [before]


def test_an_outage_leaves_the_promotion(models: Path) -> None:
    names = history(models)
    with service(503, b"") as url, pytest.raises(ServiceUnavailable):
        reload_or_roll_back(url, None, models, names[0])
    assert history(models) == names


def test_what_was_promoted_since_is_left_alone(models: Path) -> None:
    names = history(models)
    with service(409, b"{}") as url, pytest.raises(BundleError):
        reload_or_roll_back(url, None, models, names[1])
    assert history(models) == names


def test_a_real_service_says_what_is_in_use(service: Running, small_bundle: Path) -> None:
    service.start()
    url = f"http://127.0.0.1:{service.port}"
    _, admin = KeyFile(service.folder / "var" / "keys.json").create("schedules", ["admin"])

    def told() -> bool:  # a running service looks at its keys again within moments
        try:
            return small_bundle.name in json.dumps(tell_to_reload(url, admin))
        except InputError as error:
            assert "401" in error.message
            return False

    service.until(told)
    with pytest.raises(InputError, match="403"):
        tell_to_reload(url, service.key)
    with pytest.raises(InputError, match="401"):
        tell_to_reload(url, None)
