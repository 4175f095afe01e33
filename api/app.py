"""The FastAPI application around a `Service`."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from api import decisions, entities, handlers, health, labels, models, rings, scoring, similar, verdicts
from api.answers import ProblemOut
from api.engine import Pending
from api.http import schemas
from api.middleware import Instrumented
from api.service import Service
from api.wire import Label, Transaction
from graph.errors import QuipuError
from graph.settings import Settings

log = logging.getLogger(__name__)

DESCRIPTION = """
Scores transactions for fraud by what their users, devices, addresses and restaurants are linked to.

Send each transaction to `POST /v1/score` when it occurs. Its id is the idempotency key: the same body again gives
the original decision with `replayed: true`, another body gives 409. Tell what became known later by `POST /v1/labels`.
Errors are `application/problem+json` and say what to do.
"""


class Turns:
    """The engine's turns on the event loop, and the waking of those who wait for what it did in them."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def begin(self) -> None:
        """Gives turns on the loop that this runs on."""
        self.loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def soon(self, turn: Callable[[], None]) -> None:
        """Runs a turn of the engine after what the loop has read already, so that all of it is scored together."""
        assert self.loop is not None
        if threading.get_ident() == self._thread:
            self.loop.call_soon(turn)  # which has nobody to wake
        else:
            self.loop.call_soon_threadsafe(turn)

    @staticmethod
    def deliver(pendings: list[Pending]) -> None:
        """Wakes those who wait for these transactions; called in a turn, so on the loop."""
        for pending in pendings:
            if not pending.waiter.done():
                pending.waiter.set_result(None)


def create_app(
    settings: Settings,
    bundle: Path | None,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failure: Callable[[QuipuError], None],
    at_once: bool = True,
) -> FastAPI:
    """The application.

    Args:
        bundle: folder of a model bundle to keep; None to follow the models folder.
        at_once: serve from the beginning, with 503 until the index is loaded; otherwise only then, or when the
            process is told to end.
        on_ready: called once requests can be scored, on another thread.
        on_failure: called instead where the service cannot be loaded; it should end the process.
    """
    turns = Turns()
    service = Service(settings, bundle, turns.deliver, turns.soon)

    def load() -> None:
        try:
            service.load()
        except QuipuError as error:
            if not service.stopping:  # by an operator: no failure
                on_failure(error)
        except Exception:
            log.exception("the service cannot be loaded")
            on_failure(QuipuError("the service cannot be loaded; the log has the details"))
        else:
            on_ready()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        turns.begin()
        loader = threading.Thread(target=load, name="quipu-load", daemon=True)
        loader.start()
        if not at_once:
            with _give_up_when_told(service):
                await asyncio.to_thread(loader.join)
        yield
        service.give_up()
        await asyncio.to_thread(loader.join)
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="Quipu",
        version=version("quipu"),
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=[Middleware(Instrumented, service.meters)],
        redirect_slashes=False,
    )
    app.state.service = service
    handlers.install(app)
    for module in (scoring, labels, decisions, similar, entities, rings, verdicts, models, health):
        app.include_router(module.router)
    # Routes are tried in order, and FastAPI's own pages stand first: what is asked most goes before them.
    app.router.routes.sort(key=lambda route: getattr(route, "path", "") != scoring.PATH)
    _document(app)
    return app


@contextmanager
def _give_up_when_told(service: Service) -> Iterator[None]:
    """Lets SIGTERM and SIGINT end a start that waits for the graph store, besides what they did before."""

    def told(number: int, frame: FrameType | None) -> None:
        service.give_up()
        before = earlier[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    earlier = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _document(app: FastAPI) -> None:
    """Adds to the OpenAPI document what routes that read raw bodies cannot declare: keys, and the shape of errors."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas((Label, ProblemOut, verdicts.RingVerdict, Transaction)))
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key made by `quipu keys create`."}
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]
