"""Compiled features of one transaction's categories: how risky and how common a value is, and what the user's are.

Parts of the look-up (`gnn.lookup`); each writes at its places of the feature row.
"""

import numpy as np

from gnn.habits import DAY, WALK
from graph.compiled import kernel
from graph.postings import before, before_within, total

PRIOR = 5.0
"""Genuine transactions assumed in a risk, so that one fraud in one transaction isn't certainty."""
LATEST_VALUES = 16
"""How many of the user's latest transactions count in what values they had."""
VALUES = 8
"""How many different values of them are looked at."""
CATEGORY = 9


@kernel
def category(s, user, now, k, value, t, amount, out, at):  # type: ignore[no-untyped-def]
    """Delayed risk of a categorical value, how common it is, and whether this user has it as a rule."""
    kn = s.known
    start = kn.start[value]
    known = before(kn, s.label_known_at, value, t)
    known_month = before_within(kn, s.label_known_at, start, known, t - 30 * DAY)
    f = s.fraud
    fraud_now = before(f, s.label_known_at, value, t)
    fraud_month = before_within(f, s.label_known_at, f.start[value], fraud_now, t - 30 * DAY)
    out[at] = total(f, f.start[value], fraud_month, fraud_now) / (known - known_month + PRIOR)
    out[at + 1] = total(f, f.start[value], np.int64(0), fraud_now) / (known + PRIOR)
    h = s.history
    seen = before(h, s.occurred_at, value, t)
    month = before_within(h, s.occurred_at, h.start[value], seen, t - 30 * DAY)
    out[at + 2] = seen - month
    if seen > month:
        out[at + 4] = amount / (total(h, h.start[value], month, seen) / (seen - month) + 1.0)
    if user < 0 or now == 0:
        return
    start = h.start[user]
    low = max(now - WALK, 0)
    same = 0
    added = 0.0
    for i in range(now - 1, low - 1, -1):
        row = h.rows[start + i]
        if s.ids[row, k] == value:
            if same == 0:
                out[at + 6] = (t - s.occurred_at[row]) / 1e6
            same += 1
            added += total(h, start, i, i + 1)
    out[at + 3] = same / (now - low)
    if same > 0:
        out[at + 5] = amount / (added / same + 1.0)


@kernel
def usual_values(s, user, now, k, t, scratch, out, at):  # type: ignore[no-untyped-def]
    """How rare the values of the user's latest transactions of a month are, and how often they turned out fraud.

    So a customer who claims money back again and again is told by it when ordering, not only when claiming.
    """
    if user < 0:
        return
    h, f = s.history, s.fraud
    start = h.start[user]
    values, times, common = scratch[0], scratch[1], scratch[2]
    distinct = 0
    rows = 0
    for i in range(now - 1, max(now - LATEST_VALUES, 0) - 1, -1):
        row = h.rows[start + i]
        if s.occurred_at[row] < t - 30 * DAY:
            break
        value = s.ids[row, k]
        if value < 0:
            continue
        j = 0
        while j < distinct and values[j] != value:
            j += 1
        if j == distinct:
            if distinct == VALUES:
                continue
            values[j] = value
            times[j] = 0
            distinct += 1
        times[j] += 1
        rows += 1
    if rows == 0:
        return
    most = 0
    risk = 0.0
    for j in range(distinct):
        value = values[j]
        seen = before(h, s.occurred_at, value, t)
        common[j] = seen - before_within(h, s.occurred_at, h.start[value], seen, t - 30 * DAY)
        most = max(most, common[j])
        known = before(s.known, s.label_known_at, value, t)
        risk += (
            times[j] * total(f, f.start[value], np.int64(0), before(f, s.label_known_at, value, t)) / (known + PRIOR)
        )
    rarity = 0.0
    for j in range(distinct):
        rarity += times[j] * np.log((most + 1.0) / (common[j] + 1.0))
    out[at] = rarity / rows
    out[at + 1] = risk / rows
