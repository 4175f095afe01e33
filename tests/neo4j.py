"""A real Neo4j for tests: the server of `QUIPU_TEST_NEO4J`, or a private one that lives as long as the tests.

Without either the tests are skipped; in CI they fail. A database that holds anything the tests have not put there
is refused: tests empty it.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import neo4j
import pytest

from deploy.local import neo4j_server
from graph.neo4j_names import LEDGER
from graph.neo4j_url import Address

MARK = "QuipuTestDatabase"


class Neo4j:
    """A database on a server that tests may do with as they like, with plain ways to empty and to ask it."""

    def __init__(self, url: str) -> None:
        self.url = url
        address = Address.of(url)
        self._database = address.database
        self._driver = neo4j.GraphDatabase.driver(
            address.server, auth=(address.user, address.password), notifications_min_severity="OFF"
        )
        if self.run("MATCH (n) RETURN count(n)")[0][0] and not self.run(f"MATCH (m:{MARK}) RETURN 1"):
            self.close()
            pytest.fail(f"{address.shown} holds data, and tests would delete it: name an empty database")
        self.run(f"MERGE (:{MARK})")

    def run(self, statement: str, **values: object) -> list[list[object]]:
        """Executes one statement, at once for everybody to see; returns its rows."""
        records, _, _ = self._driver.execute_query(statement, values, database_=self._database)
        return [list(record.values()) for record in records]

    def empty(self) -> str:
        """Deletes all facts and columns; constraints and the ledger stay. Returns the URL."""
        self.run(f"MATCH (n) WHERE NOT n:{MARK} AND NOT n:{LEDGER} DETACH DELETE n")
        return self.url

    def clear(self) -> str:
        """Deletes constraints, indexes and the ledger as well."""
        self.run(f"MATCH (n) WHERE NOT n:{MARK} DETACH DELETE n")
        for (name,) in self.run("SHOW CONSTRAINTS YIELD name RETURN name"):
            self.run(f"DROP CONSTRAINT `{name}` IF EXISTS")
        for (name,) in self.run("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name"):
            self.run(f"DROP INDEX `{name}` IF EXISTS")
        return self.url

    def close(self) -> None:
        self._driver.close()


@contextmanager
def short_lived() -> Iterator[None]:
    """Java that is started within compiles quickly rather than well: tests are over before that would pay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(scope="session")
def neo4j_server_url() -> Iterator[str]:
    """The URL, with user and password, of a database for tests."""
    given = os.environ.get("QUIPU_TEST_NEO4J")
    if given:
        if os.environ.get("PYTEST_XDIST_WORKER"):
            pytest.fail("processes cannot share the one database of QUIPU_TEST_NEO4J: leave it out, or use one process")
        yield given
        return
    if lacking := neo4j_server.missing():
        reason = f"there is no Neo4j: neither QUIPU_TEST_NEO4J nor a local one ({lacking})"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with tempfile.TemporaryDirectory(prefix="quipu-neo4j-") as folder:
        home = Path(folder)
        try:
            with short_lived():
                url = neo4j_server.start(home, bolt=neo4j_server.free_port(), http=neo4j_server.free_port(), heap="1g")
            yield url
        finally:
            neo4j_server.stop(home)


@pytest.fixture(scope="session")
def neo4j_database(neo4j_server_url: str) -> Iterator[Neo4j]:
    """A database for tests; whoever uses it empties it first."""
    database = Neo4j(neo4j_server_url)
    yield database
    database.clear()
    database.run(f"MATCH (m:{MARK}) DELETE m")
    database.close()
