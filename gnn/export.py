"""From a trained network to the files that serve it: ONNX for Quipu, SavedModel for TensorFlow Serving."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gnn.blocks import ROOT, block_plan
from gnn.layers import tf
from gnn.model import EgoNetwork
from gnn.network import Network
from gnn.tensors import EgoBatch
from gnn.train_gnn import TrainedGnn
from graph.errors import BundleError

ONNX_FILE = "gnn.onnx"
SAVED_MODEL = "saved_model"
TOLERANCE = 1e-4
_OPSET = 18  # scatters with maximum


def export(trained: TrainedGnn, folder: Path) -> float:
    """Writes `gnn.onnx` and `saved_model/` into the folder and checks both against the trained network.

    The check runs training roots as one batch, a single root, and both without some or all of their nodes.

    Returns:
        The largest difference of a logit.

    Raises:
        BundleError: a logit differs by more than 1e-4.
    """
    network = trained.network
    folder.mkdir(parents=True, exist_ok=True)
    _write_onnx(network, folder / ONNX_FILE)
    _write_saved_model(network, folder / SAVED_MODEL)

    onnx = Network(folder / ONNX_FILE)
    served = tf.saved_model.load(str(folder / SAVED_MODEL)).signatures["serving_default"]
    names = [spec.name for spec in network.input_signature()]
    worst = 0.0
    for batch in _probes(trained.sample, network.entities):
        tensors = network.tensors(batch)
        expected = network.forward(*tensors)["logit"].numpy()
        saved = served(**{name: tf.constant(tensor) for name, tensor in zip(names, tensors, strict=True)})
        for logits in (onnx.run(batch)[0], saved["logit"].numpy()):
            difference = float(np.abs(logits - expected).max())
            if not difference <= TOLERANCE:
                raise BundleError(
                    f"an exported network's logits differ from the trained one's by {difference:.2g} "
                    f"on {len(batch.features)} roots with {len(batch.nodes)} nodes",
                    hint="check that tf2onnx and onnxruntime have the versions of the lock file",
                )
            worst = max(worst, difference)
    return worst


def _write_onnx(network: EgoNetwork, path: Path) -> None:
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    import tf2onnx

    tf2onnx.convert.from_function(
        network.forward, input_signature=network.input_signature(), opset=_OPSET, output_path=str(path)
    )


def _write_saved_model(network: EgoNetwork, path: Path) -> None:
    module = tf.Module()
    module.variables_ = network.weights
    module.forward = network.forward
    tf.saved_model.save(module, str(path), signatures={"serving_default": network.forward})


def _probes(sample: EgoBatch, entities: tuple[str, ...]) -> Iterator[EgoBatch]:
    """The sample, then without each level and all below it, then without each other entity type; each with
    all roots and with the first one only."""
    plan = block_plan(entities)
    depth = {block.node_set: block.level for block in plan}
    gone = [set(), *({name for name, at in depth.items() if at >= level} for level in (1, 2, 3))]
    gone += [{f"{name}_1", f"{name}_2", f"{name}_3"} for name in entities[1:]]
    for sets in gone:
        batch = _without(sample, entities, sets)
        yield batch
        yield _first_root(batch, entities)


def _without(batch: EgoBatch, entities: tuple[str, ...], sets: set[str]) -> EgoBatch:
    """The batch without these node sets and whatever hangs below them."""
    return _kept(batch, entities, lambda block, parents: np.full(len(parents), block.node_set not in sets))


def _first_root(batch: EgoBatch, entities: tuple[str, ...]) -> EgoBatch:
    def keep(block: Any, parents: Any) -> Any:
        return parents == 0 if block.parent_set == ROOT else np.full(len(parents), True)

    kept = _kept(batch, entities, keep)
    return EgoBatch.of(entities, kept.features[:1], kept.nodes, kept.parents, kept.counts)


def _kept(batch: EgoBatch, entities: tuple[str, ...], keep: Any) -> EgoBatch:
    """The nodes that `keep(block, parents)` wants and whose parent stays, renumbered."""
    plan = block_plan(entities)
    starts = np.cumsum(batch.counts) - batch.counts
    stays: dict[str, Any] = {ROOT: np.full(len(batch.features), True)}
    chosen, parents, counts = [], [], []
    for block, start, count in zip(plan, starts, batch.counts, strict=True):
        old = batch.parents[start : start + count]
        above = stays[block.parent_set]
        kept = keep(block, old) & above[old]
        stays[block.node_set] = np.concatenate([stays.get(block.node_set, np.empty(0, bool)), kept])
        parents.append((np.cumsum(above) - 1)[old[kept]] if count else old)
        chosen.append(kept)
        counts.append(int(kept.sum()))
    rows = np.concatenate(chosen)
    return EgoBatch.of(
        entities,
        batch.features,
        np.ascontiguousarray(batch.nodes[rows]),
        np.concatenate(parents).astype(np.int32),
        np.array(counts, np.int32),
    )
