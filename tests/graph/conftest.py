"""The stores under the contract: each test runs once a store. A further store is one more line in STORES."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graph.store import Store, open_store

_numbers = itertools.count()


def sqlite_url(folder: Path) -> str:
    """The URL of a new SQLite store."""
    return f"sqlite:///{folder / f'store-{next(_numbers)}.db'}"


STORES: dict[str, Callable[[Path], str]] = {"sqlite": sqlite_url}
"""What makes the URL of an empty store, in a folder for the test's files."""


@pytest.fixture(params=STORES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes URLs of empty stores."""
    make = STORES[request.param]
    return lambda: make(tmp_path)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of an empty store."""
    return new_url()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, open."""
    opened = open_store(url)
    yield opened
    opened.close()
