"""Cities and their restaurants: where they are, what they cost, how well they are visited, and when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.simulator.ids import random_ids
from etl.simulator.names import Names
from etl.simulator.settings import WorldSettings, stream

CITIES = ("Lima", "Cusco", "Arequipa", "Trujillo")
CITY_WEIGHTS = np.array([0.62, 0.16, 0.13, 0.09])
TOURIST_WEIGHTS = np.array([0.38, 0.47, 0.11, 0.04])
_CENTRES = np.array([[-12.1211, -77.0297], [-13.5170, -71.9785], [-16.3988, -71.5369], [-8.1116, -79.0287]])

CUISINES = (
    "novoandina",
    "cevicheria",
    "nikkei",
    "chifa",
    "criolla",
    "parrilla",
    "italiana",
    "vegetariana",
    "picanteria",
)
_CUISINE_WEIGHTS = np.array([0.16, 0.18, 0.13, 0.09, 0.14, 0.11, 0.1, 0.04, 0.05])
_WORDS: dict[int, tuple[str, ...]] = {
    0: ("Casa", "Mesa de", "Taller"),
    1: ("Cevichería", "Barra", "Caleta"),
    2: ("Nikkei", "Izakaya", "Barra"),
    3: ("Chifa", "Chifa", "Salón"),
    4: ("Cocina de", "El Rincón de", "Fonda"),
    5: ("Parrilla", "Brasas", "Asador"),
    6: ("Trattoria", "Pizzería", "Osteria"),
    7: ("Huerta", "Verde", "Jardín de"),
    8: ("Picantería", "Mirador", "La Nueva"),
}
HEAD_PRICE = np.array([6_500, 11_000, 18_000, 30_000])
"""A person's usual bill by price level 1 to 4, in céntimos."""


@dataclass(frozen=True, slots=True)
class Places:
    """Restaurants, sorted by city. Arrays have one entry a restaurant.

    Attributes:
        ids, names: texts.
        city: position in `CITIES`.
        cuisine: position in `CUISINES`.
        level: price level, 1 to 4.
        latitude, longitude: degrees.
        opens, closes: seconds after local midnight.
        dinner: share of visits in the evening; the others come for lunch.
        closed: weekday (Monday is 0) without visits, -1 for none.
        week: chance that somebody who thinks of the place on a weekday also goes, 0 to 1, by weekday.
        reach: running sum of popularity over all restaurants, for drawing.
    """

    ids: NDArray[np.str_]
    names: NDArray[np.str_]
    city: NDArray[np.int64]
    cuisine: NDArray[np.int64]
    level: NDArray[np.int64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    dinner: NDArray[np.float64]
    closed: NDArray[np.int64]
    week: NDArray[np.float64]
    reach: NDArray[np.float64]

    def popular(self, rng: np.random.Generator, city: NDArray[np.int64]) -> NDArray[np.int64]:
        """A restaurant for each given city, drawn by popularity."""
        first = np.searchsorted(self.city, np.arange(len(CITIES)))
        last = np.searchsorted(self.city, np.arange(len(CITIES)), side="right") - 1
        low = np.where(first > 0, self.reach[first - 1], 0.0)[city]
        drawn = np.searchsorted(self.reach, low + rng.random(len(city)) * (self.reach[last][city] - low), side="right")
        return np.clip(drawn, first[city], last[city])


def build_places(settings: WorldSettings) -> Places:
    """The restaurants of a world: at least two in each city, popularity heavy-tailed."""
    rng = stream(settings.seed, "places")
    count = settings.restaurants
    city = np.sort(np.concatenate([np.repeat(np.arange(4), 2), rng.choice(4, count - 8, p=CITY_WEIGHTS)]))
    dinner = rng.beta(5, 3, count)
    scatter = rng.normal(0, 0.012, (count, 2))
    evening_only = dinner > 0.75
    cuisine = rng.choice(len(CUISINES), count, p=_CUISINE_WEIGHTS)
    closed = np.where(rng.random(count) < 0.35, rng.choice([0, 6], count), -1)
    return Places(
        ids=random_ids(rng, count, "rst_", 8),
        names=Names.draw(settings.seed).restaurants(rng, _WORDS, cuisine),
        city=city,
        cuisine=cuisine,
        level=1 + rng.choice(4, count, p=[0.22, 0.38, 0.28, 0.12]),
        latitude=np.round(_CENTRES[city, 0] + scatter[:, 0], 6),
        longitude=np.round(_CENTRES[city, 1] + scatter[:, 1], 6),
        opens=np.where(evening_only, 18, 12) * 3_600,
        closes=np.where(rng.random(count) < 0.3, 81_000, 85_500),
        dinner=np.where(evening_only, 1.0, dinner),
        closed=closed,
        week=_weeks(rng, closed),
        reach=np.cumsum(rng.lognormal(0, 1.1, count)),
    )


def _weeks(rng: np.random.Generator, closed: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rhythm of each place: for business lunches (Monday to Friday), for the weekend, or for every day."""
    shapes = np.array([[0.95, 1, 1, 1, 0.95, 0.5, 0.45], [0.45, 0.5, 0.6, 0.75, 1, 1, 0.95], [1.0] * 7])
    week = shapes[rng.choice(3, len(closed), p=[0.2, 0.35, 0.45])] * rng.uniform(0.85, 1.0, (len(closed), 7))
    week[np.flatnonzero(closed >= 0), closed[closed >= 0]] = 0.0
    return week
