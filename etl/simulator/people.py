"""Who eats out: where they live, what they earn and like, and what they connect with."""

from dataclasses import dataclass

import numpy as np

from etl.simulator.belongings import belongings, friends_of
from etl.simulator.ids import CARRIER_NAT, HOME, MOBILE, WIFI
from etl.simulator.places import CITY_WEIGHTS, TOURIST_WEIGHTS, Places
from etl.simulator.pools import Flags, Floats, Ints, Pool, Renewals
from etl.simulator.settings import DAY, HOUR, LIMA_OFFSET, WorldSettings, stream

CARRIERS = 4
GENDERS = ("f", "m", "x")
_BEHIND_NAT = np.array([False, False, True, True])  # carriers whose users are seen with addresses of RFC 6598
_CARRIER_WEIGHTS = np.array([0.34, 0.3, 0.2, 0.16])
_USERS_BEHIND_ONE_ADDRESS = 250
_DEVICE_LASTS = 360 * DAY
_HOME_ADDRESS_LASTS = 150 * DAY
_OTHER_ADDRESS_LASTS = 700 * DAY


@dataclass(frozen=True, slots=True)
class People:
    """The everyday accounts. Arrays have one entry an account; times are seconds since the epoch, UTC.

    Attributes:
        city: home (for tourists: where they stay), as position in `CITIES`.
        tourist: whether the account dines during one trip only.
        created, leaves: when the account was made, and when its owner stops dining.
        birth_year, gender (in `GENDERS`), income (soles a month): who the owner is.
        rate: transactions a day, heavy-tailed.
        spending: factor on usual bills; it goes with income.
        evening: how much likelier than others to come for dinner, as a difference in share.
        homebody: share of meals that are delivered instead of eaten out, beyond what is usual.
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
    tourist: Flags
    created: Ints
    leaves: Ints
    birth_year: Ints
    gender: Ints
    income: Ints
    rate: Floats
    spending: Floats
    evening: Floats
    homebody: Floats
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


def payment_methods(rng: np.random.Generator, count: int, by_phone: Flags | None = None) -> Ints:
    """Usual payment methods, as positions in `behaviour.METHODS`; Yape or Plin for those who pay by telephone."""
    drawn = rng.choice(6, count, p=[0.33, 0.2, 0.07, 0.15, 0.15, 0.1])
    return drawn if by_phone is None else np.where(by_phone, rng.choice([4, 5], count, p=[0.6, 0.4]), drawn)


def _habitual(rng: np.random.Generator, settings: WorldSettings, birth_year: Ints, tourist: Flags) -> Ints:
    """Usual payment methods; a third of those under 30 use Yape or Plin whatever others do, tourists never do."""
    count = len(birth_year)
    young = (settings.start.year - birth_year < 30) & (rng.random(count) < 0.33)
    return np.where(tourist, rng.choice(3, count, p=[0.5, 0.33, 0.17]), payment_methods(rng, count, young))


def build_people(settings: WorldSettings, places: Places, devices: Pool, lines: Pool) -> People:
    """Draws the everyday accounts and hands out their devices and addresses from the two pools."""
    rng = stream(settings.seed, "people")
    count = settings.users
    tourist = rng.random(count) < 0.06
    city = np.where(tourist, rng.choice(4, count, p=TOURIST_WEIGHTS), rng.choice(4, count, p=CITY_WEIGHTS))
    created, leaves = _membership(rng, settings, tourist)
    phones, phone_use, home, office, device_owners, line_kinds = belongings(rng, city, tourist)
    seats = len(places.city)
    device_lasts = np.full(device_owners + seats, float(_DEVICE_LASTS))
    line_kinds = np.concatenate([line_kinds, np.full(seats, WIFI)])
    line_lasts = np.where(line_kinds == HOME, float(_HOME_ADDRESS_LASTS), float(_OTHER_ADDRESS_LASTS))
    mobile_size = np.maximum(
        2, np.ceil(count * _CARRIER_WEIGHTS[:, None] * CITY_WEIGHTS / _USERS_BEHIND_ONE_ADDRESS)
    ).astype(np.int64)
    networks = np.where(_BEHIND_NAT, CARRIER_NAT, MOBILE).repeat(mobile_size.sum(1))
    mobile = lines.take(len(networks), networks)[0] + np.cumsum(mobile_size.ravel()) - mobile_size.ravel()
    birth_year = settings.start.year - 18 - (rng.beta(1.8, 3.0, count) * 62).astype(np.int64)
    # Who earns more spends more, goes to dearer places, and pays by card; the young pay by telephone.
    wealth = rng.normal(0, 1, count)
    income = np.round(2_600 * np.exp(0.55 * wealth) / 50).astype(np.int64) * 50
    return People(
        city=city,
        tourist=tourist,
        created=created,
        leaves=leaves,
        birth_year=birth_year,
        gender=rng.choice(len(GENDERS), count, p=[0.49, 0.49, 0.02]),
        income=income,
        rate=np.where(tourist, rng.lognormal(-0.9, 0.5, count), rng.lognormal(-2.75, 0.95, count)),
        spending=np.exp(0.25 * wealth) * rng.lognormal(0.0, 0.31, count),
        evening=rng.normal(0, 0.15, count),
        homebody=np.where(tourist, 0.0, rng.beta(0.6, 3, count)),
        carrier=rng.choice(CARRIERS, count, p=_CARRIER_WEIGHTS),
        favourites=places.popular(rng, np.repeat(city, 6)).reshape(count, 6),
        friends=friends_of(rng, city),
        methods=np.stack([_habitual(rng, settings, birth_year, tourist), payment_methods(rng, count)], 1),
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


def _membership(rng: np.random.Generator, settings: WorldSettings, tourist: Flags) -> tuple[Ints, Ints]:
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
