"""The tables of a world but its transactions: accounts, devices, restaurants, exchange rates."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from etl.simulator.exchange import Rates
from etl.simulator.ids import ANDROID, IOS, WEB
from etl.simulator.names import Texts, contacts
from etl.simulator.people import GENDERS, People
from etl.simulator.places import CITIES, CUISINES, Places
from etl.simulator.pools import Ints
from etl.simulator.settings import HOUR, WorldSettings, stream
from graph.records import SECOND, TIMESTAMP

_PLATFORMS = ("android", "ios", "web")
_MODELS = {
    ANDROID: ("Samsung Galaxy S23", "Samsung Galaxy A54", "Xiaomi 13", "Motorola Edge 40", "Honor 90"),
    IOS: ("iPhone 12", "iPhone 13", "iPhone 14", "iPhone 15", "iPad Air"),
    WEB: ("Chrome on Windows", "Chrome on macOS", "Safari on macOS", "Edge on Windows"),
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def moments(seconds: Ints) -> pa.Array:
    """Seconds since the epoch as UTC timestamps."""
    return pa.array(seconds * SECOND, TIMESTAMP)


def chosen(values: Texts | tuple[str, ...] | list[str], numbers: Ints) -> pa.Array:
    """The text behind each number; null for -1."""
    return pa.array(np.asarray(values, np.str_).tolist(), pa.string()).take(pa.array(numbers, mask=numbers < 0))


def users(
    settings: WorldSettings, people: People, user_ids: Texts, created: Ints, home: Ints
) -> tuple[pa.Table, pa.Table]:
    """Attributes of all accounts that were made before the period's end, and their contacts; sorted by id.

    Fraudsters pretend to be somebody: what their accounts say of their owners is like what others' say.
    """
    rng = stream(settings.seed, "user attributes")
    who = np.concatenate([np.arange(len(people)), rng.integers(0, len(people), len(user_ids) - len(people))])
    gender = np.array(GENDERS)[people.gender[who]]
    full_name, email = contacts(settings.seed, gender)
    attributes = pa.table(
        {
            "user_id": user_ids,
            "account_created_at": moments(created),
            "home_city": chosen(CITIES, home),
            "birth_year": people.birth_year[who],
            "gender": gender,
            "monthly_income": people.income[who],
        }
    )
    reached = pa.table({"user_id": user_ids, "full_name": full_name, "email": email})
    # A ring at work at the end would have opened more accounts later.
    there = pa.array(created < settings.ends)
    return attributes.filter(there).sort_by("user_id"), reached.filter(there).sort_by("user_id")


def devices(settings: WorldSettings, device_ids: Texts, platform: Ints, seen: Ints) -> pa.Table:
    """Attributes of the devices that were seen, sorted by id."""
    rng = stream(settings.seed, "device attributes")
    model = np.empty(len(device_ids), "U24")
    for number, models in _MODELS.items():
        here = platform == number
        model[here] = rng.choice(models, int(here.sum()))
    table = pa.table({"device_id": device_ids, "platform": chosen(_PLATFORMS, platform), "model": model})
    return table.take(pa.array(seen)).sort_by("device_id")


def restaurants(places: Places) -> pa.Table:
    """Attributes of the restaurants, sorted by id."""
    table = pa.table(
        {
            "restaurant_id": places.ids,
            "name": places.names,
            "city": chosen(CITIES, places.city),
            "cuisine": chosen(CUISINES, places.cuisine),
            "price_level": places.level,
            "latitude": places.latitude,
            "longitude": places.longitude,
            "opens": [_clock(t) for t in places.opens.tolist()],
            "closes": [_clock(t) for t in places.closes.tolist()],
            "closed_on": chosen(_WEEKDAYS, places.closed),
        }
    )
    return table.sort_by("restaurant_id")


def rates(drawn: Rates) -> pa.Table:
    """Soles for one unit of another currency, by day of publication."""
    days = [date(1970, 1, 1) + timedelta(days=day) for day in drawn.days.tolist()]
    return pa.table({"date": pa.array(days, pa.date32()), "currency": ["USD"] * len(days), "rate": drawn.rates})


def _clock(seconds: int) -> str:
    return f"{seconds // HOUR:02d}:{seconds % HOUR // 60:02d}"
