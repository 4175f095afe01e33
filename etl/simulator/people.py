"""Who eats out, and what they connect with: phones that get replaced, homes, households, offices and hotels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.simulator.ids import HOME, HOTEL, MOBILE, OFFICE, WIFI
from etl.simulator.places import CITIES, CITY_WEIGHTS, TOURIST_WEIGHTS, Places
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET, WorldSettings, stream

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
CARRIERS = 4
_CARRIER_WEIGHTS = np.array([0.34, 0.3, 0.2, 0.16])
_USERS_BEHIND_ONE_ADDRESS = 250
_DEVICE_LASTS = 360 * DAY
_HOME_ADDRESS_LASTS = 150 * DAY
_OTHER_ADDRESS_LASTS = 700 * DAY
_SPAN = 1 << 34  # seconds; more than any period, so that owner and time make one sortable number


class Pool:
    """Numbers things (devices, addresses) as they come into being, and remembers their kind."""

    def __init__(self) -> None:
        self._kinds: list[NDArray[np.int8]] = []
        self.size = 0

    def take(self, count: int, kind: int | Ints = 0) -> Ints:
        """Numbers of `count` new things of one kind, or each of its own."""
        self._kinds.append(np.broadcast_to(np.asarray(kind, np.int8), count))
        self.size += count
        return np.arange(self.size - count, self.size)

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Kind by number."""
        return np.concatenate(self._kinds) if self._kinds else np.empty(0, np.int8)


@dataclass(frozen=True, slots=True)
class Renewals:
    """What each owner had at each time, where a thing is replaced by another now and then."""

    begins: int
    keys: Ints
    items: Ints

    @classmethod
    def draw(
        cls, rng: np.random.Generator, settings: WorldSettings, pool: Pool, lasts: Floats, kinds: Ints
    ) -> "Renewals":
        """One owner for each entry of `lasts` (mean seconds before a replacement) and `kinds`."""
        length = settings.ends - settings.begins
        replaced = rng.poisson(length / lasts)
        owner = np.repeat(np.arange(len(lasts)), 1 + replaced)
        since = rng.integers(1, length, len(owner))
        since[np.cumsum(1 + replaced) - 1 - replaced] = 0
        return cls(settings.begins, np.sort(owner * _SPAN + since), pool.take(len(owner), kinds[owner]))

    def at(self, owner: Ints, time: Ints) -> Ints:
        """Numbers of the things that owners had at times (seconds since the epoch)."""
        key = owner * _SPAN + np.maximum(time - self.begins, 0)
        found: Ints = self.items[np.searchsorted(self.keys, key, side="right") - 1]
        return found


@dataclass(frozen=True, slots=True)
class People:
    """The everyday accounts. Arrays have one entry an account; times are seconds since the epoch, UTC.

    Attributes:
        city: home (for tourists: where they stay), as position in `CITIES`.
        tourist: whether the account dines during one trip only.
        created, leaves: when the account was made, and when its owner stops dining.
        rate: transactions a day, heavy-tailed.
        spending: factor on usual bills.
        carrier: mobile carrier.
        favourites: restaurants, most liked first.
        friends: other accounts, whose phone or home is borrowed at times.
        methods: usual and second payment method.
        phones: owners in `devices`: first phone, second device, shared device; -1 for none.
        phone_use: running share of use of the three.
        home, office: owners in `lines`; -1 for no office.
        tablets, wifi: owner of the first restaurant's tablet in `devices`, and of its address in `lines`.
        devices, lines: who had which device and which address, and when.
        mobile: number of the first address of a carrier in a city; `mobile_size` addresses follow.
    """

    city: Ints
    tourist: NDArray[np.bool_]
    created: Ints
    leaves: Ints
    rate: Floats
    spending: Floats
    carrier: Ints
    favourites: Ints
    friends: Ints
    methods: Ints
    phones: Ints
    phone_use: Floats
    home: Ints
    office: Ints
    tablets: int
    wifi: int
    devices: Renewals
    lines: Renewals
    mobile: Ints
    mobile_size: Ints

    def __len__(self) -> int:
        return len(self.city)

    def device_at(self, rng: np.random.Generator, user: Ints, time: Ints) -> Ints:
        """One of the devices each user had at that time, as often as it is used."""
        which = (rng.random(len(user))[:, None] > self.phone_use[user]).sum(1)
        return self.devices.at(self.phones[user, which], time)

    def mobile_address(self, rng: np.random.Generator, carrier: Ints, city: Ints) -> Ints:
        """An address out of the pool behind which a carrier puts its users in a city."""
        size = self.mobile_size[carrier, city]
        found: Ints = self.mobile[carrier, city] + (rng.random(len(city)) * size).astype(np.int64)
        return found


def waking_hours(rng: np.random.Generator, times: Ints) -> Ints:
    """The same days of Peru's calendar, at hours when people are up."""
    seconds = (8 + 16 * rng.beta(1.7, 1.6, len(times))) * HOUR
    return times - (times + LIMA_OFFSET) % DAY + seconds.astype(np.int64)


def spending_levels(rng: np.random.Generator, count: int) -> Floats:
    """Factors on usual bills, as accounts have them."""
    return rng.lognormal(0.0, 0.4, count)


def payment_methods(rng: np.random.Generator, count: int) -> Ints:
    """Usual payment methods, as positions in `behaviour.METHODS`."""
    return rng.choice(6, count, p=[0.33, 0.2, 0.07, 0.15, 0.15, 0.1])


def build_people(settings: WorldSettings, places: Places, devices: Pool, lines: Pool) -> People:
    """Draws the everyday accounts and hands out their devices and addresses from the two pools."""
    rng = stream(settings.seed, "people")
    count = settings.users
    tourist = rng.random(count) < 0.06
    city = np.where(tourist, rng.choice(4, count, p=TOURIST_WEIGHTS), rng.choice(4, count, p=CITY_WEIGHTS))
    created, leaves = _membership(rng, settings, tourist)
    phones, phone_use, home, office, device_owners, line_kinds = _belongings(rng, city, tourist)
    seats = len(places.city)
    device_lasts = np.full(device_owners + seats, float(_DEVICE_LASTS))
    line_kinds = np.concatenate([line_kinds, np.full(seats, WIFI)])
    line_lasts = np.where(line_kinds == HOME, float(_HOME_ADDRESS_LASTS), float(_OTHER_ADDRESS_LASTS))
    mobile_size = np.maximum(
        2, np.ceil(count * _CARRIER_WEIGHTS[:, None] * CITY_WEIGHTS / _USERS_BEHIND_ONE_ADDRESS)
    ).astype(np.int64)
    mobile = lines.take(int(mobile_size.sum()), MOBILE)[0] + np.cumsum(mobile_size.ravel()) - mobile_size.ravel()
    return People(
        city=city,
        tourist=tourist,
        created=created,
        leaves=leaves,
        rate=np.where(tourist, rng.lognormal(-0.9, 0.5, count), rng.lognormal(-2.75, 0.95, count)),
        spending=spending_levels(rng, count),
        carrier=rng.choice(CARRIERS, count, p=_CARRIER_WEIGHTS),
        favourites=places.popular(rng, np.repeat(city, 6)).reshape(count, 6),
        friends=_friends(rng, city),
        methods=np.stack([payment_methods(rng, count), payment_methods(rng, count)], 1),
        phones=phones,
        phone_use=phone_use,
        home=home,
        office=office,
        tablets=device_owners,
        wifi=len(line_kinds) - seats,
        devices=Renewals.draw(rng, settings, devices, device_lasts, np.zeros(len(device_lasts), np.int64)),
        lines=Renewals.draw(rng, settings, lines, line_lasts, line_kinds),
        mobile=mobile.reshape(mobile_size.shape),
        mobile_size=mobile_size,
    )


def _membership(rng: np.random.Generator, settings: WorldSettings, tourist: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Two thirds were there before; the others join all through the period. Some leave again."""
    count, length = len(tourist), settings.ends - settings.begins
    joins = settings.begins + rng.integers(0, length, count)
    before = settings.begins - (rng.beta(1, 1.6, count) * 1_400 * DAY).astype(np.int64)
    created = waking_hours(rng, np.where(tourist | (rng.random(count) < 0.34), joins, before))
    stays = np.where(tourist, rng.uniform(3, 15, count), rng.exponential(900, count) + 5) * DAY
    leaves = np.maximum(created, settings.begins) + stays.astype(np.int64)
    # Most tourists sign up when they arrive, some while they still plan.
    planned = tourist & (rng.random(count) < 0.3)
    created = created - np.where(planned, rng.integers(1, 40, count) * DAY, 0)
    return created, leaves


def _belongings(
    rng: np.random.Generator, city: Ints, tourist: NDArray[np.bool_]
) -> tuple[Ints, Floats, Ints, Ints, int, Ints]:
    """Owners of devices and lines: each account's first phone, then second devices, then what groups share."""
    count = len(city)
    owners = count
    phones = np.full((count, 3), -1, np.int64)
    phones[:, 0] = np.arange(count)
    second = np.flatnonzero(rng.random(count) < 0.32)
    phones[second, 1] = owners + np.arange(len(second))
    owners += len(second)

    home, kinds = np.full(count, -1, np.int64), []
    offset = 0
    for members, sizes, shares, kind in (
        (~tourist, (1, 2, 3, 4, 5), 0.6, HOME),
        (tourist, tuple(range(8, 40)), 0.7, HOTEL),
    ):
        group, groups = _groups(rng, city, np.flatnonzero(members), sizes)
        home[members] = offset + group[members]
        has_device = rng.random(groups) < shares
        number = owners + np.cumsum(has_device) - 1
        uses = members & has_device[group] & (rng.random(count) < (0.8 if kind == HOME else 0.35))
        phones[uses, 2] = number[group[uses]]
        owners += int(has_device.sum())
        offset += groups
        kinds.append(np.full(groups, kind))

    works = ~tourist & (rng.random(count) < 0.3)
    group, groups = _groups(rng, city, np.flatnonzero(works), tuple(range(3, 26)))
    office = np.where(works, offset + group, -1)
    has_device = rng.random(groups) < 0.5
    uses = works & has_device[group] & (phones[:, 2] < 0) & (rng.random(count) < 0.3)
    phones[uses, 2] = (owners + np.cumsum(has_device) - 1)[group[uses]]
    owners += int(has_device.sum())
    kinds.append(np.full(groups, OFFICE))

    use = np.stack([np.ones(count), rng.uniform(0.1, 0.6, count), rng.uniform(0.15, 0.8, count)], 1) * (phones >= 0)
    use = np.cumsum(use / use.sum(1, keepdims=True), 1)
    use[:, -1] = 1.0
    # Rounding must not lead to a device that the account doesn't have.
    use[phones[:, 2] < 0, 1] = 1.0
    use[(phones[:, 1:] < 0).all(1), 0] = 1.0
    return phones, use, home, office, owners, np.concatenate(kinds)


def _groups(rng: np.random.Generator, city: Ints, members: Ints, sizes: tuple[int, ...]) -> tuple[Ints, int]:
    """Members in groups of their city: each account's group (0 for the others), and how many there are (at least 1)."""
    order = rng.permutation(members)
    order = order[np.argsort(city[order], kind="stable")]
    ends = np.cumsum(rng.choice(sizes, len(order) + 1))
    number = np.searchsorted(ends, np.arange(len(order)), side="right")
    # A new city begins a new group, so that groups never span two.
    number = np.unique(number * len(CITIES) + city[order], return_inverse=True)[1]
    group = np.zeros(len(city), np.int64)
    group[order] = number
    return group, int(number.max(initial=0)) + 1


def _friends(rng: np.random.Generator, city: Ints) -> Ints:
    """Three other accounts of the same city (of another, in a city of one)."""
    order = rng.permutation(len(city))
    order = order[np.argsort(city[order], kind="stable")]
    place = np.empty(len(city), np.int64)
    place[order] = np.arange(len(city))
    friends: Ints = order[(place[:, None] + np.array([1, 2, 5])) % len(city)]
    return friends
