"""The exported graph neural network as the service runs it: onnxruntime, no TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from gnn.tensors import EgoBatch
from graph.errors import BundleError

_INPUTS = {"features": 2, "nodes": 2, "slots": 2, "received": 2, "sizes": 1}
_OUTPUTS = ("logit", "embedding")


class Network:
    """A `gnn.onnx`, loaded. Safe to share between threads: `run` keeps no state and releases the GIL.

    A root's result does not depend on the other roots of its batch (up to 1e-6).

    Attributes:
        n_features, n_node_features, n_sizes: widths it takes; the last two are 0 for a network without messages.
        hidden: width of embeddings.

    Raises:
        BundleError: the file is missing, damaged, or not such a network.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Memory plans are kept for each combination of input shapes, which here hardly ever return.
        options.enable_mem_pattern = False
        hint = "train again, or restore the bundle from a backup"
        try:
            session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except OSError as error:
            raise BundleError(f"cannot read the network {path.name}: {error.strerror}", hint=hint) from error
        except Exception as error:  # onnxruntime raises a class of its own for each status code
            raise BundleError(f"{path.name} is not a network that onnxruntime can load", hint=hint) from error
        shapes = {item.name: item.shape for item in session.get_inputs()}
        outputs = {item.name: item.shape for item in session.get_outputs()}
        if (
            set(shapes) not in ({"features"}, set(_INPUTS))
            or any(len(shape) != _INPUTS[name] for name, shape in shapes.items())
            or not set(_OUTPUTS) <= set(outputs)
        ):
            raise BundleError(
                f"{path.name} takes {sorted(shapes)} and gives {sorted(outputs)}, not what a graph network does",
                hint="the bundle was made by another version of Quipu: train again",
            )
        self._session = session
        self._messages = len(shapes) > 1
        self.n_features = int(shapes["features"][1])
        self.n_node_features = int(shapes["nodes"][1]) if self._messages else 0
        self.n_sizes = int(shapes["sizes"][0]) if self._messages else 0
        self.hidden = int(outputs["embedding"][1])

    def run(self, batch: EgoBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits float32[B] (log-odds of fraud) and embeddings float32[B, hidden]."""
        logits, embeddings = self._session.run(_OUTPUTS, self._feed(batch))
        return logits, embeddings

    def entity_states(self, batch: EgoBatch) -> NDArray[np.float32]:
        """States float32[N1, hidden] of the roots' own entities: the rows of the level-1 blocks, in order.

        Raises:
            BundleError: the network was trained without messages, so it has no states of entities.
        """
        return self.states(batch)[1]

    def states(self, batch: EgoBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings float32[B, hidden] as of `run`, and `entity_states`.

        Raises:
            BundleError: the network was trained without messages, so it has no states of entities.
        """
        if not self._messages:
            raise BundleError("the network has no states of entities", hint="train it with messages")
        embeddings, own = self._session.run(("embedding", "entities"), self._feed(batch))
        return embeddings, own

    def _feed(self, batch: EgoBatch) -> dict[str, NDArray[Any]]:
        if not self._messages:
            return {"features": batch.features}
        return {
            "features": batch.features,
            "nodes": batch.nodes,
            "slots": batch.slots,
            "received": batch.received,
            "sizes": batch.sizes,
        }
