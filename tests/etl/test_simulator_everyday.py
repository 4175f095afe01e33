"""Everyday life in a made-up world: Peru's calendar, restaurants with their rhythm, people with their habits."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from etl.simulator import World, WorldSettings, simulate
from etl.simulator.calendar import appetite, easter, holidays
from etl.simulator.exchange import Rates
from etl.simulator.names import Names

CITIES = {
    "Lima": (-12.046, -77.043),
    "Cusco": (-13.532, -71.967),
    "Arequipa": (-16.409, -71.537),
    "Trujillo": (-8.109, -79.021),
}


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(WorldSettings(users=6_000, days=90, seed=2))


@pytest.fixture(scope="module")
def rows(world: World) -> pd.DataFrame:
    """Genuine transactions."""
    rows = world.transactions.to_pandas()
    return rows[~world.truth["is_fraud"].to_numpy(zero_copy_only=False)]


def test_easter_and_the_holidays_of_known_years() -> None:
    assert [easter(year) for year in (1999, 2000, 2008, 2024, 2025, 2038)] == [
        date(1999, 4, 4),
        date(2000, 4, 23),
        date(2008, 3, 23),
        date(2024, 3, 31),
        date(2025, 4, 20),
        date(2038, 4, 25),
    ]
    assert len(holidays(2025)) == 16
    assert {date(2025, 4, 17), date(2025, 4, 18), date(2025, 7, 28), date(2025, 12, 9)} <= holidays(2025)
    assert date(2021, 12, 9) not in holidays(2021), "a holiday since 2022"


def test_people_dine_out_by_the_calendar(rows: pd.DataFrame) -> None:
    by_day = rows.groupby(rows.occurred_at.dt.tz_convert("America/Lima").dt.date).size()
    friday, monday = by_day[date(2025, 3, 14)], by_day[date(2025, 3, 10)]
    assert friday > 1.5 * monday
    assert by_day[date(2025, 2, 14)] > 1.15 * by_day[date(2025, 2, 7)], "Valentine's"
    factors = appetite(WorldSettings(days=365))
    first = date(2025, 1, 6)
    assert factors[(date(2025, 12, 25) - first).days] < 0.5
    assert factors[(date(2025, 7, 29) - first).days] > factors[(date(2025, 7, 22) - first).days]


def test_restaurants_stand_in_their_cities_and_keep_their_days(world: World, rows: pd.DataFrame) -> None:
    places = world.restaurants.to_pandas()
    for city, (latitude, longitude) in CITIES.items():
        here = places[places.city == city]
        assert (np.hypot(here.latitude - latitude, here.longitude - longitude) < 0.2).all()
    assert places.name.nunique() > 0.5 * len(places)
    dined = rows[rows.transaction_type == "dine_in"].merge(places, on="restaurant_id")
    weekday = dined.occurred_at.dt.tz_convert("America/Lima").dt.day_name().str.lower()
    assert (weekday == dined.closed_on).mean() < 0.01
    midweek = weekday.isin(["monday", "tuesday", "wednesday", "thursday"])
    rhythm = midweek.groupby(dined.restaurant_id).agg(["mean", "size"])
    assert rhythm["mean"][rhythm["size"] > 100].std() > 0.06, "some are for business, some for weekends"


def test_people_differ_and_keep_their_habits(world: World, rows: pd.DataFrame) -> None:
    users = world.users.to_pandas().set_index("user_id")
    assert 2025 - 81 <= users.birth_year.min() <= users.birth_year.max() <= 2025 - 18
    bills = rows[(rows.transaction_type == "dine_in") & (rows.currency == "PEN")].groupby("user_id").amount.median()
    assert np.corrcoef(bills.rank(), users.monthly_income[bills.index].rank())[0, 1] > 0.1
    young = users.birth_year > 1995
    by_phone = rows.payment_method.isin(["yape", "plin"]).groupby(rows.user_id).mean()
    assert by_phone[young[by_phone.index]].mean() > 1.2 * by_phone[~young[by_phone.index]].mean()
    delivered = (rows.transaction_type == "delivery").groupby(rows.user_id).agg(["mean", "size"])
    assert delivered["mean"][delivered["size"] > 20].std() > 0.12


def test_names_are_a_seeds_own() -> None:
    first, again, other = Names.draw(1), Names.draw(1), Names.draw(2)
    assert first.last.tolist() == again.last.tolist() != other.last.tolist()
    full, mail = first.people(np.random.default_rng(0), np.array(["f", "m", "x"] * 50))
    assert len(set(full.tolist())) > 140
    assert all(text.isascii() and text == text.lower() for text in mail.tolist())


def test_the_rate_of_a_day_is_the_latest_before_it() -> None:
    settings = WorldSettings(days=30)
    rates = Rates.draw(settings)
    assert all((date(1970, 1, 1) + timedelta(days=day)).weekday() < 5 for day in rates.days.tolist())
    sunday = (date(2025, 1, 12) - date(1970, 1, 1)).days * 86_400
    friday = sunday - 2 * 86_400
    assert rates.at(np.array([sunday + 5]))[0] == rates.at(np.array([friday]))[0]
    assert (np.abs(rates.rates - 3.74) < 0.5).all()
