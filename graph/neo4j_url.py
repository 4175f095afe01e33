"""Where a Neo4j store is, and who asks: taken from its URL and the settings."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from graph.errors import InputError
from graph.settings import settings

SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
_FORM = "use neo4j://user@host:7687/neo4j, with the password in QUIPU_NEO4J_PASSWORD"


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a Neo4j server.

    Attributes:
        server: URL of the server, as the driver wants it.
        user, password: who asks; the password appears in no text of this object.
        database: name of the database on the server.
        shown: the store's URL without its password, for people.
    """

    server: str
    user: str
    password: str = field(repr=False)
    database: str
    shown: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Takes `neo4j://user:password@host:port/database` apart.

        User and database may be left out (`neo4j`), so may the port (7687), and the password, which
        is then the setting `QUIPU_NEO4J_PASSWORD`.

        Raises:
            InputError: the URL has another form, or there is no password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 7687
        except ValueError:  # its text may quote the password
            raise InputError("the URL of the Neo4j store cannot be read", hint=_FORM) from None
        database = parts.path.strip("/") or "neo4j"
        if parts.scheme not in SCHEMES or not host or "/" in database or parts.query or parts.fragment:
            raise InputError("the URL of the Neo4j store has another form than expected", hint=_FORM)
        user = unquote(parts.username or "neo4j")
        password = unquote(parts.password or "")
        if not password and (kept := settings().neo4j_password) is not None:
            password = kept.get_secret_value()
        if not password:
            raise InputError("there is no password for the Neo4j store", hint="set QUIPU_NEO4J_PASSWORD")
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return cls(
            server=f"{parts.scheme}://{place}",
            user=user,
            password=password,
            database=database,
            shown=f"{parts.scheme}://{parts.username + '@' if parts.username else ''}{place}/{database}",
        )
