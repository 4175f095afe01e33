"""A made-up world: everyday life, fraud hidden in it, what became known of it, and the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.simulator import ids
from etl.simulator.behaviour import KINDS, METHODS, Events, everyday
from etl.simulator.fraud import Accounts, Fraud, Scene, commit
from etl.simulator.labels import SOURCES, report
from etl.simulator.people import Ints, People, Pool, build_people
from etl.simulator.places import CITIES, CUISINES, Places, build_places
from etl.simulator.settings import HOUR, WorldSettings, stream
from etl.simulator.typologies import TYPOLOGIES
from graph.progress import Progress, Silent
from graph.records import SECOND, TIMESTAMP

_PLATFORMS = ("android", "ios", "web")
_MODELS = {
    "android": ("Samsung Galaxy S23", "Samsung Galaxy A54", "Xiaomi 13", "Motorola Edge 40", "Honor 90"),
    "ios": ("iPhone 12", "iPhone 13", "iPhone 14", "iPhone 15", "iPad Air"),
    "web": ("Chrome on Windows", "Chrome on macOS", "Safari on macOS", "Edge on Windows"),
}


@dataclass(frozen=True)
class World:
    """A world and its tables.

    Attributes:
        settings: what it was made from.
        places, people: restaurants and everyday accounts, for going on where the period ends.
        events: all transactions in order of occurrence, as numbers into the lists below.
        user_ids, device_ids, address_texts: key by number; fraud accounts are among the users.
        account_created: by number of user, seconds since the epoch.
        transactions: `transaction_id, occurred_at, user_id, restaurant_id, device_id, ip, amount` (PEN), `currency,
            payment_method, transaction_type, city, account_created_at`, in order of occurrence.
        labels: `transaction_id, is_fraud, known_at, source`, in the order in which they became known.
        users, devices, restaurants: attributes by id, sorted by id: all accounts and restaurants, devices once seen.
        truth: `transaction_id, is_fraud, typology, ring_id` (both null where genuine), a row a transaction.
        rings: each ring's id, typology, members, devices, addresses, restaurants, size, first and last time.
    """

    settings: WorldSettings
    places: Places
    people: People
    events: Events
    user_ids: NDArray[np.str_]
    device_ids: NDArray[np.str_]
    address_texts: NDArray[np.str_]
    account_created: Ints
    transactions: pa.Table
    labels: pa.Table
    users: pa.Table
    devices: pa.Table
    restaurants: pa.Table
    truth: pa.Table
    rings: list[dict[str, Any]]


def simulate(settings: WorldSettings, progress: Progress | None = None) -> World:
    """Makes a world; the same settings make the same world.

    Raises:
        InputError: the world needs more IP addresses than there are.
    """
    with (progress or Silent()).stage("simulating", total=4) as advance:
        places = build_places(settings)
        devices, lines = Pool(), Pool()
        people = build_people(settings, places, devices, lines)
        advance(1)
        ordinary = everyday(settings, places, people, devices)
        advance(1)
        accounts = Accounts(len(people))
        scene = Scene(settings, places, people, devices, lines, accounts)
        wanted = round(len(ordinary) * settings.fraud_rate / (1 - settings.fraud_rate))
        fraud = commit(scene, TYPOLOGIES, wanted)
        advance(1)
        events, typology, ring = _merge(ordinary, fraud)
        world = _tabulate(scene, events, typology, ring)
        advance(1)
    return world


def _merge(ordinary: Events, fraud: Fraud | None) -> tuple[Events, Ints, Ints]:
    """All transactions by time, with typology and ring (-1 where genuine). Only the clock decides on the order."""
    none = np.full(len(ordinary), -1)
    if fraud is None:
        events, typology, ring = ordinary, none, none
    else:
        events = Events.join([ordinary, fraud.events])
        typology, ring = np.concatenate([none, fraud.typology]), np.concatenate([none, fraud.ring])
    order = np.lexsort((events.address, events.user, events.time))
    return events.take(order), typology[order], ring[order]


def _tabulate(scene: Scene, events: Events, typology: Ints, ring: Ints) -> World:
    settings, places, people, accounts = scene.settings, scene.places, scene.people, scene.accounts
    rng = stream(settings.seed, "ids")
    transaction_ids = ids.random_ids(rng, len(events), "txn_")
    user_ids = ids.random_ids(rng, len(people) + len(accounts.created), "usr_", 10)
    device_ids = ids.device_ids(rng, scene.devices.size)
    address_texts = ids.addresses(rng, scene.lines.kinds)
    created = np.concatenate([people.created, np.array(accounts.created, np.int64)])
    home = np.concatenate([people.city, np.array(accounts.city, np.int64)])

    transactions = pa.table(
        {
            "transaction_id": transaction_ids,
            "occurred_at": moments(events.time),
            "user_id": _chosen(user_ids, events.user),
            "restaurant_id": _chosen(places.ids, events.restaurant),
            "device_id": _chosen(device_ids, events.device),
            "ip": _chosen(address_texts, events.address),
            "amount": events.cents / 100,
            "currency": _chosen(("PEN",), np.zeros(len(events), np.int64)),
            "payment_method": _chosen(METHODS, events.method),
            "transaction_type": _chosen(KINDS, events.kind),
            "city": _chosen(CITIES, places.city[events.restaurant]),
            "account_created_at": moments(created[events.user]),
        }
    )
    is_fraud = ring >= 0
    medians = np.array([t.reported_after for t in TYPOLOGIES])[typology]
    known = report(stream(settings.seed, "labels"), events.time, is_fraud, medians)
    labels = pa.table(
        {
            "transaction_id": transactions["transaction_id"].take(pa.array(known.row)),
            "is_fraud": known.is_fraud,
            "known_at": moments(known.known_at),
            "source": _chosen(SOURCES, known.source),
        }
    )
    ring_ids = ids.random_ids(rng, int(ring.max(initial=-1)) + 1, "ring_", 6)
    truth = pa.table(
        {
            "transaction_id": transactions["transaction_id"],
            "is_fraud": is_fraud,
            "typology": _chosen([t.name for t in TYPOLOGIES], typology),
            "ring_id": _chosen(ring_ids, ring),
        }
    )
    world = World(
        settings=settings,
        places=places,
        people=people,
        events=events,
        user_ids=user_ids,
        device_ids=device_ids,
        address_texts=address_texts,
        account_created=created,
        transactions=transactions,
        labels=labels,
        users=_users(settings, user_ids, created, home),
        devices=_devices(settings, device_ids, np.unique(events.device)),
        restaurants=_restaurants(places),
        truth=truth,
        rings=[],
    )
    world.rings.extend(_describe(world, ring_ids, typology, ring))
    return world


def moments(seconds: Ints) -> pa.Array:
    """Seconds since the epoch as UTC timestamps."""
    return pa.array(seconds * SECOND, TIMESTAMP)


def _chosen(values: NDArray[np.str_] | tuple[str, ...] | list[str], numbers: Ints) -> pa.Array:
    """The text behind each number; null for -1."""
    return pa.array(np.asarray(values, np.str_).tolist(), pa.string()).take(pa.array(numbers, mask=numbers < 0))


def _users(settings: WorldSettings, user_ids: NDArray[np.str_], created: Ints, home: Ints) -> pa.Table:
    rng = stream(settings.seed, "user attributes")
    year = settings.start.year - 18 - (rng.beta(1.8, 3.0, len(user_ids)) * 62).astype(np.int64)
    gender = rng.choice(["f", "m", "x"], len(user_ids), p=[0.49, 0.49, 0.02])
    table = pa.table(
        {
            "user_id": user_ids,
            "account_created_at": moments(created),
            "home_city": _chosen(CITIES, home),
            "birth_year": year,
            "gender": gender,
        }
    )
    # A ring at work at the end would have opened more accounts later.
    return table.filter(pa.array(created < settings.ends)).sort_by("user_id")


def _devices(settings: WorldSettings, device_ids: NDArray[np.str_], seen: Ints) -> pa.Table:
    rng = stream(settings.seed, "device attributes")
    platform = rng.choice(_PLATFORMS, len(device_ids), p=[0.52, 0.36, 0.12])
    model = np.empty(len(device_ids), "U24")
    for name, models in _MODELS.items():
        here = platform == name
        model[here] = rng.choice(models, int(here.sum()))
    table = pa.table({"device_id": device_ids, "platform": platform, "model": model})
    return table.take(pa.array(seen)).sort_by("device_id")


def _restaurants(places: Places) -> pa.Table:
    table = pa.table(
        {
            "restaurant_id": places.ids,
            "name": places.names,
            "city": _chosen(CITIES, places.city),
            "cuisine": _chosen(CUISINES, places.cuisine),
            "price_level": places.level,
            "latitude": places.latitude,
            "longitude": places.longitude,
            "opens": [_clock(t) for t in places.opens.tolist()],
            "closes": [_clock(t) for t in places.closes.tolist()],
        }
    )
    return table.sort_by("restaurant_id")


def _clock(seconds: int) -> str:
    return f"{seconds // HOUR:02d}:{seconds % HOUR // 60:02d}"


def _describe(world: World, ring_ids: NDArray[np.str_], typology: Ints, ring: Ints) -> list[dict[str, Any]]:
    """The truth about each ring, in the order of first transactions."""
    rows = np.flatnonzero(ring >= 0)
    rows = rows[np.argsort(ring[rows], kind="stable")]
    groups = np.split(rows, np.flatnonzero(np.diff(ring[rows])) + 1) if len(rows) else []
    events, occurred = world.events, world.transactions["occurred_at"]
    described = [
        {
            "ring_id": str(ring_ids[ring[group[0]]]),
            "typology": TYPOLOGIES[typology[group[0]]].name,
            "members": sorted(set(world.user_ids[events.user[group]].tolist())),
            "devices": sorted(set(world.device_ids[events.device[group]].tolist())),
            "addresses": sorted(set(world.address_texts[events.address[group]].tolist())),
            "restaurants": sorted(set(world.places.ids[events.restaurant[group]].tolist())),
            "transactions": len(group),
            "first_at": occurred[int(group[0])].as_py().isoformat(),
            "last_at": occurred[int(group[-1])].as_py().isoformat(),
        }
        for group in groups
    ]
    return sorted(described, key=lambda r: (r["first_at"], r["ring_id"]))
