"""The shop whose rows are loaded: a good row, its day, the types of the fixtures, and a load that is killed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etl.mapping import Mapping
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
Content = Callable[[Store], dict[str, Any]]

DAY_1 = 1_709_251_200_000_000  # 2024-03-01
GOOD = {"id": "1", "at": "2024-03-01", "user": "u", "amount": "1.50", "device": "d"}

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import sys
from contextlib import contextmanager
from pathlib import Path
from etl.loading import load
from etl.mapping import read_mapping
from graph.sqlite_store import SqliteStore

class Told:
    @contextmanager
    def stage(self, name, total=None):
        yield lambda rows: print(name, flush=True)

load(read_mapping(Path(sys.argv[1])), SqliteStore(sys.argv[2]), progress=Told(), now=int(sys.argv[3]), batch_rows=100)
"""


def killed_while_loading(mapping: Path, url: str, now: int, batches: int) -> int:
    """Loads in a process that is killed once it has told so many batches of 100 rows; returns how the process ended."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(mapping), url, str(now)],
        stdout=subprocess.PIPE, text=True, cwd=mapping.parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        written = 0
        for line in process.stdout:
            written += line.startswith("loading")
            if written == batches:
                process.kill()
                break
    return process.returncode
