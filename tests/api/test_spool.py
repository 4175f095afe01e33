"""The spool keeps decisions in order, once, across processes and crashes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.spool import Lease, Record, Spool, SpooledLabel
from graph.errors import StoreError, StoreUnavailable
from graph.records import Decision

ROOT = Path(__file__).resolve().parents[2]


def record(name: str, content: str = "a", decided_at: int = 1) -> Record:
    decision = Decision(name, content.encode(), decided_at, 0.25, "approve", "m1", f'{{"id":"{name}"}}'.encode(), b"\0")
    return Record(decision, b"fact of " + name.encode())


def names(records: list[Record]) -> list[str]:
    return [r.decision.transaction_id for r in records]


def test_what_is_appended_is_there_for_every_connection(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as one, Spool(tmp_path / "spool.db", durable=False) as other:
        assert one.append([record("a"), record("b")]) == {}
        assert other.decisions(["a", "b", "c"]) == {"a": record("a").decision, "b": record("b").decision}
        assert names(other.undrained(10)) == ["a", "b"]
        assert [r.fact for r in other.undrained(1)] == [b"fact of a"]


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=4, unique=True)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_a_connection_knows_where_its_own_records_stand(
    tmp_path_factory: pytest.TempPathFactory, commits: list[tuple[bool, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.db"
    with Spool(path) as one, Spool(path) as other:
        for mine, numbers in commits:
            (one if mine else other).append([record(str(i), "mine" if mine else "other") for i in numbers])
        stand = {r.seq: r.decision.digest for r in one.undrained(1_000)}
        for spool, content in ((one, b"mine"), (other, b"other")):
            told = [seq for positions in spool.appended for seq in positions]
            assert told == sorted(set(told))
            assert {stand[seq] for seq in told} <= {content}


def test_the_first_decision_stands(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool.append([record("a", decided_at=1)])
        lost = spool.append([record("b"), record("a", "other", decided_at=2), record("c")])
        assert lost == {"a": record("a", decided_at=1).decision}
        assert names(spool.undrained(10)) == ["a", "b", "c"]


def test_drained_records_are_forgotten_and_positions_never_reused(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool.append([record("a"), record("b")])
        first, second = spool.undrained(10)
        spool.drained(first.seq)
        assert names(spool.undrained(10)) == ["b"]
        assert spool.forget(older_than=1.0, limit=10) == 1
        assert spool.decisions(["a"]) == {}
        spool.drained(second.seq)
        assert spool.forget(older_than=1.0, limit=10) == 1
        spool.append([record("c")])
        assert names(spool.undrained(10)) == ["c"], "a record after the table was emptied still waits"
        assert spool.backlog().waiting == 1


def test_to_forget_costs_the_same_however_many_young_records_there_are(tmp_path: Path) -> None:
    steps = []
    for young in (10, 10_000):
        with Spool(tmp_path / f"{young}.db") as spool:
            spool.append([record("old", decided_at=1)])
            now = time.time_ns() // 1000
            spool.append([record(str(i), decided_at=now) for i in range(young)])
            spool.drained(spool.last())
            counted = [0]

            def count(counted: list[int] = counted) -> None:
                counted[0] += 1

            spool._db.set_progress_handler(count, 10)  # called at every tenth instruction of SQLite's machine
            assert spool.forget(older_than=60.0, limit=100_000) == 1
            assert spool.forget(older_than=60.0, limit=100_000) == 0
            steps.append(counted[0])
    assert steps[1] < 2 * steps[0] + 10


def test_a_refused_record_stays_for_a_person_to_look_at(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool.append([record("a"), record("b")])
        spool.refuse(spool.undrained(1)[0], "because")
        assert names(spool.undrained(10)) == ["b"]
        spool.drained(spool.undrained(1)[0].seq)
        assert spool.forget(older_than=1.0, limit=10) == 1
        assert set(spool.decisions(["a", "b"])) == {"a"}


def test_labels_wait_in_order(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool:
        spool.append_labels([SpooledLabel("a", True, 5, "x"), SpooledLabel("b", False, 6, "y")])
        assert spool.backlog().waiting == 2
        first = spool.undrained_labels(1)[0]
        assert (first.transaction_id, first.is_fraud, first.known_at, first.source) == ("a", True, 5, "x")
        spool.drained_labels(first.seq)
        assert [x.transaction_id for x in spool.undrained_labels(10)] == ["b"]


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True), max_size=8))
def test_every_id_has_one_decision_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    model: dict[str, Decision] = {}
    with Spool(folder / "spool.db") as spool:
        for number, batch in enumerate(batches):
            records = [record(name, str(number), decided_at=number) for name in batch]
            lost = spool.append(records)
            assert lost == {name: model[name] for name in batch if name in model}
            for r in records:
                model.setdefault(r.decision.transaction_id, r.decision)
        assert {r.decision.transaction_id: r.decision for r in spool.undrained(100)} == model
        assert spool.decisions(list("abcdefgh")) == model


def test_workers_that_write_at_once_take_turns(tmp_path: Path) -> None:
    losses: list[int] = []

    def work(number: int) -> None:
        with Spool(tmp_path / "spool.db") as spool:
            losses.append(sum(len(spool.append([record(f"t{i}", decided_at=number)])) for i in range(50)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Spool(tmp_path / "spool.db") as spool:
        assert len(spool.undrained(1000)) == 50
    assert sum(losses) == 150


WRITER = """
import sys
from pathlib import Path
from api.spool import Record, Spool
from graph.records import Decision
with Spool(Path(sys.argv[1])) as spool:
    spool.reserve()
    for i in range(100_000):
        name = f"t{i}"
        spool.append([Record(Decision(name, b"d", i, 0.5, "review", "m", b"{}", b""), b"f")])
        print(name, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += process.stdout.read().split()
    process.stdout.close()
    process.wait()
    with Spool(path) as spool:
        assert set(acknowledged) <= set(spool.decisions(acknowledged))


def test_only_one_process_holds_the_lease(tmp_path: Path) -> None:
    one, other = Lease(tmp_path / "lease"), Lease(tmp_path / "lease")
    assert one.take()
    assert one.take()
    assert not other.take()
    one.close()
    assert other.take()
    other.close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_bytes(b"this is no database, and long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match="spool") as caught:
        Spool(path)
    assert caught.value.hint


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(StoreError, match="spool"):
        Spool(tmp_path / "var" / "spool.db")


def test_a_closed_or_broken_spool_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool.db") as spool, Spool(tmp_path / "spool.db") as other:
        other._db.execute("DROP TABLE records")
        with pytest.raises(StoreUnavailable):
            spool.append([record("a")])
        spool.writable()


def test_the_log_is_moved_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    with Spool(path) as spool, Spool(path, durable=False) as drainer:
        spool.append([record(f"t{i}") for i in range(500)])
        before = path.stat().st_size
        drainer.checkpoint()
        assert path.stat().st_size > before
        assert len(drainer.undrained(1000)) == 500


def test_a_reserved_log_does_not_grow_and_loses_nothing(tmp_path: Path) -> None:
    path, copy = tmp_path / "spool.db", tmp_path / "copy.db"
    log = path.with_name("spool.db-wal")
    with Spool(path) as spool:
        spool.reserve(4 * 2**20)
        size = log.stat().st_size
        assert size == 4 * 2**20
        for i in range(100):
            spool.append([record(f"t{i}")])
        spool.reserve(4 * 2**20)
        assert log.stat().st_size == size
        for suffix in ("", "-wal"):  # as after a crash
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    with Spool(copy) as other:
        assert names(other.undrained(1_000)) == [f"t{i}" for i in range(100)]


def test_a_log_is_reserved_beside_those_who_write(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"

    def work() -> None:
        with Spool(path) as spool:
            for i in range(200):
                spool.append([record(f"t{i}")])

    thread = threading.Thread(target=work)
    with Spool(path) as spool, Spool(path) as other:
        thread.start()
        for size in range(2**20, 64 * 2**20, 2**20):
            other.reserve(size)
        thread.join()
        assert names(spool.undrained(1_000)) == [f"t{i}" for i in range(200)]
        assert spool._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Spool(path) as spool:
        assert len(spool.undrained(1_000)) == 200


OPENED_AND_CLOSED = """
import sys
from pathlib import Path
from api.spool import Spool
with Spool(Path(sys.argv[1])) as spool:
    print(*(r.decision.transaction_id for r in spool.undrained(10)))
"""


def test_another_process_that_closes_it_takes_nothing_from_those_who_write(tmp_path: Path) -> None:
    """A process with several connections keeps its locks, so that nobody else deletes the log under it."""
    path = tmp_path / "spool.db"

    def elsewhere() -> list[str]:
        command = [sys.executable, "-c", OPENED_AND_CLOSED, str(path)]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

    with Spool(path) as one, Spool(path) as another:
        one.append([record("a")])
        assert elsewhere() == ["a"]
        one.append([record("b")])
        another.append([record("c")])
        assert elsewhere() == ["a", "b", "c"]
    assert elsewhere() == ["a", "b", "c"]
    assert path.stat().st_mode & 0o077 == 0
