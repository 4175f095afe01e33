"""The sentences of reasons: what is told of a subject, with its figures."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan
from typing import Any


def _noun(subject: str) -> str:
    return "IP address" if subject == "ip" else subject.replace("_", " ")


class Subject:
    """What sentences are about: an entity type, a column, or the transaction itself.

    Attributes:
        places: by measure, where its features stand.
        title, middle: in words, before its key, as a sentence begins and as it goes on; the unnamed ones without.
    """

    __slots__ = ("middle", "name", "places", "title", "unnamed_middle", "unnamed_title")

    def __init__(self, name: str, places: dict[str, int]) -> None:
        self.name, self.places = name, places
        noun = name.replace("_", " ")
        self.title = "IP address" if name == "ip" else noun.capitalize()
        self.middle = _noun(name)
        self.unnamed_title, self.unnamed_middle = f"The {noun}", f"the {noun}"


class Facts:
    """What a sentence may quote: the subject's key, and its features by measure.

    Attributes:
        subject: entity type or column that the sentence is about. key: its key or value; empty where there is none.
        title, middle: the subject in words, with its key, as a sentence begins and as it goes on.
        values: all of the transaction's features.
    """

    __slots__ = ("_places", "key", "middle", "subject", "title", "values")

    def __init__(self, about: Subject, key: str, values: list[float]) -> None:
        self.subject, self.key, self.values, self._places = about.name, key, values, about.places
        self.title = f"{about.title} {key}" if key else about.unnamed_title
        self.middle = f"{about.middle} {key}" if key else about.unnamed_middle

    def get(self, measure: str) -> float:
        """A feature of the subject; NaN where it is missing."""
        place = self._places.get(measure)
        return nan if place is None else self.values[place]

    def count(self, measure: str) -> int:
        """A feature that counts; 0 where it is missing."""
        value = self.get(measure)
        return 0 if isnan(value) else int(value)


@dataclass(frozen=True, slots=True)
class RingReached:
    """The ring that entities of a transaction were in as of its time.

    Attributes:
        score, members, confirmed: as of then; `confirmed` by an investigator.
        through: types of the entities that were in it.
        seconds: how long the first of them had been in it.
    """

    ring_id: str
    score: float
    members: int
    confirmed: bool
    through: tuple[str, ...]
    seconds: float

    def evidence(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "ring_id": self.ring_id,
            "status": "confirmed" if self.confirmed else "not judged",
            "score": self.score,
            "members": self.members,
            "through": list(self.through),
            "seconds": self.seconds,
        }


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def span(seconds: float) -> str:
    """A duration in words: `3 hours`, `12 days`."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size or (unit == "minute" and seconds >= size):
            return _plural(int(seconds // size), unit)
    return _plural(max(int(seconds), 0), "second")


def _velocity(f: Facts) -> str:
    return (
        f"{f.title} had {_plural(f.count('tx_1h'), 'transaction')} in the last hour, {f.count('tx_1d'):,} in the "
        f"last day and {f.count('tx_30d'):,} in the last 30 days"
    )


def _history(f: Facts) -> str:
    if f.count("tx_all") == 0:
        return f"{f.title} was never seen before"
    return (
        f"{f.title} was first seen {span(f.get('age'))} ago, with {_plural(f.count('tx_all'), 'transaction')} since; "
        f"the last was {span(f.get('since_last'))} ago"
    )


def _amount(f: Facts) -> str:
    amount = f.values[0]
    mean, ratio = f.get("amount_mean_30d"), f.get("amount_ratio_30d")
    if f.subject == "transaction" or isnan(mean):
        return f"The amount is {amount:,.2f}" + (
            "" if f.subject == "transaction" else f"; {f.title} has no recent amounts"
        )
    return f"The amount, {amount:,.2f}, is {ratio:,.1f} times the 30-day mean of {mean:,.2f} of {f.middle}"


def _known_fraud(f: Facts) -> str:
    frauds = f.count("fraud_all")
    if frauds == 0:
        return f"No fraud is known of {f.middle} ({_plural(f.count('known_30d'), 'label')} in the last 30 days)"
    month = f.count("fraud_30d")
    recent = f", {month:,} of them became known in the last 30 days" if month else ""
    if month and not isnan(f.get("fraud_ratio")):
        usual = "amounts usual for their users among them" if f.count("fraud_usual") else "all of unusual amounts"
        recent += f" ({usual})"
    return f"{_plural(frauds, 'fraud')} known of {f.middle}{recent}; the latest {span(f.get('since_fraud'))} ago"


def _shared(f: Facts) -> str:
    users = f.count("users")
    if users == 0:
        return f"Nobody else used {f.middle} lately"
    return (
        f"{f.title} was lately used by {_plural(users, 'other user')}, {f.count('users_1d'):,} of them in the last day"
    )


def _familiarity(f: Facts) -> str:
    times = f.count("user_tx")
    if times:
        return f"The user used {f.middle} {_plural(times, 'time')} lately, the last {span(f.get('user_since'))} ago"
    others = f.count("user_others")
    beside = f", but {_plural(others, f'other {f.subject}')}" if others else ""
    return f"The user never used {f.middle} before{beside}"


def _linked_users(f: Facts) -> str:
    with_fraud, new = f.count("peers_with_fraud"), f.count("peers_new")
    fraud = (
        f"{with_fraud:,} of the latest other users of {f.middle} have known fraud, "
        f"{_plural(f.count('peer_fraud'), 'case')} in all"
        if with_fraud
        else f"None of the latest other users of {f.middle} has known fraud"
    )
    return fraud + (f"; {new:,} are new within 7 days" if new else "")


def _other_links(f: Facts) -> str:
    noun = f.subject.replace("_", " ")
    return (
        f"On other {noun}s of this user {_plural(f.count('other_fraud'), 'fraud')} known, "
        f"and up to {_plural(f.count('other_users'), 'other user')}"
    )


def _time(f: Facts) -> str:
    share = f.get("hour_share")
    if f.subject == "transaction" or isnan(share):
        days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        return (
            f"It happened on a {days[int(f.values[3])]} at {int(f.values[2]):02d}:{int(f.values[2] % 1 * 60):02d} UTC"
        )
    return f"{share:.0%} of the user's latest transactions were at this time of day"


def _value(f: Facts) -> str:
    noun = f.subject.replace("_", " ")
    risk = f.get("risk_all")
    often = f.get("user_share")
    text = f"{noun.capitalize()} is {f.key or 'missing'}"
    if not isnan(risk):
        text += f", where {risk:.2%} of labelled transactions were fraud"
    ratio = f.get("amount_ratio_30d")
    if not isnan(ratio):
        text += f"; the amount is {ratio:,.1f} times the 30-day mean with it"
    return text if isnan(often) else f"{text}; {often:.0%} of the user's latest transactions had it"


def _number(f: Facts) -> str:
    value = f.get("value")
    if isnan(value):
        return f"{f.subject.replace('_', ' ').capitalize()} is missing"
    if f.subject.startswith("seconds_since_"):
        event = f.subject.removeprefix("seconds_since_").replace("_", " ").capitalize()
        was = "" if event.endswith(" at") else " was"  # "Account created 3 days before"
        return f"{event.removesuffix(' at')}{was} {span(value)} before"
    return f"{f.subject.replace('_', ' ').capitalize()} is {value:,.6g}"


def _no_ring(_: Facts) -> str:
    return "Neither its user nor anything it used is in a fraud ring"


def ring_text(ring: RingReached, keys: dict[str, str]) -> str:
    """Which of the entities with these keys, by type, are in which ring."""
    named = [" ".join((_noun(kind), keys[kind])) for kind in ring.through]
    who = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    be = "is" if len(named) == 1 else "are"
    judged = "confirmed by an investigator" if ring.confirmed else "not judged yet"
    return (
        f"{who[0].upper()}{who[1:]} {be} in the ring {ring.ring_id} ({_plural(ring.members, 'member')}, score "
        f"{ring.score:.2f}, {judged}), for {span(ring.seconds)}"
    )


def network_text(weight: float, nodes: dict[str, int], linked: list[str]) -> str:
    """What the graph network made of a neighbourhood: its nodes by type, and linked users with known fraud."""
    counts = ", ".join(_plural(n, kind) for kind, n in nodes.items())
    fraud = f"; known fraud links to {', '.join(linked)}" if linked else ""
    like = "like that of known frauds" if weight > 0 else "like that of genuine transactions"
    return f"Its neighbourhood ({counts or 'nobody'}) looks {like}{fraud}"


TEXTS: dict[str, Callable[[Facts], str]] = {
    "VELOCITY": _velocity,
    "HISTORY": _history,
    "AMOUNT": _amount,
    "KNOWN_FRAUD": _known_fraud,
    "SHARED": _shared,
    "FAMILIARITY": _familiarity,
    "LINKED_USERS": _linked_users,
    "OTHER_LINKS": _other_links,
    "TIME": _time,
    "VALUE": _value,
    "NUMBER": _number,
    "RING": _no_ring,
}
"""By theme; see `gnn.explain`."""
