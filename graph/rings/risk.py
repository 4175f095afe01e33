"""How risky single transactions are before anything is known of rings."""

import numpy as np
from numpy.typing import NDArray

from graph.records import DAY
from graph.rings.evidence import FRAUD, GENUINE, Evidence

_UNKNOWN = 0.01
_GENUINE_KEEPS = 0.3
_YOUNG = 30 * DAY
_SHARED_BY_YOUNG = 0.25
_FEW = 3


def risk_of(evidence: Evidence) -> NDArray[np.float64]:
    """float64[n], 0..1: by what is known of a transaction, or else by its score, or else by who shares what with whom.

    Known fraud is 1. What is known to be genuine keeps part of its score, as victims overlook things.
    """
    scored = ~np.isnan(evidence.probability)
    risk = np.where(scored, evidence.probability, np.where(shared_by_young(evidence), _SHARED_BY_YOUNG, _UNKNOWN))
    risk = np.where(evidence.label == GENUINE, risk * _GENUINE_KEEPS, risk)
    result: NDArray[np.float64] = np.where(evidence.label == FRAUD, 1.0, risk)
    return result


def shared_by_young(evidence: Evidence) -> NDArray[np.bool_]:
    """bool[n]: the user was first seen lately, and so were most of the few who share an entity with it.

    Who is there from the first days of the evidence on is not young: nobody knows since when.
    """
    if not len(evidence):
        return np.zeros(0, np.bool_)
    begins = int(evidence.occurred_at[0])
    since = evidence.first_seen[evidence.ids[:, 0]]
    young = (evidence.occurred_at - since < _YOUNG) & (since - begins > _YOUNG)
    shared = np.zeros(len(evidence), np.bool_)
    for column in range(1, evidence.ids.shape[1]):
        entity = evidence.ids[:, column]
        there = np.flatnonzero(entity >= 0)
        pairs, back = np.unique(
            (entity[there].astype(np.int64) << 32) | evidence.ids[there, 0].astype(np.int64), return_inverse=True
        )
        fresh = np.zeros(len(pairs), np.bool_)
        fresh[back[young[there]]] = True
        ends = pairs >> 32
        users = np.bincount(ends, minlength=len(evidence.first_seen))
        ones = np.bincount(ends, fresh, minlength=len(users))
        crowd = (ones >= _FEW) & (ones >= 0.75 * users)
        shared[there] |= crowd[entity[there]] & young[there]
    return shared
