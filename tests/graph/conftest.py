"""The stores under the contract: each test runs once a store. A further store is one more line in STORES."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graph.store import Store, open_store
from tests.neo4j import Neo4j

_numbers = itertools.count()


def sqlite_url(folder: Path) -> str:
    """The URL of a new SQLite store."""
    return f"sqlite:///{folder / f'store-{next(_numbers)}.db'}"


STORES = ("sqlite", "neo4j")


@pytest.fixture(params=STORES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes URLs of empty stores. On Neo4j it is the one database each time: the store before is gone."""
    if request.param == "sqlite":
        return lambda: sqlite_url(tmp_path)
    database: Neo4j = request.getfixturevalue("neo4j_database")
    return database.empty


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
