"""Why a group of users is a ring: its score, and the reasons in words."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from graph.ring_records import RingReason
from graph.rings.evidence import Evidence
from graph.rings.found import Dealings, known_fraud
from graph.rings.pieces import Group

_KNOWN, _RISK, _YOUNG, _TOGETHER, _BURST, _DENSE = 0.9, 0.85, 0.25, 0.2, 0.15, 0.15
"""How much each kind of evidence can say alone, as if each were a chance of its own to be right."""
_SHORTLY = 7.0
_BUSY = 0.5
_MANY_KEYS = 5
_MANY_TRAITS = 3


def score_of(evidence: Evidence, dealings: Dealings, risk: NDArray[np.float64], structure: dict[str, float]) -> float:
    """0..1: the more of its users did something risky or known as fraud, and the more they look like one hand."""
    users, back = np.unique(evidence.ids[dealings.rows, 0], return_inverse=True)
    worst = np.zeros(len(users))
    np.maximum.at(worst, back, risk[dealings.rows])
    caught = np.zeros(len(users), np.bool_)
    caught[back[evidence.label[dealings.rows] == 1]] = True
    together = structure["young"] * (structure["opened_within_days"] <= _SHORTLY)
    parts = (
        _KNOWN * float(caught.mean()),
        _RISK * float(worst.mean()),
        _YOUNG * structure["young"],
        _TOGETHER * together,
        _BURST * structure["busiest_day"],
        _DENSE * structure["density"],
    )
    return round(1 - float(np.prod([1 - part for part in parts])), 4)


def reasons_of(
    evidence: Evidence,
    dealings: Dealings,
    structure: dict[str, float],
    holder: int | None,
    group: Group,
) -> tuple[RingReason, ...]:
    """What speaks for a ring, strongest kind of evidence first: what is known, what holds it or makes it one, scores,
    ages, rhythm.
    """
    users = int(structure["users"])
    reasons = [_shared(evidence, dealings, users)]
    if fraud := known_fraud(evidence, dealings.rows):
        caught = len(np.unique(evidence.ids[dealings.rows[evidence.label[dealings.rows] == 1], 0]))
        text = (
            f"{fraud} of its {_count(len(dealings.rows), 'transaction')} {_are(fraud)} known to be fraud, "
            f"by {caught} of its {users} users."
        )
        evident = {"fraud_known": fraud, "transactions": len(dealings.rows), "users": caught}
        reasons.insert(0, RingReason("RING_KNOWN_FRAUD", text, evident))
    if holder is not None:
        kind, key = evidence.schema.keyed[evidence.names.kinds[holder]], evidence.names.keys[holder]
        cut = int(structure["cut_off"])
        text = f"The {kind} {key} holds it together: without it, {_count(cut, 'user')} would not be linked to the rest."
        reasons.append(RingReason("RING_HELD_TOGETHER", text, {"entity": kind, "key": key, "cut_off": cut}))
    if group.parts > 1:
        text = f"Its {group.parts} parts share nothing that few have, but one hand explains best what they did"
        text += f": they are alike in {', '.join(group.alike[:_MANY_TRAITS])}." if group.alike else "."
        reasons.append(RingReason("RING_ALIKE", text, {"parts": group.parts, "traits": list(group.alike)}))
    scored = evidence.probability[dealings.rows]
    if (~np.isnan(scored)).any():
        highest = np.nanmax(scored)
        risky = len(np.unique(evidence.ids[dealings.rows[np.nan_to_num(scored) >= 0.5], 0]))
        if risky:
            text = (
                f"For {risky} of its {users} users the model finds fraud more likely than not in a transaction; "
                f"its highest probability is {highest:.0%}."
            )
            reasons.append(RingReason("RING_SCORES", text, {"users": risky, "highest": round(float(highest), 4)}))
    if (young := round(structure["young"] * users)) >= 2:
        text = f"{young} of its {users} users were first seen within 30 days before they appear in it"
        within = structure["opened_within_days"]
        text += f", half of them within {_span(within)} of each other." if within <= _SHORTLY else "."
        reasons.append(RingReason("RING_NEW_ACCOUNTS", text, {"users": young, "half_within_days": within}))
    if structure["busiest_day"] >= _BUSY and len(dealings.rows) > 2:
        busy = round(structure["busiest_day"] * len(dealings.rows))
        text = f"{busy} of its {len(dealings.rows)} transactions fall within 24 hours."
        reasons.append(RingReason("RING_BURST", text, {"transactions": busy, "of": len(dealings.rows)}))
    return tuple(reasons)


def _shared(evidence: Evidence, dealings: Dealings, users: int) -> RingReason:
    """What the users share, from what most of them share on."""
    each = Counter(dealings.ends.tolist())
    names, types = evidence.names, evidence.schema.keyed
    common = sorted(each, key=lambda end: (-each[end], int(names.kinds[end]), names.keys[end]))
    common = [end for end in common if each[end] > 1]
    kinds = Counter(types[names.kinds[end]] for end in common)
    what = " and ".join(_count(kinds[kind], kind) for kind in types if kind in kinds)
    top = common[0]
    text = (
        f"{users} users are linked by {what}; "
        f"{each[top]} of them share the {types[names.kinds[top]]} {names.keys[top]}."
    )
    shared = [{"entity": types[names.kinds[end]], "key": names.keys[end], "users": each[end]} for end in common]
    return RingReason("RING_SHARED", text, {"users": users, **kinds, "most_shared": shared[:_MANY_KEYS]})


def _count(number: int, what: str) -> str:
    word = {"ip": "IP address", "address": "address"}.get(what, what)
    if number == 1:
        return f"1 {word}"
    return f"{number} {word}es" if word.endswith("s") else f"{number} {word}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _span(days: float) -> str:
    return f"{max(1, round(days * 24))} hours" if days < 2 else f"{round(days)} days"
