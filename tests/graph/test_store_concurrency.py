"""Several writers and readers at once, and writers that are killed: nothing is lost, missed or counted twice."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graph.errors import InputError
from graph.records import DAY, LABEL_COLUMNS, Decision, GraphSchema, transaction_columns
from graph.ring_records import Refresh, Ring, RingEvent, RingEventKind, RingMember, RingStatus, Verdict
from graph.store import Outcome, Store, open_store, rings_of

SPAWN = multiprocessing.get_context("spawn")
SCHEMA = GraphSchema(("user", "device"))
DEADLINE = 180


def batch(first: int, n: int) -> pa.Table:
    """Transactions first, first + 1, …; their entities overlap with everybody's."""
    number = np.arange(first, first + n)
    at = pa.array(number * 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "transaction_id": [f"t{i}" for i in number],
            "occurred_at": at,
            "arrived_at": at,
            "amount": pa.array(number),
            "entity:user": [f"u{i % 97}" for i in number],
            "entity:device": [f"d{i % 61}" for i in number],
        },
        transaction_columns(SCHEMA).remove(4),
    )


def label_batch(first: int, n: int) -> pa.Table:
    known_at = pa.array(np.arange(first, first + n) * 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    ids = [f"t{i}" for i in range(first, first + n)]
    return pa.table(
        {"transaction_id": ids, "is_fraud": [i % 3 == 0 for i in range(first, first + n)], "known_at": known_at,
         "source": ["bank"] * n}, LABEL_COLUMNS,
    )  # fmt: skip


def write(store: Store, first: int, n: int, step: int) -> None:
    """Writes n transactions, their labels (before and after them in turn) and decisions."""
    for at in range(first, first + n, step):
        parts = [lambda at=at: store.upsert_transactions(batch(at, step)),
                 lambda at=at: store.upsert_labels(label_batch(at, step))]  # fmt: skip
        for part in parts if at // step % 2 else reversed(parts):
            part()
        store.write_decisions([Decision(f"t{at}", b"x", at, 0.5, "review", "m", b"{}")])


def write_process(url: str, first: int, n: int, step: int, start: Any) -> None:
    store = open_store(url)
    start.wait(DEADLINE)
    write(store, first, n, step)
    store.close()


def check(store: Store, n: int) -> None:
    """The store holds transactions 0..n-1 and their labels, each once, and all sums are right."""
    ids: list[str] = []
    seqs: list[int] = []
    for part in store.transaction_changes(with_ids=True):
        ids += part.transaction_ids or []
        seqs += part.seq.tolist()
    assert sorted(ids) == sorted(f"t{i}" for i in range(n))
    assert seqs == list(range(1, n + 1))
    labelled = [t for part in store.label_changes() for t in part.transaction_seq.tolist()]
    assert sorted(labelled) == seqs
    numbers = np.arange(n)
    for entity, count in (("user", 97), ("device", 61)):
        assert store.status()[f"entities:{entity}"] == min(count, n)
        for k in range(0, min(count, n), 7):
            mine = numbers[numbers % count == k]
            found = store.entity(entity, f"{entity[0]}{k}")
            assert found is not None
            assert (found["transactions"], found["amount"]) == (len(mine), mine.sum())
            assert found["fraud_known"] == (mine % 3 == 0).sum()


class Follower(threading.Thread):
    """Follows the feed as a scorer does, until told that the writers are done; then once more to the end."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.done = threading.Event()
        self.ids: list[str] = []
        self.label_seqs: list[int] = []
        self.labelled: list[int] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            last = False
            transaction = label = 0
            while not last:
                last = self.done.is_set()
                for labels in self.store.label_changes(label):
                    label = int(labels.seq[-1])
                    self.label_seqs += labels.seq.tolist()
                    self.labelled += labels.transaction_seq.tolist()
                for changes in self.store.transaction_changes(transaction, with_ids=True, chunk=300):
                    assert changes.seq[0] == transaction + 1
                    transaction = int(changes.seq[-1])
                    self.ids += changes.transaction_ids or []
                assert not self.labelled or max(self.labelled) <= transaction
        except BaseException as error:
            self.error = error


def follow_to_end(follower: Follower, n: int) -> None:
    follower.done.set()
    follower.join(DEADLINE)
    assert not follower.is_alive()
    assert follower.error is None
    assert sorted(follower.ids) == sorted(f"t{i}" for i in range(n))
    assert sorted(follower.labelled) == list(range(1, n + 1))
    assert follower.label_seqs == sorted(set(follower.label_seqs))


def test_threads_share_a_store(store):
    store.extend_schema(SCHEMA)
    follower = Follower(store)
    follower.start()
    n, step = 6_000, 200
    with ThreadPoolExecutor(4) as pool:
        # Each range is written by two threads at once.
        list(pool.map(lambda first: write(store, first, 2_000, step), [0, 2_000, 0, 4_000, 2_000, 4_000]))
    follow_to_end(follower, n)
    check(store, n)
    assert store.status()["decisions"] == n // step


def ring_of(number: int, day: int) -> Ring:
    """A ring of users and a device that other processes write transactions of at the same time."""
    users = tuple(RingMember("user", f"u{k % 97}", 0, 1) for k in range(number, number + 4 + day % 2))
    at = day * DAY
    return Ring(
        f"r{number}", RingStatus.NEW, number / 20, at, at, (*users, RingMember("device", "d1", 0, 4)), (), 4, 9, 0, 0, 1
    )


def ring_process(url: str, days: int, start: Any) -> None:
    """Refreshes rings once a day, judges one of them each day, and writes their transactions like everybody else."""
    store = open_store(url)
    kept = rings_of(store)
    start.wait(DEADLINE)
    for day in range(1, days + 1):
        rings = tuple(ring_of(number, day) for number in range(20))
        events = tuple(RingEvent(ring.ring_id, day * DAY, RingEventKind.GREW) for ring in rings)
        assert kept.write_refresh(Refresh(day * DAY, rings, events))
        assert not kept.write_refresh(Refresh(day * DAY, rings, events))
        kept.write_verdict(Verdict(f"r{day}", day, RingStatus.CONFIRMED))
        write(store, day * 100, 100, 100)
    store.close()


def check_rings(store: Store, days: int) -> None:
    """Each refresh, event and verdict is there once, and who is in which ring adds up."""
    kept = rings_of(store)
    rings = {ring.ring_id: ring for ring in kept.rings(active=True, limit=None)}
    assert rings.keys() == {f"r{number}" for number in range(20)}
    assert {name for name, ring in rings.items() if ring.status == "confirmed"} == {f"r{d}" for d in range(1, days + 1)}
    assert kept.refreshed_at() == days * DAY
    assert kept.ring_watermark() == days + 20 * days + days
    for number in range(20):
        kinds = [event.kind for event in kept.ring_events(f"r{number}")]
        assert kinds.count(RingEventKind.GREW) == days
        assert kinds.count(RingEventKind.VERDICT) == (1 <= number <= days)
    changes = list(kept.memberships())
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    there = {(c.ring_id, c.entity, c.key): c.joined for c in changes}
    members = {(ring.ring_id, m.entity, m.key) for ring in rings.values() for m in ring.members}
    assert {who for who, joined in there.items() if joined} == members
    assert [mark.seq for mark in kept.ring_marks()] == list(range(1, 21 * days + 1))


def test_four_processes_share_a_store(store, url):
    store.extend_schema(SCHEMA)
    start, days = SPAWN.Barrier(4), 8
    ranges = [(0, 3_000), (1_500, 3_000)]  # they overlap
    processes = [SPAWN.Process(target=write_process, args=(url, *r, 100, start)) for r in ranges]
    processes.append(SPAWN.Process(target=ring_process, args=(url, days, start)))
    for process in processes:
        process.start()
    follower = Follower(store)
    follower.start()
    start.wait(DEADLINE)
    write(store, 1_000, 1_000, 10)  # this process writes as well, in small steps
    for process in processes:
        process.join(DEADLINE)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    follow_to_end(follower, 4_500)
    check(store, 4_500)
    check_rings(store, days)


def endless_writer(url: str, n: int, step: int) -> None:
    store = open_store(url)
    write(store, 0, n, step)


@pytest.mark.parametrize("after", [1, 900])
def test_killed_writer_leaves_a_store_that_can_go_on(store, url, after):
    store.extend_schema(SCHEMA)
    n, step = 20_000, 100
    process = SPAWN.Process(target=endless_writer, args=(url, n, step))
    process.start()
    deadline = time.monotonic() + DEADLINE
    while store.watermark().transaction < after:
        assert time.monotonic() < deadline
        assert process.exitcode is None
    os.kill(process.pid, signal.SIGKILL)
    process.join(DEADLINE)
    assert process.exitcode == -signal.SIGKILL
    written = store.watermark().transaction
    assert after <= written < n
    assert written % step == 0  # a batch is there as a whole or not at all
    total = ((written + step) // step) * step
    write(store, 0, total, step)  # what a new run of the same load does
    check(store, total)
    again = store.upsert_transactions(batch(0, total))
    assert set(again.tolist()) == {Outcome.DUPLICATE}


def test_failed_write_leaves_nothing(store):
    """An error in the middle of a batch takes back all of it."""
    store.extend_schema(SCHEMA)
    store.upsert_transactions(batch(0, 10))
    before = store.status(), store.watermark()
    with pytest.raises(InputError, match="64 bits"):
        store.write_decisions(
            [Decision("a", b"x", 1, 0.5, "b", "m", b""), Decision("b", b"x", 2**70, 0.5, "b", "m", b"")]
        )
    assert (store.status(), store.watermark()) == before
    assert store.decisions(["a"]) == {}
    store.upsert_transactions(batch(10, 100))
    store.upsert_labels(label_batch(0, 110))
    check(store, 110)
