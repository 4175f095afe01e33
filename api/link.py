"""The graph store as the service reaches it: opened when it answers, and never waited for without an end."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from graph.errors import QuipuError, StoreUnavailable
from graph.neo4j_url import Address
from graph.patience import at_once
from graph.store import Store, open_store

log = logging.getLogger(__name__)
T = TypeVar("T")

_HINT = "decisions go on meanwhile, and are kept on disk; check that the store runs"


class StillBusy(StoreUnavailable):
    """What is asked for has to wait until somebody else is done; the store itself may be well."""


class StoreHealth:
    """Whether the graph store answers and takes writes, as last seen by whoever asked it.

    Attributes:
        reading, writing: why it does not, or None where it does.
    """

    def __init__(self) -> None:
        self.reading: str | None = None
        self.writing: str | None = None

    @property
    def up(self) -> bool:
        """It answers and takes writes."""
        return self.reading is None and self.writing is None

    def read(self, failure: QuipuError | None = None) -> None:
        """It was asked something, with or without success."""
        self._tell("does not answer", self.reading, failure)
        self.reading = failure.message if failure else None

    def wrote(self, failure: QuipuError | None = None) -> None:
        """Something was written to it, with or without success."""
        self._tell("takes no writes", self.writing, failure)
        self.writing = failure.message if failure else None

    @staticmethod
    def _tell(what: str, before: str | None, failure: QuipuError | None) -> None:
        if failure is not None and before is None:
            log.warning("the graph store %s, so what is new stays in the spool: %s", what, failure.message)
        elif failure is None and before is not None:
            log.warning("the graph store is back")


class _Helpers:
    """Threads for calls that may not return for minutes; the process does not wait for them when it ends."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._mutex = threading.Lock()
        self._threads = 0
        self._busy = 0

    @property
    def stuck(self) -> bool:
        """Whether a call would have to wait for another one."""
        return self._busy >= self._most

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Runs `call` on one of the threads, in the order asked for."""
        future: Future[T] = Future()
        with self._mutex:
            self._busy += 1
            if self._threads < min(self._busy, self._most):
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        self._calls.put((future, call))
        return future

    def _run(self) -> None:
        while True:
            future, call = self._calls.get()
            if future.set_running_or_notify_cancel():
                result: Any = None
                failure: BaseException | None = None
                try:
                    with at_once():
                        result = call()
                except BaseException as error:
                    failure = error
                # Free before it is told, so that whoever is told can ask again.
                self._done()
                if failure is None:
                    future.set_result(result)
                else:
                    future.set_exception(failure)
            else:
                self._done()

    def _done(self) -> None:
        with self._mutex:
            self._busy -= 1


class StoreLink:
    """Asks the graph store for the service.

    A store in a local file is asked directly, where nobody else waits meanwhile: it answers, or says at once that it
    does not. One behind a network is asked on other threads, because it may hang; whoever asks goes on when its
    patience ends, and what was asked may still happen. All that is asked is idempotent.

    Args:
        url: the store's; it is opened by the first who asks.
    """

    def __init__(self, url: str, health: StoreHealth) -> None:
        self.url = url
        self.health = health
        self._local = url.startswith("sqlite:")
        self._store: Store | None = None
        self._opening = threading.Lock()
        self._scoring = _Helpers("quipu-store-scoring", 2)
        self._upkeep = _Helpers("quipu-store-upkeep", 4)
        self._requests = _Helpers("quipu-store-requests", 6)

    @property
    def store(self) -> Store:
        """The store, for whoever can do without it.

        Raises:
            StoreUnavailable: it is away, as last seen.
        """
        if self._store is None or self.health.reading is not None:
            why = self.health.reading or "it has not answered yet"
            raise StoreUnavailable(f"the graph store is away: {why}", hint="try again later; scoring goes on meanwhile")
        return self._store

    @property
    def shown(self) -> str:
        """The store's URL without its password.

        Raises:
            InputError: it is no URL of a store.
        """
        return self.url if self._local else Address.of(self.url).shown

    def ask(self, call: Callable[[Store], T], *, patience: float) -> T:
        """What `call` returns; opens the store where it is not open yet.

        Args:
            patience: seconds to wait for a store behind a network.

        Raises:
            StoreUnavailable: the store is away, or did not answer in time.
        """
        return self._asked(self._upkeep, call, patience)

    def ask_quickly(self, call: Callable[[Store], T], *, patience: float) -> T:
        """As `ask`, for the scoring path: it does not wait behind questions that have no answer yet."""
        if self._scoring.stuck:
            raise StoreUnavailable("the graph store has not answered earlier questions yet", hint=_HINT)
        return self._asked(self._scoring, call, patience)

    async def answer(self, call: Callable[[], T], *, patience: float) -> T:
        """What `call`, which asks `store`, returns; for requests: the event loop goes on meanwhile.

        Raises:
            StoreUnavailable: it did not return in time.
        """
        future = asyncio.wrap_future(self._requests.submit(call))
        try:
            return await asyncio.wait_for(future, patience)
        except TimeoutError:
            raise _silent(patience) from None

    def close(self) -> None:
        """Closes the store, if it was opened."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _asked(self, helpers: _Helpers, call: Callable[[Store], T], patience: float) -> T:
        if self._local:
            return call(self._open())
        future = helpers.submit(lambda: call(self._open()))
        try:
            return future.result(patience)
        except TimeoutError:
            if future.cancel() or not future.done():
                raise _silent(patience) from None
            raise

    def _open(self) -> Store:
        if self._store is None:
            with self._opening:
                if self._store is None:
                    self._store = open_store(self.url)
        return self._store


def _silent(patience: float) -> StoreUnavailable:
    return StoreUnavailable(f"the graph store has not answered for {patience:g} s", hint=_HINT)
