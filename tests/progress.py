"""Progress that is remembered, for tests of what is told and when."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from graph.progress import Advance


class Stage(NamedTuple):
    """A stage as it was told: its name, its total where one was given, and how much of it is done."""

    name: str
    total: int | None
    done: int


class Watcher:
    """Remembers the stages there were, in the order in which they were opened."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        place = len(self.stages)
        self.stages.append(Stage(name, total, 0))

        def advance(done: int) -> None:
            told = self.stages[place]
            self.stages[place] = told._replace(done=told.done + done)

        yield advance

    @property
    def names(self) -> list[str]:
        """The stages' names."""
        return [stage.name for stage in self.stages]
