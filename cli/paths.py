"""Places for results, looked at before the work that fills them: not after an hour of training."""

import os
from pathlib import Path

from graph.errors import InputError


def file_to_write(path: Path, option: str) -> Path:
    """The same path, if a file can be written there.

    Args:
        option: the option that names it, for the message.

    Raises:
        InputError: it is a folder, or its folder is missing or may not be written to.
    """
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{option}: {path} is a folder", hint="name a file in it")
    if not folder.is_dir():
        raise InputError(f"{option}: there is no folder {folder}", hint=f"make it, or choose another {option}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"{option}: {path} may not be written to", hint=f"choose another {option}")
    return path


def folder_to_write(path: Path, option: str) -> Path:
    """The same path, if it is a folder (made where missing) that can be written to.

    Args:
        option: the option or setting that names it, for the message.

    Raises:
        InputError: it is something else, cannot be made, or may not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{option}: the folder {path} cannot be made: {error.strerror}", hint=f"choose another {option}"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{option}: the folder {path} may not be written to", hint=f"choose another {option}")
    return path
