"""Rings in the terms of people and machines: times in ISO 8601, amounts in units of the currency."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, overload

from graph.records import USER
from graph.ring_records import Ring, RingEvent, RingMember

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def iso(time: int) -> str: ...
@overload
def iso(time: int | None) -> str | None: ...
def iso(time: int | None) -> str | None:
    """Microseconds since the epoch as ISO 8601, UTC; None stays None."""
    return None if time is None else (_EPOCH + timedelta(microseconds=time)).isoformat().replace("+00:00", "Z")


def summary(ring: Ring) -> dict[str, Any]:
    """A ring in a list: without its members, links, structure and evidence."""
    return {
        "ring_id": ring.ring_id,
        "status": str(ring.status),
        "score": ring.score,
        "active": ring.active,
        "users": sum(member.entity == USER for member in ring.members),
        "members": len(ring.members),
        "transactions": ring.transactions,
        "amount": ring.amount / 100,
        "fraud_known": ring.fraud_known,
        "first_at": iso(ring.first_at),
        "last_at": iso(ring.last_at),
        "found_at": iso(ring.found_at),
        "refreshed_at": iso(ring.refreshed_at),
        "reasons": [reason.text for reason in ring.reasons],
    }


def whole(ring: Ring) -> dict[str, Any]:
    """All that is known of a ring."""
    return {
        **summary(ring),
        "members": [_member(member) for member in ring.members],
        "links": [
            {
                "user": link.user,
                "entity": link.entity,
                "key": link.key,
                "transactions": link.transactions,
                "first_at": iso(link.first_at),
                "last_at": iso(link.last_at),
            }
            for link in ring.links
        ],
        "structure": dict(ring.structure),
        "reasons": [{"code": r.code, "text": r.text, "evidence": dict(r.evidence)} for r in ring.reasons],
        "came_from": list(ring.came_from),
        "became": list(ring.became),
    }


def _member(member: RingMember) -> dict[str, Any]:
    return {
        "entity": member.entity,
        "key": member.key,
        "since": iso(member.since),
        "transactions": member.transactions,
        "band": member.band,
    }


def event(event: RingEvent) -> dict[str, Any]:
    """One event of a ring's history."""
    return {"at": iso(event.at), "kind": str(event.kind), "details": dict(event.details)}


_SAID = {
    "found": "found",
    "grew": "grew",
    "shrank": "shrank",
    "split": "split",
    "merged": "merged",
    "returned": "came back",
    "gone": "no longer found",
}


def event_text(event: RingEvent) -> str:
    """An event in words."""
    details: Mapping[str, Any] = event.details
    if event.kind == "verdict":
        by = f" by {details['by']}" if details.get("by") else ""
        note = f": {details['note']}" if details.get("note") else ""
        return f"{details['verdict']}{by}{note}"
    told = [
        f"{name.replace('_', ' ')} {_plain(value)}" for name, value in details.items() if value not in ([], "", None)
    ]
    return _SAID[event.kind] + (f" ({'; '.join(told)})" if told else "")


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return str(value)
