"""Neo4j as the store: the bulk first load, loading through the driver, and reads around a hub.

A server of its own is started for it, on loopback, on the same cores.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import pyarrow as pa

from bench.report import Figure, Section
from bench.setup import Workspace
from deploy.local import neo4j_server
from graph.bulk.export import export
from graph.copying import BATCH, Keys, table_of
from graph.errors import QuipuError
from graph.neo4j_hubs import latest
from graph.neo4j_state import Columns
from graph.neo4j_url import Address
from graph.records import DAY, GraphSchema
from graph.sqlite_store import SqliteStore
from graph.store import EntityKeys, Outcome, Store, TransactionChanges, open_store

_HUB = 1_000_000
_WARMING = 30_000
_LOADED = 60_000
"""Transactions through the driver before the measured ones, as a server that has just started compiles its own code
first; and the measured ones."""
_REPEATS = 21


def run(work: Workspace) -> Section:
    """Loads all of the Handbook in bulk, then some more through the driver; then days; then reads a hub."""
    source = open_store(work.store())
    transactions = source.watermark().transaction
    figures: list[Figure] = []
    folder = work.emptied("neo4j")
    load_before = os.getloadavg()[0]
    with work.progress.stage("bulk: export"):
        exported = export(source, folder / "files")
    with _server(folder / "bulk", files=folder / "files", work=work) as (url, seconds):
        started = time.perf_counter()
        store = open_store(url)
        opened = time.perf_counter() - started
        same = float(store.status() == source.status() and store.watermark() == source.watermark())
        total = exported["seconds"] + seconds["import"] + seconds["start"] + opened
        figures += [
            Figure("transactions", transactions),
            Figure("export", exported["seconds"], "s"),
            Figure("neo4j-admin database import", seconds["import"], "s"),
            Figure("start of the server", seconds["start"], "s"),
            Figure("opening: constraints and indexes", opened, "s"),
            Figure("bulk load in all", total, "s", at_most=120, note="export, import, start, indexes"),
            Figure("counts equal the source's", same, at_least=1, note="1 is yes"),
        ]
        with work.progress.stage("driver: a full graph"):
            _rate(store, _shifted(source, 0, "warm-", _WARMING))
            rows = _shifted(source, transactions - _LOADED, "again-", _LOADED)
            figures.append(Figure("loaded through the driver, full graph", _rate(store, rows), "tx/s", at_least=3000))
            again = [outcome for batch in rows for outcome in store.upsert_transactions(batch)]
            new = sum(int(outcome) != Outcome.DUPLICATE for outcome in again)
            figures.append(Figure("newly loaded when loaded again", new, at_most=0))
        store.close()
    with _server(folder / "empty", work=work) as (url, _):
        store = open_store(url)
        store.extend_schema(source.schema())
        with work.progress.stage("driver: an empty graph"):
            _rate(store, _shifted(source, 0, "warm-", _WARMING))
            rate = _rate(store, _shifted(source, 0, "", _LOADED))
        figures.append(Figure("loaded through the driver, empty graph", rate, "tx/s", at_least=3000))
        store.close()
    figures += _hub(work.store(), folder, work)
    figures.append(_days(source, folder, work))
    source.close()
    figures.append(Figure("load average before", load_before, note="what else ran on the machine"))
    return Section("neo4j_store", f"Neo4j on loopback, {transactions:,} transactions", figures)


@contextmanager
def _server(home: Path, *, work: Workspace, files: Path | None = None) -> Iterator[tuple[str, dict[str, float]]]:
    """A server of its own, with a database from files where there are some; its URL, and how long each step took."""
    seconds: dict[str, float] = {}
    try:
        if files is not None:
            with work.progress.stage("bulk: import"):
                started = time.perf_counter()
                neo4j_server.import_files(files, home)
                seconds["import"] = time.perf_counter() - started
                shutil.rmtree(files)
        started = time.perf_counter()
        url = neo4j_server.start(home, bolt=neo4j_server.free_port(), http=neo4j_server.free_port(), heap="2g")
        seconds["start"] = time.perf_counter() - started
        yield url, seconds
    except neo4j_server.LocalServerError as error:
        raise QuipuError(str(error)) from error
    finally:
        neo4j_server.stop(home)
        shutil.rmtree(home, ignore_errors=True)


def _shifted(source: Store, since: int, prefix: str, rows: int) -> list[pa.Table]:
    """Transactions of the source after number `since` as batches; ids get a prefix, so that they are new."""
    keys, schema = Keys(source), source.schema()
    found = []
    for part in source.transaction_changes(since, with_ids=True, chunk=BATCH):
        if rows <= 0:
            break
        keys.extend_to(int(part.ids.max(initial=-1)))
        table = table_of(part, schema, keys.keys).slice(0, rows)
        ids = pa.array([prefix + text for text in table["transaction_id"].to_pylist()])
        found.append(table.set_column(0, table.schema.field(0), ids))
        rows -= table.num_rows
    return found


def _rate(store: Store, batches: list[pa.Table]) -> float:
    started = time.perf_counter()
    for batch in batches:
        if set(store.upsert_transactions(batch).tolist()) != {Outcome.LOADED}:
            raise QuipuError("transactions that are loaded for the first time were there already")
    return float(sum(batch.num_rows for batch in batches) / (time.perf_counter() - started))


def _days(source: Store, folder: Path, work: Workspace) -> Figure:
    """How much longer one day takes onto 180 days of history than onto 30, through the driver."""
    first = int(next(iter(source.transaction_changes(chunk=1))).occurred_at[0])
    ends: dict[int, int] = {}
    for part in source.transaction_changes():
        for days in (30, 31, 180, 181):
            at = np.searchsorted(part.occurred_at, first + days * DAY)
            ends[days] = ends.get(days, 0) + int(at)
    took = []
    for days in (30, 180):
        partial = folder / f"days-{days}"
        with work.progress.stage(f"driver: one more day onto {days}"):
            export(source, partial, until=ends[days])
            with _server(folder / f"server-{days}", files=partial, work=work) as (url, _):
                store = open_store(url)
                rows = _shifted(source, ends[days], "", ends[days + 1] - ends[days])
                _rate(store, _shifted(source, ends[days] - 20_000, "warm-", 20_000))
                took.append(sum(batch.num_rows for batch in rows) / _rate(store, rows) / (ends[days + 1] - ends[days]))
                store.close()
    return Figure(
        "one more day onto 180 days beside onto 30", took[1] / took[0], at_most=1.5, note="time a transaction"
    )


class WithHub(SqliteStore):
    """A store as if its first million transactions had come from one address."""

    def schema(self) -> GraphSchema:
        return super().schema().merged(GraphSchema(("user", "ip")))

    def entity_keys(self, since: int = 0, *, chunk: int = 262_144) -> Iterator[EntityKeys]:
        yield from super().entity_keys(since, chunk=chunk)
        yield EntityKeys(self._number(), np.array([len(self.schema().entities) - 1], dtype=np.int16), ["hub"])

    def transaction_changes(
        self, since: int = 0, *, with_ids: bool = False, chunk: int = 262_144
    ) -> Iterator[TransactionChanges]:
        number = self._number()
        for part in super().transaction_changes(since, with_ids=with_ids, chunk=chunk):
            mine = np.where(part.seq <= _HUB, number, -1).astype(np.int32)
            yield replace(part, ids=np.column_stack([part.ids, mine]))

    def _number(self) -> int:
        """The address's integer id: the next one."""
        return sum(len(part.keys) for part in super().entity_keys())


def _hub(url_of_source: str, folder: Path, work: Workspace) -> list[Figure]:
    """Reads at an address of a million transactions; the database's own count of what it touches for the latest."""
    source = WithHub(url_of_source)
    export(source, folder / "with-hub")
    source.close()
    with _server(folder / "hub", files=folder / "with-hub", work=work) as (url, _):
        store = open_store(url)
        reads: dict[str, Callable[[], Any]] = {
            "one entity": lambda: store.entity("ip", "hub"),
            "its latest 50 transactions": lambda: store.recent_transactions("ip", "hub"),
            "its neighbourhood, one step": lambda: store.neighbourhood("ip", "hub"),
        }
        figures = []
        with work.progress.stage("reads at a hub"):
            for name, read in reads.items():
                figures.append(Figure.median(f"hub of a million: {name}", _timed(read), "ms", at_most=100))
        hits = db_hits(url, "ip", "hub", 50)
        figures.append(Figure("hub of a million: touched for its latest 50", hits, "db hits", at_most=1000))
        store.close()
    return figures


def _timed(read: Callable[[], Any]) -> list[float]:
    read()
    took = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        read()
        took.append((time.perf_counter() - started) * 1000)
    return took


def db_hits(url: str, entity: str, key: str, limit: int) -> int:
    """What the server touches to find an entity's latest transactions."""
    address = Address.of(url)
    login = (address.user, address.password)
    with neo4j.GraphDatabase.driver(address.server, auth=login, notifications_min_severity="OFF") as driver:
        state = driver.execute_query("MATCH (s:QuipuStore) RETURN s.columns", database_=address.database).records
        columns = Columns.of(tuple(state[0].value()))
        position = columns.schema.entities.index(entity)
        found = driver.execute_query(
            f"MATCH (n:{columns.types[position].label} {{id: $id}}) RETURN n.number", id=key, database_=address.database
        ).records
        statement = f"PROFILE {latest(columns, position)} RETURN t.seq ORDER BY t.occurred_at DESC, t.seq DESC"
        summary = driver.execute_query(
            statement, number=found[0].value(), limit=limit, database_=address.database
        ).summary
    assert summary.profile is not None
    return _all_hits(summary.profile)


def _all_hits(plan: dict[str, Any]) -> int:
    return int(plan["dbHits"]) + sum(map(_all_hits, plan.get("children", ())))
