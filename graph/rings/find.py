"""The rings there are as of a moment."""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from graph.records import DAY
from graph.rings.alike import NARROW, brought_together
from graph.rings.discovery import groups
from graph.rings.evidence import Evidence
from graph.rings.explanation import reasons_of, score_of
from graph.rings.found import Dealings, Found, known_fraud, links_of, members_of
from graph.rings.likeness import traits_of
from graph.rings.pieces import Group, joined
from graph.rings.risk import risk_of
from graph.rings.settings import RingSettings
from graph.rings.structure import structure_of


def find(evidence: Evidence, settings: RingSettings | None = None) -> list[Found]:
    """Rings in what was known as of `evidence.at`, the most suspicious first; the order of facts is all one."""
    chosen = settings or RingSettings()
    risk = risk_of(evidence)
    lately = Group.each(*groups(evidence, risk, chosen))
    longer = replace(chosen, lookback_days=max(chosen.lookback_days, chosen.linked_days))
    before = Group.each(*groups(evidence, risk, longer))
    recent = evidence.occurred_at >= evidence.at - chosen.lookback_days * DAY
    active = frozenset(np.unique(evidence.ids[recent & (risk >= chosen.risky), 0]).tolist())
    tied = joined(lately, before, active, 2)
    whole = brought_together(tied, traits_of(evidence, risk, tied, chosen), chosen.alike)
    rings = [_described(evidence, risk, group) for group in whole if len(group.members) >= chosen.members]
    kept = [ring for ring in rings if len(ring.users) >= chosen.chain or not _is_chain(ring)]
    return sorted(kept, key=lambda ring: (-ring.score, sorted(ring.users)))


def _is_chain(ring: Found) -> bool:
    """Whether it hangs together by single links from one to the next, each entity between two or three users."""
    widest = max(Counter(link.key for link in ring.links).values())
    figures = ring.structure
    return widest <= NARROW and figures["entities"] > 1 and figures["bridges"] == figures["links"]


def _described(evidence: Evidence, risk: NDArray[np.float64], group: Group) -> Found:
    dealings = Dealings.of(evidence, group.rows, group.users, group.ends)
    structure, holder = structure_of(evidence, dealings)
    when = evidence.occurred_at[dealings.rows]
    return Found(
        score=score_of(evidence, dealings, risk, structure),
        members=members_of(evidence, dealings),
        links=links_of(evidence, dealings),
        transactions=len(dealings.rows),
        amount=int(evidence.amount[dealings.rows].sum()),
        fraud_known=known_fraud(evidence, dealings.rows),
        first_at=int(when.min()),
        last_at=int(when.max()),
        structure=structure,
        reasons=reasons_of(evidence, dealings, structure, holder, group),
    )
