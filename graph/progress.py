"""How long-running functions say how far they are, without knowing who watches."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Tells that so many more units (rows, steps) are done."""


class Progress(Protocol):
    """A watcher of stages. `with progress.stage("reading", total=n) as advance: advance(100)`."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Opens a stage; `total` is None where the end is not known beforehand."""


class Silent:
    """Nobody watches."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:  # noqa: ARG002
        yield lambda _done: None
