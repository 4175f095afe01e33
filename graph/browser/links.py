"""Links that open Neo4j Browser with a query in its editor: a click and Control+Enter show the graph.

Browser decodes the whole address before it looks for the parts in it: `&`, `#` and `?arg=` in a query would end it
there, however they are encoded, and `;` makes a script of it. So ids are written with Cypher's own escapes wherever
a character could mean anything to either.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from graph.neo4j_names import bounded
from graph.neo4j_url import SCHEMES
from graph.settings import settings

_PLAIN = re.compile(r"[A-Za-z0-9_ .,:@-]*")
_SAFE = "(),:*"
_GIVEN = "$id"

# A transaction, what it links to, the rings of these and, but for hubs, their other users.
_DECISION = """\
MATCH p = (:Transaction {id: $id})--(e)
CALL (e) {
  OPTIONAL MATCH q = (e)-[:MEMBER_OF]->(:Ring)<-[:MEMBER_OF]-() RETURN q LIMIT 100
  UNION
  OPTIONAL MATCH q = (e)<--(:User) WHERE e.transactions < 1000 AND NOT e:Restaurant RETURN q LIMIT 25
}
RETURN p, q"""

# A ring's members, and which of its users use what. A user's own relationships are few, an address's may not be.
_RING = """\
MATCH p = (r:Ring {id: $id})<-[:MEMBER_OF]-(m)
OPTIONAL MATCH q = (m)-->()-[:MEMBER_OF]->(r)
RETURN p, q"""


def cypher_text(text: str) -> str:
    r"""A text as a literal of Cypher, for any text, that also means the same in a link.

    Neo4j replaces \uXXXX before it reads a query, so what means something within a literal (quotes and backslashes)
    has a backslash before it, and everything else that is not a letter, a digit or a harmless sign is \uXXXX.
    """
    if _PLAIN.fullmatch(text):
        return f"'{text}'"
    return "'" + "".join(map(_escaped, text)) + "'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return "\\" + character
    if character.isalnum() or _PLAIN.fullmatch(character):
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


@dataclass(frozen=True, slots=True)
class BrowserLinks:
    """Links into the Neo4j Browser at an address.

    Attributes:
        page: Browser's address, up to where a link's query begins.
    """

    page: str

    @classmethod
    def of(cls, store: str) -> Self | None:
        """Links for a store, by its URL: to Browser as the setting names it, or else on the server of a Neo4j store.

        None where there is neither.
        """
        parts = urlsplit(store)
        is_neo4j = parts.scheme in SCHEMES and bool(parts.hostname)
        base = settings().browser_url
        if not is_neo4j:
            return None if base is None else cls(f"{_root(base)}/browser/?cmd=edit&arg=")
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        if base is None:
            base = f"http://{host}:7474" if parts.scheme in ("neo4j", "bolt") else f"https://{host}:7473"
        server = f"{parts.scheme}://{parts.username or 'neo4j'}@{host}:{parts.port or 7687}"
        database = parts.path.strip("/") or "neo4j"
        asks = f"dbms={quote(server, safe='/:@')}&db={quote(unquote(database), safe='')}"
        return cls(f"{_root(base)}/browser/?{asks}&cmd=edit&arg=")

    @property
    def browser(self) -> str:
        """Browser's address, with the database to connect to."""
        return self.page.removesuffix("cmd=edit&arg=").rstrip("?&")

    def query(self, text: str) -> str:
        """Opens a query as it is; it has none of the signs that end a link."""
        return self.page + quote(text, safe=_SAFE)

    def decision(self, transaction_id: str) -> str:
        """Opens a transaction with its neighbourhood and the rings that it touches."""
        return self.page + _DECISION_LINK.of(transaction_id)

    def ring(self, ring_id: str) -> str:
        """Opens a whole ring."""
        return self.page + _RING_LINK.of(ring_id)


def _root(base: str) -> str:
    return base.rstrip("/").removesuffix("/browser")


class _Query:
    """A query about an id, as a part of a link; all but the id is encoded once."""

    def __init__(self, query: str) -> None:
        before, _, after = query.partition(_GIVEN)
        self._before, self._after = quote(before, safe=_SAFE), quote(after, safe=_SAFE)

    def of(self, id_: str) -> str:
        return self._before + quote(cypher_text(bounded(id_)), safe=_SAFE) + self._after


_DECISION_LINK, _RING_LINK = _Query(_DECISION), _Query(_RING)
