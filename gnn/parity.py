"""A few transactions that a bundle carries with the probabilities they had when it was written.

Whoever loads the bundle scores them again: on another machine, with other versions of libraries, or with code that
reads the models in another way, a difference is found before the first decision instead of after the last.
"""

import io
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gnn.bundle import Bundle
from gnn.candidates import Candidates, selected
from gnn.predictor import Predictor
from gnn.tensors import EgoStore
from gnn.trees import Forest
from graph.errors import BundleError

SAMPLE = "sample.npz"

_ROWS = 50
_MOST_OFF = 1e-5
"""Of a probability. Processors differ in the last bits of a network's float32; whatever is wrong differs by more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Transactions as the models see them; no ids, keys or names.

    Attributes:
        features: float32[n, P], as of each transaction's time; egos: their ego-graphs.
    """

    features: NDArray[np.float32]
    egos: EgoStore

    @classmethod
    def of(cls, candidates: Candidates, features: NDArray[np.float32], head: Forest) -> "Sample":
        """Some 50 of a training's candidates: half of them spread over its time, half from the most suspicious down.

        Args:
            features: float32[n, P] of all rows.
            head: says what is suspicious.
        """
        n = len(candidates.rows)
        half = min(n, _ROWS // 2)
        in_time = np.linspace(0, n - 1, half).astype(np.int64)
        suspicious = np.argsort(-head.predict(features[candidates.rows]), kind="stable")
        places = np.union1d(in_time, suspicious[np.geomspace(1, n, half).astype(np.int64) - 1])
        return cls(features[candidates.rows[places]], selected(candidates.egos, places))

    def packed(self, predictor: Predictor) -> bytes:
        """The content of a bundle's `sample.npz`: the sample, and what these models make of it."""
        buffer = io.BytesIO()
        egos = self.egos
        np.savez_compressed(
            buffer,
            features=self.features,
            nodes=egos.nodes,
            parents=egos.parents,
            counts=egos.counts,
            offsets=egos.offsets,
            probability=predictor.predict(self.features, egos).probability,
        )
        return buffer.getvalue()


def check_parity(bundle: Bundle, predictor: Predictor, entities: tuple[str, ...]) -> int:
    """Scores a bundle's sample; returns how many rows it has, 0 for a bundle of a version that wrote none.

    It also brings the models into memory: what is slow at its first run has run then.

    Args:
        predictor: the bundle's models.
        entities: of the bundle's schema.

    Raises:
        BundleError: a probability differs from the one written, or the sample does not fit the models.
    """
    if SAMPLE not in bundle.manifest["files"]:
        return 0
    sample, expected = _read(bundle, entities)
    try:
        found = predictor.predict(sample.features, sample.egos, explain=True).probability
        # One by one is how most decisions are made, and other code in the network's runtime.
        alone = predictor.predict(sample.features[:1], selected(sample.egos, np.zeros(1, np.int64))).probability
    except Exception as error:  # onnxruntime raises a class of its own for each status code
        raise BundleError(
            f"the models of bundle {bundle.name} cannot score its sample: {error}", hint="train again"
        ) from error
    off = np.abs(np.concatenate([found, alone]) - np.concatenate([expected, expected[:1]]))
    if not (off <= _MOST_OFF).all():
        worst = int(np.argmax(np.where(np.isnan(off), np.inf, off))) % len(expected)
        raise BundleError(
            f"bundle {bundle.name} scores otherwise here than where it was trained: {found[worst]:.6f} in place of "
            f"{expected[worst]:.6f}, the farthest off of {len(expected)} transactions that it carries along",
            hint="train again with this version of Quipu and its libraries",
        )
    return len(expected)


def _read(bundle: Bundle, entities: tuple[str, ...]) -> tuple[Sample, NDArray[np.float64]]:
    try:
        with np.load(bundle.file(SAMPLE), allow_pickle=False) as file:
            egos = EgoStore(entities, file["nodes"], file["parents"], file["counts"], file["offsets"])
            features, expected = file["features"], file["probability"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BundleError(f"{SAMPLE} of bundle {bundle.name} cannot be read: {error}", hint="train again") from error
    if features.ndim != 2 or features.dtype != np.float32 or expected.shape != (len(egos),) or not len(egos):
        raise BundleError(f"{SAMPLE} of bundle {bundle.name} contradicts itself", hint="train again")
    return Sample(features, egos), expected
