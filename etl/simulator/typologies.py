"""The ways of fraud, each as a function from a start time to the transactions of one ring.

They keep to everyday restaurants, hours and amounts as far as thieves do: what gives them away is mostly
what they share, or who they pretend to be.
"""

import numpy as np

from etl.simulator.behaviour import (
    DELIVERY,
    DEPOSIT,
    GIFT_CARD,
    KINDS,
    METHODS,
    Events,
    amounts,
    seconds_of_day,
)
from etl.simulator.fraud import Scene, Typology
from etl.simulator.people import CARRIERS, Ints, spending_levels, waking_hours
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET

_KIND_WEIGHTS = np.array([0.31, 0.26, 0.07, 0.34, 0.02])
_METHOD_WEIGHTS = np.array([0.42, 0.29, 0.11, 0.1, 0.05, 0.03])  # stolen cards, mostly
_GREED = 1.9  # how much more than usual a thief spends


def device_ring(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """4–15 mostly new accounts on 1–4 devices and few addresses, for one to three weeks."""
    city, length = scene.city(rng), int(rng.uniform(7, 21) * DAY)
    members = scene.accounts.open(_openings(rng, int(rng.integers(4, 16)), start, length), city)
    devices = scene.devices.take(int(rng.integers(1, min(5, 1 + len(members) // 2))))
    lines = scene.private_lines(int(rng.integers(1, 4)))
    user, time = _spread(rng, scene, members, start, length, rng.integers(2, 7, len(members)))
    own = devices[(user - members[0]) % len(devices)]
    device = np.where(rng.random(len(user)) < 0.85, own, rng.choice(devices, len(user)))
    carrier = np.full(len(user), rng.integers(0, CARRIERS))
    mobile = scene.people.mobile_address(rng, carrier, np.full(len(user), city))
    address = np.where(rng.random(len(user)) < 0.65, rng.choice(lines, len(user)), mobile)
    return _purchases(rng, scene, user, time, device, address, _targets(rng, scene, city, len(user), 0.4))


def account_takeover(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """1–6 established accounts emptied within hours each, from an attacker's device and address."""
    victims = scene.established(rng, 1 + int(min(rng.geometric(0.42), 5)), start)
    devices = scene.devices.take(1 if rng.random() < 0.75 else len(victims))
    lines = scene.private_lines(1 if rng.random() < 0.6 else len(victims))
    # The thief works at any hour of the waking day, and goes on until the card is stopped.
    times, each = waking_hours(rng, start + rng.integers(0, 8 * DAY, len(victims))), rng.integers(2, 7, len(victims))
    row = np.repeat(np.arange(len(victims)), each)
    time = times[row] + (rng.exponential(2.5 * HOUR, len(row))).astype(np.int64)
    city = np.where(rng.random(len(row)) < 0.75, scene.people.city[victims[row]], scene.city(rng))
    return _purchases(
        rng,
        scene,
        victims[row],
        time,
        devices[row % len(devices)],
        lines[row % len(lines)],
        scene.places.popular(rng, city),
    )


def card_testing(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """Stolen cards tried out in bursts of small and zero amounts, from one device over several accounts."""
    city, count = scene.city(rng), int(rng.integers(3, 9))
    users = scene.established(rng, count if rng.random() < 0.5 else 0, start)
    if not len(users):
        opened = np.minimum(waking_hours(rng, start - rng.integers(300, 3 * DAY, count)), start - 300)
        users = scene.accounts.open(opened, city)
    rows = int(rng.integers(10, 28))
    user = rng.choice(users, rows)
    # Slow enough not to trip a plain velocity limit, and in two sittings.
    sitting = rng.choice(start + rng.integers(0, 2 * DAY, 2), rows)
    time = sitting + rng.integers(0, int(rng.uniform(0.4, 2) * HOUR), rows)
    restaurant = _targets(rng, scene, city, rows, 0.6)
    kind = rng.choice([DEPOSIT, DELIVERY, GIFT_CARD], rows, p=[0.55, 0.42, 0.03])
    cents = np.where(rng.random(rows) < 0.5, 0, np.round(rng.lognormal(6.9, 0.7, rows) / 10) * 10).astype(np.int64)
    full = amounts(rng, scene.places, restaurant, kind, spending_levels(rng, rows))
    return Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=np.full(rows, scene.devices.take(1)[0]),
        address=rng.choice(scene.private_lines(int(rng.integers(1, 3))), rows),
        cents=np.where((kind == GIFT_CARD) | (rng.random(rows) < 0.12), full, np.where(kind == DEPOSIT, 0, cents)),
        kind=kind,
        method=rng.integers(0, 4, rows),
    )


def collusive_restaurant(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """A restaurant that charges stolen cards and shares with its guests: many accounts, nothing else in common."""
    people, length = scene.people, int(rng.uniform(21, 49) * DAY)
    place = int(rng.integers(0, len(scene.places.city)))
    city = int(scene.places.city[place])
    old = scene.established(rng, int(rng.integers(5, 13)), start, city)
    new = scene.accounts.open(_openings(rng, int(rng.integers(4, 11)), start, length), city)
    user, time = _spread(rng, scene, np.concatenate([old, new]), start, length, rng.integers(1, 5, len(old) + len(new)))
    known, first = user < len(people), int(new[0])
    own_device, own_line = scene.devices.take(len(new)), scene.private_lines(len(new))
    safe = np.where(known, user, 0)
    stranger = np.where(known, 0, user - first)
    carrier, where = people.carrier[safe], np.full(len(user), city)
    address = np.where(known, people.lines.at(people.home[safe], time), own_line[stranger])
    address = np.where(rng.random(len(user)) < 0.5, people.mobile_address(rng, carrier, where), address)
    device = np.where(known, people.device_at(rng, safe, time), own_device[stranger])
    return _purchases(rng, scene, user, time, device, address, np.full(len(user), place))


def slow_ring(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """Accounts that never share with each other: each has its own device, which an intermediary account also uses."""
    city, length = scene.city(rng), int(rng.uniform(30, 60) * DAY)
    count = int(rng.integers(4, 11))
    created = start - rng.integers(0, 60 * DAY, count) + rng.integers(0, length // 3, count)
    members = scene.accounts.open(waking_hours(rng, created), city)
    devices, lines = scene.devices.take(count), scene.private_lines(count)
    user, time = _spread(rng, scene, members, start, length, rng.integers(2, 6, count))
    # Each intermediary goes round three members' devices; the last of one is the first of the next.
    go_betweens = scene.accounts.open(_openings(rng, (count + 1) // 2, start, length // 2), city)
    pairs = [(g, m) for g in range(len(go_betweens)) for m in range(2 * g, min(2 * g + 3, count))]
    middle, visited = np.array(pairs).T
    middle_user, middle_time = _spread(rng, scene, go_betweens[middle], start, length, np.ones(len(middle), np.int64))
    user, time = np.concatenate([user, middle_user]), np.concatenate([time, middle_time])
    seat = np.concatenate([user[: -len(middle)] - members[0], visited])
    mobile = scene.people.mobile_address(rng, rng.integers(0, CARRIERS, len(user)), np.full(len(user), city))
    at_home = (rng.random(len(user)) < 0.5) & (np.arange(len(user)) < len(user) - len(middle))
    address = np.where(at_home, lines[seat], mobile)
    return _purchases(rng, scene, user, time, devices[seat], address, _targets(rng, scene, city, len(user), 0.2), 1.2)


def rotating_ring(rng: np.random.Generator, scene: Scene, start: int) -> Events:
    """Devices are thrown away after a day or two and the addresses are a carrier's; few places are cashed in at."""
    city, length = scene.city(rng), int(rng.uniform(8, 20) * DAY)
    members = scene.accounts.open(_openings(rng, int(rng.integers(4, 11)), start, length), city)
    user, time = _spread(rng, scene, members, start, length, rng.integers(2, 7, len(members)))
    lasts = int(rng.uniform(1.5, 3.0) * DAY)
    turn = np.clip((time - start) // lasts, 0, None)
    devices = scene.devices.take(int(turn.max()) + 1)
    carrier = np.full(len(user), rng.integers(0, CARRIERS))
    address = scene.people.mobile_address(rng, carrier, np.full(len(user), city))
    return _purchases(rng, scene, user, time, devices[turn], address, _targets(rng, scene, city, len(user), 0.55))


TYPOLOGIES = (
    Typology("device_ring", 0.28, 21, device_ring, 12.0),
    Typology("account_takeover", 0.2, 9, account_takeover, 6.0),
    Typology("card_testing", 0.1, 2, card_testing, 5.0),
    Typology("collusive_restaurant", 0.14, 49, collusive_restaurant, 20.0),
    Typology("slow_ring", 0.12, 60, slow_ring, 18.0),
    Typology("rotating_ring", 0.16, 20, rotating_ring, 12.0),
)


def _openings(rng: np.random.Generator, count: int, start: int, length: int) -> Ints:
    """When a ring's accounts are made: shortly before and during its work; a third bought or left to ripen."""
    fresh = start - 2 * DAY + rng.integers(0, length * 2 // 3, count)
    ripe = start - rng.integers(10 * DAY, 200 * DAY, count)
    return waking_hours(rng, np.where(rng.random(count) < 0.33, ripe, fresh))


def _spread(
    rng: np.random.Generator, scene: Scene, accounts: Ints, start: int, length: int, each: Ints
) -> tuple[Ints, Ints]:
    """So many transactions for each account, between its opening (or the start) and the ring's end."""
    user = np.repeat(accounts, each)
    people = len(scene.people)
    created = np.array([scene.accounts.created[u - people] if u >= people else 0 for u in user.tolist()], np.int64)
    since = np.maximum(created + 600, start)
    time = since + (rng.random(len(user)) * np.maximum(start + length - since, 2 * HOUR)).astype(np.int64)
    return user, np.maximum(_by_day(rng, scene, time), since + rng.integers(0, 2 * HOUR, len(user)))


def _by_day(rng: np.random.Generator, scene: Scene, time: Ints) -> Ints:
    """The same days at hours when people dine or order, apart from one in four at any hour."""
    count = len(time)
    midnight = time - (time + LIMA_OFFSET) % DAY
    kind = rng.choice(len(KINDS), count, p=_KIND_WEIGHTS)
    usual = midnight + seconds_of_day(rng, scene.places, rng.integers(0, len(scene.places.city), count), kind)
    return np.where(rng.random(count) < 0.25, time, usual)


def _targets(rng: np.random.Generator, scene: Scene, city: int, count: int, loyalty: float) -> Ints:
    """Restaurants of a city by popularity; a share goes to three that the ring has found easy."""
    easy = scene.places.popular(rng, np.full(3, city))
    return np.where(
        rng.random(count) < loyalty, rng.choice(easy, count), scene.places.popular(rng, np.full(count, city))
    )


def _purchases(
    rng: np.random.Generator,
    scene: Scene,
    user: Ints,
    time: Ints,
    device: Ints,
    address: Ints,
    restaurant: Ints,
    greed: float = _GREED,
) -> Events:
    """Transactions of the usual kinds and amounts, leaning to what can be turned into money."""
    kind = rng.choice(len(KINDS), len(user), p=_KIND_WEIGHTS)
    return Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=device,
        address=address,
        cents=amounts(rng, scene.places, restaurant, kind, spending_levels(rng, len(user)) * greed),
        kind=kind,
        method=rng.choice(len(METHODS), len(user), p=_METHOD_WEIGHTS),
    )
