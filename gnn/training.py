"""Training: from a history, as known at one moment, to a predictor, its policy and its figures.

The labelled history is cut in time. Head, network and anomaly forest train on the earlier part;
the blend of their scores, its calibration and the thresholds are fitted on the later part, which none
of them has seen. Then head and network train again on all of it, for as many trees and epochs as the first round
showed to be right. Nothing known at or after the moment of training enters.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gnn.anomaly import train_anomaly
from gnn.calibration import Blend
from gnn.candidates import Candidates, choose_candidates, joined
from gnn.catalogue import Catalogue
from gnn.head import HeadInfo, HeadSettings, Rows, train_head
from gnn.labelled import Split, label_delays, split_labelled
from gnn.policy import Costs, Policy
from gnn.promise import promised, volume
from gnn.replay import History, Replay
from gnn.trees import Forest
from gnn.unlabelled import prior_forest, share_of_prior
from graph.progress import Progress
from graph.records import GraphSchema

if TYPE_CHECKING:
    from gnn.train_gnn import TrainedGnn

_FEWEST_GNN_FRAUDS = 20
_ANOMALY_ROWS = 256
_LATEST_ROWS = 1_000
"""Fewer of the latest transactions than these add nothing to what held-out ones tell of the number of alerts."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a model is trained.

    Attributes:
        network: whether to train the graph network.
        messages: whether the network passes messages (False: the same network without the graph, for ablation).
        ego_nodes: most ego-graph nodes kept for training; 64 bytes each.
        negatives: most genuine transactions whose ego-graphs are kept.
        seed: of every random choice.
        head: settings of the boosted head.
        costs: what decisions cost.
    """

    network: bool = True
    messages: bool = True
    ego_nodes: int = 12_000_000
    negatives: int = 120_000
    seed: int = 0
    head: HeadSettings = field(default_factory=HeadSettings)
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    Attributes:
        head, anomaly: forests; network: the graph network or None.
        blend, policy: fitted on the later part.
        gnn_base: the network's mean log-odds on the later part.
        figures: counts, times and validation figures, for the manifest.
    """

    head: Forest
    anomaly: Forest
    network: "TrainedGnn | None"
    blend: Blend
    policy: Policy
    gnn_base: float
    figures: dict[str, Any]


def replay_for_training(
    history: History, until_row: int, settings: TrainingSettings, progress: Progress
) -> tuple[NDArray[np.float32], Candidates, Replay]:
    """Replays the first `until_row` rows; returns their features, the candidates, and the replay to go on with."""
    chosen, drawn, share = choose_candidates(
        history, until_row, ego_nodes=settings.ego_nodes, negatives=settings.negatives, seed=settings.seed
    )
    replay = Replay(history)
    features = np.empty((until_row, len(Catalogue.of(history.schema))), np.float32)
    parts = []
    with progress.stage("features as of each transaction", total=until_row) as advance:
        for first, end, values, egos in replay.run(until_row, egos=chosen):
            features[first:end] = values
            parts.append(egos)
            advance(end - first)
    return (
        features,
        Candidates.of(chosen[:until_row], drawn, joined(parts, history.schema.entities), share),
        replay,
    )


def train_models(
    history: History,
    features: NDArray[np.float32],
    candidates: Candidates,
    at: int,
    settings: TrainingSettings,
    progress: Progress,
) -> Trained:
    """Trains on what was known at time `at` (microseconds UTC) of the rows that have features.

    Where no fraud is known, what needs no labels ranks alone (`gnn.unlabelled`).

    Raises:
        NotEnoughData: nothing but fraud is known, or there are too few transactions.
    """
    until_row = int(np.searchsorted(history.arrived_at[: len(features)], at))
    split = split_labelled(history, until_row, at)
    seed, y = settings.seed, split.y
    held_back = len(split.late) < len(split.both) and split.early is not split.late
    validation = Rows.of(features[split.late], y[split.late]) if held_back else None
    with progress.stage("anomaly forest"):
        pool = split.early
        if len(pool) < _ANOMALY_ROWS:  # it needs no labels
            pool = np.setdiff1d(np.arange(until_row), split.late) if held_back else np.arange(until_row)
        sample = np.sort(np.random.default_rng(seed).choice(pool, min(len(pool), 50_000), replace=False))
        anomaly = train_anomaly(features[sample], seed=seed)
    heads = _Heads(features, y, anomaly, sample, history.schema, settings, progress)
    head, info = heads.train(split.early, validation=validation)
    network, places = _train_network(features, candidates, split, settings, progress)
    late = places.late
    scores = _scores(head, anomaly, network, features, candidates, late)
    gnn_base = 0.0 if scores["gnn"] is None else float(np.average(scores["gnn"], weights=places.weight[late]))
    late_y = y[candidates.rows[late]]
    unlabelled = not y.any()
    blend = Blend(("head",), (1.0,), 0.0) if unlabelled else Blend.fit(scores, late_y, places.weight[late])
    probability = _probability(blend, scores)
    amount = history.amount[candidates.rows[late]] / 100.0
    policy = Policy.choose(probability, late_y, amount, settings.costs, places.weight[late])
    promise = promised(policy, probability, late_y, amount, places.weight[late])
    epochs = [] if network is None else [asdict(epoch) for epoch in network.history]
    if held_back:
        head, _ = heads.train(split.both, rounds=[max(1, round(trees * 1.1)) for trees in info.rounds])
        if network is not None:
            network = _train_on(features, candidates, y, places, settings, progress, epochs=network.best_epoch)
        latest = _latest(history, candidates, split)
        if len(latest) >= _LATEST_ROWS:
            unseen = _probability(blend, _scores(head, anomaly, network, features, candidates, latest))
            weight = np.concatenate([places.weight[late], np.full(len(latest), 1 / candidates.share)])
            promise |= volume(policy, np.concatenate([probability, unseen]), weight)
    label_delay = label_delays(history, until_row, at)
    figures = {
        "transactions": until_row,
        "labelled": 0 if unlabelled else len(split.both) if held_back else len(split.early),
        "frauds": int(y[split.both].sum()) if held_back else int(y[split.early].sum()),
        "trained_until": at,
        "validation": {
            "from": int(history.occurred_at[split.late[0]]),
            "rows": len(split.late),
            "frauds": int(late_y.sum()),
            "average_precision_head": info.validation_ap,
            "average_precision": {}
            if unlabelled
            else {
                name: weighted_average_precision(values, late_y, places.weight[late])
                for name, values in {**scores, "blend": probability}.items()
                if values is not None
            },
        },
        "promised": promise,
        "head": {"rounds": info.rounds, "rows": info.rows, "chosen_by": info.chosen_by},
        "network": {"epochs": epochs} if epochs else None,
        "label_delay_days": label_delay,
        "gain": dict(zip(Catalogue.of(history.schema).names, np.round(info.gain, 6).tolist(), strict=True)),
    }
    return Trained(head, anomaly, network, blend, policy, gnn_base, figures)


def _scores(
    head: Forest,
    anomaly: Forest,
    network: "TrainedGnn | None",
    features: NDArray[np.float32],
    candidates: Candidates,
    places: NDArray[np.int64],
) -> dict[str, NDArray[np.float64] | None]:
    """What each model says of the candidates at these places, float64 each; None where there is no model."""
    rows = features[candidates.rows[places]]
    logits = None if network is None else network.predict(candidates.egos, features[candidates.rows], places)[0]
    return {
        "head": head.predict(rows),
        "anomaly": anomaly.predict(rows),
        "gnn": None if logits is None else logits.astype(np.float64),
    }


def _probability(blend: Blend, scores: dict[str, NDArray[np.float64] | None]) -> NDArray[np.float64]:
    return blend.probabilities({name: values for name, values in scores.items() if values is not None})


def _latest(history: History, candidates: Candidates, split: Split) -> NDArray[np.int64]:
    """Places of candidates drawn at random that occurred after all that models learn from."""
    rows = candidates.rows
    after = history.occurred_at[rows] > history.occurred_at[split.both].max()
    return np.flatnonzero(candidates.drawn & after & (rows < len(split.y)))


class _Heads:
    """Trains heads on some of the rows; the fewer frauds these have, the more counts what needs no labels."""

    def __init__(
        self,
        features: NDArray[np.float32],
        y: NDArray[np.bool_],
        anomaly: Forest,
        usual: NDArray[np.int64],
        schema: GraphSchema,
        settings: TrainingSettings,
        progress: Progress,
    ) -> None:
        self._features, self._y, self._anomaly, self._usual = features, y, anomaly, usual
        self._names, self._settings, self._progress = Catalogue.of(schema).names, settings, progress

    def train(
        self, rows: NDArray[np.int64], *, validation: Rows | None = None, rounds: list[int] | None = None
    ) -> tuple[Forest, HeadInfo]:
        """A head, and what its training came to."""
        frauds = int(self._y[rows].sum())
        share = share_of_prior(frauds)
        prior = prior_forest(self._features[self._usual], self._names, self._anomaly) if share else self._anomaly
        if frauds == 0:
            return prior, HeadInfo((), "no labels", None, len(rows), 0, np.zeros(len(self._names)))
        learnt, info = train_head(
            self._features[rows],
            self._y[rows],
            validation=validation,
            rounds=rounds,
            seed=self._settings.seed,
            settings=self._settings.head,
            progress=self._progress,
        )
        return (Forest.combined([learnt, prior], [1 - share, share]) if share else learnt), info


@dataclass(frozen=True, slots=True)
class _Places:
    """Places in the candidates of the split's rows, and how many transactions each stands for."""

    early: NDArray[np.int64]
    late: NDArray[np.int64]
    weight: NDArray[np.float64]


def _train_network(
    features: NDArray[np.float32],
    candidates: Candidates,
    split: Split,
    settings: TrainingSettings,
    progress: Progress,
) -> tuple["TrainedGnn | None", _Places]:
    where = np.full(len(split.y), -1, np.int64)
    inside = np.flatnonzero(candidates.rows < len(split.y))
    inside = inside[split.y[candidates.rows[inside]] | candidates.drawn[inside]]
    where[candidates.rows[inside]] = inside
    early, late = (where[part][where[part] >= 0] for part in (split.early, split.late))
    weight = np.zeros(len(candidates.rows))
    used = np.concatenate([early, late])
    weight[used] = np.where(split.y[candidates.rows[used]], 1.0, 1.0 / candidates.share)
    places = _Places(early, late, weight)
    frauds = int(split.y[candidates.rows[early]].sum())
    if not settings.network or frauds < _FEWEST_GNN_FRAUDS or frauds == len(early):
        return None, places
    validation = None if np.array_equal(early, late) or len(late) == len(used) else late
    return _train_on(features, candidates, split.y, places, settings, progress, validation=validation), places


def _train_on(
    features: NDArray[np.float32],
    candidates: Candidates,
    y: NDArray[np.bool_],
    places: _Places,
    settings: TrainingSettings,
    progress: Progress,
    *,
    validation: NDArray[np.int64] | None = None,
    epochs: int | None = None,
) -> "TrainedGnn":
    """Trains the network on the weighted candidates but those of `validation`; for so many epochs, where given."""
    with progress.stage("starting TensorFlow"):
        from gnn.train_gnn import GnnSettings, train

    chosen = GnnSettings(seed=settings.seed, messages=settings.messages)
    known = np.concatenate([y, np.zeros(len(features) - len(y), np.bool_)])
    return train(
        candidates.egos,
        features[candidates.rows],
        known[candidates.rows],
        places.weight,
        chosen if epochs is None else replace(chosen, epochs=epochs, min_steps=1),
        validation=validation,
        progress=progress,
    )


def weighted_average_precision(score: NDArray[Any], y: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """Average precision where each row stands for `weight` transactions; NaN without any fraud."""
    order = np.argsort(-score, kind="stable")
    fraud = y[order] * weight[order]
    precision = np.cumsum(fraud) / np.maximum(np.cumsum(weight[order]), 1e-12)
    return float((precision * fraud).sum() / fraud.sum()) if fraud.sum() else float("nan")
