"""The scoring path: look-up, ego-graph, models and reasons for a batch of questions, one after the other as of
each one's time. Free of any web framework; it needs no TensorFlow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.blocks import block_plan
from gnn.catalogue import Catalogue
from gnn.explain import Explainer
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.predictor import Predictor
from gnn.scoring import Answer, Question
from gnn.sentences import RingReached
from gnn.servable import Servable, load_servable
from gnn.tensors import EgoStore
from graph.compiled import kernel
from graph.ego import NODE_FEATURES, copy_out, empty_ego, most_nodes, sample
from graph.errors import BundleError
from graph.index import AsOfIndex
from graph.records import USER
from graph.state import post_row

_FRAUD = NODE_FEATURES.index("fraud_known")
_TRUNCATED = NODE_FEATURES.index("truncated")
_MOST_NAMED = 5


class Scorer:
    """Scores transactions against one as-of index with one bundle.

    One thread at a time may call `score`: it is the index's writer.

    Args:
        bundle: its directory, or what was loaded from it.

    Attributes:
        model_version: the bundle's name.
        schema: which entities, categories and numbers the model knows.
        feature_names: the catalogue's names, in order.
        seen: features float32[n, P] and ego-graphs of the latest batch, for other models to score; the next batch
            is written over the ego-graphs.

    Raises:
        BundleError: the bundle cannot be served (see `gnn.servable`), or was trained on other columns than the
            index has.
    """

    def __init__(self, bundle: Path | Servable, index: AsOfIndex) -> None:
        servable = bundle if isinstance(bundle, Servable) else load_servable(bundle)
        self.predictor: Predictor = servable.predictor
        serving = servable.serving
        self.seen: tuple[NDArray[np.float32], EgoStore] | None = None
        self.model_version = servable.name
        self.schema = serving.schema
        self.policy = serving.policy
        if index.schema.keyed != self.schema.keyed:
            raise BundleError(
                f"the index has the columns {', '.join(index.schema.keyed)}, "
                f"the model was trained on {', '.join(self.schema.keyed)}",
                hint="open the index with the bundle's schema",
            )
        catalogue = Catalogue.of(self.schema)
        self.feature_names = catalogue.names
        weights = dict(zip(self.predictor.blend.inputs, self.predictor.blend.weights, strict=True))
        self._explainer = Explainer(
            catalogue, self.schema.categories, weights.get("head", 0.0), weights.get("gnn", 0.0), serving.gnn_base
        )
        self._index = index
        entities = len(self.schema.entities)
        self._kinds = {name: i for i, name in enumerate(self.schema.keyed)}
        self._numeric = {name: i for i, name in enumerate(self.schema.numeric)}
        self._scratch = np.empty((3, 2 * WALK), np.int32)
        self._ego = empty_ego(entities)
        self._most = most_nodes(entities)
        plan = block_plan(self.schema.entities)
        self._of_type = np.array([[b.node_type == name for name in self.schema.entities] for b in plan], np.int64)
        self._peers = np.array([b.node_type == USER and b.level > 1 for b in plan])
        self._room(64)

    def _room(self, questions: int) -> None:
        self._nodes = np.empty((questions * self._most, len(NODE_FEATURES)), np.float32)
        self._parents = np.empty(questions * self._most, np.int16)
        self._linked = np.empty((questions, _MOST_NAMED), np.int32)
        self._truncated = np.empty(questions, np.bool_)
        self._counts = np.empty((questions, len(self._peers)), np.uint16)
        self._capacity = questions

    def score(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers questions in order, each as of its own time; those not indexed yet are appended to the index.

        A question sees the ones before it in the batch, where they occurred earlier.
        """
        if not questions:
            return []
        n = len(questions)
        if n > self._capacity:
            self._room(n)
        index = self._index
        ids = np.full((n, len(self._kinds)), -1, np.int32)
        numeric = np.full((n, len(self._numeric)), np.nan)
        occurred_at = np.empty(n, np.int64)
        amount = np.empty(n, np.int64)
        append = np.empty(n, np.bool_)
        for i, question in enumerate(questions):
            occurred_at[i] = question.occurred_at
            amount[i] = question.amount
            append[i] = not (question.indexed or index.owns(question.transaction_id))
            for name, key in question.entities.items():
                ids[i, self._kinds[name]] = index.id_for(self._kinds[name], key)
            for name, value in question.categories.items():
                ids[i, self._kinds[name]] = index.id_for(self._kinds[name], value)
            for name, number in question.numeric.items():
                numeric[i, self._numeric[name]] = number
        features = np.empty((n, len(self.feature_names)), np.float32)
        offsets = np.zeros(n + 1, np.int64)
        first_row = index.reserve(n)
        done = 0
        while done < n:
            done = int(
                _look_up(
                    index.state,
                    occurred_at,
                    amount,
                    ids,
                    numeric,
                    append,
                    len(self.schema.entities),
                    done,
                    self._scratch,
                    self._ego,
                    features,
                    self._nodes,
                    self._parents,
                    self._peers,
                    self._linked,
                    self._truncated,
                    self._counts,
                    offsets,
                )
            )
            if done < n:
                index.enlarge_pools()
        row = first_row
        for i, question in enumerate(questions):
            if append[i]:
                index.register(question.transaction_id, row)
                row += 1
        size = int(offsets[n])
        egos = EgoStore(self.schema.entities, self._nodes[:size], self._parents[:size], self._counts[:n], offsets)
        self.seen = features, egos
        return self._answers(questions, features, egos, ids)

    def _answers(
        self, questions: Sequence[Question], features: NDArray[np.float32], egos: EgoStore, ids: NDArray[np.int32]
    ) -> list[Answer]:
        prediction = self.predictor.predict(features, egos, explain=True)
        assert prediction.contributions is not None
        neighbourhoods = self._neighbourhoods(egos.counts)
        reasons = self._explainer.reasons(
            prediction.contributions,
            prediction.gnn,
            features,
            [{**question.entities, **question.categories} for question in questions],
            neighbourhoods,
            self._users_with_fraud,
            lambda i: self._ring_of(ids[i], questions[i].occurred_at),
        )
        band = self.policy.band
        return [
            Answer(probability, band(probability), why, neighbourhood, row.tobytes())
            for probability, why, neighbourhood, row in zip(
                prediction.probability.tolist(), reasons, neighbourhoods, features, strict=True
            )
        ]

    def _neighbourhoods(self, counts: NDArray[np.uint16]) -> list[dict[str, Any]]:
        """Each ego-graph's nodes by type, and whether a cap cut it."""
        n = len(counts)
        return [
            {
                "nodes": {kind: number for kind, number in zip(self.schema.entities, numbers, strict=True) if number},
                "truncated": truncated,
            }
            for numbers, truncated in zip((counts @ self._of_type).tolist(), self._truncated[:n].tolist(), strict=True)
        ]

    def _users_with_fraud(self, i: int) -> list[str]:
        """Other users in the i-th ego-graph of whom fraud is known; those at fewer hops first."""
        names = self._index.names
        return [names[number] for number in self._linked[i].tolist() if number >= 0]

    def _ring_of(self, ids: NDArray[np.int32], t: int) -> RingReached | None:
        """The ring that the first of these ids, those of entities, were in as of t."""
        kinds = self.schema.entities
        ring = self._index.ring_of(ids[: len(kinds)].tolist(), t)
        if ring is None:
            return None
        through = tuple(kinds[k] for k in ring.through)
        return RingReached(ring.ring_id, ring.score, ring.members, ring.confirmed, through, (t - ring.since) / 1e6)


@kernel
def _linked_fraud(ego, peers, linked):  # type: ignore[no-untyped-def]
    """Writes the first distinct other users with known fraud into `linked`; returns whether a cap cut the walk."""
    linked[:] = -1
    found = 0
    at = 0
    truncated = False
    for block in range(peers.shape[0]):
        for node in range(at, at + ego.counts[block]):
            if ego.nodes[node, _TRUNCATED] > 0:
                truncated = True
            if peers[block] and ego.nodes[node, _FRAUD] > 0 and found < linked.shape[0]:
                known = False
                for j in range(found):
                    if linked[j] == ego.ids[node]:
                        known = True
                if not known:
                    linked[found] = ego.ids[node]
                    found += 1
        at += ego.counts[block]
    return truncated


@kernel
def _look_up(  # type: ignore[no-untyped-def]
    s,
    occurred_at,
    amount,
    ids,
    numeric,
    append,
    entities,
    first,
    scratch,
    ego,
    features,
    nodes,
    parents,
    peers,
    linked,
    truncated,
    counts,
    offsets,
):
    """Features and ego-graphs of questions from `first` on, each appended before the next is looked at.

    Returns how many are done: fewer than there are where the postings' pools are full.
    """
    for i in range(first, occurred_at.shape[0]):
        fill(s, occurred_at[i], amount[i], ids[i], numeric[i], entities, scratch, features[i])
        size = sample(s, occurred_at[i], amount[i], ids[i], entities, ego)
        at = offsets[i]
        copy_out(ego, size, nodes, parents, at, counts, i)
        truncated[i] = _linked_fraud(ego, peers, linked[i])
        offsets[i + 1] = at + size
        if append[i]:
            row = s.counts[0]
            s.occurred_at[row] = occurred_at[i]
            s.amount[row] = amount[i]
            for k in range(ids.shape[1]):
                s.ids[row, k] = ids[i, k]
            s.first_label[row] = -1
            if not post_row(s, row):
                return i
            s.counts[0] = row + 1
    return occurred_at.shape[0]
