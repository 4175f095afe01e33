"""The scoring path: look-up, ego-graph, models and reasons for a batch of questions, one after the other as of
each one's time. Free of any web framework; it needs no TensorFlow.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.batch_lookup import Batch, BatchLookup
from gnn.blocks import block_plan
from gnn.candidates import joined
from gnn.catalogue import Catalogue
from gnn.explain import Explainer
from gnn.predictor import Prediction, Predictor
from gnn.scoring import Answer, Question
from gnn.sentences import RingReached
from gnn.servable import Servable, load_servable
from gnn.tensors import EgoStore
from graph.errors import BundleError
from graph.index import AsOfIndex

_WORTH_A_THREAD = 4
"""Questions; to wake another thread for fewer takes longer than what it does."""


class Scorer:
    """Scores transactions against one as-of index with one bundle.

    One thread at a time may call `score`: it is the index's writer.

    Args:
        bundle: its directory, or what was loaded from it.

    Attributes:
        model_version: the bundle's name.
        schema: which entities, categories and numbers the model knows.
        feature_names: the catalogue's names, in order.
        new: by entity type, how many transactions of the latest batch named an entity never seen before.

    Raises:
        BundleError: the bundle cannot be served (see `gnn.servable`), or was trained on other columns than the
            index has.
    """

    def __init__(self, bundle: Path | Servable, index: AsOfIndex) -> None:
        servable = bundle if isinstance(bundle, Servable) else load_servable(bundle)
        self.predictor: Predictor = servable.predictor
        serving = servable.serving
        self.new: dict[str, int] = {}
        self._seen: tuple[NDArray[np.float32], list[EgoStore]] | None = None
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
        self._kinds = {name: i for i, name in enumerate(self.schema.keyed)}
        self._numeric = {name: i for i, name in enumerate(self.schema.numeric)}
        plan = block_plan(self.schema.entities)
        self._of_type = np.array([[b.node_type == name for name in self.schema.entities] for b in plan], np.int64)
        self._lookups = BatchLookup(self.schema.entities), BatchLookup(self.schema.entities)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="quipu-score")

    @property
    def seen(self) -> tuple[NDArray[np.float32], EgoStore] | None:
        """Features float32[n, P] and ego-graphs of the latest batch, for other models to score.

        The next batch may be written over the ego-graphs. None before the first.
        """
        if self._seen is None:
            return None
        features, parts = self._seen
        return features, parts[0] if len(parts) == 1 else joined(parts, self.schema.entities)

    def score(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers questions in order, each as of its own time; those not indexed yet are appended to the index.

        A question sees those of its batch that occurred before it, too.
        """
        if not questions:
            return []
        batch = self._asked(questions)
        self._append(questions, batch)
        if len(batch) < _WORTH_A_THREAD:
            egos, prediction = self._predicted(0, batch)
            self._seen = batch.features, [egos]
            return self._answers(questions, batch, prediction)
        half = len(batch) // 2
        mine, other = batch.part(slice(half)), batch.part(slice(half, None))
        beside = self._beside.submit(self._predicted, 1, other)
        try:
            egos, prediction = self._predicted(0, mine)
            answers = self._answers(questions[:half], mine, prediction)
        finally:
            begun = not beside.cancel()
            if begun:
                beside.exception()  # waits: it reads the index, which may change when this returns
        other_egos, prediction = beside.result() if begun else self._predicted(1, other)
        self._seen = batch.features, [egos, other_egos]
        return answers + self._answers(questions[half:], other, prediction)

    def _asked(self, questions: Sequence[Question]) -> Batch:
        """The questions as arrays. New keys get ids in the index."""
        index = self._index
        first_new = len(index.names)
        batch = Batch.empty(
            len(questions),
            keyed=len(self._kinds),
            numbers=len(self._numeric),
            features=len(self.feature_names),
            blocks=len(self._of_type),
        )
        for i, question in enumerate(questions):
            batch.occurred_at[i] = question.occurred_at
            batch.amount[i] = question.amount
            batch.append[i] = not (question.indexed or index.owns(question.transaction_id))
            for name, key in question.entities.items():
                batch.ids[i, self._kinds[name]] = index.id_for(self._kinds[name], key)
            for name, value in question.categories.items():
                batch.ids[i, self._kinds[name]] = index.id_for(self._kinds[name], value)
            for name, number in question.numeric.items():
                batch.numeric[i, self._numeric[name]] = number
        new = np.count_nonzero(batch.ids >= first_new, axis=0).tolist()
        self.new = {name: number for name, number in zip(self.schema.entities, new, strict=False) if number}
        return batch

    def _append(self, questions: Sequence[Question], batch: Batch) -> None:
        index = self._index
        row = index.reserve(len(batch))
        done = 0
        while (done := batch.post(index.state, done)) < len(batch):
            index.enlarge_pools()
        for question, append in zip(questions, batch.append.tolist(), strict=True):
            if append:
                index.register(question.transaction_id, row)
                row += 1

    def _predicted(self, thread: int, batch: Batch) -> tuple[EgoStore, Prediction]:
        egos = self._lookups[thread].look_up(self._index.state, batch)
        return egos, self.predictor.predict(batch.features, egos, explain=True, beside=False)

    def _answers(self, questions: Sequence[Question], batch: Batch, prediction: Prediction) -> list[Answer]:
        assert prediction.contributions is not None
        neighbourhoods = self._neighbourhoods(batch)
        reasons = self._explainer.reasons(
            prediction.contributions,
            prediction.gnn,
            batch.features,
            [{**question.entities, **question.categories} for question in questions],
            neighbourhoods,
            lambda i: self._users_with_fraud(batch.linked[i]),
            lambda i: self._ring_of(batch.ids[i], questions[i].occurred_at),
        )
        band = self.policy.band
        return [
            Answer(probability, band(probability), why, neighbourhood, row.tobytes())
            for probability, why, neighbourhood, row in zip(
                prediction.probability.tolist(), reasons, neighbourhoods, batch.features, strict=True
            )
        ]

    def _neighbourhoods(self, batch: Batch) -> list[dict[str, Any]]:
        """Each ego-graph's nodes by type, and whether a cap cut it."""
        return [
            {
                "nodes": {kind: number for kind, number in zip(self.schema.entities, numbers, strict=True) if number},
                "truncated": truncated,
            }
            for numbers, truncated in zip(
                (batch.counts @ self._of_type).tolist(), batch.truncated.tolist(), strict=True
            )
        ]

    def _users_with_fraud(self, linked: NDArray[np.int32]) -> list[str]:
        names = self._index.names
        return [names[number] for number in linked.tolist() if number >= 0]

    def _ring_of(self, ids: NDArray[np.int32], t: int) -> RingReached | None:
        """The ring that the first of these ids, those of entities, were in as of t."""
        kinds = self.schema.entities
        ring = self._index.ring_of(ids[: len(kinds)].tolist(), t)
        if ring is None:
            return None
        through = tuple(kinds[k] for k in ring.through)
        return RingReached(ring.ring_id, ring.score, ring.members, ring.confirmed, through, (t - ring.since) / 1e6)
