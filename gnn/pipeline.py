"""From a store to a bundle: what `quipu train` and the scheduled training do."""

import resource
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

from gnn.audit import Audit
from gnn.parity import Sample
from gnn.replay import read_history
from gnn.serving import save_bundle
from gnn.training import TrainingSettings, replay_for_training, train_models
from graph.errors import NotEnoughData
from graph.progress import Progress
from graph.store import Store


def train_bundle(
    store: Store, models: Path, *, until: int | None, settings: TrainingSettings, progress: Progress
) -> dict[str, Any]:
    """Trains on what was known before `until` (microseconds UTC; all that is known, by default); writes a bundle.

    Returns:
        bundle (its path), figures, seconds, peak_memory_mib.

    Raises:
        NotEnoughData: there are no transactions, or too few labels of either kind.
    """
    started = monotonic()
    history = read_history(store, until=until, progress=progress)
    if not len(history):
        raise NotEnoughData("there are no transactions to train on", hint="load some first: quipu ingest MAPPING")
    latest = max(int(history.arrived_at[-1]), int(history.label_known_at.max(initial=0)))
    at = latest + 1 if until is None else until
    features, candidates, _ = replay_for_training(history, len(history), settings, progress)
    trained = train_models(history, features, candidates, at, settings, progress)
    with progress.stage("exporting and checking the models"):
        sample = Sample.of(candidates, features, trained.head)
        audit = Audit.of(candidates, features)
        path = save_bundle(models, trained, history, features, settings=asdict(settings), sample=sample, audit=audit)
    return {
        "bundle": str(path),
        "figures": trained.figures,
        "seconds": round(monotonic() - started, 1),
        "peak_memory_mib": int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024),
        "features": features.shape[1],
    }
