"""Files for their owner alone, under databases that are open already."""

import contextlib
import os
from pathlib import Path


def make_private(path: Path) -> None:
    """Makes an empty file that only its owner can read, where there is none.

    One that exists is not so much as opened: closing it again would give up the locks that SQLite connections of this
    process hold on it, and the next process to close the database would take itself for the last, and delete the log
    under those who still write to it (https://sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
