"""Which bundle of a models folder is in use (the champion), which were before it, and which is tried beside it.

Two small files, `CURRENT` and `CHALLENGER`, each replaced as a whole: a reader sees the old state or the new one.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from gnn.bundle import MANIFEST, Bundle, open_bundle
from graph.errors import BundleError, Conflict, NotFound

MODELS: Final = "models"
"""Folder of bundles below QUIPU_VAR."""
CURRENT: Final = "CURRENT"
CHALLENGER: Final = "CHALLENGER"

_MOST_KEPT = 100
"""Bundles one can go back to, one after the other."""
_MEND_CURRENT = "delete it and promote a bundle again, by its name"
_MEND_CHALLENGER = "delete it, and name the challenger again: quipu models challenge NAME"


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
    names = _read(models / CURRENT, "bundles", _MEND_CURRENT)
    if names is None:
        return []
    if not isinstance(names, list) or not all(_is_name(name) for name in names):
        raise BundleError(f"{models / CURRENT} is damaged", hint=_MEND_CURRENT)
    return names


def challenger(models: Path) -> str | None:
    """Name of the bundle that scores beside the one in use; None where there is none.

    Raises:
        BundleError: the file is damaged.
    """
    name = _read(models / CHALLENGER, "bundle", _MEND_CHALLENGER)
    if name is None or (isinstance(name, str) and _is_name(name)):
        return name
    raise BundleError(f"{models / CHALLENGER} is damaged", hint=_MEND_CHALLENGER)


def list_bundles(models: Path) -> list[str]:
    """Names of all bundles of the folder, oldest first (by creation date)."""
    return sorted(path.parent.name for path in models.glob(f"[!.]*/{MANIFEST}"))


def promote(models: Path, name: str) -> Bundle:
    """Puts a bundle in use, after checking all of it; the one in use so far becomes the one before.

    Where it was the challenger, there is none any more.

    Raises:
        NotFound: the folder has no bundle of this name.
        BundleError: the bundle is not sound; the one in use stays.
    """
    bundle = _opened(models, name)
    names, challenging = history(models), challenger(models)
    if names[:1] != [name]:
        _write(models, CURRENT, {"bundles": [name, *names][:_MOST_KEPT]})
    if challenging == name:
        withdraw(models)
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
    _write(models, CURRENT, {"bundles": names[1:]})
    return bundle


def challenge(models: Path, name: str) -> Bundle:
    """Lets a bundle score beside the one in use, after checking all of it; its decisions are kept, never returned.

    Raises:
        NotFound: the folder has no bundle of this name.
        Conflict: it is the one in use.
        BundleError: the bundle is not sound, or there is none in use; what was so stays.
    """
    if current_bundle(models).name == name:
        raise Conflict(f"bundle {name} is the one in use", hint="name another (quipu models list)")
    bundle = _opened(models, name)
    _write(models, CHALLENGER, {"bundle": name})
    return bundle


def withdraw(models: Path) -> None:
    """Ends the challenge; without a challenger nothing changes."""
    try:
        (models / CHALLENGER).unlink()
    except FileNotFoundError:
        return
    _sync(models)


def _opened(models: Path, name: str) -> Bundle:
    if not _is_name(name) or not (models / name).is_dir():
        raise NotFound(f"there is no bundle {name} in {models}", hint="see: quipu models list")
    return open_bundle(models / name)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name != "" and name == Path(name).name


def _read(path: Path, key: str, hint: str) -> Any:
    """What the file says; None where it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read: {error}", hint=hint) from error


def _write(models: Path, file_name: str, content: dict[str, Any]) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{file_name.lower()}-", dir=models)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(models / file_name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(models)


def _sync(models: Path) -> None:
    folder = os.open(models, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
