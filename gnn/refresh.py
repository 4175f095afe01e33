"""What a refresh of the graph makes by the model in use: embeddings of entities, and a snapshot of the as-of index."""

from pathlib import Path
from typing import Any

from gnn.bundle import open_bundle
from gnn.champion import current_bundle, history
from gnn.embeddings import embed_store
from gnn.serving import schema_of
from graph.errors import NotEnoughData
from graph.index import AsOfIndex
from graph.progress import Progress
from graph.ring_json import iso
from graph.snapshot import Snapshot
from graph.store import Store, embeddings_of


def refresh_embeddings(store: Store, models: Path, at: int, *, progress: Progress | None = None) -> dict[str, Any]:
    """Embeddings as of `at` (microseconds UTC) by the model in use, in place of earlier ones.

    Those of a later moment stay, and so do those of this moment by the same model.

    Returns:
        `written`, how many by type; where nothing was written, `why`.

    Raises:
        BundleError: the model in use is damaged, or of another version.
        StoreError: the store fails, or keeps no embeddings.
    """
    if not history(models):
        return {"written": {}, "why": "no model is in use yet"}
    kept, path = embeddings_of(store), current_bundle(models)
    there = kept.embeddings()
    if there is not None and (there.at > at or (there.at == at and there.model == path.name)):
        return {"written": {}, "why": f"embeddings as of {iso(there.at)} are there already"}
    if not open_bundle(path).manifest.get("network"):
        return {"written": {}, "why": f"the model {path.name} has no graph network"}
    try:
        refresh = embed_store(store, path, at=at, progress=progress)
    except NotEnoughData as error:
        return {"written": {}, "why": error.message}
    return {"written": kept.write_embeddings(refresh)}


def refresh_snapshot(store: Store, models: Path, folder: Path, *, progress: Progress | None = None) -> dict[str, Any]:
    """Writes a snapshot of the as-of index of all that the store has.

    It holds what the model in use asks for (all there is, before the first model), and goes on from the snapshot
    before. The folder is not to be that of the service's own snapshots, which tell what of its spool they hold.

    Returns:
        `path`, and how many `transactions` and `labels` it holds.

    Raises:
        BundleError: the model in use is damaged.
        StoreError: the store fails.
    """
    schema = schema_of(open_bundle(current_bundle(models))) if history(models) else None
    index = AsOfIndex.open(store, folder, progress, schema=schema)
    path = Snapshot(index).write(folder)
    return {"path": str(path), "transactions": index.transactions, "labels": index.labels}
