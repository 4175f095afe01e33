"""Loading all of the Handbook: once, again, and after being killed half-way."""

import signal
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from bench.report import Figure, Section
from bench.setup import MAPPING, ROOT, Workspace, command, environment
from gnn.replay import read_history
from graph.errors import QuipuError
from graph.store import Store, open_store

_LONGEST = 1800.0


def run(work: Workspace) -> Section:
    """Loads into an empty store, loads again, and compares with a load that was killed and run again."""
    files = [str(path) for path in work.files()]
    url = f"sqlite:///{work.emptied('ingest')}/quipu.db"
    arguments = ("ingest", str(MAPPING), *files, "--store", url, "--json")
    first = work.quipu(*arguments).result
    again = work.quipu(*arguments).result
    killed_url = f"sqlite:///{work.emptied('ingest-killed')}/quipu.db"
    arguments = ("ingest", str(MAPPING), *files, "--store", killed_url, "--json")
    with work.progress.stage("loading, to be killed half-way"):
        left = killed_at(first["loaded"] // 2, killed_url, *arguments)
    resumed = work.quipu(*arguments).result
    with work.progress.stage("comparing the two stores"):
        same = state(url) == state(killed_url)
    figures = [
        Figure("rows read", first["read"]),
        Figure("loaded", first["loaded"]),
        Figure("duplicates", first["duplicates"]),
        Figure("quarantined", first["quarantined"]),
        Figure("rows unaccounted for", unaccounted(first), at_most=0),
        Figure("first load", first["rows_per_second"], "rows/s"),
        Figure("newly loaded when loaded again", again["loaded"] + again["newly_quarantined"], at_most=0),
        Figure("rows unaccounted for when loaded again", unaccounted(again), at_most=0),
        Figure("second load", again["rows_per_second"], "rows/s"),
        Figure("there when killed with SIGKILL", left, "transactions"),
        Figure("newly loaded by the run after that", resumed["loaded"]),
        Figure("end state equals the uninterrupted one's", float(same), at_least=1, note="1 is yes"),
    ]
    details = {"first": first, "again": again, "resumed": resumed}
    return Section("ingest", f"`quipu ingest` of {first['read']:,} rows into an empty store", figures, details)


def unaccounted(report: dict[str, int]) -> int:
    """Rows of a load's report that ended neither as loaded, nor as duplicates, nor in quarantine."""
    return abs(report["read"] - report["loaded"] - report["duplicates"] - report["quarantined"])


def killed_at(transactions: int, url: str, *arguments: str) -> int:
    """Runs the program and kills it once the store has so many transactions; returns how many it has then.

    Raises:
        QuipuError: the program ended before.
    """
    process = subprocess.Popen(command(*arguments), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    try:
        _wait_for(process, url, transactions)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    store = open_store(url)
    try:
        return store.watermark().transaction
    finally:
        store.close()


def _wait_for(process: "subprocess.Popen[bytes]", url: str, transactions: int) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    deadline = time.monotonic() + _LONGEST
    store: Store | None = None
    try:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if store is None and path.exists() and path.stat().st_size > 0:
                store = open_store(url)
            if store is not None and store.watermark().transaction >= transactions:
                return
            time.sleep(0.02)
    finally:
        if store is not None:
            store.close()
    raise QuipuError("the load ended before it could be killed", hint="load more rows, or kill it earlier")


def state(url: str) -> dict[str, object]:
    """What a store holds: its counts, and a digest of its transactions, entities and labels in full."""
    store = open_store(url)
    try:
        history = read_history(store)
        digest = sha256()
        columns = (history.seq, history.occurred_at, history.arrived_at, history.amount, history.ids, history.numeric)
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        # Labels that became known at the same moment may have been written in either order.
        order = np.lexsort((history.label_fraud, history.label_row, history.label_known_at))
        for labels in (history.label_row, history.label_known_at, history.label_fraud):
            digest.update(labels[order].tobytes())
        for keys in store.entity_keys():
            digest.update(keys.kinds.tobytes())
            digest.update("\0".join(keys.keys).encode())
        for chunk in store.transaction_changes(with_ids=True):
            assert chunk.transaction_ids is not None
            digest.update("\0".join(chunk.transaction_ids).encode())
        return {**store.status(), "digest": digest.hexdigest()}
    finally:
        store.close()
