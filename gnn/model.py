"""The graph neural network: a TF-GNN model over whatever entity types the schema has.

The batch becomes a heterogeneous `GraphTensor`: a node set for each entity type and level, an
edge set for each block of children. Weights belong to node types and relations, not to levels.
States flow from the leaves to the root: each level's nodes send gated messages, a parent pools
them per relation (mean, maximum, logarithm of the count) and updates its own state from them.

All edge sets into one level are pooled in one scatter, because a graph of many small operations
would spend the service's time on calling them, not on computing.
"""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from numpy.typing import NDArray

from gnn.blocks import ROOT, Sizes, block_plan, node_sets
from gnn.layers import (
    POOLED,
    FeatureNormalisation,
    LevelPooling,
    NodeEncoder,
    Scaling,
    StateUpdate,
    Tensor,
    joined,
    tf,
    tfgnn,
)
from gnn.tensors import EgoBatch

_RAW = "features"


def _glorot(seed: int, index: int) -> Any:
    return tf.keras.initializers.GlorotUniform(seed=seed * 1000 + index)


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
        self._sizes = Sizes.of(self._plan)
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
            receive = _graph_update(f"receive_{level}", receivers, [tfgnn.HIDDEN_STATE, POOLED])
            first = self._plan.index(blocks[0])
            self._rounds.append((level - 1, slice(first, first + len(blocks)), pooling, receive))

    def input_signature(self) -> list[Any]:
        """Specs of `features`, `nodes`, `slots`, `received` and `sizes`, with free numbers of roots and nodes."""
        spec = [tf.TensorSpec((None, self.n_features), tf.float32, "features")]
        if self.messages:
            spec += [
                tf.TensorSpec((None, self.n_node_features), tf.float32, "nodes"),
                tf.TensorSpec((None, 1), tf.int64, "slots"),
                tf.TensorSpec((None, 3), tf.float32, "received"),
                tf.TensorSpec((sum(astuple(self._sizes)),), tf.int64, "sizes"),
            ]
        return spec

    def tensors(self, batch: EgoBatch) -> tuple[NDArray[Any], ...]:
        """The arrays of a batch that this network takes, in the order of its signature."""
        arrays = (batch.features, batch.nodes, batch.slots, batch.received, batch.sizes)
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
            nodes, slots, received, sizes = inputs[1:]
            _, levels, tables, rows, blocks = tf.split(sizes, astuple(self._sizes))
            graph = self._encode(self.graph(root, nodes, slots, sizes))
            of_level = list(zip(tf.split(slots, levels), tf.split(received, tables), strict=True))
            counts = tf.split(blocks, len(self._plan))
            for level, here, pooling, receive in self._rounds:
                graph = receive(pooling(graph, *of_level[level], rows[here], counts[here]))
            embedding = graph.node_sets[ROOT][tfgnn.HIDDEN_STATE]
            own = [graph.node_sets[f"{name}_1"][tfgnn.HIDDEN_STATE] for name in self.entities]
            outputs["entities"] = joined(own)
        else:
            embedding = self._root_update(({tfgnn.HIDDEN_STATE: root, POOLED: root[:, :0]}, {}, {}))
        logit = tf.squeeze(self._readout(embedding), axis=1)
        return {"logit": logit, "embedding": embedding, **outputs}

    def graph(self, root: Tensor, nodes: Tensor, slots: Tensor, sizes: Tensor) -> Any:
        """The batch as a scalar GraphTensor; edges run from child to parent."""
        names = node_sets(self._plan)
        in_sets, _, _, rows, blocks = tf.split(sizes, astuple(self._sizes))
        from_fields = tfgnn.NodeSet.from_fields
        n_roots = tf.shape(root, out_type=tf.int64)[:1]
        node_pieces = {ROOT: from_fields(features={tfgnn.HIDDEN_STATE: root}, sizes=n_roots)}
        own = zip(names, tf.split(nodes, in_sets), tf.split(in_sets, len(names)), strict=True)
        for name, features, size in own:
            node_pieces[name] = from_fields(features={_RAW: features}, sizes=size)
        edge_pieces = {}
        positions: dict[str, Tensor] = {}
        starts: dict[int, Tensor] = {}
        parts = (
            tf.split(tf.squeeze(slots, axis=1), blocks),
            tf.split(blocks, len(self._plan)),
            tf.split(rows, len(self._plan)),
        )
        for block, slot, size, received in zip(self._plan, *parts, strict=True):
            nothing = tf.constant([0], tf.int64)
            first, start = positions.get(block.node_set, nothing), starts.get(block.level, nothing)
            source = first[0] + tf.range(size[0])
            positions[block.node_set], starts[block.level] = first + size, start + received
            adjacency = tfgnn.Adjacency.from_indices((block.node_set, source), (block.parent_set, slot - start))
            edge_pieces[block.name] = tfgnn.EdgeSet.from_fields(sizes=size, adjacency=adjacency)
        return tfgnn.GraphTensor.from_pieces(node_sets=node_pieces, edge_sets=edge_pieces)
