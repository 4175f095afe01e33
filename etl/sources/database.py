"""The way to a database: its URL from the environment, its driver, and what goes wrong, told without the password."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy as sa
from sqlalchemy import exc

from etl.sources import pg8000_driver
from graph.errors import InputError, QuipuError, SourceUnavailable

_DRIVERS = {
    "postgresql": pg8000_driver.NAME,
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mssql": "mssql+pymssql",
    "oracle": "oracle+oracledb",
}
"""The driver where a URL names none: for PostgreSQL the one that comes with Quipu, else one that pip can install."""
_PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_EXAMPLE = "postgresql://user:password@host:5432/database"
_REFUSED_LOGIN = ("28",)
_AWAY = ("08", "57P", "53")
"""SQLSTATE classes: no connection, shut down, out of resources."""
_POOL = "quipu"
# SQLAlchemy logs, with a traceback, that a lost connection could not be closed in good order.
logging.getLogger(f"sqlalchemy.pool.impl.NullPool.{_POOL}").setLevel(logging.CRITICAL)


class Database:
    """A database by the environment variable that holds its URL.

    Raises:
        InputError: the variable is not set or holds no URL, or the driver is not installed.
    """

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self._url = _url(variable)
        self._engine = self._created()

    @property
    def driver(self) -> str:
        """The kind of database and the driver: `postgresql+pg8000`."""
        return self._url.drivername

    def _created(self) -> sa.Engine:
        options: dict[str, Any] = {}
        url, connect = pg8000_driver.encrypted(self._url)
        if url.get_backend_name() == "postgresql":
            options["execution_options"] = {"postgresql_readonly": True}
        try:
            engine = sa.create_engine(
                url,
                poolclass=sa.NullPool,
                pool_logging_name=_POOL,
                hide_parameters=True,
                connect_args=connect,
                **options,
            )
        except ModuleNotFoundError as error:
            module = str(error.name)
            raise InputError(
                f"the driver {module!r} for the database of {self.variable} is not installed",
                hint=f"install it into Quipu's environment: pip install {_PACKAGES.get(module, module)}",
            ) from error
        except exc.NoSuchModuleError as error:
            raise InputError(
                f"{self.variable} names a kind of database that is not known: {self._url.drivername}",
                hint=f"known are sqlite, {', '.join(_DRIVERS)}; others need their SQLAlchemy dialect installed",
            ) from error
        except (exc.ArgumentError, TypeError, ValueError) as error:
            raise self._wrong_url(error) from error
        if url.drivername == pg8000_driver.NAME:
            pg8000_driver.tune(engine)
        return engine

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """A connection, closed at the end.

        Raises:
            SourceUnavailable: the server cannot be reached, or is lost meanwhile.
            InputError: it refuses the login, or what is asked of it.
        """
        try:
            connection = self._engine.connect()
        except (exc.DBAPIError, OSError) as error:
            raise self.told(error, connecting=True) from error
        except (TypeError, ValueError) as error:  # a driver that does not know an option of the URL
            raise self._wrong_url(error) from error
        try:
            yield connection
        except (exc.SQLAlchemyError, OSError) as error:
            raise self.told(error) from error
        finally:
            _close(connection)

    def told(self, error: BaseException, *, connecting: bool = False) -> QuipuError:
        """What a driver's error means for a person."""
        cause = getattr(error, "orig", None) or error
        state, message = _state(cause), self._hidden(_message(cause))
        if state.startswith(_REFUSED_LOGIN):
            return InputError(
                f"the database of {self.variable} refuses the login: {message}",
                hint=f"check user and password in {self.variable}",
            )
        lost = isinstance(error, exc.DBAPIError) and (error.connection_invalidated or _network(cause))
        if state.startswith(_AWAY) or (not state and (connecting or lost or isinstance(error, OSError))):
            return SourceUnavailable(
                f"the database of {self.variable} cannot be reached: {message}",
                hint="is the server running, and are host and port right? then run it again: it goes on where it ended",
            )
        if connecting:
            return InputError(
                f"the database of {self.variable} cannot be opened: {message}", hint=f"check the URL in {self.variable}"
            )
        return InputError(
            f"the database of {self.variable} refuses the query: {message}", hint="check sql.query in the mapping"
        )

    def _wrong_url(self, error: Exception) -> InputError:
        return InputError(
            f"the URL in {self.variable} cannot be used: {self._hidden(_message(error))}",
            hint=f"it should look like {_EXAMPLE}",
        )

    def _hidden(self, message: str) -> str:
        password = self._url.password
        if password:
            for form in {str(password), quote(str(password), safe=""), quote_plus(str(password))}:
                message = message.replace(form, "***")
        return message


def _url(variable: str) -> sa.URL:
    text = os.environ.get(variable, "").strip()
    if not text:
        raise InputError(
            f"the environment variable {variable} is not set", hint=f"set it to the database's URL: {_EXAMPLE}"
        )
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError) as error:
        # What could not be taken apart may hold a password, so it is not shown.
        raise InputError(f"{variable} holds no database URL", hint=f"it should look like {_EXAMPLE}") from error
    name = "postgresql" if url.drivername == "postgres" else url.drivername
    url = url.set(drivername=_DRIVERS.get(name, name))
    file = url.database or ""
    if url.get_backend_name() == "sqlite" and not file.startswith(("file:", ":memory:")) and not Path(file).is_file():
        raise InputError(f"{variable} names a database file that is not there: {file}", hint="sqlite:////absolute/path")
    return url


def _close(connection: sa.Connection) -> None:
    with suppress(exc.SQLAlchemyError, OSError):  # of a lost connection there is nothing left to close
        connection.close()


def _network(cause: BaseException) -> bool:
    return "network" in str(cause) or "connection" in str(cause).lower()


def _state(cause: BaseException) -> str:
    """The five letters by which SQL databases name an error, where the driver tells them."""
    first = cause.args[0] if cause.args else None
    told = first.get("C") if isinstance(first, dict) else None
    return str(told or getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")


def _message(cause: BaseException) -> str:
    first = cause.args[0] if cause.args else None
    text = str(first["M"]) if isinstance(first, dict) and "M" in first else str(cause)
    why = cause.__cause__
    return " ".join((f"{text}: {why}" if why is not None and str(why) not in text else text).split())
