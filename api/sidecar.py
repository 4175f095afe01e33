"""The drainer in a process of its own, so that its work does not take turns with requests for the interpreter.

It is told its settings on standard input, and ends when that is closed: by its parent, or by its parent's death.
Should it end before, the drainer of a worker finds the lease free and takes over.
"""

import logging
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

from api.drain import DRAIN_LEASE, SPOOL, Drainer
from api.link import StoreHealth, StoreLink
from api.spool import Lease, Spool
from graph.errors import QuipuError
from graph.settings import Settings

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Sidecar:
    """Runs the drainer's process while the context is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "api.sidecar"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdin is not None
        self._process.stdin.write(self._settings.model_dump_json() + "\n")
        self._process.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def log_to_stderr(settings: Settings) -> None:
    """Sets the logging of a process of the service."""
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format=_LOG_FORMAT)
    # A store that is away is told of once; its driver would tell of each attempt to reach it.
    logging.getLogger("neo4j").setLevel(logging.CRITICAL)


def main() -> None:
    """Drains until standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, which then closes the pipe
    settings = Settings.model_validate_json(sys.stdin.readline())
    log_to_stderr(settings)
    os.nice(15)
    try:
        spool = Spool(settings.var / SPOOL, durable=False)
    except QuipuError as error:
        # Whoever serves meets the same error, and tells it.
        log.debug("%s", error.message)
        return
    health = StoreHealth()
    link = StoreLink(settings.store, health)
    lease = Lease(settings.var / DRAIN_LEASE)
    drainer = Drainer(spool, link, lease, health, poll=_POLL_SECONDS)
    spool.reserve()  # here, where nobody waits for it
    drainer.start()
    sys.stdin.read()
    drainer.stop()
    lease.close()
    spool.close()
    link.close()


if __name__ == "__main__":
    main()
