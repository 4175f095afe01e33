"""Work done ahead in a thread, so that reading and writing overlap (Arrow and SQLite let go of the interpreter)."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

_POLL = 0.1


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[T], most: int = 2) -> Iterator[T]:
    """The same items in the same order, made in a thread, at most so many before they are asked for.

    An error of making them is raised here, in its turn. Once this is closed or fails, no further item is made, and the
    thread has ended when that returns.
    """
    queue: Queue[T | _End] = Queue(maxsize=most)
    stop = threading.Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=_POLL)
            except Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    break
            put(_End(None))
        except BaseException as error:  # raised again where the items are wanted
            put(_End(error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=make, name="quipu-ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=_POLL)
            except Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()
