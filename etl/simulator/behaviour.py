"""What people do on ordinary days: when, where, how much, with which device and from which address."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from etl.simulator.people import Floats, Ints, People, Pool
from etl.simulator.places import CITY_WEIGHTS, HEAD_PRICE, Places
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET, WorldSettings, stream

METHODS = ("visa_credit", "mastercard_credit", "amex_credit", "visa_debit", "yape", "plin")
KINDS = ("dine_in", "delivery", "reservation_deposit", "gift_card", "tip")
DINE_IN, DELIVERY, DEPOSIT, GIFT_CARD, TIP = range(5)
_KIND_WEIGHTS = np.array([0.56, 0.23, 0.15, 0.06, 0.0])
_KIND_FACTOR = np.array([1.0, 0.45, 0.3, 1.0, 0.11])
_GIFT_CARDS = np.array([10_000, 15_000, 20_000, 30_000, 50_000, 100_000])
_GUARANTEE_ONLY = 0.3  # share of deposits that only check the card, for nothing
_WEEKDAY_WEIGHTS = np.array([0.6, 0.75, 0.85, 1.05, 1.5, 1.55, 1.1])


@dataclass(frozen=True, slots=True)
class Events:
    """Transactions, column by column: times in seconds since the epoch, the others as numbers in the world's lists.

    `cents` is the amount in céntimos, `kind` a position in `KINDS`, `method` one in `METHODS`.
    """

    time: Ints
    user: Ints
    restaurant: Ints
    device: Ints
    address: Ints
    cents: Ints
    kind: Ints
    method: Ints

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Events":
        """Only these rows, in this order."""
        return Events(*(getattr(self, f.name)[rows] for f in fields(self)))

    @staticmethod
    def join(parts: "list[Events]") -> "Events":
        """All rows of all parts (at least one), one part after the other."""
        return Events(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Events)))


def amounts(rng: np.random.Generator, places: Places, restaurant: Ints, kind: Ints, spending: Floats) -> Ints:
    """Amounts in céntimos, in steps of ten; some deposits are zero, which checks the card only."""
    count = len(restaurant)
    party = rng.choice([1, 2, 3, 4, 6], count, p=[0.2, 0.46, 0.14, 0.15, 0.05])
    bill = HEAD_PRICE[places.level[restaurant] - 1] * party * spending * rng.lognormal(0, 0.35, count)
    cents = np.maximum(np.round(bill * _KIND_FACTOR[kind] / 10) * 10, 500)
    gift = rng.choice(_GIFT_CARDS, count, p=[0.16, 0.12, 0.3, 0.24, 0.13, 0.05])
    cents = np.where(kind == GIFT_CARD, gift, cents)
    return np.where((kind == DEPOSIT) & (rng.random(count) < _GUARANTEE_ONLY), 0, cents).astype(np.int64)


def seconds_of_day(rng: np.random.Generator, places: Places, restaurant: Ints, kind: Ints) -> Ints:
    """Local time of day: around lunch and dinner at the restaurant's rhythm; deposits and gift cards all day long."""
    count = len(restaurant)
    dinner = rng.random(count) < places.dinner[restaurant]
    meal = np.where(dinner, rng.normal(20.9, 1.05, count), rng.normal(14.1, 0.9, count)) * HOUR
    meal = np.clip(meal, places.opens[restaurant] + rng.integers(300, 5_400, count), places.closes[restaurant])
    awake = (8 + 16 * rng.beta(1.7, 1.6, count)) * HOUR
    # A few are night owls, so that the hour alone convicts nobody.
    awake = np.where(rng.random(count) < 0.04, rng.uniform(0, 8, count) * HOUR, awake)
    seconds = np.where((kind == DEPOSIT) | (kind == GIFT_CARD), awake, meal)
    return np.clip(seconds, 0, DAY - 1).astype(np.int64)


def everyday(settings: WorldSettings, places: Places, people: People, devices: Pool) -> Events:
    """All ordinary transactions of the period. Devices that are seen but once are taken from the pool."""
    rng = stream(settings.seed, "everyday")
    user, day = _visits(rng, settings, people)
    city = _whereabouts(rng, people, user)
    kind = rng.choice(len(KINDS), len(user), p=_KIND_WEIGHTS)
    restaurant = _choices(rng, places, people, user, city)
    closed = ((day + _first_weekday(settings)) % 7 == places.closed[restaurant]) & (kind == DINE_IN)
    day = day + closed
    time = settings.begins + day * DAY + seconds_of_day(rng, places, restaurant, kind)
    # Whoever has just signed up did so in order to book or pay.
    soon = people.created[user] + 60 + (rng.exponential(1_500, len(user))).astype(np.int64)
    time = np.where(time < people.created[user], soon, time)
    visits = Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=_devices(rng, people, devices, user, restaurant, kind, time),
        address=_addresses(rng, people, user, restaurant, kind, time, places.city[restaurant]),
        cents=amounts(rng, places, restaurant, kind, people.spending[user]),
        kind=kind,
        method=people.methods[user, (rng.random(len(user)) < 0.14).astype(np.int64)],
    )
    events = Events.join([visits, *_afterwards(rng, places, people, visits)])
    return events.take((events.time >= settings.begins) & (events.time < settings.ends))


def _first_weekday(settings: WorldSettings) -> int:
    return settings.start.weekday()


def _visits(rng: np.random.Generator, settings: WorldSettings, people: People) -> tuple[Ints, Ints]:
    """User and day (counted from the first) of each visit; weekends draw more than Mondays."""
    weights = _WEEKDAY_WEIGHTS[(np.arange(settings.days) + _first_weekday(settings)) % 7]
    curve = np.concatenate([[0.0], np.cumsum(weights / _WEEKDAY_WEIGHTS.mean())])
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


def _choices(rng: np.random.Generator, places: Places, people: People, user: Ints, city: Ints) -> Ints:
    """A favourite in two of three visits at home, else whatever is popular in town."""
    liked = people.favourites[user, rng.choice(6, len(user), p=[0.36, 0.22, 0.16, 0.12, 0.08, 0.06])]
    at_home = (city == people.city[user]) & (rng.random(len(user)) < 0.66)
    return np.where(at_home, liked, places.popular(rng, city))


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
    """Tips minutes after the bill, second orders within the hour, and the same bill paid twice by two taps."""
    chance = rng.random(len(visits))
    tips = visits.take((visits.kind == DINE_IN) & (chance < 0.13))
    again = visits.take((visits.kind <= DELIVERY) & (chance > 0.955))
    twice = visits.take((chance > 0.13) & (chance < 0.14))
    tips = replace(_later(rng, tips, 40, 420), kind=np.full(len(tips), TIP))
    again = _later(rng, again, 600, 5_400)
    return [
        _priced(rng, places, people, tips),
        _priced(rng, places, people, again),
        _later(rng, twice, 4, 90),
    ]


def _later(rng: np.random.Generator, events: Events, least: int, most: int) -> Events:
    return replace(events, time=events.time + rng.integers(least, most, len(events)))


def _priced(rng: np.random.Generator, places: Places, people: People, events: Events) -> Events:
    cents = amounts(rng, places, events.restaurant, events.kind, people.spending[events.user])
    return replace(events, cents=cents)
