"""What is compiled ahead is what real data runs."""

from pathlib import Path

from gnn import batch_lookup, replay
from gnn.ahead import Ahead, compile_lookups, compile_replay
from gnn.batch_lookup import Batch, BatchLookup
from gnn.blocks import block_plan
from gnn.catalogue import Catalogue
from gnn.replay import Replay, read_history
from graph.index import AsOfIndex
from graph.store import open_store


def test_real_data_needs_nothing_compiled_besides(small_world: Path) -> None:
    compile_replay()
    compile_lookups()
    before = len(replay._run.signatures), len(batch_lookup._look_up.signatures)
    store = open_store(f"sqlite:///{small_world}/store.db")
    history = read_history(store)
    list(Replay(history).run(len(history)))
    index = AsOfIndex.open(store)
    schema = index.schema
    blocks, keyed = len(block_plan(schema.entities)), len(schema.keyed)
    batch = Batch.empty(1, keyed=keyed, numbers=len(schema.numeric), features=len(Catalogue.of(schema)), blocks=blocks)
    batch.occurred_at[:], batch.amount[:] = history.occurred_at[-1], 100
    BatchLookup(schema.entities).look_up(index.state, batch)
    store.close()
    assert (len(replay._run.signatures), len(batch_lookup._look_up.signatures)) == before


def test_it_is_done_in_processes_that_end() -> None:
    with Ahead() as ahead:
        ahead.wait("replay")
        ahead.wait("lookups")
    assert [process.returncode for process in ahead._processes.values()] == [0, 0]
