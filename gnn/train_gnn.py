"""Training of the graph neural network."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.blocks import block_plan
from gnn.layers import Scaling, tf
from gnn.model import EgoNetwork
from gnn.tensors import EgoBatch, EgoStore, collate
from graph.errors import NotEnoughData
from graph.progress import Progress

_SCALING_EGOS = 20_000
_PREDICT_BATCH = 1024
_SAMPLE = 64
_SMALLEST_BATCH = 32
_AS_GOOD = 0.01
"""Of average precision: less than this tells no epoch from another."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GnnSettings:
    """How the network is trained.

    Attributes:
        epochs: passes over the frauds; more where the data is so small that `min_steps` would not be met.
        min_steps: fewest optimiser steps.
        batch: most roots in one step.
        negatives_per_fraud: genuine transactions drawn afresh in each epoch, per fraud.
        learning_rate: at the start; falls to a hundredth along a cosine.
        weight_decay: of AdamW; biases are left out.
        hidden: width of node states and of the embedding.
        messages: False trains the same network without the graph, for comparison.
        seed: of initial weights and of sampling; the same seed on the same data gives the same network.
        threads: of TensorFlow; takes effect where TensorFlow has not run anything before in the process.
    """

    epochs: int = 5
    min_steps: int = 160
    batch: int = 512
    negatives_per_fraud: int = 15
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    hidden: int = 48
    messages: bool = True
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to: mean loss, and average precision on the weighted validation rows (NaN without any)."""

    loss: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class TrainedGnn:
    """A trained network.

    Attributes:
        network: the model, weights of its `best_epoch`.
        history: every epoch, in order.
        sample: a few training roots, which `gnn.export` checks the exported files with.
    """

    network: EgoNetwork
    history: tuple[Epoch, ...]
    sample: EgoBatch

    @property
    def best_epoch(self) -> int:
        """Which epoch's weights these are, from 1: the last that is about as good on the validation rows as any.

        Without such rows, the last of all. One that looks best half-way is so by luck as a rule: the learning rate
        is yet to fall.
        """
        precision = np.array([epoch.average_precision for epoch in self.history])
        return 1 + int(np.flatnonzero(~(precision < precision.max() - _AS_GOOD))[-1])

    def predict(
        self, store: EgoStore, features: NDArray[np.float32], indices: Rows | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits float32[n] and embeddings float32[n, hidden] of these rows (all, by default), in their order."""
        rows = np.arange(len(store), dtype=np.int64) if indices is None else indices
        return _predict(self.network, store, features, rows)


def train(
    store: EgoStore,
    features: NDArray[np.float32],
    y: NDArray[Any],
    weights: NDArray[Any],
    settings: GnnSettings,
    *,
    validation: Rows | None = None,
    progress: Progress,
) -> TrainedGnn:
    """Trains on candidate transactions: all frauds and a pool of genuine ones.

    Sampling is undone in the logits: they are log-odds in the candidates as weighted, so a genuine
    row that stands for k transactions should weigh k.

    Args:
        store: ego-graphs of the n candidates, each as of its own time.
        features: float32[n, P], their as-of features; NaN is missing.
        y: bool[n], fraud.
        weights: float[n], weight of each row in the loss; rows of weight 0 are left out.
        validation: rows kept out of training, to choose the epoch by.

    Raises:
        NotEnoughData: no fraud or no genuine transaction to train on.
    """
    _configure(settings.threads)
    fraud = np.asarray(y, bool)
    weight = np.asarray(weights, np.float64)
    usable = weight > 0
    if validation is not None:
        usable[validation] = False
    positives, negatives = np.flatnonzero(usable & fraud), np.flatnonzero(usable & ~fraud)
    if not len(positives) or not len(negatives):
        raise NotEnoughData(
            f"the graph network has {len(positives)} frauds and {len(negatives)} genuine transactions to train on",
            hint="ingest labels, or train up to a later time so that more labels are known",
        )
    drawn = min(len(negatives), settings.negatives_per_fraud * len(positives))
    batch = int(np.clip((len(positives) + drawn) // 16, _SMALLEST_BATCH, settings.batch))
    steps = -(-(len(positives) + drawn) // batch)
    epochs = max(settings.epochs, -(-settings.min_steps // steps))
    # In a sample the frauds are more frequent than among the weighted candidates; the offset takes that back.
    log_odds = math.log(weight[positives].sum() / weight[negatives].sum())
    offset = math.log(len(positives) / drawn) - log_odds
    loss_weight = np.zeros(len(weight), np.float32)
    for rows in (positives, negatives):
        loss_weight[rows] = weight[rows] / weight[rows].mean()

    random = np.random.default_rng(settings.seed)
    training = np.flatnonzero(usable)
    network = EgoNetwork(
        store.entities,
        _scaling(store, features, training, random),
        hidden=settings.hidden,
        messages=settings.messages,
        seed=settings.seed,
        log_odds=log_odds,
    )
    sample = collate(store, features, random.choice(training, min(_SAMPLE, len(training)), replace=False))
    network(network.tensors(sample))  # builds the variables
    step = _training_step(network, settings, epochs * steps, offset)

    history: list[Epoch] = []
    states: list[list[NDArray[np.float32]]] = []
    with progress.stage("training the graph network", total=epochs * steps) as advance:
        for _ in range(epochs):
            loss = 0.0
            rows = np.concatenate([positives, random.choice(negatives, drawn, replace=False)])
            random.shuffle(rows)
            for part in np.array_split(rows, steps):
                tensors = network.tensors(collate(store, features, part))
                loss += float(step(fraud[part].astype(np.float32), loss_weight[part], *tensors)) / steps
                advance(1)
            precision = math.nan
            if validation is not None:
                logits, _ = _predict(network, store, features, validation)
                precision = _average_precision(fraud[validation], logits, weight[validation])
                states.append(network.get_weights())
            history.append(Epoch(loss, precision))
    trained = TrainedGnn(network, tuple(history), sample)
    if states:
        network.set_weights(states[trained.best_epoch - 1])
    return trained


def _configure(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow has started already: its threads stay as they are
        return


def _training_step(network: EgoNetwork, settings: GnnSettings, steps: int, offset: float) -> Any:
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps, alpha=0.01)
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(network.trainable_variables)
    per_root = tf.TensorSpec((None,), tf.float32)

    @tf.function(input_signature=[per_root, per_root, *network.input_signature()])
    def step(y: Any, weight: Any, *tensors: Any) -> Any:
        with tf.GradientTape() as tape:
            logit = network(tensors)["logit"] + offset
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logit)
            loss = tf.reduce_mean(losses * weight)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    return step


def _predict(
    network: EgoNetwork, store: EgoStore, features: NDArray[np.float32], rows: Rows
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    logits = np.empty(len(rows), np.float32)
    embeddings = np.empty((len(rows), network.hidden), np.float32)
    for start in range(0, len(rows), _PREDICT_BATCH):
        part = slice(start, start + _PREDICT_BATCH)
        output = network.forward(*network.tensors(collate(store, features, rows[part])))
        logits[part] = output["logit"].numpy()
        embeddings[part] = output["embedding"].numpy()
    return logits, embeddings


def _average_precision(fraud: NDArray[np.bool_], logits: NDArray[np.float32], weight: NDArray[np.float64]) -> float:
    if not fraud.any():
        return math.nan
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(fraud, logits, sample_weight=weight))


def _scaling(store: EgoStore, features: NDArray[np.float32], rows: Rows, random: np.random.Generator) -> Scaling:
    """Means and deviations of the training rows (nodes: of a sample of their ego-graphs)."""
    mean, deviation = _moments(Scaling.compressed(features[rows]), smallest=1e-3)
    chosen = rows if len(rows) <= _SCALING_EGOS else random.choice(rows, _SCALING_EGOS, replace=False)
    batch = collate(store, features[:, :0], chosen)
    node_mean, node_deviation = {}, {}
    for name in store.entities:
        nodes = np.concatenate(list(_blocks_of(batch, store.entities, name)))
        # Rare flags would be blown up by their small deviation.
        node_mean[name], node_deviation[name] = _moments(nodes, smallest=0.1)
    return Scaling(mean, deviation, node_mean, node_deviation)


def _blocks_of(batch: EgoBatch, entities: tuple[str, ...], node_type: str) -> Iterator[NDArray[np.float32]]:
    ends = np.cumsum(batch.counts)
    for block, count, end in zip(block_plan(entities), batch.counts, ends, strict=True):
        if block.node_type == node_type:
            yield batch.nodes[end - count : end]


def _moments(values: NDArray[np.float32], smallest: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of each column's finite values; 0 and 1 where there are none or they are all equal."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, 0).astype(np.float64)
    mean = filled.sum(axis=0) / count
    deviation = np.sqrt((np.where(known, filled - mean, 0) ** 2).sum(axis=0) / count)
    deviation = np.where(deviation > 1e-6, np.maximum(deviation, smallest), 1.0)
    return mean.astype(np.float32), deviation.astype(np.float32)
