"""Reasons are the true ones: without what they name, a score falls further than without as much of anything else."""

from pathlib import Path

import numpy as np

from gnn.bundle import open_bundle
from gnn.candidates import joined, selected
from gnn.catalogue import Catalogue
from gnn.champion import current_bundle
from gnn.explain import NETWORK_CODE, Explainer
from gnn.replay import Replay, read_history
from gnn.serving import load_predictor
from graph.store import open_store

SUSPICIOUS = 150


def test_what_reasons_name_moved_the_score(small_world: Path) -> None:
    store = open_store(f"sqlite:///{small_world}/store.db")
    history = read_history(store)
    store.close()
    predictor, serving = load_predictor(open_bundle(current_bundle(small_world / "models")))
    parts = list(Replay(history).run(len(history), egos=np.ones(len(history), np.bool_)))
    features = np.concatenate([values.copy() for _, _, values, _ in parts])
    egos = joined([store for *_, store in parts], history.schema.entities)
    suspicious = np.sort(np.argsort(-predictor.predict(features, egos).probability)[:SUSPICIOUS])
    told_at_all = ~np.isnan(features).all(axis=0)
    usual = np.full(features.shape[1], np.nan, np.float32)
    usual[told_at_all] = np.nanmedian(features[:, told_at_all], axis=0)
    X, Z = features[suspicious], selected(egos, suspicious)
    before = predictor.predict(X, Z, explain=True)
    assert before.contributions is not None

    catalogue = Catalogue.of(serving.schema)
    weights = dict(zip(predictor.blend.inputs, predictor.blend.weights, strict=True))
    explainer = Explainer(
        catalogue, serving.schema.categories, weights["head"], weights.get("gnn", 0.0), serving.gnn_base
    )
    nobody = {"nodes": {}, "truncated": False}
    reasons = explainer.reasons(
        before.contributions, before.gnn, X, [{}] * len(X), [nobody] * len(X), lambda _: [], lambda _: None
    )
    assert all(1 <= len(told) <= 5 for told in reasons)
    place = {name: i for i, name in enumerate(catalogue.names)}
    rng = np.random.default_rng(0)
    without_named, without_others = X.copy(), X.copy()
    for row, told in enumerate(reasons):
        raising = [r for r in told if r.code != NETWORK_CODE and r.evidence["effect"] == "raises"]
        named = [place[name] for reason in raising for name in reason.evidence["figures"]]
        others = np.setdiff1d(np.flatnonzero(~np.isnan(X[row])), named)
        others = rng.choice(others, min(len(named), len(others)), replace=False)
        without_named[row, named] = usual[named]
        without_others[row, others] = usual[others]

    def fall(changed: np.ndarray) -> float:
        """Mean fall of the log-odds."""
        after = predictor.predict(changed, Z)
        logit = [np.log(p.probability / (1 - p.probability)) for p in (before, after)]
        return float((logit[0] - logit[1]).mean())

    assert fall(without_named) > 2 * max(fall(without_others), 0.0)
    assert fall(without_named) > 0.5
