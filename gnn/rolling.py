"""Replay with models that are trained as it goes: what a backtest and an ablation share.

Each transaction is scored as of its own time by the newest models trained before; these know only what was known
at their training. Labels that become known in between enter features then, and later trainings; never before.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gnn.bundle import open_bundle
from gnn.candidates import Candidates, choose_candidates, joined, selected
from gnn.labelled import as_text
from gnn.policy import Policy
from gnn.predictor import Predictor
from gnn.promise import flagged_share
from gnn.replay import History, Replay
from gnn.serving import load_predictor, save_bundle
from gnn.tensors import EgoStore
from gnn.training import TrainingSettings, train_models
from graph.errors import InputError, NotEnoughData
from graph.progress import Progress

_MOST_TRAININGS = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """What is to be scored of a history.

    Attributes:
        scored: bool[n], the rows that occurred in [start, end).
        rows: their numbers, ascending.
        start, end: microseconds UTC.
    """

    scored: NDArray[np.bool_]
    rows: NDArray[np.int64]
    start: int
    end: int

    @classmethod
    def of(cls, history: History, start: int, until: int | None) -> "Period":
        """The period from `start` to `until` (by default to the end of history).

        Raises:
            NotEnoughData: the history is empty.
            InputError: nothing occurred in the period.
        """
        if not len(history):
            raise NotEnoughData("there are no transactions to score", hint="load some first: quipu ingest MAPPING")
        end = int(history.occurred_at.max(initial=0)) + 1 if until is None else until
        scored = (history.occurred_at >= start) & (history.occurred_at < end)
        if not scored.any():
            raise InputError(
                "no transaction occurred in the period to score",
                hint="choose --train-until (and --until) inside the time that the store covers",
            )
        return cls(scored, np.flatnonzero(scored), start, end)

    def trainings(self, arrived_at: NDArray[np.int64], every: int | None) -> list[int]:
        """Times to train at: the start and every so often until the end, where a row arrives before the next one.

        Args:
            arrived_at: int64[n] of the history's rows.
            every: microseconds; without it the start alone.

        Raises:
            InputError: they are more than 1,000.
        """
        step = min(every or self.end - self.start, self.end - self.start)
        turn = np.clip((arrived_at[self.rows] - self.start) // step, 0, (self.end - self.start - 1) // step)
        turns = np.unique(turn)
        if len(turns) > _MOST_TRAININGS:
            raise InputError(
                f"{len(turns):,} trainings in one backtest are too many (at most {_MOST_TRAININGS:,})",
                hint="choose a longer --retrain-every, or a shorter period",
            )
        return [self.start + int(i) * step for i in turns]


class Scorer(Protocol):
    """Whatever was trained at one time: from n features and ego-graphs to float64[n, k], k scores a row."""

    def score(self, features: NDArray[np.float32], egos: EgoStore) -> NDArray[np.float64]: ...


M = TypeVar("M", bound=Scorer)

Trainer = Callable[[NDArray[np.float32], Candidates, int], M]
"""Trains at a time (microseconds UTC) on the features and candidates of the rows that have arrived by then.

Raises NotEnoughData where too little is known."""


class Rolling(Generic[M]):
    """A replay that scores with the newest model as it goes, and keeps what later trainings need.

    Args:
        facts: what features and ego-graphs are made of, row by row the same transactions (by default `history`
            itself): a history with something taken out shows what that was worth.
        columns: k, how many scores a model gives a row.

    Attributes:
        score: float64[n, k], NaN where nothing has been scored.
        version: int32[n], the place in `models` of the one that scored a row; -1 where none did.
        models: all that were in use, in order.
    """

    def __init__(
        self,
        history: History,
        period: Period,
        train: Trainer[M],
        settings: TrainingSettings,
        progress: Progress,
        *,
        facts: History | None = None,
        columns: int = 1,
    ) -> None:
        self.score = np.full((len(history), columns), np.nan)
        self.version = np.full(len(history), -1, np.int32)
        self.models: list[M] = []
        self._history, self._period, self._train, self._progress = history, period, train, progress
        self._last_row = int(period.rows[-1]) + 1
        self._candidates, self._drawn, self._share = choose_candidates(
            history,
            self._last_row,
            ego_nodes=settings.ego_nodes,
            negatives=settings.negatives,
            seed=settings.seed,
        )
        self._replay = Replay(facts or history)
        self._features = np.empty((self._last_row, len(self._replay.catalogue)), np.float32)
        self._parts: list[EgoStore] = []
        self._keep = True

    def run(self, retrain_every: int | None) -> None:
        """Trains at the start of the period and every so often (microseconds), and scores all of it.

        A training whose model would score nothing before the next one is left out; one for which too little is
        known leaves the model in use.

        Raises:
            InputError: `retrain_every` means more than 1,000 trainings.
            NotEnoughData: too little was known at the first training.
        """
        trainings = self._period.trainings(self._history.arrived_at, retrain_every)
        self._keep = len(trainings) > 1
        for at in trainings:
            # A row that is said to have arrived before it occurred is scored all the same, by the first model.
            reached = int(np.searchsorted(self._history.arrived_at, at))
            self._advance(reached if self.models else min(reached, int(self._period.rows[0])))
            self._renew(at)
        self._advance(self._last_row)

    def _advance(self, until_row: int) -> None:
        """Replays up to a row, scoring what is to be scored with the model there is."""
        until_row = min(until_row, self._last_row)
        model = self.models[-1] if self.models else None
        if until_row <= self._replay.at:
            return
        keep = self._candidates if model is None or self._keep else np.zeros_like(self._candidates)
        wanted = keep if model is None else keep | self._period.scored
        name = "features as of each transaction" if model is None else "scoring"
        with self._progress.stage(name, total=until_row - self._replay.at) as advance:
            for first, end, features, egos in self._replay.run(until_row, egos=wanted):
                self._features[first:end] = features
                rows = first + np.flatnonzero(wanted[first:end])
                kept = keep[rows]
                self._parts.append(egos if kept.all() else selected(egos, np.flatnonzero(kept)))
                if model is not None:
                    due = np.flatnonzero(self._period.scored[rows])
                    self.score[rows[due]] = model.score(features[rows[due] - first], selected(egos, due))
                    self.version[rows[due]] = len(self.models) - 1
                advance(end - first)

    def _renew(self, at: int) -> None:
        """Puts a new model in use; where too little is known for one, an earlier one stays."""
        upto = self._replay.at
        try:
            if not upto:
                raise NotEnoughData(
                    f"no transaction had arrived before {as_text(at)} to train on",
                    hint="choose a later time to train at",
                )
            egos = joined(self._parts, self._history.schema.entities)
            candidates = Candidates.of(self._candidates[:upto], self._drawn, egos, self._share)
            self.models.append(self._train(self._features[:upto], candidates, at))
        except NotEnoughData:
            if not self.models:
                raise


@dataclass(frozen=True, slots=True)
class Served:
    """A model as the service would load it from its bundle.

    Attributes:
        predictor, policy: see there.
        version: the bundle's name.
        promised_share: the share of transactions that it promises to flag (see `gnn.promise`).
    """

    predictor: Predictor
    policy: Policy
    version: str
    promised_share: float

    def score(self, features: NDArray[np.float32], egos: EgoStore) -> NDArray[np.float64]:
        """Probabilities, float64[n, 1]."""
        return self.predictor.predict(features, egos).probability[:, None]


def train_served(
    history: History,
    features: NDArray[np.float32],
    candidates: Candidates,
    at: int,
    settings: TrainingSettings,
    progress: Progress,
) -> Served:
    """Trains as `gnn.training.train_models` does, and takes the models by way of a bundle.

    Raises:
        NotEnoughData: too few labels of either kind.
    """
    trained = train_models(history, features, candidates, at, settings, progress)
    with tempfile.TemporaryDirectory(prefix="quipu-backtest-") as folder:
        bundle = open_bundle(save_bundle(Path(folder), trained, history, features))
        predictor, serving = load_predictor(bundle)
        return Served(predictor, serving.policy, bundle.name, flagged_share(trained.figures["promised"]))
