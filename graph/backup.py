"""Backups of a store with the folder of keys, models and the spool, taken while everything runs.

A backup is a folder: `store.db` (a SQLite store, whatever kind the original is), `ledger.db` where there is one,
`var/`, and `manifest.json` with the size and SHA-256 of each. It appears under its name once it is whole.

The spool is copied before the store: what the spool had passed on by then is in the store's copy, and what it had not
is in the spool's. So nothing that was acknowledged before the backup began is missing; some of it may be in both,
which changes nothing.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graph.copying import copy, counts, differences
from graph.errors import Conflict, InputError, StoreError
from graph.progress import Progress, Silent
from graph.settings import REFRESHED_INDEX
from graph.sqlite_database import path_of, translated
from graph.store import open_store

STORE, LEDGER, VAR, MANIFEST = "store.db", "ledger.db", "var", "manifest.json"
_FORMAT = 1
_SQLITE = b"SQLite format 3\0"
_REBUILT = {"index", REFRESHED_INDEX, "metrics", "neo4j"}
"""Folders that are made again from the rest, or that belong to a database server."""
_PASSING = (".lock", ".lease", "-wal", "-shm", ".new")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup's manifest says.

    Attributes:
        began_at, ended_at: seconds since the epoch; what was acknowledged before `began_at` is in it.
        quipu: version that made it.
        counts: of the store's copy, as `graph.copying.counts`.
        files: size in bytes and SHA-256 of each, by path.
    """

    began_at: float
    ended_at: float
    quipu: str
    counts: dict[str, int]
    files: dict[str, tuple[int, str]]


def back_up(url: str, var: Path, target: Path, *, ledger: Path, progress: Progress | None = None) -> Backup:
    """Writes a backup while the store and the service may be in use.

    Args:
        url: of the store.
        var: folder with keys, models and the spool.
        target: folder to make.
        ledger: file of quarantined rows and load reports, which need not exist.

    Raises:
        Conflict: `target` exists.
        StoreError: the store cannot be read, or its copy is not whole.
    """
    progress = progress or Silent()
    if target.exists():
        raise Conflict(f"{target} exists", hint="name a folder that does not exist yet")
    began = time.time()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        live = path_of(url).resolve() if url.startswith("sqlite:") else None
        apart = {path for path in (live, ledger.resolve(), draft.resolve()) if path is not None}
        with progress.stage("copying files") as advance:
            for path, name in _files(var, apart):
                _copy_file(path, draft / VAR / name)
                advance(1)
        if ledger.exists():
            _copy_database(ledger, draft / LEDGER)
        if live is not None:
            if not live.exists():
                raise StoreError(f"there is no store {live}", hint="name it with --store or QUIPU_STORE")
            _copy_database(live, draft / STORE)
        else:
            with closing(open_store(url)) as store, closing(open_store(f"sqlite:///{draft / STORE}")) as taken:
                copy(store, taken, progress=progress)
        with closing(open_store(f"sqlite:///{draft / STORE}")) as taken:
            held = counts(taken)
        files = {name: (path.stat().st_size, _digest(path)) for path, name in _files(draft, set())}
        made = Backup(began, time.time(), version("quipu"), held, files)
        with (draft / MANIFEST).open("x", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, **asdict(made)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made


def read_backup(source: Path) -> Backup:
    """The manifest of a backup, all of whose files are as they were written.

    Raises:
        InputError: it is no backup, of a newer version, or damaged.
    """
    try:
        content: dict[str, Any] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        written = content.pop("format")
        if written != _FORMAT:
            raise InputError(
                f"the backup {source} has the format {written}", hint="restore it with the version of Quipu it is of"
            )
        content["files"] = {name: (size, digest) for name, (size, digest) in content["files"].items()}
        backup = Backup(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{source} is not a backup: {error}", hint="name a folder of quipu graph backup") from error
    for name, (size, digest) in backup.files.items():
        path = source / name
        if not path.is_file() or path.stat().st_size != size or _digest(path) != digest:
            raise InputError(f"the backup {source} is damaged: {name} is not what it was", hint="use another backup")
    return backup


def restore(source: Path, url: str, var: Path, *, ledger: Path, progress: Progress | None = None) -> Backup:
    """Puts a backup into an empty store and a folder without any of its files; nothing may be running on them.

    Where it is cut off, empty both and do it again.

    Raises:
        InputError: it is no backup, of a newer version, or damaged; then nothing is changed.
        Conflict: the store holds something, or a file is there already; then nothing is changed.
        StoreError: the store cannot be written, or has not become what the backup is.
    """
    progress = progress or Silent()
    backup = read_backup(source)
    names = [name for name in backup.files if name.startswith(f"{VAR}/")]
    there = [path for name in names if (path := var / Path(name).relative_to(VAR)).exists()]
    there += [ledger] if LEDGER in backup.files and ledger.exists() else []
    if there:
        raise Conflict(f"{there[0]} exists", hint="restore into an empty system: set QUIPU_VAR and QUIPU_STORE")
    with closing(open_store(url)) as target:
        if any(target.status().values()):
            raise Conflict("the store is not empty", hint="restore into an empty one: set QUIPU_STORE")
    with tempfile.TemporaryDirectory(prefix="quipu-restore-") as folder:
        # Opening a store may migrate it; the backup itself stays as it is.
        taken = Path(folder) / STORE
        shutil.copyfile(source / STORE, taken)
        with closing(open_store(f"sqlite:///{taken}")) as given:
            if url.startswith("sqlite:"):
                _copy_database(taken, path_of(url))
            with closing(open_store(url)) as target:
                if not url.startswith("sqlite:"):
                    copy(given, target, progress=progress)
                if wrong := differences(given, target):
                    raise StoreError(f"the restored store differs from the backup: {wrong}", hint="restore it again")
    with progress.stage("copying files", total=len(names)) as advance:
        for name in names:
            _copy_file(source / name, var / Path(name).relative_to(VAR))
            advance(1)
    if LEDGER in backup.files:
        _copy_file(source / LEDGER, ledger)
    return backup


def _files(folder: Path, apart: set[Path]) -> Iterator[tuple[Path, str]]:
    """Files below a folder, with their relative paths: those of a folder before those below it, so that what names
    a model is read before the models are."""
    seen: set[Path] = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        here = Path(at)
        inner = here.relative_to(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and str(inner / name) not in _REBUILT
            and (here / name).resolve() not in apart | seen
        )
        seen |= {(here / name).resolve() for name in folders}
        for name in sorted(names):
            path = here / name
            passing = name.startswith(".") or name.endswith(_PASSING)
            if not passing and path.is_file() and path.resolve() not in apart:
                yield path, str(inner / name)


def _copy_file(path: Path, target: Path) -> None:
    """Copies a file with its mode; a SQLite file as of one moment, whoever writes to it."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) == _SQLITE:
            _copy_database(path, target)
            shutil.copymode(path, target)
            return
    shutil.copy(path, target)


def _copy_database(path: Path, target: Path) -> None:
    """The whole file in one step, beside which writers go on: readers of a write-ahead log do not stop them."""
    try:
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as source,
            closing(sqlite3.connect(target, timeout=30)) as copied,
        ):
            source.backup(copied)
            if (found := copied.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise StoreError(f"{path} is damaged: {found}", hint="restore it from an earlier backup")
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
