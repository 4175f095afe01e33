"""The graph neural network: a TF-GNN model over whatever entity types the schema has.

The batch becomes a heterogeneous `GraphTensor`: a node set for each entity type and level, an
edge set for each block of children. Weights belong to node types and relations, not to levels.
States flow from the leaves to the root: each level's nodes send gated messages, a parent pools
them per relation (mean, maximum, logarithm of the count) and updates its own state from them.

All edge sets into one level are pooled in one scatter, because a graph of many small operations
would spend the service's time on calling them, not on computing.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.tensors import ROOT, Block, EgoBatch, block_plan, node_sets

__all__ = [
    "EgoNetwork",
    "LevelPooling",
    "Scaling",
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

_POOLED = "pooled"
_RAW = "features"
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


def _glorot(seed: int, index: int) -> Any:
    return tf.keras.initializers.GlorotUniform(seed=seed * 1000 + index)


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
        known = tf.where(missing, tf.zeros_like(features), features)
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
        return self._dense(tf.concat([inputs[0][tfgnn.HIDDEN_STATE], inputs[0][_POOLED]], axis=-1))


class LevelPooling(tf.keras.layers.Layer):  # type: ignore[misc]
    """Pools gated messages along all edge sets into one level; GraphTensor -> GraphTensor.

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

    def call(self, graph: Any) -> Any:
        parts, slots = [], []
        sizes = tf.concat([graph.node_sets[block.parent_set].sizes for block in self._blocks], axis=0)
        starts = tf.split(tf.cumsum(sizes, exclusive=True), len(self._blocks))
        senders = self._senders(graph)
        for block, start, state in zip(self._blocks, starts, senders, strict=True):
            parts.append(self._messages[block.relation](state))
            slots.append(graph.edge_sets[block.name].adjacency.target + start)
        value, gate = tf.split(_concat(parts), 2, axis=1)
        message = tf.nn.relu(value) * tf.sigmoid(gate)
        # The column of ones counts in the sum, and tells "any" in the maximum.
        message = tf.concat([message, tf.ones_like(message[:, :1])], axis=1)
        index = tf.expand_dims(_concat(slots), 1)
        empty = tf.zeros(tf.stack([tf.reduce_sum(sizes), self._units + 1]))
        total, count = tf.split(tf.tensor_scatter_nd_add(empty, index, message), [self._units, 1], axis=1)
        highest = tf.tensor_scatter_nd_max(empty, index, message)
        pooled = tf.concat([total / tf.maximum(count, 1.0), highest, tf.math.log(1.0 + count)], axis=1)

        by_set: dict[str, list[Tensor]] = {}
        for block, part in zip(self._blocks, tf.split(pooled, sizes), strict=True):
            by_set.setdefault(block.parent_set, []).append(part)
        received = {
            name: graph.node_sets[name].get_features_dict() | {_POOLED: _concat(columns, axis=1)}
            for name, columns in by_set.items()
        }
        return graph.replace_features(node_sets=received)

    def _senders(self, graph: Any) -> list[Tensor]:
        """States of each block's nodes: its share of its node set, whose blocks stand in order."""
        states = []
        for name in dict.fromkeys(block.node_set for block in self._blocks):
            state = graph.node_sets[name][tfgnn.HIDDEN_STATE]
            blocks = [block for block in self._blocks if block.node_set == name]
            if len(blocks) == 1:
                states.append(state)
            else:
                sizes = tf.concat([graph.edge_sets[block.name].sizes for block in blocks], axis=0)
                states.extend(tf.split(state, sizes))
        return states


def _concat(parts: Sequence[Tensor], axis: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=axis)


def _graph_update(name: str, next_states: dict[str, Any], inputs: str | list[str]) -> Any:
    """A GraphUpdate that gives each of these node sets its next state from its own features `inputs`."""
    updates = {
        node_set: tfgnn.keras.layers.NodeSetUpdate({}, layer, node_input_feature=inputs, name=f"{name}_{i}")
        for i, (node_set, layer) in enumerate(next_states.items())
    }
    return tfgnn.keras.layers.GraphUpdate(node_sets=updates, name=name)


class EgoNetwork(tf.keras.Model):  # type: ignore[misc]
    """Logit and embedding of each root of a batch of ego-graphs.

    Args:
        entities: entity types, the user first.
        scaling: of the training inputs; its widths are the widths of the inputs.
        hidden: width of all node states and of the embedding.
        messages: False leaves the graph out: the same network over the as-of features only.
        seed: of the initial weights.
        log_odds: of fraud in general, where the logit starts.

    Attributes:
        forward: the call as a compiled function of the separate tensors of `input_signature`.
    """

    def __init__(
        self,
        entities: tuple[str, ...],
        scaling: Scaling,
        *,
        hidden: int,
        messages: bool = True,
        seed: int = 0,
        log_odds: float = 0.0,
    ) -> None:
        # Every layer has a name of its own: TensorFlow orders sums by names, and names that count up
        # within a process would make the second network trained in it differ from the first.
        super().__init__(name="ego_network")
        self.entities = entities
        self.messages = messages
        self.hidden = hidden
        self.n_features = len(scaling.feature_mean)
        self.n_node_features = len(scaling.node_mean[entities[0]])
        self._plan = block_plan(entities)
        dense, constant = tf.keras.layers.Dense, tf.keras.initializers.Constant
        self._normalise = FeatureNormalisation(scaling, name="normalise")
        self._root_encoder = dense(2 * hidden, "relu", kernel_initializer=_glorot(seed, 1), name="encode_root")
        self._root_update = StateUpdate(hidden, _glorot(seed, 2), name="update_root")
        self._readout = dense(
            1, kernel_initializer=_glorot(seed, 3), bias_initializer=constant(log_odds), name="readout"
        )
        if messages:
            self._build_messages(scaling, seed)
        self.forward = tf.function(lambda *tensors: self(tensors), input_signature=self.input_signature())

    def _build_messages(self, scaling: Scaling, seed: int) -> None:
        entities, hidden = self.entities, self.hidden
        encoders, updates = {}, {ROOT: self._root_update}
        for i, kind in enumerate(entities):
            mean, deviation = scaling.node_mean[kind], scaling.node_deviation[kind]
            encoders[kind] = NodeEncoder(hidden, mean, deviation, _glorot(seed, 100 + i), name=f"encode_{i}")
            updates[kind] = StateUpdate(hidden, _glorot(seed, 200 + i), name=f"update_{i}")
        messages = {
            relation: tf.keras.layers.Dense(2 * hidden, kernel_initializer=_glorot(seed, 300 + i), name=f"message_{i}")
            for i, relation in enumerate(dict.fromkeys(block.relation for block in self._plan))
        }
        types = {ROOT: ROOT} | {block.node_set: block.node_type for block in self._plan}
        self._encode = _graph_update("encode", {name: encoders[types[name]] for name in node_sets(self._plan)}, _RAW)
        self._rounds = []
        for level in sorted({block.level for block in self._plan}, reverse=True):
            blocks = [block for block in self._plan if block.level == level]
            receivers = {block.parent_set: updates[types[block.parent_set]] for block in blocks}
            pooling = LevelPooling(blocks, messages, hidden, name=f"pool_{level}")
            self._rounds.append((pooling, _graph_update(f"receive_{level}", receivers, [tfgnn.HIDDEN_STATE, _POOLED])))

    def input_signature(self) -> list[Any]:
        """Specs of `features`, `nodes`, `parents` and `counts`, with free numbers of roots and nodes."""
        spec = [tf.TensorSpec((None, self.n_features), tf.float32, "features")]
        if self.messages:
            spec += [
                tf.TensorSpec((None, self.n_node_features), tf.float32, "nodes"),
                tf.TensorSpec((None,), tf.int32, "parents"),
                tf.TensorSpec((len(self._plan),), tf.int32, "counts"),
            ]
        return spec

    def tensors(self, batch: EgoBatch) -> tuple[NDArray[Any], ...]:
        """The arrays of a batch that this network takes, in the order of its signature."""
        arrays = (batch.features, batch.nodes, batch.parents, batch.counts)
        return arrays if self.messages else arrays[:1]

    def call(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """From the tensors of an `EgoBatch` (without messages: of `features` only).

        Returns:
            `logit` float32[B], `embedding` float32[B, hidden] (root state before the readout) and, with
            messages, `entities` float32[N1, hidden]: states of the level-1 nodes, in the order of their rows.
        """
        root = self._root_encoder(self._normalise(inputs[0]))
        outputs = {}
        if self.messages:
            graph = self._encode(self.graph(root, *inputs[1:]))
            for pooling, receive in self._rounds:
                graph = receive(pooling(graph))
            embedding = graph.node_sets[ROOT][tfgnn.HIDDEN_STATE]
            own = [graph.node_sets[f"{name}_1"][tfgnn.HIDDEN_STATE] for name in self.entities]
            outputs["entities"] = _concat(own)
        else:
            embedding = self._root_update(({tfgnn.HIDDEN_STATE: root, _POOLED: root[:, :0]}, {}, {}))
        logit = tf.squeeze(self._readout(embedding), axis=1)
        return {"logit": logit, "embedding": embedding, **outputs}

    def graph(self, root: Tensor, nodes: Tensor, parents: Tensor, counts: Tensor) -> Any:
        """The batch as a scalar GraphTensor; edges run from child to parent."""
        counts = tf.cast(counts, tf.int64)
        sets = node_sets(self._plan)
        members = np.array([[block.node_set == name for name in sets] for block in self._plan], np.int64)
        set_sizes = tf.squeeze(tf.matmul(tf.expand_dims(counts, 0), tf.constant(members)), axis=0)
        sizes = dict(zip(sets, tf.split(set_sizes, len(sets)), strict=True))
        features = dict(zip(sets, tf.split(nodes, set_sizes), strict=True))
        n_roots = tf.shape(root, out_type=tf.int64)[:1]
        from_fields = tfgnn.NodeSet.from_fields
        node_pieces = {ROOT: from_fields(features={tfgnn.HIDDEN_STATE: root}, sizes=n_roots)}
        for name in sets:
            node_pieces[name] = from_fields(features={_RAW: features[name]}, sizes=sizes[name])
        edge_pieces = {}
        positions: dict[str, Tensor] = {}
        targets = tf.split(tf.cast(parents, tf.int64), counts)
        block_sizes = tf.split(counts, len(self._plan))
        for block, target, size in zip(self._plan, targets, block_sizes, strict=True):
            first = positions.get(block.node_set, tf.constant([0], tf.int64))
            source = first[0] + tf.range(size[0])
            positions[block.node_set] = first + size
            adjacency = tfgnn.Adjacency.from_indices((block.node_set, source), (block.parent_set, target))
            edge_pieces[block.name] = tfgnn.EdgeSet.from_fields(sizes=size, adjacency=adjacency)
        return tfgnn.GraphTensor.from_pieces(node_sets=node_pieces, edge_sets=edge_pieces)
