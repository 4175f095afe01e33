"""The rings there are as of a moment."""

import numpy as np
from numpy.typing import NDArray

from graph.rings.discovery import groups
from graph.rings.evidence import Evidence
from graph.rings.explanation import reasons_of, score_of
from graph.rings.found import Dealings, Found, known_fraud, links_of, members_of
from graph.rings.places import Meetings
from graph.rings.risk import risk_of
from graph.rings.settings import RingSettings
from graph.rings.structure import structure_of


def find(evidence: Evidence, settings: RingSettings | None = None) -> list[Found]:
    """Rings in what was known as of `evidence.at`, the most suspicious first; the order of facts is all one."""
    chosen = settings or RingSettings()
    risk = risk_of(evidence)
    met, found = groups(evidence, risk, chosen)
    if not found:
        return []
    order = np.argsort(met.pair, kind="stable")
    begins = np.searchsorted(met.pair[order], np.arange(len(met.place) + 1))
    rings = [_described(evidence, risk, met, _incidences(order, begins, pairs)) for pairs in found]
    return sorted(rings, key=lambda ring: (-ring.score, sorted(ring.users)))


def _incidences(order: NDArray[np.int64], begins: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions in `Meetings.row` of these pairs' transactions."""
    return np.concatenate([order[begins[pair] : begins[pair + 1]] for pair in pairs.tolist()])


def _described(evidence: Evidence, risk: NDArray[np.float64], met: Meetings, incidences: NDArray[np.int64]) -> Found:
    pairs = met.pair[incidences]
    dealings = Dealings.of(evidence, met.row[incidences], met.user[pairs], met.entity[met.place[pairs]])
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
        reasons=reasons_of(evidence, dealings, structure, holder),
    )
