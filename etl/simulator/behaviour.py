"""What people do on ordinary days: when, where, how much, with which device and from which address."""

from dataclasses import replace

import numpy as np

from etl.simulator.calendar import appetite
from etl.simulator.events import (
    DELIVERY,
    DINE_IN,
    KINDS,
    NEW_METHOD,
    TIP,
    Events,
    amounts,
    paid_back,
    seconds_of_day,
    unseen,
)
from etl.simulator.people import People
from etl.simulator.places import CITY_WEIGHTS, Places
from etl.simulator.pools import Floats, Ints, Pool
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET, WorldSettings, stream

_KIND_WEIGHTS = np.array([0.56, 0.23, 0.15, 0.06, 0.0, 0.0])
_NEW_METHOD_SHARE, _MORE_DELIVERY, _DEARER = 0.35, 0.2, 0.12  # on the last day, where the drift is 1
_REFUNDED = 0.018


def everyday(settings: WorldSettings, places: Places, people: People, devices: Pool) -> Events:
    """All ordinary transactions of the period. Devices that are seen but once are taken from the pool."""
    rng = stream(settings.seed, "everyday")
    user, day = _visits(rng, settings, people)
    drifted = settings.drift * day / settings.days
    city = _whereabouts(rng, people, user)
    kind = _kinds(rng, people, user, drifted)
    weekday = (day + settings.start.weekday()) % 7
    restaurant = _choices(rng, places, people, user, city, weekday)
    day = day + ((weekday == places.closed[restaurant]) & (kind == DINE_IN))
    time = settings.begins + day * DAY + seconds_of_day(rng, places, restaurant, kind, people.evening[user])
    # Whoever has just signed up did so in order to book or pay.
    soon = people.created[user] + 60 + (rng.exponential(1_500, len(user))).astype(np.int64)
    time = np.where(time < people.created[user], soon, time)
    method = people.methods[user, (rng.random(len(user)) < 0.14).astype(np.int64)]
    dearer = 1 + _DEARER * drifted
    visits = Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=_devices(rng, people, devices, user, restaurant, kind, time),
        address=_addresses(rng, people, user, restaurant, kind, time, places.city[restaurant]),
        cents=amounts(rng, places, restaurant, kind, people.spending[user] * dearer),
        kind=kind,
        method=np.where(rng.random(len(user)) < _NEW_METHOD_SHARE * drifted, NEW_METHOD, method),
        dollars=rng.random(len(user)) < np.where(people.tourist[user], 0.7, 0.008),
    )
    visits = unseen(rng, visits)
    events = Events.join([visits, *_afterwards(rng, places, people, visits)])
    return events.take((events.time >= settings.begins) & (events.time < settings.ends))


def _visits(rng: np.random.Generator, settings: WorldSettings, people: People) -> tuple[Ints, Ints]:
    """User and day (counted from the first) of each visit; weekends and holidays draw more than Mondays."""
    curve = np.concatenate([[0.0], np.cumsum(appetite(settings))])
    length = settings.ends - settings.begins

    def passed(moments: Ints) -> Floats:
        since: Floats = np.interp(np.clip(moments - settings.begins, 0, length) / DAY, np.arange(len(curve)), curve)
        return since

    first = passed(people.created)
    span = np.maximum(passed(people.leaves) - first, 0.0)
    visits = rng.poisson(people.rate * span)
    user = np.repeat(np.arange(len(people)), visits)
    at = first[user] + rng.random(len(user)) * span[user]
    day = np.searchsorted(curve, at, side="right") - 1

    joined = np.flatnonzero((people.created >= settings.begins) & (rng.random(len(people)) < 0.75))
    signup_day = (people.created[joined] - settings.begins) // DAY + rng.exponential(1.2, len(joined)).astype(np.int64)
    user, day = np.concatenate([user, joined]), np.concatenate([day, signup_day])
    return user, np.minimum(day, settings.days - 1)


def _whereabouts(rng: np.random.Generator, people: People, user: Ints) -> Ints:
    """City of each visit: mostly home, sometimes on business or holiday."""
    away = (rng.random(len(user)) < 0.06) & ~people.tourist[user]
    return np.where(away, rng.choice(4, len(user), p=CITY_WEIGHTS), people.city[user])


def _kinds(rng: np.random.Generator, people: People, user: Ints, drifted: Floats) -> Ints:
    """Kind of each visit. Some have most meals brought home, and more and more of them as the world drifts."""
    kind = rng.choice(len(KINDS), len(user), p=_KIND_WEIGHTS)
    stays = rng.random(len(user)) < people.homebody[user] + _MORE_DELIVERY * drifted
    return np.where((kind == DINE_IN) & stays & ~people.tourist[user], DELIVERY, kind)


def _choices(rng: np.random.Generator, places: Places, people: People, user: Ints, city: Ints, weekday: Ints) -> Ints:
    """A favourite in two of three visits at home, else whatever is popular in town; another where it isn't its day."""
    liked = people.favourites[user, rng.choice(6, len(user), p=[0.36, 0.22, 0.16, 0.12, 0.08, 0.06])]
    at_home = (city == people.city[user]) & (rng.random(len(user)) < 0.66)
    found = np.where(at_home, liked, places.popular(rng, city))
    for _ in range(2):
        again = rng.random(len(user)) > places.week[found, weekday]
        found[again] = places.popular(rng, city[again])
    return found


def _devices(
    rng: np.random.Generator, people: People, pool: Pool, user: Ints, restaurant: Ints, kind: Ints, time: Ints
) -> Ints:
    """Mostly one's own; now and then a friend's, the waiter's tablet, or a browser that is new each time."""
    chance = rng.random(len(user))
    friend = people.friends[user, rng.integers(0, 3, len(user))]
    device = people.device_at(rng, user, time)
    device = np.where(chance < 0.02, people.devices.at(people.phones[friend, 0], time), device)
    unseen = (chance > 0.02) & (chance < 0.055)
    device[unseen] = pool.take(int(unseen.sum()))
    tablet = (chance > 0.975) & (kind == DINE_IN)
    return np.where(tablet, people.devices.at(people.tablets + restaurant, time), device)


def _addresses(
    rng: np.random.Generator, people: People, user: Ints, restaurant: Ints, kind: Ints, time: Ints, city: Ints
) -> Ints:
    """The restaurant's Wi-Fi, home, the office in working hours, a friend's home, else the mobile carrier."""
    local = (time + LIMA_OFFSET) % DAY
    out = (kind == DINE_IN) | (kind == TIP)
    chance = rng.random(len(user))
    friend = people.friends[user, rng.integers(0, 3, len(user))]
    away = city != people.city[user]
    address = people.mobile_address(rng, people.carrier[user], city)
    at_home = ~away & (chance < np.where(out, 0.08, 0.58))
    at_work = ~away & (people.office[user] >= 0) & (local > 9 * HOUR) & (local < 18 * HOUR) & (chance < 0.35)
    visiting = ~out & (chance > 0.965)
    wifi = out & (chance > 0.66)
    address = np.where(at_home, people.lines.at(people.home[user], time), address)
    address = np.where(at_work, people.lines.at(np.maximum(people.office[user], 0), time), address)
    address = np.where(visiting, people.lines.at(people.home[friend], time), address)
    return np.where(wifi, people.lines.at(people.wifi + restaurant, time), address)


def _afterwards(rng: np.random.Generator, places: Places, people: People, visits: Events) -> list[Events]:
    """Tips minutes after the bill, second orders within the hour, the same bill paid twice by two taps, refunds."""
    chance = rng.random(len(visits))
    tips = visits.take((visits.kind == DINE_IN) & (chance < 0.13))
    again = visits.take((visits.kind <= DELIVERY) & (chance > 0.955))
    twice = visits.take((chance > 0.13) & (chance < 0.14))
    tips = replace(_later(rng, tips, 40, 420), kind=np.full(len(tips), TIP))
    again = _later(rng, again, 600, 5_400)
    refunds = _refunds(rng, people, visits.take((chance > 0.5) & (chance < 0.5 + _REFUNDED) & (visits.cents > 0)))
    return [
        _priced(rng, places, people, tips),
        _priced(rng, places, people, again),
        _later(rng, twice, 4, 90),
        refunds,
    ]


def _refunds(rng: np.random.Generator, people: People, bought: Events) -> Events:
    """Money back for cold food and cancelled tables: half of it asked for by the guest, half given by the house."""
    refunds = paid_back(rng, bought, 1_200, 0.8 * DAY)
    asked = rng.random(len(refunds)) < 0.5
    own = people.devices.at(people.phones[refunds.user, 0], refunds.time)
    home = people.lines.at(people.home[refunds.user], refunds.time)
    return replace(refunds, device=np.where(asked, own, -1), address=np.where(asked, home, -1))


def _later(rng: np.random.Generator, events: Events, least: int, most: int) -> Events:
    return replace(events, time=events.time + rng.integers(least, most, len(events)))


def _priced(rng: np.random.Generator, places: Places, people: People, events: Events) -> Events:
    cents = amounts(rng, places, events.restaurant, events.kind, people.spending[events.user])
    return replace(events, cents=cents)
