"""What happens after the end of a world: transactions to score, of an unseen ring and of a regular guest."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.simulator import ids
from etl.simulator.events import DELIVERY, DINE_IN, GIFT_CARD, KINDS, METHODS, amounts
from etl.simulator.places import CITIES
from etl.simulator.pools import Ints
from etl.simulator.settings import DAY, HOUR, stream
from etl.simulator.world import World

_ACCOUNTS = 5
_DRAWN_FROM = 0.05  # regular guests are the twentieth with most visits on a phone of their own


def fresh_ring(world: World, seed: int) -> list[dict[str, Any]]:
    """Transactions of a new ring in the hours after the world's end, in order, as bodies of scoring requests.

    Five accounts of the last two days on one device, which no row of the world has, pay two or three times each
    within six hours from ten in the morning; the last transaction is the one to score once the others are known.
    """
    rng = stream(seed, "fresh ring")
    settings, city = world.settings, 0
    users = _unseen(ids.random_ids(rng, _ACCOUNTS + 5, "usr_", 10), world.user_ids)
    device = _unseen(ids.device_ids(rng, np.full(5, ids.ANDROID)), world.device_ids)[0]
    lines = _unseen(ids.addresses(rng, np.full(20, ids.HOME, np.int8)), world.address_texts)[:2]
    created = settings.ends - rng.integers(2 * HOUR, 2 * DAY, _ACCOUNTS)
    account = np.concatenate([rng.permutation(np.repeat(np.arange(_ACCOUNTS), rng.integers(2, 4, _ACCOUNTS))), [0]])
    count = len(account)
    opening = settings.ends + 10 * HOUR
    time = opening + np.sort(rng.choice(6 * HOUR // 60, count, replace=False)) * 60 + rng.integers(0, 60, count)
    restaurant = world.places.popular(rng, np.full(count, city))
    kind = rng.choice([DINE_IN, DELIVERY, GIFT_CARD], count, p=[0.2, 0.3, 0.5])
    kind[-1] = GIFT_CARD
    cents = amounts(rng, world.places, restaurant, kind, np.full(count, 1.6))
    method, line = rng.integers(0, 3, count), rng.integers(0, len(lines), count)
    names = ids.random_ids(rng, count, "txn_")
    return [
        _request(
            world,
            names[i],
            time[i],
            user_id=str(users[account[i]]),
            restaurant=int(restaurant[i]),
            device_id=str(device),
            ip=str(lines[line[i]]),
            cents=int(cents[i]),
            kind=int(kind[i]),
            method=int(method[i]),
            created=int(created[account[i]]),
        )
        for i in range(count)
    ]


def regular_visit(world: World, seed: int) -> dict[str, Any]:
    """A genuine transaction on the evening after the world's end, as the body of a scoring request.

    A regular guest pays the usual bill at the favourite restaurant, from the own phone and the own home's address.
    """
    rng = stream(seed, "regular visit")
    people, settings, events = world.people, world.settings, world.events
    everyone = np.arange(len(people))
    time = settings.ends + int(20.5 * HOUR) + int(rng.integers(0, HOUR))
    phone = people.devices.at(people.phones[:, 0], np.full(len(people), time))
    line = people.lines.at(people.home, np.full(len(people), time))
    regular = np.append((people.leaves > time) & ~people.tourist, False)
    owner = np.minimum(events.user, len(people))  # fraud accounts share the last place, which is nobody's
    own = regular[owner] & (np.append(phone, -1)[owner] == events.device)
    at_home = own & (np.append(line, -1)[owner] == events.address)
    visits = np.minimum(_counts(owner[own], len(people)), 3 * _counts(owner[at_home], len(people)))
    touched = world.truth["is_fraud"].to_numpy(zero_copy_only=False)
    visits[np.unique(owner[touched & (owner < len(people))])] = -1
    best = everyone[np.argsort(-visits, kind="stable")][: max(1, int(len(people) * _DRAWN_FROM))]
    user = int(rng.choice(best[visits[best] >= visits[best].max(initial=0) // 4]))
    mine = np.flatnonzero(events.user == user)
    places, times = np.unique(events.restaurant[mine], return_counts=True)
    restaurant = int(places[times.argmax()]) if len(places) else int(people.favourites[user, 0])
    bills = events.cents[mine[events.kind[mine] == DINE_IN]]
    cents = int(np.median(bills) // 10 * 10) if len(bills) else 20_000
    return _request(
        world,
        ids.random_ids(rng, 1, "txn_")[0],
        time,
        user_id=str(world.user_ids[user]),
        restaurant=restaurant,
        device_id=str(world.device_ids[phone[user]]),
        ip=str(world.address_texts[line[user]]),
        cents=cents,
        kind=DINE_IN,
        method=int(people.methods[user, 0]),
        created=int(people.created[user]),
    )


def _counts(owner: Ints, count: int) -> Ints:
    return np.bincount(owner, minlength=count)[:count]


def _unseen(drawn: NDArray[np.str_], seen: NDArray[np.str_]) -> list[str]:
    known = set(seen.tolist())
    return [text for text in drawn.tolist() if text not in known]


def _request(
    world: World,
    transaction_id: str,
    time: int,
    *,
    user_id: str,
    restaurant: int,
    device_id: str,
    ip: str,
    cents: int,
    kind: int,
    method: int,
    created: int,
) -> dict[str, Any]:
    return {
        "transaction_id": str(transaction_id),
        "occurred_at": _iso(time),
        "user_id": user_id,
        "restaurant_id": str(world.places.ids[restaurant]),
        "device_id": device_id,
        "ip": ip,
        "amount": cents / 100,
        "currency": "PEN",
        "payment_method": METHODS[method],
        "transaction_type": KINDS[kind],
        "city": CITIES[world.places.city[restaurant]],
        "account_created_at": _iso(created),
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
