"""The layers of the graph neural network, and TensorFlow set up for them."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.blocks import Block

__all__ = [
    "POOLED",
    "FeatureNormalisation",
    "LevelPooling",
    "NodeEncoder",
    "Scaling",
    "StateUpdate",
    "Tensor",
    "joined",
    "tf",
    "tfgnn",
]  # TensorFlow is taken from here, so that it is set up first

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TF-GNN is written for Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without standard error: TensorFlow's C++ part writes to it while it loads, whatever its log level."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _quiet():
    import tensorflow as tf
    import tensorflow_gnn as tfgnn

tf.get_logger().setLevel("ERROR")

POOLED = "pooled"
"""What a level pooled for a node, as a feature of its node set."""
_CLIP = 6.0

Tensor = Any


@dataclass(frozen=True, slots=True)
class Scaling:
    """Mean and standard deviation of training inputs.

    Attributes:
        feature_mean, feature_deviation: float32[P], of the signed logarithm of the as-of features.
        node_mean, node_deviation: float32[F] by entity type.
    """

    feature_mean: NDArray[np.float32]
    feature_deviation: NDArray[np.float32]
    node_mean: dict[str, NDArray[np.float32]]
    node_deviation: dict[str, NDArray[np.float32]]

    @staticmethod
    def compressed(features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The signed logarithm log1p of as-of features, of any shape; NaN stays NaN."""
        with np.errstate(invalid="ignore"):
            return np.sign(features) * np.log1p(np.abs(features))


class FeatureNormalisation(tf.keras.layers.Layer):  # type: ignore[misc]
    """As-of features to inputs: signed log1p, standardised, clipped at ±6; missing is 0, with an indicator.

    float32[B, P] -> float32[B, 2P].
    """

    def __init__(self, scaling: Scaling, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        constant = tf.keras.initializers.Constant
        width = len(scaling.feature_mean)
        self._mean = self.add_weight("mean", (width,), initializer=constant(scaling.feature_mean), trainable=False)
        self._rate = self.add_weight(
            "rate", (width,), initializer=constant(1.0 / scaling.feature_deviation), trainable=False
        )

    def call(self, features: Tensor) -> Tensor:
        missing = tf.math.is_nan(features)
        known = tf.where(missing, 0.0, features)
        scaled = (tf.sign(known) * tf.math.log(1.0 + tf.abs(known)) - self._mean) * self._rate
        # A missing value stands for the mean of the known ones, which is 0 after scaling.
        indicator = tf.cast(missing, tf.float32)
        clipped = tf.clip_by_value(scaled, -_CLIP, _CLIP) * (1.0 - indicator)
        return tf.concat([clipped, indicator], axis=-1)


class NodeEncoder(tf.keras.layers.Layer):  # type: ignore[misc]
    """First state of the nodes of one type: a dense layer over standardised node features.

    The standardisation is folded into the kernel, so that it costs nothing when serving. A next-state
    layer of `tfgnn.keras.layers.NodeSetUpdate`.
    """

    def __init__(
        self, units: int, mean: NDArray[np.float32], deviation: NDArray[np.float32], seed: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        constant = tf.keras.initializers.Constant
        width = len(mean)
        self._mean = self.add_weight("mean", (1, width), initializer=constant(mean[None]), trainable=False)
        self._rate = self.add_weight(
            "rate", (width, 1), initializer=constant(1.0 / deviation[:, None]), trainable=False
        )
        self._kernel = self.add_weight("kernel", (width, units), initializer=seed)
        self._bias = self.add_weight("bias", (units,), initializer="zeros")

    def call(self, inputs: tuple[Tensor, Any, Any]) -> Tensor:
        kernel = self._kernel * self._rate
        bias = self._bias - tf.squeeze(tf.matmul(self._mean, kernel), axis=0)
        return tf.nn.relu(tf.matmul(inputs[0], kernel) + bias)


class StateUpdate(tf.keras.layers.Layer):  # type: ignore[misc]
    """Next state of the nodes of one type from their state and what was pooled for them.

    A next-state layer of `tfgnn.keras.layers.NodeSetUpdate`.
    """

    def __init__(self, units: int, seed: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._dense = tf.keras.layers.Dense(units, "relu", kernel_initializer=seed, name="dense")

    def call(self, inputs: tuple[dict[str, Tensor], Any, Any]) -> Tensor:
        return self._dense(tf.concat([inputs[0][tfgnn.HIDDEN_STATE], inputs[0][POOLED]], axis=-1))


class LevelPooling(tf.keras.layers.Layer):  # type: ignore[misc]
    """Pools gated messages along all edge sets into one level.

    The receiving node sets get the feature `pooled`: for each relation the mean and maximum of the
    messages, whether there was any, and log1p of how many. Each (edge set, receiver) is one slot of
    a single scatter, so the number of operations hardly grows with the number of entity types.

    Args:
        blocks: the level's blocks; edge sets have their names.
        messages: dense layer to value and gate (2 x units), by relation.
    """

    def __init__(self, blocks: Sequence[Block], messages: dict[str, Any], units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._blocks = tuple(blocks)
        self._messages = messages
        self._units = units

    def call(self, graph: Any, slots: Tensor, received: Tensor, rows: Tensor, counts: Sequence[Tensor]) -> Any:
        """The graph with `pooled`.

        Args:
            graph: with a state for every node that sends.
            slots, received: the level's part of those of `EgoBatch`.
            rows: int64[blocks], rows of each block in the level's table. counts: nodes of each block, [1] each.
        """
        senders = self._senders(graph, counts)
        parts = [self._messages[block.relation](state) for block, state in zip(self._blocks, senders, strict=True)]
        value, gate = tf.split(joined(parts), 2, axis=1)
        message = tf.nn.relu(value) * tf.sigmoid(gate)
        divisor, told = tf.split(received, [1, 2], axis=1)
        empty = divisor * tf.zeros((1, self._units))
        total = tf.tensor_scatter_nd_add(empty, slots, message)
        highest = tf.tensor_scatter_nd_max(empty, slots, message)
        pooled = tf.concat([total / divisor, highest, told], axis=1)

        by_set: dict[str, list[Tensor]] = {}
        for block, part in zip(self._blocks, tf.split(pooled, rows), strict=True):
            by_set.setdefault(block.parent_set, []).append(part)
        updated = {
            name: graph.node_sets[name].get_features_dict() | {POOLED: joined(columns, axis=1)}
            for name, columns in by_set.items()
        }
        return graph.replace_features(node_sets=updated)

    def _senders(self, graph: Any, counts: Sequence[Tensor]) -> list[Tensor]:
        """States of each block's nodes: its share of its node set, whose blocks stand in order."""
        states: list[Tensor] = []
        for name in dict.fromkeys(block.node_set for block in self._blocks):
            state = graph.node_sets[name][tfgnn.HIDDEN_STATE]
            sizes = [size for block, size in zip(self._blocks, counts, strict=True) if block.node_set == name]
            states.extend([state] if len(sizes) == 1 else tf.split(state, tf.concat(sizes, axis=0)))
        return states


def joined(parts: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The parts one after another; a single one as it is."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=axis)
