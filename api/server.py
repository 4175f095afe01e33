"""Running the application under uvicorn: one process, or several that share a socket."""

import gc
import http.client
import logging
import multiprocessing
import multiprocessing.process
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import Any

from api.sidecar import Sidecar, log_to_stderr
from gnn.bundle import open_bundle
from gnn.champion import MODELS, current_bundle
from graph.errors import InputError, QuipuError
from graph.settings import Settings

log = logging.getLogger(__name__)

# A thread that computes gives way to one that waits after this long. The default of 5 ms would let the
# drainer hold up every request that falls into its turn.
_SWITCH_SECONDS = 0.0002
_GRACE_SECONDS = 15
_WORKER_SECONDS = 60
"""How long a worker may take to load on SIGHUP, or to answer its supervisor's ping, before it is given up."""
_YOUNG_OBJECTS = 20_000
"""New objects between two collections: a request makes hundreds, and nearly none of them in cycles."""
_STARTUP_FAILURE = 3  # uvicorn's: the supervisor stops instead of starting the worker again


class Server:
    """The service on a socket.

    Args:
        bundle: folder of a model bundle to keep; None to follow the champion of the models folder.
    """

    def __init__(self, settings: Settings, bundle: Path | None) -> None:
        self.settings = settings
        self.bundle = bundle
        self._socket: socket.socket | None = None

    def bind(self) -> str:
        """Takes the port, before anything slow is done; returns the service's URL.

        Raises:
            InputError: the address cannot be listened on, or the port is taken.
        """
        host, port = self.settings.host, self.settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
            # Listening now makes a second service on this port fail at once, and lets early callers wait.
            taken.listen(2048)
        except OSError as error:
            taken.close()
            hint = "choose another port with --port, or stop what listens there"
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}", hint=hint) from error
        taken.set_inheritable(True)
        self._socket = taken
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{taken.getsockname()[1]}"

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serves until SIGTERM or SIGINT; then finishes what was accepted, drains and saves.

        Args:
            on_ready: called once transactions can be scored (with several processes: once the first of them can).

        Raises:
            QuipuError: the service could not be loaded.
        """
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        prepare(self.settings)
        if not self.settings.require_keys:
            log.warning("API KEYS ARE OFF (QUIPU_REQUIRE_KEYS=false): whoever reaches the port may use the service")
        try:
            open_bundle(
                self.bundle or current_bundle(self.settings.var / MODELS)
            )  # so that what is wrong with it is said at once, and once
            with Sidecar(self.settings):
                if self.settings.workers == 1:
                    self._run_one(self._socket, on_ready)
                else:
                    self._run_many(self._socket, on_ready)
        finally:
            self._socket.close()

    def _run_one(self, taken: socket.socket, on_ready: Callable[[], None]) -> None:
        import uvicorn

        from api.app import create_app

        failures: list[QuipuError] = []

        def failed(error: QuipuError) -> None:
            failures.append(error)
            server.should_exit = True

        def loaded() -> None:
            settle()
            on_ready()

        app = create_app(self.settings, self.bundle, on_ready=loaded, on_failure=failed)
        server = uvicorn.Server(uvicorn_config(app, workers=1))
        # uvicorn raises the signal again once it has shut down; that is not to kill the process then.
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run(sockets=[taken])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if failures:
            raise failures[0]

    def _run_many(self, taken: socket.socket, on_ready: Callable[[], None]) -> None:
        from uvicorn.supervisors import Multiprocess

        folder = (self.settings.var / "metrics").resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        # Never released, so that a worker started in another's place does not get it.
        front = multiprocessing.get_context("spawn").Lock()
        app = partial(create_worker, self.settings, self.bundle, front)
        config = uvicorn_config(app, workers=self.settings.workers, factory=True)
        supervisor = Multiprocess(config, sockets=[taken])
        watcher = threading.Thread(target=self._watch, args=(taken, supervisor.should_exit, on_ready), daemon=True)
        watcher.start()
        supervisor.run()
        watcher.join()
        if any(process.exitcode == _STARTUP_FAILURE for process in supervisor.processes):
            raise QuipuError("a worker could not be started", hint="its message is above")

    def _watch(self, taken: socket.socket, stopping: threading.Event, on_ready: Callable[[], None]) -> None:
        """Tells once a worker can score."""
        port = taken.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)  # noqa: S104
        while not stopping.wait(0.1):
            connection = http.client.HTTPConnection(host, port, timeout=5)
            try:
                connection.request("GET", "/health/ready")
                if connection.getresponse().status == 200:
                    on_ready()
                    return
            except OSError:
                pass
            finally:
                connection.close()


def create_worker(settings: Settings, bundle: Path | None, front: Lock) -> Any:
    """The application of one of several worker processes.

    The first to take `front` answers 503 while it loads; all others leave the port to those who can score.
    """
    from api.app import create_app

    prepare(settings)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="quipu-parent", daemon=True).start()

    def failed(error: QuipuError) -> None:
        log.error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
        logging.shutdown()
        os._exit(_STARTUP_FAILURE)

    return create_app(settings, bundle, on_ready=settle, on_failure=failed, at_once=front.acquire(block=False))


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Stops a worker, as an operator would, when its supervisor is gone: it would keep the port, and nobody knew it."""
    parent.join()
    log.warning("process %d stops, since its supervisor has ended", os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)


def prepare(settings: Settings) -> None:
    """Sets what belongs to the whole process."""
    log_to_stderr(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    sys.setswitchinterval(_SWITCH_SECONDS)


def settle() -> None:
    """What has been loaded stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    log.info("process %d is ready", os.getpid())


def uvicorn_config(app: Any, *, workers: int, factory: bool = False) -> Any:
    import uvicorn

    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_worker_healthcheck=_WORKER_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=2048,
    )
