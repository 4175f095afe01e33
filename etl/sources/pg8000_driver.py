"""PostgreSQL by pg8000: what it lacks beside other drivers, in the URLs it takes and in reading times quickly."""

import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

NAME = "postgresql+pg8000"
_JSON, _JSONB, _TIMESTAMP, _TIMESTAMPTZ = 114, 3802, 1114, 1184


def encrypted(url: sa.URL) -> tuple[sa.URL, dict[str, Any]]:
    """A URL without `sslmode`, and the arguments that mean what it means to all other PostgreSQL clients."""
    mode = url.query.get("sslmode")
    if url.drivername != NAME or mode is None:
        return url, {}
    context: ssl.SSLContext | bool | None = None
    if mode == "disable":
        context = False
    elif mode in {"require", "verify-ca", "verify-full"}:
        context = ssl.create_default_context()
        context.check_hostname = mode == "verify-full"
        context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    return url.difference_update_query(["sslmode"]), {"ssl_context": context}


def tune(engine: sa.Engine) -> None:
    """Connections of this engine read times by Python's own parser (pg8000's takes most of the time of a query) and
    leave JSON as it was written."""

    driver: Any = engine.dialect.dbapi
    converters = driver.converters

    def tuned(connection: Any, _record: object) -> None:
        connection.register_in_adapter(_TIMESTAMP, _quick(converters.timestamp_in))
        connection.register_in_adapter(_TIMESTAMPTZ, _quick(converters.timestamptz_in))
        connection.register_in_adapter(_JSON, str)
        connection.register_in_adapter(_JSONB, str)

    sa.event.listen(engine, "connect", tuned)


def _quick(careful: Callable[[str], Any]) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # infinity, before Christ, after 9999
            return careful(text)

    return parsed
