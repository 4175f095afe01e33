"""The compiled look-up: all features of one transaction as of its time, from the as-of index.

`gnn.catalogue` names what stands at each place of the output. Replay of history and the live
service call the same function, so a feature is the same number to the bit in both.
Windows are [t - w, t); labels count from their `known_at`, strictly before t.
Method: velocity and delayed-risk windows as in Le Borgne et al., Reproducible Machine Learning
for Credit Card Fraud Detection (2022), chapter 3, extended to every linked entity, to pairs and to two hops.
"""

import numpy as np

from gnn.attribution import usual_frauds
from gnn.habits import DAY, HOUR, WALK, amount_habit, amounts, bursts, hour_habit, usual_amount
from gnn.values import CATEGORY, PRIOR, category, usual_values
from graph.compiled import kernel
from graph.postings import before, before_within, total
from graph.ring_log import CONFIRMED, rings_of_all

PEERS = 8
"""Other users of a shared entity whose own past is looked at."""
OTHERS = 4
"""Other entities of a type, used by the same user lately, whose other users are looked at."""
OTHERS_WALK = 16
LABELS = 4
"""How many of an entity's latest labels count as the latest few."""

TRANSACTION = 7
ENTITY = 37
RING = 3
"""How many of an entity's features, the last ones, tell of its ring."""
USER_ONLY = 3
LINK = 12


@kernel
def fill(s, t, amount, ids, numeric, entities, scratch, out):  # type: ignore[no-untyped-def]
    """Writes the features of one transaction into `out` (float32, as long as the catalogue).

    Args:
        s: `graph.state.State`.
        t: event time, microseconds UTC.
        amount: hundredths.
        ids: int32 a keyed column, -1 where missing or never seen.
        numeric: float64 extra columns, NaN where missing.
        scratch: int32[3, 2 * WALK], rows contiguous, overwritten.
        entities: how many of the keyed columns are entity types; the others are categories.
    """
    out[:] = np.nan
    out[0] = amount / 100.0
    out[1] = (amount % 100) / 100.0
    hour = (t // HOUR) % 24
    out[2] = hour + ((t % HOUR) / 3.6e9)
    out[3] = (t // DAY + 3) % 7
    _rings(s.rings, t, ids, entities, scratch, out)
    at = TRANSACTION
    user = ids[0]
    _entity(s, user, t, amount, out, at)
    amount_habit(s, user, t, amount, out, at)
    at += ENTITY
    user_end = before(s.history, s.occurred_at, user, t) if user >= 0 else np.int64(0)
    hour_habit(s, user, user_end, hour, out, at)
    usual_amount(s, user, user_end, t, amount, scratch[0].view(np.float64), out, at + 1)
    at += USER_ONLY
    for k in range(1, entities):
        entity = ids[k]
        if entity >= 0:
            _entity(s, entity, t, amount, out, at)
            _sharing(s, user, entity, t, amount, scratch, out, at)
            _pair(s, user, user_end, k, entity, t, scratch, out, at + ENTITY)
        at += ENTITY + LINK
    for k in range(entities, ids.shape[0]):
        if ids[k] >= 0:
            category(s, user, user_end, k, ids[k], t, amount, out, at)
            usual_values(s, user, user_end, k, t, scratch, out, at + 7)
        at += CATEGORY
    for j in range(numeric.shape[0]):
        out[at + j] = numeric[j]


@kernel
def _rings(log, t, ids, entities, scratch, out):  # type: ignore[no-untyped-def]
    """Which rings its entities were in as of t: each one's own, and the most telling of them."""
    marks, lines = scratch[0], scratch[1]
    best = rings_of_all(log, ids, entities, t, marks, lines)
    out[4:7] = 0.0
    if best >= 0:
        out[4] = log.scores[marks[best]]
        out[5] = log.marks[marks[best], 1]
        for k in range(entities):
            if marks[k] >= 0 and log.members[lines[k], 1] == log.members[lines[best], 1]:
                out[6] += 1.0
    at = TRANSACTION + ENTITY - RING
    for k in range(entities):
        if marks[k] >= 0:
            out[at] = log.scores[marks[k]]
            out[at + 1] = log.marks[marks[k], 2] == CONFIRMED
            out[at + 2] = (t - log.members[lines[k], 2]) / 1e6
        elif k == 0 or ids[k] >= 0:
            out[at] = 0.0
            out[at + 1] = 0.0
        at += ENTITY + (USER_ONLY if k == 0 else LINK)


@kernel
def _first_time(table, number):  # type: ignore[no-untyped-def]
    """Puts a number into an open-addressing table (2 * WALK places, -1 empty); whether it wasn't there yet."""
    place = (number * 40503) & (2 * WALK - 1)
    while table[place] >= 0:
        if table[place] == number:
            return False
        place = (place + 1) & (2 * WALK - 1)
    table[place] = number
    return True


@kernel
def frauds_before(s, entity, t):  # type: ignore[no-untyped-def]
    """The entity's frauds known before t."""
    f = s.fraud
    return total(f, f.start[entity], np.int64(0), before(f, s.label_known_at, entity, t))


@kernel
def _entity(s, entity, t, amount, out, at):  # type: ignore[no-untyped-def]
    if entity < 0:
        out[at : at + 5] = 0.0
        out[at + 13 : at + 21] = 0.0
        out[at + 31] = 0.0
        return
    h = s.history
    start = h.start[entity]
    now = before(h, s.occurred_at, entity, t)
    in_hour = before_within(h, s.occurred_at, start, now, t - HOUR)
    in_day = before_within(h, s.occurred_at, start, in_hour, t - DAY)
    in_week = before_within(h, s.occurred_at, start, in_day, t - 7 * DAY)
    in_month = before_within(h, s.occurred_at, start, in_week, t - 30 * DAY)
    out[at] = now - in_hour
    out[at + 1] = now - in_day
    out[at + 2] = now - in_week
    out[at + 3] = now - in_month
    out[at + 4] = now
    if now > 0:
        out[at + 5] = total(h, start, in_day, now) / 100.0
        if now > in_week:
            out[at + 6] = total(h, start, in_week, now) / (100.0 * (now - in_week))
        if now > in_month:
            mean = total(h, start, in_month, now) / (now - in_month)
            out[at + 7] = mean / 100.0
            out[at + 8] = amount / (mean + 1.0)
        out[at + 11] = (t - s.occurred_at[h.rows[start + now - 1]]) / 1e6
        out[at + 12] = (t - s.occurred_at[h.rows[start]]) / 1e6
        bursts(s, h, start, now, in_day, in_month, t, amount, out, at + 25)
    _risk(s, entity, t, out, at + 13)


@kernel
def _risk(s, entity, t, out, at):  # type: ignore[no-untyped-def]
    k = s.known
    start = k.start[entity]
    known = before(k, s.label_known_at, entity, t)
    known_week = before_within(k, s.label_known_at, start, known, t - 7 * DAY)
    known_month = before_within(k, s.label_known_at, start, known_week, t - 30 * DAY)
    f = s.fraud
    start = f.start[entity]
    now = before(f, s.label_known_at, entity, t)
    in_day = before_within(f, s.label_known_at, start, now, t - DAY)
    in_week = before_within(f, s.label_known_at, start, in_day, t - 7 * DAY)
    in_month = before_within(f, s.label_known_at, start, in_week, t - 30 * DAY)
    week = total(f, start, in_week, now)
    month = total(f, start, in_month, now)
    ever = total(f, start, np.int64(0), now)
    out[at] = known - known_month
    out[at + 1] = total(f, start, in_day, now)
    out[at + 2] = week
    out[at + 3] = month
    out[at + 4] = ever
    out[at + 5] = week / (known - known_week + PRIOR)
    out[at + 6] = month / (known - known_month + PRIOR)
    out[at + 7] = ever / (known + PRIOR)
    if now > 0:
        out[at + 8] = (t - s.label_known_at[f.rows[start + now - 1]]) / 1e6
        out[at + 9] = (t - s.label_known_at[f.rows[start]]) / 1e6
        if in_month < now:
            out[at + 10] = (t - s.label_known_at[f.rows[start + in_month]]) / 1e6
    if known > 0:
        # Whatever became known at one time is counted together: its order means nothing.
        since = s.label_known_at[k.rows[k.start[entity] + max(known - LABELS, 0)]]
        labels = known - before_within(k, s.label_known_at, k.start[entity], known, since)
        out[at + 11] = total(f, start, before_within(f, s.label_known_at, start, now, since), now) / labels
    usual_frauds(s, t, start, in_month, now, out, at + 18)


@kernel
def _sharing(s, user, entity, t, amount, scratch, out, at):  # type: ignore[no-untyped-def]
    """Who else used the entity lately, how new they are and what became known of them."""
    h = s.history
    start = h.start[entity]
    now = before(h, s.occurred_at, entity, t)
    low = max(now - WALK, 0)
    link = at + ENTITY
    out[link] = 0.0
    out[link + 1] = 0.0
    if now == low:
        return
    users, table = scratch[0], scratch[2]
    table[:] = -1
    distinct = 0
    distinct_day = 0
    mine = 0
    amounts(h, start, low, now, amount, out, at)
    for i in range(now - 1, low - 1, -1):
        row = h.rows[start + i]
        other = s.ids[row, 0]
        if other == user:
            mine += 1
            continue
        if _first_time(table, other):
            users[distinct] = other
            distinct += 1
            if s.occurred_at[row] >= t - DAY:
                distinct_day += 1
    out[link] = distinct
    out[link + 1] = distinct_day
    out[link + 2] = mine / (now - low)
    peers = min(distinct, PEERS)
    if peers == 0:
        out[link + 6] = 0.0
        out[link + 7] = 0.0
        out[link + 8] = 0.0
        return
    fraud, with_fraud, new, transactions = 0, 0, 0, 0
    for j in range(peers):
        peer = users[j]
        known = frauds_before(s, peer, t)
        fraud += known
        if known > 0:
            with_fraud += 1
        if t - s.occurred_at[h.rows[h.start[peer]]] < 7 * DAY:
            new += 1
        transactions += before(h, s.occurred_at, peer, t)
    out[link + 6] = fraud
    out[link + 7] = with_fraud
    out[link + 8] = new
    out[link + 9] = transactions / peers


@kernel
def _pair(s, user, now, k, entity, t, scratch, out, at):  # type: ignore[no-untyped-def]
    """The user's own past with this entity, and with others of its type."""
    if user < 0:
        return
    h = s.history
    start = h.start[user]
    low = max(now - WALK, 0)
    used, table = scratch[0], scratch[2]
    table[:] = -1
    distinct = 0
    together = 0
    for i in range(now - 1, low - 1, -1):
        row = h.rows[start + i]
        other = s.ids[row, k]
        if other == entity:
            if together == 0:
                out[at + 4] = (t - s.occurred_at[row]) / 1e6
            together += 1
            continue
        if other < 0:
            continue
        if _first_time(table, other):
            used[distinct] = other
            distinct += 1
    out[at + 3] = together
    out[at + 5] = distinct
    fraud, sharers = 0, 0
    for j in range(min(distinct, OTHERS)):
        fraud += frauds_before(s, used[j], t)
        sharers = max(sharers, other_users(s, used[j], user, t, OTHERS_WALK, scratch))
    out[at + 10] = fraud
    out[at + 11] = sharers


@kernel
def other_users(s, entity, user, t, walk, scratch):  # type: ignore[no-untyped-def]
    """Distinct users other than `user` among the entity's latest `walk` transactions before t."""
    h = s.history
    start = h.start[entity]
    now = before(h, s.occurred_at, entity, t)
    table = scratch[2]
    table[:] = -1
    distinct = 0
    for i in range(now - 1, max(now - walk, 0) - 1, -1):
        other = s.ids[h.rows[start + i], 0]
        if other == user:
            continue
        if _first_time(table, other):
            distinct += 1
    return distinct
