"""How the hot functions are compiled, and where what was compiled is kept."""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba import njit
from platformdirs import user_cache_path

_PACKAGES = ("graph", "gnn")
_KEPT = 4


def cache_folder() -> Path:
    """Where compiled code is kept: a folder for the content of all its sources.

    Numba itself looks only at the file of the function it compiles, and after an upgrade would go on using what it
    had compiled together with another file's older functions. `NUMBA_CACHE_DIR` moves the folder's parent.
    """
    root = Path(__file__).resolve().parents[1]
    digest = sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            digest.update(path.read_bytes())
    named = os.environ.get("NUMBA_CACHE_DIR")
    return (Path(named) if named else user_cache_path("quipu") / "compiled") / digest.hexdigest()[:16]


def _keep_compiled_code() -> None:
    folder = cache_folder()
    numba.config.CACHE_DIR = str(folder)
    if folder.exists():
        return
    with suppress(OSError):  # where nothing can be kept, each process compiles for itself
        folder.mkdir(parents=True)
        # The parent may be somebody's own folder: what doesn't have such a name isn't ours.
        ours = (p for p in folder.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", p.name))
        older = sorted(ours, key=os.path.getmtime)
        for path in older[:-_KEPT]:
            shutil.rmtree(path, ignore_errors=True)


_keep_compiled_code()

kernel: Callable[[Callable[..., Any]], Any] = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""Compiles a function that allocates nothing.

Without reference counting (`_nrt=False`): a state is some thirty arrays, and counting them at
each call of a small function costs six times the function itself. Scratch space is passed in.
"""

allocating: Callable[[Callable[..., Any]], Any] = njit(cache=True, nogil=True, error_model="numpy")
"""Compiles a function that makes arrays of its own."""
