"""Names of people and restaurants. Faker fills small pools once; from there they are drawn by the thousand."""

import unicodedata
from dataclasses import dataclass

import numpy as np
from faker import Faker
from numpy.typing import NDArray

from etl.simulator.pools import Ints
from etl.simulator.settings import stream

Texts = NDArray[np.str_]
_LOCALE = "es_CO"  # Faker has no locale of Peru; its neighbour's names are the same
_POOL = 400
_DOMAINS = ("example.com", "example.net", "example.org")
"""Reserved (RFC 2606), so that nobody is ever written to."""


@dataclass(frozen=True, slots=True)
class Names:
    """Pools of first names by gender (f, m) and last names."""

    first: dict[str, Texts]
    last: Texts

    @classmethod
    def draw(cls, seed: int) -> "Names":
        """Pools for a seed; the same seed draws the same."""
        faker = Faker(_LOCALE)
        faker.seed_instance(seed)
        return cls(
            {
                "f": _pool([faker.first_name_female() for _ in range(_POOL)]),
                "m": _pool([faker.first_name_male() for _ in range(_POOL)]),
            },
            _pool([faker.last_name() for _ in range(2 * _POOL)]),
        )

    def people(self, rng: np.random.Generator, gender: Texts) -> tuple[Texts, Texts]:
        """Full name (with two last names) and e-mail address of each person; gender is f, m or x."""
        count = len(gender)
        female = np.where(gender == "x", rng.random(count) < 0.5, gender == "f")
        first = np.where(female, rng.choice(self.first["f"], count), rng.choice(self.first["m"], count))
        father, mother = rng.integers(0, len(self.last), (2, count))
        plain, stems = np.unique(first, return_inverse=True)
        mailbox = _joined(_folded(plain)[stems], rng.choice([".", "_", ""], count), _folded(self.last)[father])
        number = rng.integers(1, 10_000, count).astype(np.str_)
        domain = rng.choice(_DOMAINS, count)
        space = np.full(count, " ")
        return (
            _joined(first, space, self.last[father], space, self.last[mother]),
            _joined(mailbox, number, np.full(count, "@"), domain),
        )

    def restaurants(self, rng: np.random.Generator, prefixes: dict[int, tuple[str, ...]], cuisine: Ints) -> Texts:
        """A name for each restaurant: one of its cuisine's words, and somebody's name."""
        everybody = np.concatenate([self.first["f"], self.first["m"], self.last])
        words = [str(rng.choice(prefixes[kind])) for kind in cuisine.tolist()]
        return _joined(np.array(words), np.full(len(words), " "), rng.choice(everybody, len(words)))


def contacts(seed: int, gender: Texts) -> tuple[Texts, Texts]:
    """Full name and e-mail address for each account of a world."""
    return Names.draw(seed).people(stream(seed, "contacts"), gender)


def _pool(drawn: list[str]) -> Texts:
    # Sorted, as a set's order differs from run to run.
    return np.array(sorted(set(drawn)))


def _folded(texts: Texts) -> Texts:
    """In small ASCII letters, as in an e-mail address."""
    plain = (unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() for text in texts.tolist())
    return np.array(["".join(filter(str.isalnum, text)).lower() for text in plain])


def _joined(*parts: Texts) -> Texts:
    whole = parts[0]
    for part in parts[1:]:
        whole = np.strings.add(whole, part)
    return whole
