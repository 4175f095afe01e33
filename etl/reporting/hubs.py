"""Which widely shared things are perhaps not what they say: candidates for leaving out of the graph."""

import re
from dataclasses import dataclass
from typing import Any

from graph.ids import address_range
from graph.records import USER

HUBS = 10
"""Most candidates named of one entity type."""
_PLACES = frozenset({"restaurant"})
_LEAST_USERS = 20
_LEAST_PLACEHOLDER = 5
_TIMES_USUAL = 10
_LARGE_SHARE = 0.05
_LARGE_PLACE = 0.5
_FEW_PLACES = 10
_LEAST_ROWS = 200
_ROWS_TIMES_USUAL = 20
_PLACEHOLDER = re.compile(
    r"(?i)(no|test|dummy|sample|default|guest|anonymous|anon|admin|system|null|nil|none|unknown|undefined|missing)"
    r"([ _-]?(id|device|ip|phone|e?mail|user|account|customer|client|card|\d{1,3}))*"
    r"|n/?a|x{2,}|[0-]{4,}|(?P<one>.)(?P=one){4,}|0?123456(789?0?)?"
)
_MAIL_PLACEHOLDER = re.compile(r"(?i)(test|none|no|noreply|na|null|guest|x+)@.*")


@dataclass(frozen=True, slots=True)
class Hub:
    """An entity that far more users share (for a user: far more transactions) than is usual of its kind.

    Attributes:
        key: as in the graph.
        users: distinct users of the load's rows (1 for a user).
        transactions, frauds: the load's rows that name it, and those of them that are labelled fraud by now.
        why: what makes it suspicious, as a clause in words.
    """

    key: str
    users: int
    transactions: int
    frauds: int
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "key": self.key,
            "users": self.users,
            "transactions": self.transactions,
            "frauds": self.frauds,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of an entity type in a load's rows.

    Attributes:
        entities: how many were seen.
        degree: the 95th percentile of their users (of a user: of the transactions).
        users, transactions: of the whole load.
    """

    entities: int
    degree: int
    users: int
    transactions: int


def suspicion(entity: str, key: str, users: int, transactions: int, usual: Usual) -> str | None:
    """Why an entity is a candidate for leaving out, as a clause in words; None where it is not.

    Fraud rings share devices, too: what this names is for a person to look at, never left out unseen.
    """
    if entity == USER:
        return _busy_user(key, transactions, usual)
    if users >= max(_LEAST_PLACEHOLDER, usual.degree + 1) and is_placeholder(key):
        return "its key looks like a placeholder, not like a real one"
    share = users / max(usual.users, 1)
    if entity in _PLACES:
        if users >= _LEAST_USERS and usual.entities >= _FEW_PLACES and share > _LARGE_PLACE:
            return f"{share:.0%} of all users appear there"
        return _above_usual(entity, users, usual)
    if users >= _LEAST_USERS:
        kind = address_kind(key) if entity == "ip" else None
        if kind is not None:
            return f"it is {kind}: one address for everybody behind it"
        if share >= _LARGE_SHARE:
            return f"{share:.0%} of all users share it"
    return _above_usual(entity, users, usual)


def _above_usual(entity: str, users: int, usual: Usual) -> str | None:
    if users >= max(_LEAST_USERS, _TIMES_USUAL * usual.degree):
        return f"95 of 100 {plural(entity)} have at most {usual.degree:,} user{'s' * (usual.degree != 1)}"
    return None


def _busy_user(key: str, transactions: int, usual: Usual) -> str | None:
    if transactions >= max(_LEAST_PLACEHOLDER, usual.degree + 1) and is_placeholder(key):
        return "its key looks like a placeholder or a test account"
    if transactions >= max(_LEAST_ROWS, _ROWS_TIMES_USUAL * usual.degree):
        return (
            f"{transactions / max(usual.transactions, 1):.1%} of all transactions are this one user's; "
            f"95 of 100 users have at most {usual.degree:,}"
        )
    return None


def is_placeholder(key: str) -> bool:
    """Whether a key looks made up to fill a field: `test`, `xxx`, `99999999`, `none@example.com`."""
    text = key.strip()
    return len(text) <= 64 and bool(_PLACEHOLDER.fullmatch(text) or _MAIL_PLACEHOLDER.fullmatch(text))


_SHARED_BY_DESIGN = {
    "carrier_grade": "a carrier-grade NAT address",
    "private": "a private address",
    "loopback": "the machine's own (loopback) address",
    "link_local": "a link-local address, which nobody gave out",
    "reserved": "a reserved address, which the internet does not carry",
}


def address_kind(key: str) -> str | None:
    """What an IP address that many share by design is, with its article; None for public ones and for no address."""
    return _SHARED_BY_DESIGN.get(address_range(key) or "")


def plural(entity: str) -> str:
    """An entity type's name for several: `devices`, `addresses`, `IP addresses`."""
    names = {"ip": "IP addresses", "address": "addresses", "email": "e-mail addresses", "phone": "phone numbers"}
    return names.get(entity, entity.replace("_", " ") + "s")


def singular(entity: str) -> str:
    """An entity type's name for one: `device`, `IP address`."""
    return {"ip": "IP address", "email": "e-mail address", "phone": "phone number"}.get(
        entity, entity.replace("_", " ")
    )
