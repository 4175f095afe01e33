"""Model bundles: a directory that holds everything the scoring service needs, named by its content.

`<date of creation>-<12 hex digits>`: the digits are the start of a SHA-256 over the manifest's fields and the
digests of all files. So a bundle cannot change without its name telling, and the same content has one name.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

from graph.errors import BundleError

FORMAT: Final = 1
"""Grows when an older program could no longer read what is written."""

MANIFEST: Final = "manifest.json"

Part = bytes | Callable[[Path], object]
"""A file's content, or a function that writes a file (or a folder) at the path it is given."""

_OWN_FIELDS: Final = ("format", "quipu", "created_at", "files")


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle; its files were as written when it was opened.

    Attributes:
        path: its directory.
        manifest: `format`, `quipu` (version that wrote it), `created_at` (ISO 8601, UTC), `files` (bytes and
            SHA-256 by relative path), and the fields given at writing (schema, catalogue, policy, blend, ...).
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Also the model version that decisions carry."""
        return self.path.name

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files.

        Raises:
            BundleError: the bundle has no such file.
        """
        if name not in self.manifest["files"]:
            raise BundleError(f"bundle {self.name} has no {name}", hint=f"it has: {', '.join(self.manifest['files'])}")
        return self.path / name


def write_bundle(
    root: Path, parts: Mapping[str, Part], fields: Mapping[str, Any], *, created_at: datetime | None = None
) -> Path:
    """Writes a bundle below `root`, all of it or nothing, and returns its directory.

    Content that `root` holds already is not written again: the directory there is returned.

    Args:
        root: folder of bundles; made if need be.
        parts: what goes in, by relative path.
        fields: further fields of the manifest, JSON values.
        created_at: the present by default.

    Raises:
        BundleError: a part's path leads out of the bundle, or a field has a name that the manifest uses itself.
    """
    taken = sorted(set(fields) & set(_OWN_FIELDS))
    wrong = [name for name in parts if not _is_inside(name) or name == MANIFEST]
    if taken or wrong:
        raise BundleError(f"a bundle cannot have these fields or parts: {', '.join(taken + wrong)}")
    root.mkdir(parents=True, exist_ok=True)
    created = (created_at or datetime.now(UTC)).astimezone(UTC)
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
    try:
        for name, part in parts.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(part, bytes):
                target.write_bytes(part)
            else:
                part(target)
        written = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): _fingerprint(path) for path in written}
        # Through JSON and back, so that the digest is that of what a reader will see.
        content = json.loads(json.dumps({**fields, "format": FORMAT, "files": files}, allow_nan=False))
        digest = _digest(content)
        existing = next((path for path in root.glob(f"*-{digest}") if (path / MANIFEST).is_file()), None)
        if existing is not None:
            shutil.rmtree(folder)
            return existing
        manifest = {**content, "quipu": version("quipu"), "created_at": created.isoformat()}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for path in [*written, folder / MANIFEST, *(p for p in folder.rglob("*") if p.is_dir()), folder]:
            _sync(path)
        final = root / f"{created:%Y%m%d}-{digest}"
        folder.chmod(0o755)
        folder.rename(final)
        _sync(root)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return final


def open_bundle(path: Path, *, catalogue_hash: str | None = None) -> Bundle:
    """Opens a bundle and checks every file of it.

    Args:
        path: its directory.
        catalogue_hash: what the manifest's `catalogue_hash` must be, where the caller computes features itself.

    Raises:
        BundleError: it is missing, damaged, from a newer version, or for another feature catalogue; says which.
    """
    manifest = read_manifest(path)
    files = manifest["files"]
    for name, expected in files.items():
        file = path / name
        if not _is_inside(name):
            raise BundleError(f"bundle {path.name} names a file outside of itself: {name}")
        if not file.is_file():
            raise BundleError(f"bundle {path.name} lacks its file {name}", hint="copy the whole directory again")
        if _fingerprint(file) != expected:
            raise BundleError(f"{name} of bundle {path.name} is damaged", hint="copy the directory again, or retrain")
    content = {key: value for key, value in manifest.items() if key not in ("quipu", "created_at")}
    if not path.name.endswith(f"-{_digest(content)}"):
        raise BundleError(
            f"the manifest of bundle {path.name} was changed, or its directory renamed",
            hint="a bundle's directory keeps the name it was written under",
        )
    theirs = manifest.get("catalogue_hash")
    if catalogue_hash is not None and theirs != catalogue_hash:
        raise BundleError(
            f"bundle {path.name} was trained on another feature catalogue ({theirs}; this program has "
            f"{catalogue_hash})",
            hint="retrain with this version, or serve with the version that trained it: "
            f"quipu {manifest.get('quipu', '?')}",
        )
    return Bundle(path, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """What a bundle says of itself, without a look at its other files.

    Raises:
        BundleError: it is missing, damaged, or from a newer version.
    """
    if not path.is_dir():
        raise BundleError(f"there is no bundle at {path}", hint="train one: quipu train")
    try:
        manifest: Any = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}", hint="give a bundle's directory") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"the manifest of bundle {path.name} cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"the manifest of bundle {path.name} is damaged")
    number = manifest.get("format")
    if not isinstance(number, int) or not isinstance(manifest.get("files"), dict):
        raise BundleError(f"the manifest of bundle {path.name} is damaged")
    if number > FORMAT:
        raise BundleError(
            f"bundle {path.name} has format {number}; this program reads up to {FORMAT}",
            hint=f"it was written by quipu {manifest.get('quipu', '?')}; upgrade to that version",
        )
    return manifest


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sync(path: Path) -> None:
    """Flushes a file or directory to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
