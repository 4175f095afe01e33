"""Compiling the hot functions ahead, in processes of their own, while something else is done.

Compiling takes one core a minute or more, once after each installation; what is compiled is kept on disk
(`graph.compiled`) and found there by whoever needs it next.
"""

import subprocess
import sys
from typing import Self

# What is compiled is imported by who compiles it: the processes start while their parent imports what it needs.


def compile_replay() -> None:
    """Compiles what replays a history, or reads it from disk."""
    import numpy as np

    from gnn.replay import History, Replay
    from graph.records import GraphSchema

    one = np.zeros(1, np.int64)
    nothing = np.empty(0, np.int64)
    ids, numeric = np.full((1, 1), -1, np.int32), np.empty((1, 0))
    labels = (np.empty(0, np.int32), nothing, np.empty(0, np.bool_))
    replay = Replay(History(GraphSchema(), one, one, one, one, ids, numeric, *labels, entities=0))
    list(replay.run(1))


def compile_lookups() -> None:
    """Compiles what the service runs: appends, labels and look-ups of the as-of index; or reads it from disk."""
    from gnn.batch_lookup import Batch, BatchLookup
    from gnn.blocks import block_plan
    from gnn.catalogue import Catalogue
    from graph.index import AsOfIndex
    from graph.records import GraphSchema

    schema = GraphSchema()
    index = AsOfIndex(schema)
    index.add_label(index.append(None, 0, 0, [-1]), 0, False)
    entities = schema.entities
    batch = Batch.empty(1, keyed=1, numbers=0, features=len(Catalogue.of(schema)), blocks=len(block_plan(entities)))
    batch.occurred_at[:], batch.amount[:], batch.append[:] = 0, 0, False
    batch.post(index.state, 0)
    BatchLookup(entities).look_up(index.state, batch)


_JOBS = {"replay": compile_replay, "lookups": compile_lookups}


class Ahead:
    """Compiles both at the same time, each in a process of its own, from its making on.

    A process that fails is nobody's concern: whoever needs what it should have compiled compiles it then.
    """

    def __init__(self) -> None:
        self._processes = {
            job: subprocess.Popen(  # noqa: S603 (this very module)
                [sys.executable, "-m", __name__, job],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for job in _JOBS
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def wait(self, job: str) -> None:
        """Until one of them, "replay" or "lookups", has come to its end."""
        self._processes[job].wait()


if __name__ == "__main__":
    _JOBS[sys.argv[1]]()
