"""A made-up world: everyday life, fraud hidden in it, what became known of it, and the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.simulator import ids, tables
from etl.simulator.behaviour import everyday
from etl.simulator.events import KINDS, METHODS, Events
from etl.simulator.exchange import Rates
from etl.simulator.fraud import Accounts, Scene
from etl.simulator.labels import SOURCES, verdicts
from etl.simulator.people import People, build_people
from etl.simulator.places import CITIES, Places, build_places
from etl.simulator.pools import Ints, Pool
from etl.simulator.rings import Fraud, commit
from etl.simulator.settings import WorldSettings, stream
from etl.simulator.tables import chosen, moments
from etl.simulator.typologies import TYPOLOGIES
from graph.progress import Progress, Silent

_CURRENCIES = ("PEN", "USD")


@dataclass(frozen=True)
class World:
    """A world and its tables.

    Attributes:
        settings: what it was made from.
        places, people: restaurants and everyday accounts, for going on where the period ends.
        events: all transactions in order of occurrence, as numbers into the lists below.
        user_ids, device_ids, address_texts: key by number; fraud accounts are among the users.
        account_created: by number of user, seconds since the epoch.
        transactions: `transaction_id, occurred_at, user_id, restaurant_id, device_id, ip, amount` (in its `currency`;
            negative for refunds), `currency, payment_method, transaction_type, city, account_created_at`, in order of
            occurrence; device and address are null where the platform does not see them.
        labels: `transaction_id, is_fraud, known_at, source`, in the order in which they became known.
        users, devices, restaurants: attributes by id, sorted by id: all accounts and restaurants, devices once seen.
        contacts: full name and e-mail address by id of user: not for the graph.
        rates: `date, currency, rate`: what others than PEN were worth in it.
        truth: `transaction_id, is_fraud, typology, ring_id, generation` (null where genuine), a row a transaction;
            the generation is how often the ring had come back by then after having been blocked.
        rings: each ring's id, typology, members, devices, addresses, restaurants, number of transactions, how often it
            came back after having been blocked, first and last time.
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
    contacts: pa.Table
    devices: pa.Table
    restaurants: pa.Table
    rates: pa.Table
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
        world = _tabulate(scene, _merge(ordinary, fraud))
        advance(1)
    return world


def _merge(ordinary: Events, fraud: Fraud | None) -> Fraud:
    """All transactions by time, with typology and ring (-1 where genuine). Only the clock decides on the order."""
    rows = [_honest(ordinary)] if fraud is None else [_honest(ordinary), fraud]
    everything = Fraud.join(rows)
    events = everything.events
    return everything.take(np.lexsort((events.address, events.user, events.time)))


def _honest(events: Events) -> Fraud:
    none = np.full(len(events), -1)
    return Fraud(events, none, none, none, none)


def _tabulate(scene: Scene, rows: Fraud) -> World:
    settings, places, people, accounts = scene.settings, scene.places, scene.people, scene.accounts
    events, rates = rows.events, Rates.draw(settings)
    rng = stream(settings.seed, "ids")
    transaction_ids = ids.random_ids(rng, len(events), "txn_")
    user_ids = ids.random_ids(rng, len(people) + len(accounts.created), "usr_", 10)
    platform = ids.platforms(rng, scene.devices.size)
    device_ids = ids.device_ids(rng, platform)
    address_texts = ids.addresses(rng, scene.lines.kinds)
    created = np.concatenate([people.created, np.array(accounts.created, np.int64)])
    home = np.concatenate([people.city, np.array(accounts.city, np.int64)])
    in_dollars = np.round(events.cents / rates.at(events.time)) / 100

    transactions = pa.table(
        {
            "transaction_id": transaction_ids,
            "occurred_at": moments(events.time),
            "user_id": chosen(user_ids, events.user),
            "restaurant_id": chosen(places.ids, events.restaurant),
            "device_id": chosen(device_ids, events.device),
            "ip": chosen(address_texts, events.address),
            "amount": np.where(events.dollars, in_dollars, events.cents / 100),
            "currency": chosen(_CURRENCIES, events.dollars.astype(np.int64)),
            "payment_method": chosen(METHODS, events.method),
            "transaction_type": chosen(KINDS, events.kind),
            "city": chosen(CITIES, places.city[events.restaurant]),
            "account_created_at": moments(created[events.user]),
        }
    )
    is_fraud = rows.ring >= 0
    known = verdicts(stream(settings.seed, "labels"), events.time, is_fraud, rows.reported_at)
    labels = pa.table(
        {
            "transaction_id": transactions["transaction_id"].take(pa.array(known.row)),
            "is_fraud": known.is_fraud,
            "known_at": moments(known.known_at),
            "source": chosen(SOURCES, known.source),
        }
    )
    ring_ids = ids.random_ids(rng, int(rows.ring.max(initial=-1)) + 1, "ring_", 6)
    truth = pa.table(
        {
            "transaction_id": transactions["transaction_id"],
            "is_fraud": is_fraud,
            "typology": chosen([t.name for t in TYPOLOGIES], rows.typology),
            "ring_id": chosen(ring_ids, rows.ring),
            "generation": pa.array(rows.generation, pa.int8(), mask=~is_fraud),
        }
    )
    users, contacts = tables.users(settings, people, user_ids, created, home)
    seen = np.unique(events.device)
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
        users=users,
        contacts=contacts,
        devices=tables.devices(settings, device_ids, platform, seen[seen >= 0]),
        restaurants=tables.restaurants(places),
        rates=tables.rates(rates),
        truth=truth,
        rings=[],
    )
    world.rings.extend(_describe(world, ring_ids, rows))
    return world


def _describe(world: World, ring_ids: NDArray[np.str_], rows: Fraud) -> list[dict[str, Any]]:
    """The truth about each ring, in the order of first transactions."""
    wanted = np.flatnonzero(rows.ring >= 0)
    wanted = wanted[np.argsort(rows.ring[wanted], kind="stable")]
    groups = np.split(wanted, np.flatnonzero(np.diff(rows.ring[wanted])) + 1) if len(wanted) else []
    events, occurred = world.events, world.transactions["occurred_at"]

    def texts(values: NDArray[np.str_], numbers: Ints) -> list[str]:
        return sorted(set(values[numbers[numbers >= 0]].tolist()))

    described = [
        {
            "ring_id": str(ring_ids[rows.ring[group[0]]]),
            "typology": TYPOLOGIES[rows.typology[group[0]]].name,
            "members": texts(world.user_ids, events.user[group]),
            "devices": texts(world.device_ids, events.device[group]),
            "addresses": texts(world.address_texts, events.address[group]),
            "restaurants": texts(world.places.ids, events.restaurant[group]),
            "transactions": len(group),
            "came_back": int(rows.generation[group].max()),
            "first_at": occurred[int(group[0])].as_py().isoformat(),
            "last_at": occurred[int(group[-1])].as_py().isoformat(),
        }
        for group in groups
    ]
    return sorted(described, key=lambda r: (r["first_at"], r["ring_id"]))
