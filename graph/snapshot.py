"""Snapshots of the as-of index: a folder of plain arrays that a new process maps instead of rebuilding.

A snapshot is written beside the one before and renamed into place, so a crash leaves the old one. Arrays are
mapped copy-on-write: opening costs the same at any size, and what the process changes stays its own. The files
are longer than what is used (without taking room on disk), so that there is room to append.
"""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graph import state as kernels
from graph.postings import Postings
from graph.records import GraphSchema
from graph.ring_log import ring_watermark
from graph.state import State
from graph.store import Store, Watermark

if TYPE_CHECKING:
    from graph.index import AsOfIndex

_FORMAT = 3
_ROOM = 1.5
_POSTINGS = ("history", "known", "fraud")
_RINGS = ("members", "marks", "scores")
_LABELS = ("label_row", "label_known_at", "label_fraud", "label_change", "label_next")


class Snapshot:
    """An index as it stands at one moment, copied so that it can be written while the index goes on.

    Args:
        about: whatever its writer wants to find with it, as JSON.
    """

    def __init__(self, index: "AsOfIndex", about: dict[str, Any] | None = None) -> None:
        s = index.state
        rows, labels = (int(n) for n in s.counts)
        self._arrays: dict[str, tuple[NDArray[Any], int]] = {"counts": (s.counts.copy(), 2)}
        self._take("records", s.records, rows)
        self._take("first_label", s.first_label, rows)
        for name in _LABELS:
            self._take(name, getattr(s, name), labels)
        self._take("heads", s.heads, len(index.names))
        for name in _POSTINGS:
            postings: Postings = getattr(s, name)
            self._take(f"{name}_rows", postings.rows, int(postings.used[0]))
            if len(postings.sums) > 1:
                self._take(f"{name}_sums", postings.sums, int(postings.used[0]))
            else:
                self._arrays[f"{name}_sums"] = (postings.sums.copy(), 1)
            self._arrays[f"{name}_free"] = (postings.free.copy(), len(postings.free))
            self._arrays[f"{name}_used"] = (postings.used.copy(), len(postings.used))
        self._arrays["row_of_seq"] = (index.row_of_seq[: index.watermark.transaction + 1].copy(), 0)
        self._arrays["local_ids"] = (index.local_ids.copy(), 0)
        self._arrays["kinds"] = (np.array(index.kinds, np.int16), 0)
        for name in _RINGS:
            self._arrays[f"ring_{name}"] = (getattr(index.rings, name), 0)  # replaced at each change, not changed
        self._names = list(index.names)
        self._head = {
            "format": _FORMAT,
            "entities": list(index.schema.entities),
            "categories": list(index.schema.categories),
            "watermark": [index.watermark.transaction, index.watermark.label],
            "own": index.own_rows(),
            "rings": list(index.rings.names),
            "rings_seen": list(index.rings.seen),
            "about": about or {},
        }

    def _take(self, name: str, array: NDArray[Any], used: int) -> None:
        used = max(used, 1)
        self._arrays[name] = (array[:used].copy(), int(used * _ROOM) + 65_536)

    def write(self, folder: Path) -> Path:
        """Writes the snapshot into a new folder inside `folder` and drops older ones; returns the new one."""
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(p.name.split("-")[1]) for p in _finished(folder)]
        final = folder / f"index-{max(numbers, default=0) + 1:08d}"
        draft = folder / f".draft-{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        files = {}
        for name, (array, length) in self._arrays.items():
            room = max(length, len(array))
            files[name] = {"dtype": array.dtype.str, "shape": [room, *array.shape[1:]]}
            _write(draft / name, array.tobytes(), room * array.itemsize * _width(array))
        _write(draft / "names", json.dumps(self._names, ensure_ascii=False).encode(), 0)
        _write(draft / "head.json", json.dumps({**self._head, "files": files}).encode(), 0)
        draft.rename(final)
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        for old in _finished(folder):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
        return final


def _width(array: NDArray[Any]) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) if array.ndim > 1 else 1


def _write(path: Path, content: bytes, length: int) -> None:
    with path.open("wb") as file:
        file.write(content)
        if length > len(content):
            file.truncate(length)
        file.flush()
        os.fsync(file.fileno())


def _finished(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("index-*") if p.is_dir())


def load_snapshot(folder: Path, store: Store, schema: GraphSchema) -> "AsOfIndex | None":
    """The newest snapshot in a folder, if it is whole and belongs to this store and schema; None otherwise."""
    for path in reversed(_finished(folder)):
        found = _load(path, schema)
        if found is not None and belongs(found[0], store):
            return found[0]
    return None


def newest_snapshot(folder: Path, schema: GraphSchema) -> "tuple[AsOfIndex, dict[str, Any]] | None":
    """The newest whole snapshot of this schema, whichever store it is of, and what its writer put with it."""
    return next((found for path in reversed(_finished(folder)) if (found := _load(path, schema)) is not None), None)


def _load(path: Path, schema: GraphSchema) -> "tuple[AsOfIndex, dict[str, Any]] | None":
    from graph.index import AsOfIndex

    try:
        head = json.loads((path / "head.json").read_bytes())
        if head["format"] != _FORMAT or (*head["entities"], *head["categories"]) != schema.keyed:
            return None
        arrays = {name: _mapped(path / name, about) for name, about in head["files"].items()}
        names = json.loads((path / "names").read_bytes())
        about = dict(head["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    index = AsOfIndex(schema, entities=1, rows=1)
    index.state = _state(index.state, arrays)
    index.restore(
        names,
        arrays["kinds"].tolist(),
        arrays["row_of_seq"],
        arrays["local_ids"],
        Watermark(*head["watermark"]),
        head["own"],
    )
    index.rings.restore(head["rings"], head["rings_seen"], *(arrays[f"ring_{name}"] for name in _RINGS))
    index.state = index.state._replace(rings=index.rings.log())
    return index, about


def _mapped(path: Path, about: dict[str, Any]) -> NDArray[Any]:
    shape = tuple(about["shape"])
    dtype = np.dtype(about["dtype"])
    if path.stat().st_size != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
        raise ValueError(f"{path} is not as long as it was written")
    if 0 in shape:
        return np.empty(shape, dtype)
    # A plain array over the map: compiled code is specialised by type, and np.memmap is another one.
    return np.memmap(path, dtype, "c", shape=shape).view(np.ndarray)


def _state(empty: State, arrays: dict[str, NDArray[Any]]) -> State:
    records = arrays["records"]
    taken: dict[str, Any] = {name: arrays[name] for name in ("first_label", "counts", *_LABELS)}
    for name in _POSTINGS:
        pools = {part: arrays[f"{name}_{part}"] for part in ("rows", "sums", "free", "used")}
        taken[name] = getattr(empty, name)._replace(**pools)
    state = empty._replace(**taken)
    return kernels.with_heads(kernels.with_records(state, records), arrays["heads"])


def belongs(index: "AsOfIndex", store: Store) -> bool:
    """Whether the store still has the last transaction that the index has of it, and as much of rings."""
    mark = store.watermark()
    seen = index.watermark
    if mark.transaction < seen.transaction or mark.label < seen.label:
        return False
    if index.rings.seen[0] > ring_watermark(store):
        return False
    if seen.transaction == 0:
        return True
    for chunk in store.transaction_changes(seen.transaction - 1, chunk=1):
        row = int(index.row_of_seq[seen.transaction])
        return bool(
            chunk.seq[0] == seen.transaction
            and chunk.occurred_at[0] == index.state.occurred_at[row]
            and chunk.amount[0] == index.state.amount[row]
        )
    return False
