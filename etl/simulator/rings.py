"""The lives of rings: they start all the time, are blocked once enough is known, come back changed, and end."""

from dataclasses import dataclass, replace

import numpy as np

from etl.simulator.blocking import refused
from etl.simulator.events import Events, unseen
from etl.simulator.fraud import Scene, Style, Typology
from etl.simulator.labels import NEVER, reported_at
from etl.simulator.leftovers import Belongings, left_over, reused
from etl.simulator.pools import Flags, Ints
from etl.simulator.settings import DAY, HOUR, stream

_GOLDEN = 0.6180339887498949
_GENERATIONS = 4
_COMES_BACK = 0.65
_STAYS = 0.9
"""Of rings that come back, how many do so as those they were: in the same city, with what wasn't blocked."""


@dataclass(frozen=True, slots=True)
class Fraud:
    """What all rings of a period do, ring by ring.

    Attributes:
        events: the transactions.
        typology, ring: by number; -1 for honest transactions of fraudsters' accounts.
        generation: how many times the ring had been blocked before.
        reported_at: when the fraud becomes known, seconds since the epoch; `NEVER` where it doesn't.
    """

    events: Events
    typology: Ints
    ring: Ints
    generation: Ints
    reported_at: Ints

    def __len__(self) -> int:
        return len(self.typology)

    def take(self, rows: Ints | Flags) -> "Fraud":
        """Only these rows, in this order."""
        others = (self.typology[rows], self.ring[rows], self.generation[rows], self.reported_at[rows])
        return Fraud(self.events.take(rows), *others)

    @staticmethod
    def join(parts: "list[Fraud]") -> "Fraud":
        """All rows of all parts (at least one), one part after the other."""
        return Fraud(
            Events.join([part.events for part in parts]),
            np.concatenate([part.typology for part in parts]),
            np.concatenate([part.ring for part in parts]),
            np.concatenate([part.generation for part in parts]),
            np.concatenate([part.reported_at for part in parts]),
        )


def commit(scene: Scene, typologies: tuple[Typology, ...], transactions: int) -> Fraud | None:
    """Makes rings of each typology until its share of so many transactions is reached; None where none is wanted.

    Each typology gets at least one ring, as long as a tiny world has room for one more. Starts are spread evenly
    from before the first day to the last, so that some rings are at work when the period begins and some when it
    ends; what lies outside is cut off. A drifting world has more starts of some typologies early, of others late.
    """
    parts: list[Fraud] = []
    made = 0
    for number, typology in enumerate(typologies):
        if made >= transactions:
            break
        rng = stream(scene.settings.seed, f"fraud:{typology.name}")
        rings = _rings(rng, scene, typology, number, len(parts), transactions * typology.share)
        made += sum(int((ring.ring >= 0).sum()) for ring in rings)
        parts += rings
    return Fraud.join(parts) if parts else None


def _rings(
    rng: np.random.Generator, scene: Scene, typology: Typology, number: int, first: int, budget: float
) -> list[Fraud]:
    settings = scene.settings
    early = min(typology.lasts, settings.days) * DAY // 2
    span = settings.ends - settings.begins + early
    turn, made, misses = rng.random(), 0, 0
    rings: list[Fraud] = []
    # Where a tiny world has nobody to steal from, there is an end to trying.
    while misses < 100 and (not rings or made + made / len(rings) / 2 < budget):
        turn = (turn + _GOLDEN) % 1.0  # the golden ratio spreads any number of starts evenly
        start = settings.begins - early + int(turn * span)
        if rng.random() >= _chance(scene, typology, start):
            continue
        life = _life(rng, scene, typology, number, first + len(rings), start)
        inside = (life.events.time >= settings.begins) & (life.events.time < settings.ends)
        if (inside & (life.ring >= 0)).any():
            rings.append(life.take(inside))
            made += int((rings[-1].ring >= 0).sum())
        else:
            misses += 1
    return rings


def _chance(scene: Scene, typology: Typology, start: int) -> float:
    """How likely a ring of the typology starts at a time, relative to when it is most likely."""
    drift, passed = scene.settings.drift, float(scene.settings.passed(np.array(start)))
    if typology.late and passed < min(0.5, drift):
        return 0.0
    slope = drift * typology.trend
    return (1 + slope * (2 * passed - 1)) / (1 + abs(slope))


def _life(rng: np.random.Generator, scene: Scene, typology: Typology, number: int, ring: int, start: int) -> Fraud:
    """All that one ring does: until it ends, or until it is blocked and doesn't come back."""
    settings = scene.settings
    before = Belongings.so_far(scene)
    lives: list[Fraud] = []
    gone = np.empty(0, np.bool_)
    blocked_at = np.empty(0, np.int64)
    for generation in range(_GENERATIONS):
        drifted = settings.drift * float(settings.passed(np.array(start)))
        style = Style.draw(rng, drifted, generation)
        left = None
        if lives and rng.random() < _STAYS:
            past = Fraud.join(lives)
            left = left_over(scene, typology, before, past.events.take(~gone), blocked_at[~gone], start)
        new = Belongings.so_far(scene)
        events, is_fraud = typology.make(rng, replace(scene, left=left), start, style)
        if left is not None:
            events = reused(rng, events, new, left)
        events = unseen(rng, events)
        reports = reported_at(rng, events.time, np.full(len(events), typology.reported_after), typology.never_reported)
        reports = np.where(is_fraud, reports, NEVER)
        lives.append(
            Fraud(
                events,
                np.where(is_fraud, number, -1),
                np.where(is_fraud, ring, -1),
                np.full(len(events), generation),
                reports,
            )
        )
        # The platform takes some hours to act on a report.
        acted = np.where(reports == NEVER, NEVER, reports + rng.integers(2 * HOUR, 36 * HOUR, len(events)))
        blocked_at = np.append(blocked_at, acted)
        everything = Fraud.join(lives).events
        gone = refused(everything.user, everything.device, everything.time, blocked_at)
        # A ring learns that it is known when something new of it is first refused: what is left from before will be.
        told = gone[-len(events) :] & new.own(events)
        if not told.any() or rng.random() >= _COMES_BACK:
            break
        start = int(events.time[told].min()) + int(rng.uniform(1, 6) * DAY)
        if start >= settings.ends:
            break
    return Fraud.join(lives).take(~gone)
