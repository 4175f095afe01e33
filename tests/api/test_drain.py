"""Draining moves what the spool has into the graph store, and no more at a time than it should."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from api import drain, facts
from api import link as link_module
from api.drain import DRAIN_LEASE, Drainer
from api.link import StoreHealth, StoreLink
from api.spool import Lease, Record, Spool
from api.wire import Submission
from graph.errors import StoreUnavailable
from graph.records import SECOND, Decision
from graph.sqlite_store import SqliteStore
from graph.store import open_store


def record(number: int) -> Record:
    name = f"t{number}"
    submission = Submission(name, number * SECOND, 100, "PEN", {"user": "u1"}, {}, {})
    return Record(
        Decision(name, b"digest", number * SECOND, 0.5, "review", "m1", b"{}", b""), facts.encode(submission, SECOND)
    )


class Busy(Spool):
    """A spool into which another decision comes whenever some were drained, up to a number of them."""

    coming = 0

    def drained(self, seq: int) -> None:
        super().drained(seq)
        if self.coming:
            self.append([record(1_000 + self.coming)])
            self.coming -= 1


def names(records: Sequence[Record]) -> list[str]:
    return [each.decision.transaction_id for each in records]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def test_a_drain_leaves_what_comes_meanwhile_to_the_next(tmp_path: Path, url: str) -> None:
    health = StoreHealth()
    with Busy(tmp_path / "spool.db") as spool, closing(StoreLink(url, health)) as link:
        drainer = Drainer(spool, link, Lease(tmp_path / DRAIN_LEASE), health)
        spool.append([record(i) for i in range(10)])
        spool.coming = 50
        assert drainer.drain() == 10
        assert names(spool.undrained(100)) == ["t1050"]
        assert drainer.drain() == 1
        spool.coming = 0
        assert drainer.drain() == 1
        assert spool.undrained(100) == []
        written = spool.last()
    with closing(open_store(url)) as store:
        assert store.watermark().transaction == written == 12


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_a_drain_moves_all_that_was_there(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(drain, "_CHUNK", 4)
    health = StoreHealth()
    with Spool(tmp_path / "spool.db") as spool, closing(StoreLink(url, health)) as link:
        spool.append([record(i) for i in range(count)])
        assert Drainer(spool, link, Lease(tmp_path / DRAIN_LEASE), health).drain() == count
        assert spool.backlog().waiting == 0


class Unsettled(SqliteStore):
    """A store whose disk fails when it is waited for, as long as `failing`."""

    failing = True

    def settle(self) -> None:
        if self.failing:
            raise StoreUnavailable("the disk failed")
        super().settle()


def test_what_is_not_on_the_stores_disk_waits_on(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_CHUNK", 4)
    monkeypatch.setattr(link_module, "open_store", Unsettled)
    health = StoreHealth()
    with Spool(tmp_path / "spool.db") as spool, closing(StoreLink(url, health)) as link:
        drainer = Drainer(spool, link, Lease(tmp_path / DRAIN_LEASE), health)
        spool.append([record(i) for i in range(10)])
        with pytest.raises(StoreUnavailable):
            drainer.drain()
        assert len(spool.undrained(100)) == 10
        monkeypatch.setattr(Unsettled, "failing", False)
        assert drainer.drain() == 10
        assert spool.undrained(100) == []
        assert len(link.ask(lambda store: store.decisions([f"t{i}" for i in range(10)]), patience=1)) == 10
        assert link.ask(lambda store: store.watermark(), patience=1).transaction == 10


class Forgetful(SqliteStore):
    """A store that takes two chunks of decisions, and then is away."""

    left = 2

    def write_decisions(self, decisions: Sequence[Decision], *, durable: bool = True) -> NDArray[np.int8]:
        if not self.left:
            raise StoreUnavailable("the store is away")
        self.left -= 1
        return super().write_decisions(decisions, durable=durable)


def test_what_a_store_took_before_it_went_away_is_not_moved_again(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_CHUNK", 4)
    monkeypatch.setattr(link_module, "open_store", Forgetful)
    health = StoreHealth()
    with Spool(tmp_path / "spool.db") as spool, closing(StoreLink(url, health)) as link:
        spool.append([record(i) for i in range(10)])
        with pytest.raises(StoreUnavailable):
            Drainer(spool, link, Lease(tmp_path / DRAIN_LEASE), health).drain()
        assert names(spool.undrained(100)) == ["t8", "t9"]
