"""Compiled features that tell whose doing an entity's known frauds may be.

A fraud with an amount far above its user's usual ones speaks of that user's stolen card, wherever it was used; one with
a usual amount speaks of the place. Part of the look-up (`gnn.lookup`).
"""

import numpy as np

from gnn.habits import UNUSUAL, WALK
from graph.compiled import kernel
from graph.postings import before, before_within, total

FRAUDS = 16
"""How many of an entity's latest known frauds a look-up goes through: the guard against hubs."""


@kernel
def usual_frauds(s, t, start, low, now, out, at):  # type: ignore[no-untyped-def]
    """Of an entity's frauds that became known in the last 30 days: how many had a usual amount, how long the latest of
    these has been known, and the least amount relative to the mean of its user's latest ones before it.

    Those of a user's first transaction say nothing. Of many only the latest are looked at; those that became known at
    one moment together or not at all, as their order means nothing.

    Args:
        start, low, now: where the entity's known frauds stand, and which of them are of the last 30 days.
    """
    f = s.fraud
    if now - low > FRAUDS:
        left_out = s.label_known_at[f.rows[start + now - FRAUDS - 1]]
        low = before_within(f, s.label_known_at, start, now, left_out + 1)
    h = s.history
    usual = 0
    for i in range(low, now):
        entry = f.rows[start + i]
        row = s.label_row[entry]
        if _made_fraud(s, row, t) != entry:
            continue
        user = s.ids[row, 0]
        past = before(h, s.occurred_at, user, s.occurred_at[row])
        if past == 0:
            continue
        first = max(past - WALK, 0)
        ratio = s.amount[row] * (past - first) / (total(h, h.start[user], first, past) + 1.0)
        if not ratio >= out[at + 2]:  # the first is compared with NaN
            out[at + 2] = ratio
        if ratio <= UNUSUAL:
            usual += 1
            out[at + 1] = (t - s.label_known_at[entry]) / 1e6
    out[at] = usual


@kernel
def _made_fraud(s, row, t):  # type: ignore[no-untyped-def]
    """The label by which a transaction has been known as fraud until t; -1 where it is not (any more)."""
    made = np.int64(-1)
    entry = s.first_label[row]
    while entry >= 0 and s.label_known_at[entry] < t:
        if s.label_change[entry] != 0:
            made = entry if s.label_change[entry] > 0 else np.int64(-1)
        entry = s.label_next[entry]
    return made
