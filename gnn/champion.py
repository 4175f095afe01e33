"""Which bundle of a models folder is in use, and which were before it.

One small file, `CURRENT`, replaced as a whole: a reader sees the old state or the new one.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Final

from gnn.bundle import MANIFEST, Bundle, open_bundle
from graph.errors import BundleError, NotFound

CURRENT: Final = "CURRENT"


def current_bundle(models: Path) -> Path:
    """Directory of the bundle in use.

    Raises:
        BundleError: none was promoted yet, the named one is gone, or the file is damaged.
    """
    names = history(models)
    if not names:
        raise BundleError(f"no model is in use yet in {models}", hint="train one: quipu train")
    path = models / names[0]
    if not path.is_dir():
        raise BundleError(
            f"bundle {names[0]}, which {models / CURRENT} names, is not there",
            hint="promote another (quipu models list), or go back: quipu models rollback",
        )
    return path


def history(models: Path) -> list[str]:
    """Names of the bundle in use and those before it, newest first; empty before the first promotion.

    Raises:
        BundleError: the file is damaged.
    """
    path = models / CURRENT
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["bundles"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}", hint="delete it and promote a bundle again, by its name"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise BundleError(f"{path} is damaged", hint="delete it and promote a bundle again, by its name")
    return names


def list_bundles(models: Path) -> list[str]:
    """Names of all bundles of the folder, oldest first (by creation date)."""
    return sorted(path.parent.name for path in models.glob(f"[!.]*/{MANIFEST}"))


def promote(models: Path, name: str) -> Bundle:
    """Puts a bundle in use, after checking all of it; the one in use so far becomes the one before.

    Raises:
        NotFound: the folder has no bundle of this name.
        BundleError: the bundle is not sound; the one in use stays.
    """
    if not name or name != Path(name).name or not (models / name).is_dir():
        raise NotFound(f"there is no bundle {name} in {models}", hint="see: quipu models list")
    bundle = open_bundle(models / name)
    names = history(models)
    if names[:1] != [name]:
        _write(models, [name, *names])
    return bundle


def rollback(models: Path) -> Bundle:
    """Puts the bundle before the one in use back in use, after checking it.

    Raises:
        NotFound: there is none before it.
        BundleError: that bundle is missing or not sound; the one in use stays.
    """
    names = history(models)
    if len(names) < 2:
        raise NotFound(f"there is no earlier bundle to go back to in {models}", hint="see: quipu models list")
    bundle = open_bundle(models / names[1])
    _write(models, names[1:])
    return bundle


def _write(models: Path, names: list[str]) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".current-", dir=models)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"bundles": names}, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(models / CURRENT)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(models, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
