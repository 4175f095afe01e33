"""Transactions as numbers, and what they are made of: kinds, payment methods, amounts and times of day."""

from dataclasses import dataclass, fields, replace

import numpy as np

from etl.simulator.places import HEAD_PRICE, Places
from etl.simulator.pools import Flags, Floats, Ints
from etl.simulator.settings import DAY, HOUR

METHODS = ("visa_credit", "mastercard_credit", "amex_credit", "visa_debit", "yape", "plin", "qr_wallet")
NEW_METHOD = 6
"""Nobody pays with it on the first day; how many do on the last is for the drift to say."""
KINDS = ("dine_in", "delivery", "reservation_deposit", "gift_card", "tip", "refund")
DINE_IN, DELIVERY, DEPOSIT, GIFT_CARD, TIP, REFUND = range(6)
_KIND_FACTOR = np.array([1.0, 0.45, 0.3, 1.0, 0.11, 1.0])
_GIFT_CARDS = np.array([10_000, 15_000, 20_000, 30_000, 50_000, 100_000])
_GUARANTEE_ONLY = 0.3  # share of deposits that only check the card, for nothing


@dataclass(frozen=True, slots=True)
class Events:
    """Transactions, column by column: times in seconds since the epoch, the others as numbers in the world's lists.

    `cents` is the amount in céntimos, negative where money goes back; `dollars` says whether it was paid in USD;
    `kind` is a position in `KINDS`, `method` one in `METHODS`. A device or address of -1 is not known.
    """

    time: Ints
    user: Ints
    restaurant: Ints
    device: Ints
    address: Ints
    cents: Ints
    kind: Ints
    method: Ints
    dollars: Flags

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Ints | Flags) -> "Events":
        """Only these rows, in this order."""
        return Events(*(getattr(self, f.name)[rows] for f in fields(self)))

    @staticmethod
    def join(parts: "list[Events]") -> "Events":
        """All rows of all parts (at least one), one part after the other."""
        return Events(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Events)))


def amounts(rng: np.random.Generator, places: Places, restaurant: Ints, kind: Ints, spending: Floats) -> Ints:
    """Amounts in céntimos, in steps of ten; some deposits are zero, which checks the card only."""
    count = len(restaurant)
    party = rng.choice([1, 2, 3, 4, 6], count, p=[0.2, 0.46, 0.14, 0.15, 0.05])
    bill = HEAD_PRICE[places.level[restaurant] - 1] * party * spending * rng.lognormal(0, 0.35, count)
    cents = np.maximum(np.round(bill * _KIND_FACTOR[kind] / 10) * 10, 500)
    gift = rng.choice(_GIFT_CARDS, count, p=[0.16, 0.12, 0.3, 0.24, 0.13, 0.05])
    cents = np.where(kind == GIFT_CARD, gift, cents)
    return np.where((kind == DEPOSIT) & (rng.random(count) < _GUARANTEE_ONLY), 0, cents).astype(np.int64)


def seconds_of_day(
    rng: np.random.Generator, places: Places, restaurant: Ints, kind: Ints, evening: Floats | float = 0.0
) -> Ints:
    """Local time of day: around lunch and dinner at the restaurant's rhythm; deposits and gift cards all day long.

    `evening` leans towards dinner: what to add to the restaurant's share of dinners.
    """
    count = len(restaurant)
    dinner = rng.random(count) < places.dinner[restaurant] + evening
    meal = np.where(dinner, rng.normal(20.9, 1.05, count), rng.normal(14.1, 0.9, count)) * HOUR
    meal = np.clip(meal, places.opens[restaurant] + rng.integers(300, 5_400, count), places.closes[restaurant])
    awake = (8 + 16 * rng.beta(1.7, 1.6, count)) * HOUR
    # A few are night owls, so that the hour alone convicts nobody.
    awake = np.where(rng.random(count) < 0.04, rng.uniform(0, 8, count) * HOUR, awake)
    seconds = np.where((kind == DEPOSIT) | (kind == GIFT_CARD), awake, meal)
    return np.clip(seconds, 0, DAY - 1).astype(np.int64)


def unseen(rng: np.random.Generator, events: Events) -> Events:
    """The same transactions with what the platform does not get to see: orders by telephone have neither device nor
    address, those at a desk often no device id, and the restaurant's own terminal tells neither.
    """
    chance = rng.random(len(events))
    ordered = (events.kind == DELIVERY) | (events.kind == DEPOSIT)
    blind = (ordered & (chance < 0.03)) | ((events.kind == DINE_IN) & (chance > 0.97))
    no_device = blind | (~blind & (chance > 0.4) & (chance < 0.425))
    return replace(events, device=np.where(no_device, -1, events.device), address=np.where(blind, -1, events.address))


def paid_back(rng: np.random.Generator, bought: Events, least: int, median: float) -> Events:
    """A refund of each transaction, in whole or half of it, at least so many seconds after it and usually `median`."""
    count = len(bought)
    later = least + (median * rng.lognormal(0, 0.8, count)).astype(np.int64)
    cents = np.where(rng.random(count) < 0.8, bought.cents, bought.cents // 20 * 10)
    return replace(bought, time=bought.time + later, cents=-cents, kind=np.full(count, REFUND))
