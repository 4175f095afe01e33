"""Where users meet: an entity, or, for one that very many use, a spell of risky transactions on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.records import DAY
from graph.rings.evidence import Evidence
from graph.rings.settings import RingSettings

_CROWD = 5
"""An entity with so many times the users of a hub is one, whatever they did there."""


@dataclass(frozen=True, slots=True)
class Meetings:
    """Users and the places where they were, a pair each; m pairs, p places.

    Attributes:
        entity: int32[p], the integer id of each place's entity.
        users: int64[p], distinct users there.
        hub: bool[p], whether it is a spell on an entity that very many use.
        user: int32[m]; place: int64[m], ascending.
        risk: float64[m], the highest of the pair's transactions.
        row, pair: int64[r], which transactions the pairs are made of (a transaction has as many as it has entities).
    """

    entity: NDArray[np.int32]
    users: NDArray[np.int64]
    hub: NDArray[np.bool_]
    user: NDArray[np.int32]
    place: NDArray[np.int64]
    risk: NDArray[np.float64]
    row: NDArray[np.int64]
    pair: NDArray[np.int64]


def meetings(evidence: Evidence, risk: NDArray[np.float64], settings: RingSettings) -> Meetings:
    """All places with two users or more and something risky; whoever was elsewhere or at another time is left out."""
    rows: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    entities: list[NDArray[np.int32]] = []
    hubs: list[NDArray[np.bool_]] = []
    count = 0
    recent = evidence.occurred_at >= evidence.at - settings.lookback_days * DAY
    for column in range(1, evidence.ids.shape[1]):
        row, place, entity, hub = _places(evidence, column, recent, risk, settings)
        rows.append(row)
        places.append(place + count)
        entities.append(entity)
        hubs.append(hub)
        count += len(entity)
    if not rows:
        rows, places, entities, hubs = [_NONE], [_NONE], [_NONE.astype(np.int32)], [_NONE.astype(np.bool_)]
    row, place = np.concatenate(rows), np.concatenate(places)
    pairs, pair = np.unique((place << 32) | evidence.ids[row, 0].astype(np.int64), return_inverse=True)
    highest = np.zeros(len(pairs))
    np.maximum.at(highest, pair, risk[row])
    at = pairs >> 32
    return Meetings(
        np.concatenate(entities),
        np.bincount(at, minlength=count),
        np.concatenate(hubs),
        (pairs & 0xFFFFFFFF).astype(np.int32),
        at,
        highest,
        row,
        pair,
    )


_NONE = np.empty(0, np.int64)


def _places(
    evidence: Evidence, column: int, recent: NDArray[np.bool_], risk: NDArray[np.float64], settings: RingSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.bool_]]:
    """Of one entity type: rows and their places (from 0), and the places' entities and whether they are hubs."""
    entity = evidence.ids[:, column]
    row = np.flatnonzero(recent & (entity >= 0))
    # In order of entity, and of time within it.
    row = row[np.argsort(entity[row], kind="stable")]
    users, risky_users = _users(evidence, entity, row, risk, settings.risky)
    row = row[(users[entity[row]] > 1) & (risky_users[entity[row]] > 0)]
    many = users >= settings.hub_users
    crowded = many & ((risky_users < settings.mostly * users) | (users >= _CROWD * settings.hub_users))
    hub = crowded[entity[row]]
    at, when, hot = entity[row], evidence.occurred_at[row], np.flatnonzero(risk[row] >= settings.risky)
    if not len(hot):
        return _NONE, _NONE, _NONE.astype(np.int32), _NONE.astype(np.bool_)
    far = np.diff(when[hot], prepend=0) > settings.spell_days * DAY
    first = (np.diff(at[hot], prepend=-1) != 0) | (far & hub[hot])
    begins, ends = hot[first], hot[np.append(np.flatnonzero(first)[1:] - 1, len(hot) - 1)]
    # Who is there shortly before and after counts as well: two at a busy place within minutes mean nothing. Spells
    # are further apart than that reaches. A place that isn't a hub is the entity at all times.
    reach = int(settings.spell_days * DAY / 2)
    spell = _after(at[begins], when[begins] - reach, at, when)
    whole = np.searchsorted(at[begins], at, side="left")
    place = np.where(hub, spell, whole)
    inside = ~hub | ((spell >= 0) & (at == at[begins[spell]]) & (when <= when[ends[spell]] + reach))
    return row[inside], place[inside], at[begins], hub[begins]


def _after(
    entity: NDArray[np.int32], begins: NDArray[np.int64], at: NDArray[np.int32], when: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The last of the beginnings (ordered by entity, then time) at or before each moment; -1 before the first."""
    order = np.lexsort((np.repeat([0, 1], [len(begins), len(when)]), np.append(begins, when), np.append(entity, at)))
    passed = np.cumsum(order < len(begins)) - 1
    result = np.empty(len(when), np.int64)
    later = order >= len(begins)
    result[order[later] - len(begins)] = passed[later]
    return result


def _users(
    evidence: Evidence, entity: NDArray[np.int32], row: NDArray[np.int64], risk: NDArray[np.float64], risky: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct users of each integer id, and distinct ones with something risky there."""
    size = len(evidence.names.keys)
    pairs, back = np.unique((entity[row].astype(np.int64) << 32) | evidence.ids[row, 0], return_inverse=True)
    hot = np.zeros(len(pairs), np.bool_)
    hot[back[risk[row] >= risky]] = True
    ends = pairs >> 32
    return np.bincount(ends, minlength=size), np.bincount(ends[hot], minlength=size)
