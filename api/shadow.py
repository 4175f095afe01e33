"""A challenger beside the champion: it scores the same transactions from the same features, and nobody waits for it.

The champion's look-up is shared, so a challenger costs its models' work alone, on a thread of its own, in steps of
many transactions. Where it cannot keep up, transactions are left out and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

import numpy as np
from numpy.typing import NDArray

from api.model_meters import ModelMeters
from api.shadow_log import Shadowed, ShadowLog
from gnn.candidates import joined
from gnn.scoring import Answer
from gnn.servable import Servable
from gnn.tensors import EgoStore

log = logging.getLogger(__name__)

Seen = tuple[NDArray[np.float32], EgoStore]
"""Features and ego-graphs of a batch, as `gnn.scorer.Scorer.seen`."""
Watcher = Callable[[Sequence[str], str, Sequence[Answer], Seen | None], object]
"""Takes a batch: transaction ids, model version, answers, and what was seen. It must not raise."""

_PAUSE_SECONDS = 0.05
_STEP = 256
_MOST_WAITING = 2_048
"""Transactions, at some kilobytes each."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A batch that the champion has scored: what it saw and what it made of it."""

    transaction_ids: Sequence[str]
    decided_at: int
    champion: str
    answers: Sequence[Answer]
    features: NDArray[np.float32]
    egos: EgoStore


class Shadow:
    """Scores what it is offered, on a thread of its own, and keeps both models' decisions.

    Args:
        servable: the challenger, which has the columns and features of the champion.
        path: the file of its decisions.

    Attributes:
        name: the challenger's bundle.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, servable: Servable, path: Path, meters: ModelMeters) -> None:
        self.name = servable.name
        self._servable = servable
        self._meters = meters
        self._log = ShadowLog(path)
        self._waiting: deque[_Seen] = deque()
        # Each is written by one thread only; their difference is what waits.
        self._offered = 0
        self._taken = 0
        self._ending = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._run, name="quipu-shadow", daemon=True)
        self._thread.start()

    def offer(
        self,
        transaction_ids: Sequence[str],
        champion: str,
        answers: Sequence[Answer],
        seen: Seen | None,
    ) -> None:
        """Gives a batch to the challenger, or drops it where too much waits. Quick; it never raises.

        Args:
            champion: the bundle that gave these answers.
            seen: features and ego-graphs of the batch; the ego-graphs are copied.
        """
        n = len(answers)
        if seen is None or self._offered - self._taken + n > _MOST_WAITING:
            self._meters.dropped.inc(n)
            return
        features, egos = seen
        kept = EgoStore(egos.entities, egos.nodes.copy(), egos.parents.copy(), egos.counts.copy(), egos.offsets)
        self._offered += n
        self._waiting.append(_Seen(transaction_ids, time_ns() // 1000, champion, answers, features, kept))

    def close(self) -> None:
        """Scores what waits, and ends. Not to be called where `offer` may still be."""
        self._ending.set()
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE_SECONDS):
            self._step()
        while self._waiting:
            self._step()

    def _step(self) -> None:
        batches: list[_Seen] = []
        rows = 0
        while self._waiting and (not batches or rows + len(self._waiting[0].answers) <= _STEP):
            batches.append(self._waiting.popleft())
            rows += len(batches[-1].answers)
        if not batches:
            return
        try:
            self._compare(batches)
            self._told = False
        except Exception as error:
            self._meters.failed.inc(rows)
            if not self._told:
                self._told = True
                log.warning("the challenger %s could not be compared: %s", self.name, error)
        self._taken += rows

    def _compare(self, batches: list[_Seen]) -> None:
        features = np.concatenate([batch.features for batch in batches])
        egos = joined([batch.egos for batch in batches], batches[0].egos.entities)
        probabilities = self._servable.predictor.predict(features, egos).probability.tolist()
        band = self._servable.serving.policy.band
        decided = [
            (transaction_id, batch, answer)
            for batch in batches
            for transaction_id, answer in zip(batch.transaction_ids, batch.answers, strict=True)
        ]
        rows = [
            Shadowed(
                transaction_id,
                batch.decided_at,
                batch.champion,
                answer.probability,
                answer.band,
                self.name,
                probability,
                band(probability),
            )
            for (transaction_id, batch, answer), probability in zip(decided, probabilities, strict=True)
        ]
        self._log.append(rows)
        for row in rows:
            self._meters.compared[row.champion_band, row.challenger_band].inc()
