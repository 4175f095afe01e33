"""The ways of fraud, each as a function from a start time to the transactions of one ring.

They keep to everyday restaurants, hours and amounts as far as thieves do: what gives them away is mostly
what they share, or who they pretend to be.
"""

from dataclasses import replace

import numpy as np

from etl.simulator.events import DELIVERY, DEPOSIT, GIFT_CARD, Events, amounts, paid_back
from etl.simulator.fraud import Deeds, Scene, Style, Typology
from etl.simulator.moves import openings, purchases, spread, targets, times_each
from etl.simulator.people import CARRIERS, spending_levels, waking_hours
from etl.simulator.pools import Ints
from etl.simulator.settings import DAY, HOUR


def device_ring(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """4–15 mostly new accounts on a few devices and addresses, for one to three weeks."""
    city, length = scene.city(rng), int(rng.uniform(7, 21) * DAY)
    members = scene.accounts.open(openings(rng, int(rng.integers(4, 16)), start, length), city)
    most = min(4, len(members) // 2)
    devices = scene.devices.take(min(len(members) - 1, int(rng.integers(1, most + 1) / style.sharing)))
    lines = scene.private_lines(int(rng.integers(1, 4)))
    each = times_each(rng, len(members), 2, 7, style.pace)
    user, time = spread(rng, scene, members, start, length, each, style.night)
    own = devices[(user - members[0]) % len(devices)]
    device = np.where(rng.random(len(user)) < 0.85, own, rng.choice(devices, len(user)))
    address = np.where(
        rng.random(len(user)) < style.mobile, _nat(rng, scene, city, len(user)), rng.choice(lines, len(user))
    )
    return _all(purchases(rng, scene, style, user, time, device, address, targets(rng, scene, city, len(user), 0.4)))


def account_takeover(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """1–6 established accounts emptied within hours each, from an attacker's device and address."""
    victims = scene.established(rng, 1 + int(min(rng.geometric(0.42), 5)), start)
    devices = scene.devices.take(1 if rng.random() < 0.75 else len(victims))
    lines = scene.private_lines(1 if rng.random() < 0.6 else len(victims))
    # The thief works at any hour of the waking day, and goes on until the card is stopped.
    times, each = (
        waking_hours(rng, start + rng.integers(0, 8 * DAY, len(victims))),
        times_each(rng, len(victims), 2, 7, style.pace),
    )
    row = np.repeat(np.arange(len(victims)), each)
    time = times[row] + (rng.exponential(2.5 * HOUR, len(row))).astype(np.int64)
    city = np.where(rng.random(len(row)) < 0.75, scene.people.city[victims[row]], scene.city(rng))
    restaurant = scene.places.popular(rng, city)
    device, address = devices[row % len(devices)], lines[row % len(lines)]
    return _all(purchases(rng, scene, style, victims[row], time, device, address, restaurant))


def card_testing(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """Stolen cards tried out in bursts of small and zero amounts, from one device over several accounts."""
    city, count = scene.city(rng), int(rng.integers(3, 9))
    users = scene.established(rng, count if rng.random() < 0.5 else 0, start)
    if not len(users):
        opened = np.minimum(waking_hours(rng, start - rng.integers(300, 3 * DAY, count)), start - 300)
        users = scene.accounts.open(opened, city)
    rows = max(6, int(rng.integers(10, 28) * style.pace))
    user = rng.choice(users, rows)
    # Slow enough not to trip a plain velocity limit, and in two sittings.
    sitting = rng.choice(start + rng.integers(0, 2 * DAY, 2), rows)
    time = sitting + rng.integers(0, int(rng.uniform(0.4, 2) * HOUR), rows)
    restaurant = targets(rng, scene, city, rows, 0.6)
    kind = rng.choice([DEPOSIT, DELIVERY, GIFT_CARD], rows, p=[0.55, 0.42, 0.03])
    cents = np.where(rng.random(rows) < 0.5, 0, np.round(rng.lognormal(6.9, 0.7, rows) / 10) * 10).astype(np.int64)
    full = amounts(rng, scene.places, restaurant, kind, spending_levels(rng, rows))
    events = Events(
        time=time,
        user=user,
        restaurant=restaurant,
        device=np.full(rows, scene.devices.take(1)[0]),
        address=rng.choice(scene.private_lines(int(rng.integers(1, 3))), rows),
        cents=np.where((kind == GIFT_CARD) | (rng.random(rows) < 0.12), full, np.where(kind == DEPOSIT, 0, cents)),
        kind=kind,
        method=rng.integers(0, 4, rows),
        dollars=rng.random(rows) < 0.03,
    )
    return _all(events)


def collusive_restaurant(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """A restaurant that charges stolen cards and shares with its guests: many accounts, nothing else in common."""
    people, length = scene.people, int(rng.uniform(21, 49) * DAY)
    place = scene.restaurant(rng)
    city = int(scene.places.city[place])
    old = scene.established(rng, int(rng.integers(4, 11)), start, city)
    new = scene.accounts.open(openings(rng, int(rng.integers(4, 11)), start, length), city)
    each = times_each(rng, len(old) + len(new), 1, 5, style.pace)
    user, time = spread(rng, scene, np.concatenate([old, new]), start, length, each, style.night)
    known, first = user < len(people), int(new[0])
    own_device, own_line = scene.devices.take(len(new)), scene.private_lines(len(new))
    safe = np.where(known, user, 0)
    stranger = np.where(known, 0, user - first)
    carrier, where = people.carrier[safe], np.full(len(user), city)
    address = np.where(known, people.lines.at(people.home[safe], time), own_line[stranger])
    address = np.where(rng.random(len(user)) < 0.4, people.mobile_address(rng, carrier, where), address)
    device = np.where(known, people.device_at(rng, safe, time), own_device[stranger])
    # Some of the cards are keyed in by the house itself.
    keyed, seat = rng.random(len(user)), np.full(len(user), place)
    device = np.where(keyed < 0.4, people.devices.at(people.tablets + seat, time), device)
    address = np.where(keyed < 0.55, people.lines.at(people.wifi + seat, time), address)
    return _all(purchases(rng, scene, style, user, time, device, address, np.full(len(user), place)))


def two_hop_ring(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """Accounts that never share with each other: each has its own device, which an intermediary account also uses."""
    city, length = scene.city(rng), int(rng.uniform(30, 60) * DAY)
    count = int(rng.integers(4, 11))
    created = start - rng.integers(0, 60 * DAY, count) + rng.integers(0, length // 3, count)
    members = scene.accounts.open(waking_hours(rng, created), city)
    devices, lines = scene.devices.take(count), scene.private_lines(count)
    each = times_each(rng, count, 2, 6, style.pace)
    user, time = spread(rng, scene, members, start, length, each, style.night)
    # Each intermediary goes round three members' devices; the last of one is the first of the next.
    go_betweens = scene.accounts.open(openings(rng, (count + 1) // 2, start, length // 2), city)
    pairs = [(g, m) for g in range(len(go_betweens)) for m in range(2 * g, min(2 * g + 3, count))]
    middle, visited = np.array(pairs).T
    visits = rng.integers(1, 3, len(middle))
    middle_user, middle_time = spread(rng, scene, go_betweens[middle], start, length, visits, style.night)
    user, time = np.concatenate([user, middle_user]), np.concatenate([time, middle_time])
    seat = np.concatenate([user[: -len(middle_user)] - members[0], np.repeat(visited, visits)])
    mobile = scene.people.mobile_address(rng, rng.integers(0, CARRIERS, len(user)), np.full(len(user), city))
    at_home = (rng.random(len(user)) < 0.5) & (np.arange(len(user)) < len(user) - len(middle_user))
    address = np.where(at_home, lines[seat], mobile)
    restaurant = targets(rng, scene, city, len(user), 0.2)
    return _all(purchases(rng, scene, style, user, time, devices[seat], address, restaurant, 1.2))


def rotating_ring(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """Devices are thrown away after a day or two and the addresses are a carrier's; few places are cashed in at."""
    city, length = scene.city(rng), int(rng.uniform(8, 20) * DAY)
    members = scene.accounts.open(openings(rng, int(rng.integers(4, 11)), start, length), city)
    each = times_each(rng, len(members), 2, 7, style.pace)
    user, time = spread(rng, scene, members, start, length, each, style.night)
    lasts = int(rng.uniform(1.5, 3.0) * DAY)
    turn = np.clip((time - start) // lasts, 0, None)
    devices = scene.devices.take(int(turn.max()) + 1)
    address = _nat(rng, scene, city, len(user))
    restaurant = targets(rng, scene, city, len(user), 0.55)
    return _all(purchases(rng, scene, style, user, time, devices[turn], address, restaurant))


def refund_abuse(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """A few accounts, some of them real guests', that order and then claim their money back, again and again."""
    city, length, count = scene.city(rng), int(rng.uniform(20, 45) * DAY), int(rng.integers(3, 8))
    guests = scene.established(rng, int(rng.integers(0, count)), start, city)
    new = scene.accounts.open(openings(rng, count - len(guests), start, length), city)
    members = np.concatenate([guests, new])
    each = times_each(rng, count, 5, 11, style.pace)
    user, time = spread(rng, scene, members, start, length, each, style.night)
    known = user < len(scene.people)
    safe = np.where(known, user, 0)
    own = scene.devices.take(len(new))
    device = np.where(known, scene.people.device_at(rng, safe, time), own[np.where(known, 0, user - new[0])])
    meeting = scene.private_lines(1)[0]
    address = np.where(known, scene.people.lines.at(scene.people.home[safe], time), meeting)
    address = np.where(rng.random(len(user)) < style.mobile, _nat(rng, scene, city, len(user)), address)
    bought = purchases(rng, scene, style, user, time, device, address, targets(rng, scene, city, len(user), 0.3), 1.3)
    bought = replace(bought, kind=rng.choice([DELIVERY, DEPOSIT, GIFT_CARD], len(user), p=[0.75, 0.2, 0.05]))
    claimed = (rng.random(len(user)) < 0.75) & (bought.cents > 0)
    refunds = paid_back(rng, bought.take(claimed), 1_800, 0.6 * DAY)
    # One of them writes most claims, for all.
    desk, together = scene.devices.take(1)[0], rng.random(len(refunds)) < 0.6
    refunds = replace(
        refunds,
        device=np.where(together, desk, refunds.device),
        address=np.where(together, meeting, refunds.address),
    )
    return Events.join([bought, refunds]), np.concatenate([claimed, np.ones(len(refunds), np.bool_)])


def synthetic_identity(rng: np.random.Generator, scene: Scene, start: int, style: Style) -> Deeds:
    """People who don't exist dine modestly for weeks or months; then all of them spend what they were trusted with."""
    city, count = scene.city(rng), int(rng.integers(3, 9))
    ripens = rng.integers(25 * DAY, 75 * DAY, count)
    members = scene.accounts.open(waking_hours(rng, start - rng.integers(0, 20 * DAY, count)), city)
    harvest = start + int(ripens.max())
    devices = scene.devices.take(max(1, int(np.ceil(count / 3 / style.sharing))))
    lines = scene.private_lines(max(1, count // 2))
    modest, grown = [], np.arange(count)
    for member in grown.tolist():  # each at a pace of its own
        visits = 1 + rng.poisson(ripens[member] / DAY / 9)
        since = harvest - int(ripens[member])
        modest.append(spread(rng, scene, members[[member]], since, int(ripens[member]), np.array([visits]), 0.05))
    each = times_each(rng, count, 3, 8, style.pace)
    late, late_time = spread(rng, scene, members, harvest, int(rng.uniform(2, 7) * DAY), each, style.night)
    user = np.concatenate([who for who, _ in modest] + [late])
    time = np.concatenate([when for _, when in modest] + [late_time])
    is_fraud = np.arange(len(user)) >= len(user) - len(late)
    seat = user - members[0]
    at_home = rng.random(len(user)) < np.where(is_fraud, 1 - style.mobile, 0.5)
    address = np.where(at_home, lines[seat // 2 % len(lines)], _nat(rng, scene, city, len(user)))
    restaurant = scene.places.popular(rng, np.full(len(user), city))
    events = purchases(rng, scene, style, user, time, devices[seat % len(devices)], address, restaurant, 1.7)
    plain = amounts(rng, scene.places, restaurant, events.kind, spending_levels(rng, len(user)) * 0.8)
    return replace(events, cents=np.where(is_fraud, events.cents, plain)), is_fraud


TYPOLOGIES = (
    Typology("device_ring", 0.22, 21, device_ring, 12.0, 0.08, trend=-0.6),
    Typology("account_takeover", 0.17, 9, account_takeover, 6.0, 0.03, trend=0.2),
    Typology("card_testing", 0.09, 2, card_testing, 5.0, 0.1, trend=-0.3),
    Typology("collusive_restaurant", 0.13, 49, collusive_restaurant, 15.0, 0.1),
    Typology("refund_abuse", 0.07, 50, refund_abuse, 16.0, 0.2, late=True),
    Typology("synthetic_identity", 0.09, 90, synthetic_identity, 18.0, 0.15, trend=0.3, keeps=("devices", "lines")),
    Typology("two_hop_ring", 0.1, 60, two_hop_ring, 18.0, 0.1, trend=0.4, keeps=("accounts", "devices")),
    Typology("rotating_ring", 0.13, 20, rotating_ring, 12.0, 0.08, trend=0.7, keeps=("accounts",)),
)


def _all(events: Events) -> Deeds:
    return events, np.ones(len(events), np.bool_)


def _nat(rng: np.random.Generator, scene: Scene, city: int, count: int) -> Ints:
    """Addresses of one carrier in a city, which very many others have as well."""
    carrier = np.full(count, rng.integers(0, CARRIERS))
    return scene.people.mobile_address(rng, carrier, np.full(count, city))
