"""The transactions by which a model is explained to people: those its companions are trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnn.candidates import Candidates, selected
from gnn.catalogue import Catalogue
from gnn.companions import Companions
from gnn.predictor import Predictor
from gnn.tensors import EgoStore

_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Audit:
    """Transactions as the models see them.

    Attributes:
        features: float32[n, P], as of each transaction's time; egos: their ego-graphs.
    """

    features: NDArray[np.float32]
    egos: EgoStore

    @classmethod
    def of(cls, candidates: Candidates, features: NDArray[np.float32], *, seed: int = 0) -> "Audit":
        """At most 20,000 of the candidates that were drawn at random, in order of time."""
        drawn = np.flatnonzero(candidates.drawn)
        places = np.sort(np.random.default_rng(seed).choice(drawn, min(len(drawn), _ROWS), replace=False))
        return cls(features[candidates.rows[places]], selected(candidates.egos, places))

    def companions(self, predictor: Predictor, catalogue: Catalogue) -> Companions | None:
        """The model's companions; None where there are too few transactions."""
        probability = predictor.predict(self.features, self.egos).probability
        titles = [feature.title for feature in catalogue]
        return Companions.of(self.features, probability, catalogue.names, titles)
