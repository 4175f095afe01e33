"""The scoring path without HTTP: idempotency, durability, and life without the graph store."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import facts
from api.engine import Pending
from api.service import NewLabel, Service
from api.wire import Submission
from gnn.refresh import refresh_snapshot
from graph import sqlite_database
from graph.errors import Conflict, NotFound, Overloaded, QuipuError, StoreUnavailable
from graph.progress import Progress
from graph.records import SECOND
from graph.settings import Settings
from graph.store import open_store
from tests.progress import Watcher

EXAMPLES = count()
AT = 1_746_100_000 * SECOND  # May 2025, after the small world


class Desk:
    """Asks a service in this process."""

    def __init__(
        self, folder: Path, small_world: Path, bundle: Path, *, progress: Progress | None = None, **changes: Any
    ) -> None:
        folder.mkdir(exist_ok=True)
        if not (folder / "store.db").exists():
            shutil.copy(small_world / "store.db", folder / "store.db")
        url = f"sqlite:///{folder}/store.db"
        self._turns = ThreadPoolExecutor(1)
        self.service = Service(Settings(var=folder, store=url, **changes), bundle, self._deliver, self._turns.submit)
        self.service.load(progress)

    @staticmethod
    def _deliver(pendings: list[Pending]) -> None:
        for pending in pendings:
            pending.waiter.set()

    def ask(self, submissions: Sequence[Submission]) -> list[Pending]:
        pendings = [Pending(submission, threading.Event()) for submission in submissions]
        self.service.engine.submit(pendings)
        assert all(pending.waiter.wait(60) for pending in pendings)
        return pendings

    def stop(self) -> None:
        self.service.stop()
        self._turns.shutdown()


@pytest.fixture(scope="module")
def desk(small_world: Path, small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"), small_world, small_bundle)
    yield made
    made.stop()


@pytest.fixture
def opened(small_world: Path, small_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def open_desk(**changes: Any) -> Desk:
        desks.append(Desk(tmp_path / "desk", small_world, small_bundle, **changes))
        return desks[-1]

    yield open_desk
    for desk in desks:
        desk.stop()


def submission(transaction_id: str, amount: int = 1000, user: str = "u") -> Submission:
    return Submission(transaction_id, AT, amount, "PEN", {"user": user, "device": "d"}, {}, {})


def body(pending: Pending) -> dict[str, Any]:
    assert pending.error is None, pending.error
    return msgspec.json.decode(pending.body)


@settings(max_examples=40)
@given(
    rounds=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=12), min_size=1, max_size=5
    ),
)
def test_an_id_gets_one_decision_and_every_retry_gets_it_too(desk: Desk, rounds: list[list[tuple[int, int]]]) -> None:
    """In any order, in one batch or several: an id's first body decides, the same body replays, another conflicts."""
    prefix = f"property-{next(EXAMPLES)}"
    first: dict[int, tuple[int, dict[str, Any]]] = {}
    for round_ in rounds:
        pendings = desk.ask([submission(f"{prefix}-{name}", 1000 + content) for name, content in round_])
        for (name, content), pending in zip(round_, pendings, strict=True):
            if name not in first:
                answer = body(pending)
                assert answer.pop("replayed") is False
                first[name] = (content, answer)
            elif first[name][0] == content:
                answer = body(pending)
                assert answer.pop("replayed") is True
                assert answer == first[name][1]
            else:
                assert isinstance(pending.error, Conflict)


def test_decisions_reach_the_store_and_stay_the_same_after_a_restart(opened: Callable[..., Desk]) -> None:
    desk = opened()
    answers = [body(p) for p in desk.ask([submission(f"t{i}") for i in range(20)])]
    desk.stop()
    store = open_store(desk.service.settings.store)
    kept = store.decisions([f"t{i}" for i in range(20)])
    assert len(store.sequence_numbers(list(kept))) == 20
    store.close()
    (desk.service.settings.var / "spool.db").unlink()
    again = opened().ask([submission(f"t{i}") for i in range(20)])
    assert [body(p) for p in again] == [{**answer, "replayed": True} for answer in answers]


def test_what_a_crash_left_in_the_spool_is_drained_at_start(opened: Callable[..., Desk], tmp_path: Path) -> None:
    desk = opened()
    var = desk.service.settings.var
    shutil.copy(var / "store.db", tmp_path / "before.db")
    answer = body(desk.ask([submission("t1")])[0])
    desk.stop()
    # As a crash between the spool's commit and the drainer would have left it.
    shutil.copy(tmp_path / "before.db", var / "store.db")
    shutil.rmtree(var / "index")
    with sqlite3.connect(var / "spool.db") as db:
        db.execute("UPDATE state SET value = 0 WHERE name = 'drained'")
    db.close()
    again = opened()
    assert again.service.store.decisions(["t1"])["t1"].probability == answer["probability"]
    assert body(again.ask([submission("t1")])[0]) == {**answer, "replayed": True}


def test_own_transactions_are_not_counted_twice(opened: Callable[..., Desk]) -> None:
    desk = opened()
    before = desk.service.engine.index.transactions
    desk.ask([submission(f"t{i}") for i in range(10)])
    desk.service._drainer.drain()
    desk.service._follower.follow_feed()
    assert desk.service.engine.index.transactions == before + 10
    desk.stop()
    assert opened().service.engine.index.transactions == before + 10, "also when its snapshot is opened"


def test_a_first_start_goes_on_from_the_snapshot_of_the_refresh(opened: Callable[..., Desk]) -> None:
    desk = opened()
    var = desk.service.settings.var
    answer = body(desk.ask([submission("t1")])[0])
    desk.stop()
    (var / "spool.db").unlink()
    shutil.rmtree(var / "index")
    read = Watcher()
    whole = opened(progress=read)
    rows = whole.service.engine.index.transactions
    whole.stop()
    assert "reading transactions" in read.names

    shutil.rmtree(var / "index")
    (var / "spool.db").unlink()
    with closing(open_store(desk.service.settings.store)) as store:
        refresh_snapshot(store, var / "models", desk.service.settings.refreshed_index)
        store.upsert_transactions(facts.table([facts.encode(submission("later"), AT)]))
    quick = Watcher()
    again = opened(progress=quick)
    assert "reading transactions" not in quick.names
    assert again.service.engine.index.transactions == rows + 1, "what came after the snapshot is there too"
    assert body(again.ask([submission("t1")])[0]) == {**answer, "replayed": True}


def test_a_transaction_that_was_loaded_is_decided_on_what_was_loaded(opened: Callable[..., Desk]) -> None:
    desk = opened()
    engine = desk.service.engine
    rows = engine.index.transactions
    with closing(open_store(desk.service.settings.store)) as loader:
        loader.upsert_transactions(facts.table([facts.encode(submission(name), AT) for name in ("l1", "l2")]))
    answer, conflict = desk.ask([submission("l1"), submission("l2", amount=7)])
    assert body(answer)["replayed"] is False
    assert isinstance(conflict.error, Conflict)
    desk.service._drainer.drain()
    desk.service._follower.follow_feed()
    assert engine.index.transactions == rows + 2
    assert body(desk.ask([submission("l1")])[0])["replayed"] is True


def test_a_label_is_seen_by_the_next_score(desk: Desk) -> None:
    def known_frauds(name: str) -> float | None:
        decision = desk.service.decision(name)
        return desk.service.features(decision)["user_fraud_all"]

    desk.ask([submission("label-1", user="marked")])
    counts = desk.service.keep_labels([NewLabel("label-1", True, AT + SECOND, "chargeback", True)])
    assert (counts.loaded, counts.kept) == (1, 0)
    later = Submission("label-2", AT + 10 * SECOND, 1000, "PEN", {"user": "marked"}, {}, {})
    desk.ask([later])
    assert known_frauds("label-1") in {0.0, None}
    assert known_frauds("label-2") == 1.0


def test_a_label_without_a_time_may_be_sent_again(desk: Desk) -> None:
    desk.ask([submission("again-1")])
    sent = [
        desk.service.keep_labels([NewLabel("again-1", fraud, AT + i, "bank", False)])
        for i, fraud in enumerate((True, True, False, True))
    ]
    assert [(c.loaded, c.duplicates) for c in sent] == [(1, 0), (0, 1), (1, 0), (1, 0)]


def test_scoring_and_labels_go_on_while_the_store_is_away(
    opened: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_SECONDS", 0.05)
    desk = opened()
    store_file = desk.service.settings.store.removeprefix("sqlite:///")
    blocker = sqlite3.connect(store_file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        answers = [body(desk.ask([submission(f"t{i}")])[0]) for i in range(5)]
        counts = desk.service.keep_labels([NewLabel("t1", True, AT + SECOND, "bank", True)])
        assert counts.kept == 1
        is_ready, told = desk.service.readiness()
        assert is_ready
        assert told["status"] == "degraded"
        assert told["reasons"]
        assert told["spool_backlog"] == 6
        assert body(desk.ask([submission("t1")])[0])["replayed"] is True
        assert isinstance(desk.ask([submission("t1", amount=1)])[0].error, Conflict)
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    deadline = threading.Event()
    for _ in range(600):
        if desk.service.readiness()[1]["spool_backlog"] == 0:
            break
        deadline.wait(0.05)
    assert desk.service.store.decisions([a["transaction_id"] for a in answers]).keys() == {f"t{i}" for i in range(5)}
    assert desk.service.store.labels_of(["t1"])["t1"] == [(AT + SECOND, True, "bank")]


def test_too_many_waiting_are_refused(opened: Callable[..., Desk]) -> None:
    desk = opened(queue_max=1)
    engine, gate = desk.service.engine, threading.Event()
    blocked = engine.call(lambda: gate.wait(60))
    waiting = [Pending(submission(f"t{i}"), threading.Event()) for i in range(2)]
    refusals: list[QuipuError] = []
    try:
        for pending in waiting:
            try:
                engine.submit([pending])
            except Overloaded as error:
                refusals.append(error)
    finally:
        gate.set()
    assert blocked.result(60)
    assert len(refusals) >= 1
    assert refusals[0].retryable


def test_a_spool_that_cannot_be_written_acknowledges_nothing(opened: Callable[..., Desk]) -> None:
    desk = opened()
    spool = desk.service.engine._journal
    spool._db.execute("PRAGMA query_only=ON")
    assert isinstance(desk.ask([submission("t1")])[0].error, StoreUnavailable)
    assert desk.service.engine.snapshot() is None
    spool._db.execute("PRAGMA query_only=OFF")
    rows = desk.service.engine.index.transactions
    answer = body(desk.ask([submission("t1")])[0])
    assert answer["replayed"] is False
    assert desk.service.engine.index.transactions == rows, "the retry is not a second transaction"
    assert desk.service.engine.snapshot() is not None


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.service.decision("nobody")


def test_a_stopped_service_refuses_politely(opened: Callable[..., Desk]) -> None:
    desk = opened()
    engine = desk.service.engine
    desk.stop()
    with pytest.raises(Overloaded):
        engine.submit([Pending(submission("t1"), threading.Event())])
    assert desk.service.readiness() == (False, {"status": "stopping", "reasons": []})
