"""What a bundle holds for scoring: how training's outcome is written, and how it is read back."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.audit import Audit
from gnn.bundle import Bundle, read_manifest, write_bundle
from gnn.calibration import Blend
from gnn.catalogue import Catalogue
from gnn.drift import Reference
from gnn.model_card import CARD, RULES, SCORECARD, model_card, rules_page
from gnn.network import Network
from gnn.parity import SAMPLE, Sample
from gnn.policy import Policy
from gnn.predictor import Predictor
from gnn.replay import History
from gnn.training import Trained
from gnn.trees import Forest
from graph.errors import BundleError
from graph.records import GraphSchema


@dataclass(frozen=True, slots=True)
class Serving:
    """A bundle's settings for scoring.

    Attributes:
        schema: what the features and ego-graphs are over.
        policy: from probability to band.
        gnn_base: the network's usual log-odds, for reasons.
    """

    schema: GraphSchema
    policy: Policy
    gnn_base: float


def save_bundle(
    root: Path,
    trained: Trained,
    history: History,
    features: NDArray[np.float32],
    *,
    settings: dict[str, Any] | None = None,
    sample: Sample | None = None,
    audit: Audit | None = None,
) -> Path:
    """Writes the outcome of a training as a bundle below `root`; returns its directory.

    The graph network is exported to ONNX (for the service) and as a SavedModel, and both are checked against it.

    Args:
        features: float32[n, P], of the rows trained on: their distribution is kept, to measure drift against.
        settings: how it was trained, for the record.
        sample: rows that are kept with their probabilities, so that whoever loads the bundle can check its scores.
        audit: rows on which simple models are trained to the model's score, for people.

    Raises:
        BundleError: an exported network does not agree with the trained one.
    """
    catalogue = Catalogue.of(history.schema)
    parts: dict[str, Any] = {
        "head.npz": trained.head.save,
        "anomaly.npz": trained.anomaly.save,
        "reference.npz": Reference.of(features).save,
    }
    network = trained.network
    if network is not None:
        from gnn.export import export

        parts["network"] = lambda folder: export(network, folder)
    if sample is not None:

        def add_sample(path: Path) -> None:  # after the network, which it is scored with
            exported = None if network is None else Network(path.parent / "network" / "gnn.onnx")
            path.write_bytes(sample.packed(Predictor(trained.head, trained.anomaly, exported, trained.blend)))

        parts[SAMPLE] = add_sample
    n = len(features)
    fields: dict[str, Any] = {
        "schema": {
            "entities": list(history.schema.entities),
            "categories": list(history.schema.categories),
            "numeric": list(history.schema.numeric),
        },
        "catalogue": list(catalogue.names),
        "catalogue_hash": catalogue.digest,
        "blend": trained.blend.to_dict(),
        "policy": trained.policy.to_dict(),
        "gnn_base": trained.gnn_base,
        "network": network is not None,
        "figures": _finite(trained.figures),
        "data": {
            "transactions": n,
            "labels": len(history.label_row),
            "first_at": int(history.occurred_at[:n].min()),
            "last_at": int(history.occurred_at[:n].max()),
            "last_seq": int(history.seq[:n].max()),
        },
        "settings": settings or {},
    }

    def explain(path: Path) -> None:  # after the network, which transactions are scored with
        exported = None if network is None else Network(path.parent / "network" / "gnn.onnx")
        predictor = Predictor(trained.head, trained.anomaly, exported, trained.blend)
        companions = None if audit is None else audit.companions(predictor, catalogue)
        path.write_text(model_card(fields, catalogue, companions), encoding="utf-8")
        if companions is not None:
            (path.parent / RULES).write_text(rules_page(companions), encoding="utf-8")
            (path.parent / SCORECARD).write_text(companions.scorecard, encoding="utf-8")

    parts[CARD] = explain
    return write_bundle(root, parts, fields)


def schema_of(bundle: Bundle) -> GraphSchema:
    """What the bundle's model knows: the schema to open the index with.

    Raises:
        BundleError: the manifest does not say it.
    """
    try:
        stated = bundle.manifest["schema"]
        return GraphSchema(*(tuple(stated[part]) for part in ("entities", "categories", "numeric")))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the manifest of bundle {bundle.name} lacks {error}", hint="train again") from error


def stated_features(path: Path) -> tuple[str, ...]:
    """Names of the features that a bundle's model takes, in order; none where the bundle is not there any more."""
    try:
        return _stated_features(path)
    except (BundleError, TypeError):
        return ()


@lru_cache(maxsize=64)
def _stated_features(path: Path) -> tuple[str, ...]:
    return tuple(map(str, read_manifest(path).get("catalogue", ())))


def load_predictor(bundle: Bundle) -> tuple[Predictor, Serving]:
    """The models of an opened bundle, and its settings for scoring.

    Raises:
        BundleError: a part is missing or does not fit the others, or the features of its schema are computed
            differently by this version.
    """
    manifest = bundle.manifest
    schema = schema_of(bundle)
    try:
        gnn_base, with_network = float(manifest["gnn_base"]), bool(manifest["network"])
        catalogue_hash, blend, policy = manifest["catalogue_hash"], manifest["blend"], manifest["policy"]
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the manifest of bundle {bundle.name} lacks {error}", hint="train again") from error
    catalogue = Catalogue.of(schema)
    if catalogue_hash != catalogue.digest:
        raise BundleError(
            f"bundle {bundle.name} was trained on other features than this version of Quipu computes",
            hint="train again with this version, or serve with the version that trained it",
        )
    head, anomaly = Forest.load(bundle.file("head.npz")), Forest.load(bundle.file("anomaly.npz"))
    network = Network(bundle.file("network/gnn.onnx")) if with_network else None
    widths = {head.feature_count, anomaly.feature_count} | ({network.n_features} if network else set())
    if widths != {len(catalogue)}:
        raise BundleError(f"the models of bundle {bundle.name} take {sorted(widths)} features, not {len(catalogue)}")
    predictor = Predictor(head, anomaly, network, Blend.from_dict(blend))
    return predictor, Serving(schema, Policy.from_dict(policy), gnn_base)


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON has no form for."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
