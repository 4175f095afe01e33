"""Backtest: each transaction of a period scored as of its own time, by models trained only on what was known before.

Labels that become known during the period enter features then, and later trainings; never before.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnn.bundle import open_bundle
from gnn.policy import Policy
from gnn.predictor import Predictor
from gnn.replay import History, Replay, read_history
from gnn.serving import load_predictor, save_bundle
from gnn.tensors import EgoStore
from gnn.training import Candidates, TrainingSettings, as_text, choose_candidates, joined, selected, train_models
from graph.errors import InputError, NotEnoughData
from graph.progress import Progress, Silent
from graph.records import TIMESTAMP
from graph.store import Store

_MOST_TRAININGS = 1000


@dataclass(frozen=True, slots=True)
class _Model:
    predictor: Predictor
    policy: Policy
    version: str


def backtest(
    store: Store,
    *,
    train_until: int,
    until: int | None = None,
    retrain_every: int | None = None,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """Scores every transaction that occurred in [train_until, until), in order of occurrence.

    Args:
        train_until, until: microseconds UTC; without `until`, up to the end of history.
        retrain_every: microseconds between trainings; without it the first model scores all. A training whose
            model would score nothing before the next one is left out; one for which too little is known leaves
            the model in use.

    Returns:
        A table: transaction_id, occurred_at, probability, band, model_version, is_fraud (by the last label that ever
        became known; null where there is none), and user_id and amount for reports.

    Raises:
        InputError: the period is empty, or `retrain_every` means more than 1,000 trainings.
        NotEnoughData: too little was known at the first training.
    """
    watcher, chosen = progress or Silent(), settings or TrainingSettings()
    history = read_history(store, progress=watcher)
    if not len(history):
        raise NotEnoughData("there are no transactions to score", hint="load some first: quipu ingest MAPPING")
    end = int(history.occurred_at.max(initial=0)) + 1 if until is None else until
    scored = (history.occurred_at >= train_until) & (history.occurred_at < end)
    if not scored.any():
        raise InputError(
            "no transaction occurred in the period to score",
            hint="choose --train-until (and --until) inside the time that the store covers",
        )
    rows = np.flatnonzero(scored)
    first_row, last_row = int(rows[0]), int(rows[-1]) + 1
    trainings = _trainings(history.arrived_at[rows], train_until, end, retrain_every)
    run = _Run(history, scored, last_row, chosen, watcher, keep=len(trainings) > 1)
    for at in trainings:
        # A row that is said to have arrived before it occurred is scored all the same, by the first model.
        reached = int(np.searchsorted(history.arrived_at, at))
        run.advance(reached if run.models else min(reached, first_row))
        run.train(at)
    run.advance(last_row)
    return _table(store, history, rows, run)


def _trainings(arrived_at: NDArray[np.int64], start: int, end: int, every: int | None) -> list[int]:
    """Times to train at: `start` and every so often until `end`, where a row arrives before the next one."""
    step = min(every or end - start, end - start)
    turn = np.clip((arrived_at - start) // step, 0, (end - start - 1) // step)
    turns = np.unique(turn)
    if len(turns) > _MOST_TRAININGS:
        raise InputError(
            f"{len(turns):,} trainings in one backtest are too many (at most {_MOST_TRAININGS:,})",
            hint="choose a longer --retrain-every, or a shorter period",
        )
    return [start + int(i) * step for i in turns]


class _Run:
    """A replay that scores with the newest model as it goes, and keeps what later trainings need."""

    def __init__(
        self,
        history: History,
        scored: NDArray[np.bool_],
        last_row: int,
        settings: TrainingSettings,
        progress: Progress,
        *,
        keep: bool,
    ) -> None:
        self.history, self.settings, self.progress = history, settings, progress
        self.model: _Model | None = None
        self.probability = np.full(len(history), np.nan)
        self.version = np.full(len(history), -1, np.int32)
        self.models: list[_Model] = []
        self._scored, self._last_row, self._keep = scored, last_row, keep
        self._candidates, self._drawn, self._share = choose_candidates(history, last_row, settings)
        self._replay = Replay(history)
        self._features = np.empty((last_row, len(self._replay.catalogue)), np.float32)
        self._parts: list[EgoStore] = []

    def advance(self, until_row: int) -> None:
        """Replays up to a row, scoring what is to be scored with the model there is."""
        until_row = min(until_row, self._last_row)
        model = self.model
        if until_row <= self._replay.at:
            return
        keep = self._candidates if model is None or self._keep else np.zeros_like(self._candidates)
        wanted = keep if model is None else keep | self._scored
        name = "features as of each transaction" if model is None else "scoring"
        with self.progress.stage(name, total=until_row - self._replay.at) as advance:
            for first, end, features, egos in self._replay.run(until_row, egos=wanted):
                self._features[first:end] = features
                rows = first + np.flatnonzero(wanted[first:end])
                kept = keep[rows]
                self._parts.append(egos if kept.all() else selected(egos, np.flatnonzero(kept)))
                if model is not None:
                    due = np.flatnonzero(self._scored[rows])
                    prediction = model.predictor.predict(features[rows[due] - first], selected(egos, due))
                    self.probability[rows[due]] = prediction.probability
                    self.version[rows[due]] = len(self.models) - 1
                advance(end - first)

    def train(self, at: int) -> None:
        """Puts a new model in use; where too little is known for one, an earlier one stays."""
        try:
            self.model = self._trained(at)
        except NotEnoughData:
            if self.model is None:
                raise

    def _trained(self, at: int) -> _Model:
        """Trains as of `at` on what has been replayed, by way of a bundle, as the service would load it."""
        upto = self._replay.at
        if not upto:
            raise NotEnoughData(
                f"no transaction had arrived before {as_text(at)} to train on", hint="choose a later time to train at"
            )
        egos = joined(self._parts, self.history.schema.entities)
        candidates = Candidates.of(self._candidates[:upto], self._drawn, egos, self._share)
        trained = train_models(self.history, self._features[:upto], candidates, at, self.settings, self.progress)
        with tempfile.TemporaryDirectory(prefix="quipu-backtest-") as folder:
            bundle = open_bundle(save_bundle(Path(folder), trained, self.history, self._features[:upto]))
            predictor, serving = load_predictor(bundle)
            model = _Model(predictor, serving.policy, bundle.name)
        self.models.append(model)
        return model


def _table(store: Store, history: History, rows: NDArray[np.int64], run: _Run) -> pa.Table:
    rows = rows[np.argsort(history.occurred_at[rows], kind="stable")]
    label, _ = history.labels_as_of(None)
    probability, version = run.probability[rows], run.version[rows]
    bands = np.empty(len(rows), object)
    for i, model in enumerate(run.models):
        mine = version == i
        bands[mine] = model.policy.bands(probability[mine])
    names = np.array([model.version for model in run.models], object)
    return pa.table(
        {
            "transaction_id": pa.array(_transaction_ids(store, history.seq[rows])),
            "occurred_at": pa.array(history.occurred_at[rows]).cast(TIMESTAMP),
            "probability": probability,
            "band": pa.array(bands.tolist(), pa.string()),
            "model_version": pa.array(names[version].tolist(), pa.string()),
            "is_fraud": pa.array(label[rows] == 1, mask=label[rows] < 0),
            "user_id": pa.array(_keys(store, history.ids[rows, 0])),
            "amount": history.amount[rows] / 100.0,
        }
    )


def _transaction_ids(store: Store, seq: NDArray[np.int64]) -> Sequence[str]:
    ids = np.empty(int(seq.max()) + 1, object)
    for chunk in store.transaction_changes(int(seq.min()) - 1, with_ids=True):
        inside = chunk.seq < len(ids)
        ids[chunk.seq[inside]] = np.array(chunk.transaction_ids, object)[inside]
        if not inside.all():
            break
    return list(ids[seq])


def _keys(store: Store, numbers: NDArray[np.int32]) -> Sequence[str]:
    keys = [key for chunk in store.entity_keys() for key in chunk.keys]
    return [keys[number] for number in numbers.tolist()]
