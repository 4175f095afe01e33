"""The body of an answer: a decision's JSON as it was kept, and whether it is told for the first time."""

from graph.records import Decision

_NEW = b',"replayed":false}'
_REPLAYED = b',"replayed":true}'


def new_body(decision: Decision) -> bytes:
    """The JSON that the request which was decided on gets."""
    return decision.response[:-1] + _NEW


def replayed_body(decision: Decision) -> bytes:
    """The JSON of a kept decision, as a retry of its request gets it."""
    return decision.response[:-1] + _REPLAYED


def replayed_again(body: bytes) -> bytes:
    """What a retry gets, from the body that the first request got."""
    return body.removesuffix(_NEW) + _REPLAYED
