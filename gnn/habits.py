"""Compiled features of one transaction against the habits of its entities: amounts, rhythm, time of day.

Parts of the look-up (`gnn.lookup`); each writes at its places of the feature row.
"""

import numpy as np

from graph.compiled import kernel
from graph.postings import before, total

HOUR = np.int64(3_600_000_000)
DAY = np.int64(86_400_000_000)
WALK = 64
"""How many of an entity's latest transactions a look-up walks through: the guard against hubs."""
RECENT = 8
"""How many of the walked transactions count as the latest few."""
UNUSUAL = 2.5
"""An amount so many times the usual one is far above it."""


@kernel
def bursts(s, h, start, now, in_day, in_month, t, amount, out, at):  # type: ignore[no-untyped-def]
    """The last day, and the time since the last transaction, against the entity's own habit."""
    first = s.occurred_at[h.rows[start]]
    last = s.occurred_at[h.rows[start + now - 1]]
    if now > in_month:
        # Of a young entity the month is as long as its age, but a day at least.
        days = min(max((t - first) / DAY, 1.0), 30.0)
        out[at] = (now - in_day) * days / (now - in_month)
        spent = total(h, start, in_month, now) + amount
        if spent > 0:
            out[at + 1] = (total(h, start, in_day, now) + amount) * days / spent
    if now > 1:
        out[at + 2] = (t - last) / ((last - first) / (now - 1) + 1e6)


@kernel
def amounts(h, start, low, now, amount, out, at):  # type: ignore[no-untyped-def]
    """The amount among the walked ones: its deviation in their standard deviations, its relation to the largest,
    how many are as large and how many the same; and how the latest few compare with all of them."""
    n = now - low
    added, squared, largest, latest = 0.0, 0.0, 0.0, 0.0
    larger, same = 0, 0
    for i in range(now - 1, low - 1, -1):
        a = float(total(h, start, i, i + 1))
        added += a
        squared += a * a
        largest = max(largest, a)
        if a >= amount:
            larger += 1
            if a == amount:
                same += 1
        if now - i <= RECENT:
            latest += a
    mean = added / n
    variance = max(squared / n - mean * mean, 0.0)
    out[at + 9] = (amount - mean) / (np.sqrt(variance) + 0.05 * mean + 100.0)
    out[at + 10] = amount / (largest + 1.0)
    out[at + 28] = larger / n
    out[at + 29] = same / n
    out[at + 30] = latest / min(n, RECENT) / (mean + 1.0)


@kernel
def amount_habit(s, user, t, amount, out, at):  # type: ignore[no-untyped-def]
    if user < 0:
        return
    h = s.history
    now = before(h, s.occurred_at, user, t)
    if now > 0:
        amounts(h, h.start[user], max(now - WALK, 0), now, amount, out, at)


@kernel
def hour_habit(s, user, now, hour, out, at):  # type: ignore[no-untyped-def]
    """Share of the user's latest transactions within two hours of this hour of the day."""
    if user < 0 or now == 0:
        return
    h = s.history
    start = h.start[user]
    low = max(now - WALK, 0)
    near = 0
    for i in range(low, now):
        apart = abs((s.occurred_at[h.rows[start + i]] // HOUR) % 24 - hour)
        if apart <= 2 or apart >= 22:
            near += 1
    out[at] = near / (now - low)


@kernel
def usual_amount(s, user, now, t, amount, values, out, at):  # type: ignore[no-untyped-def]
    """The amount against the median of the user's latest, which a few large ones do not move as they move a mean; and
    how many of the last week's are far above it."""
    if user < 0 or now == 0:
        return
    h = s.history
    start = h.start[user]
    low = max(now - WALK, 0)
    for i in range(low, now):
        a = float(total(h, start, i, i + 1))
        j = i - low
        while j > 0 and values[j - 1] > a:
            values[j] = values[j - 1]
            j -= 1
        values[j] = a
    median = values[(now - low) // 2] + 1.0
    unusual = 0
    for i in range(now - 1, low - 1, -1):
        if s.occurred_at[h.rows[start + i]] < t - 7 * DAY:
            break
        if total(h, start, i, i + 1) > UNUSUAL * median:
            unusual += 1
    out[at] = amount / median
    out[at + 1] = unusual
