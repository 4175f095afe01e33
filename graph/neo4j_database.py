"""One Neo4j database shared by threads and processes: sessions, transactions, errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import neo4j
from neo4j import exceptions as failures

from graph.errors import InputError, StoreError, StoreUnavailable
from graph.neo4j_state import State
from graph.neo4j_url import Address
from graph.patience import is_at_once

T = TypeVar("T")
Work = Callable[[neo4j.ManagedTransaction], T]

RETRY_SECONDS = 30.0
"""How long a transaction is tried again after a deadlock, a restart or a change of leader."""
CONNECT_SECONDS = 5.0
_FETCH = 10_000
_MADE_BY_ANOTHER = frozenset(
    f"Neo.ClientError.Schema.{name}"
    for name in (
        "ConstraintAlreadyExists",
        "ConstraintWithNameAlreadyExists",
        "EquivalentSchemaRuleAlreadyExists",
        "IndexAlreadyExists",
        "IndexWithNameAlreadyExists",
    )
)


def translated(error: Exception, shown: str) -> StoreError:
    """The store error that says what an error of the driver or server means to a user."""
    if isinstance(error, failures.AuthError):
        return StoreError(
            f"the store {shown} refused the user or password", hint="check QUIPU_NEO4J_PASSWORD and the URL's user"
        )
    if isinstance(error, failures.DriverError) or (isinstance(error, failures.Neo4jError) and error.is_retryable()):
        return StoreUnavailable(
            f"the store {shown} cannot be reached or cannot answer at the moment ({_kind(error)})",
            hint="check that Neo4j is running, and try again",
        )
    return StoreError(f"the store {shown} failed ({_kind(error)}: {error})")


def _kind(error: Exception) -> str:
    return getattr(error, "code", None) or type(error).__name__


def _twice(session: neo4j.Session, work: Callable[[Any], T]) -> T:
    """Runs `work` in a transaction; once more where that failed for a passing reason, since a connection that
    was kept may have been closed meanwhile."""
    try:
        with session.begin_transaction() as tx:
            return work(tx)
    except (failures.DriverError, failures.Neo4jError) as error:
        if not error.is_retryable():
            raise
    with session.begin_transaction() as tx:
        return work(tx)


class Database:
    """Sessions on one database of a Neo4j server. Safe to share between threads.

    Writes of all processes follow one another: each first locks the store's own node, whose counters
    give out sequence numbers and entity ids without gaps, in the order of commits. That also leaves
    nothing to deadlock on.
    """

    def __init__(self, address: Address) -> None:
        self.shown = address.shown
        self._closed = False
        self._database = address.database
        with self.errors():
            self._driver = neo4j.GraphDatabase.driver(
                address.server,
                auth=(address.user, address.password),
                connection_timeout=CONNECT_SECONDS,
                connection_acquisition_timeout=RETRY_SECONDS,
                max_transaction_retry_time=RETRY_SECONDS,
                notifications_min_severity="OFF",
                user_agent="quipu",
            )
        try:
            with self.errors():
                self._driver.verify_connectivity()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes all connections; later use raises `StoreError`. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._driver.close()

    def read(self, work: Work[T]) -> T:
        """Runs `work` in a transaction for reading, again where it failed for a passing reason."""
        with self.errors(), self._session() as session:
            return _twice(session, work) if is_at_once() else session.execute_read(work)

    def write(self, work: Callable[[neo4j.ManagedTransaction, State], T]) -> T:
        """Runs `work` in a transaction that no other writer runs beside, again where it failed for a passing reason.

        Raises:
            StoreUnavailable: the server is away, or another writer has held the lock for too long.
        """

        def locked(tx: neo4j.ManagedTransaction) -> T:
            state = State.locked(tx)
            result = work(tx, state)
            state.save(tx)
            return result

        with self.errors(), self._session() as session:
            return _twice(session, locked) if is_at_once() else session.execute_write(locked)

    def run(self, statement: str, **values: Any) -> list[list[Any]]:
        """Executes one statement by itself."""
        with self.errors(), self._session() as session:
            return self._alone(session, statement, values)

    def define(self, statement: str) -> None:
        """Executes a statement that makes a constraint or an index where there is none (`IF NOT EXISTS`).

        Where another process makes the same one at this moment, the server may fail instead of waiting for it;
        then it is there, and asking again finds it.
        """
        with self.errors(), self._session() as session:
            try:
                self._alone(session, statement, {})
            except failures.ClientError as error:
                if error.code not in _MADE_BY_ANOTHER:
                    raise
                self._alone(session, statement, {})

    @staticmethod
    def _alone(session: neo4j.Session, statement: str, values: dict[str, Any]) -> list[list[Any]]:
        def work(tx: neo4j.ManagedTransaction | neo4j.Transaction) -> list[list[Any]]:
            return tx.run(statement, values).values()

        return _twice(session, work) if is_at_once() else session.execute_write(work)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of the driver and the server become errors of Quipu."""
        if self._closed:
            raise StoreError(f"the store {self.shown} has been closed")
        try:
            yield
        except (failures.DriverError, failures.Neo4jError) as error:
            raise translated(error, self.shown) from error
        except UnicodeEncodeError as error:
            raise InputError("an id or key is not valid Unicode text (lone surrogate)") from error
        except OverflowError as error:
            raise InputError(f"a number does not fit into 64 bits: {error}") from error

    def _session(self) -> neo4j.Session:
        # What one thread has written, another one reads, on a cluster as well.
        return self._driver.session(
            database=self._database, fetch_size=_FETCH, bookmark_manager=self._driver.execute_query_bookmark_manager
        )
