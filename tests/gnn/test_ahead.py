"""What is compiled ahead is what real data runs."""

import subprocess
import sys
from pathlib import Path

from gnn.ahead import Ahead

PROGRAM = """
import sys

from gnn import batch_lookup, replay
from gnn.ahead import compile_lookups, compile_replay
from gnn.batch_lookup import Batch, BatchLookup
from gnn.blocks import block_plan
from gnn.catalogue import Catalogue
from gnn.replay import Replay, read_history
from graph.index import AsOfIndex
from graph.store import open_store

compile_replay()
compile_lookups()
store = open_store(sys.argv[1])
history = read_history(store)
list(Replay(history).run(len(history)))
index = AsOfIndex.open(store)
schema = index.schema
features, blocks = len(Catalogue.of(schema)), len(block_plan(schema.entities))
batch = Batch.empty(1, keyed=len(schema.keyed), numbers=len(schema.numeric), features=features, blocks=blocks)
batch.occurred_at[:], batch.amount[:] = history.occurred_at[-1], 100
BatchLookup(schema.entities).look_up(index.state, batch)
print(len(replay._run.signatures), len(batch_lookup._look_up.signatures))
"""


def test_real_data_needs_nothing_compiled_besides(small_world: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, f"sqlite:///{small_world}/store.db"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1 1\n"


def test_it_is_done_in_processes_that_end() -> None:
    with Ahead() as ahead:
        ahead.wait("replay")
        ahead.wait("lookups")
    assert [process.returncode for process in ahead._processes.values()] == [0, 0]
