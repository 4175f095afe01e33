"""An index takes from the spool what others have decided, all of it and once, and goes past what is its own."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.facts import encode
from api.follow import Follower
from api.link import StillBusy, StoreHealth, StoreLink
from api.spool import Record, Spool
from api.wire import Submission
from graph.index import AsOfIndex
from graph.records import Decision, GraphSchema
from graph.store import Store

T = TypeVar("T")
SECOND = 1_000_000
WHO = st.sampled_from(("mine", "other", "follow"))


def record(number: int) -> Record:
    name = f"t{number}"
    fact = encode(Submission(name, number * SECOND, 100, "PEN", {"user": "u1"}, {}, {}), number * SECOND)
    return Record(Decision(name, b"", number, 0.5, "approve", "m", b"{}", b""), fact)


@given(st.lists(st.tuples(WHO, st.integers(1, 3)), max_size=20), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_what_others_decided_comes_in_once_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], remembered: int
) -> None:
    folder = tmp_path_factory.mktemp("follow")
    index = AsOfIndex(GraphSchema(entities=("user", "device")))
    link = StoreLink(f"sqlite:///{folder}/quipu.db", StoreHealth())
    spools = [Spool(folder / "spool.db", durable=False) for _ in range(3)]
    try:
        mine, other, looked = spools
        mine.appended = deque(maxlen=remembered)
        follower = Follower(index, looked, link)
        follower.serve(lambda change: change(), lambda _: None, mine.appended)
        spooled, others, came = 0, 0, 0
        for who, size in [*steps, ("follow", 0)]:
            records = [record(spooled + i) for i in range(size)]
            if who == "mine":
                for i in range(size):
                    row = index.append(None, (spooled + i) * SECOND, 100, [index.id_for(0, "u1"), -1])
                    index.register(f"t{spooled + i}", row)
                mine.append(records)
            elif who == "other":
                other.append(records)
                others += size
            else:
                came += follower.follow_spool()
                assert came == others
            spooled += size if who != "follow" else 0
        assert index.transactions == spooled
        assert follower.position == looked.last()
        assert not mine.appended, "what was passed is not kept"
    finally:
        for spool in spools:
            spool.close()
        link.close()


def test_who_is_in_a_hurry_does_not_wait_for_another_to_end(tmp_path: Path) -> None:
    """A label is answered although the store hangs in the middle of telling what is new."""
    entered, leave = threading.Event(), threading.Event()

    class Hanging(StoreLink):
        def ask(self, call: Callable[[Store], T], *, patience: float) -> T:
            entered.set()
            leave.wait()
            return super().ask(call, patience=patience)

    with Spool(tmp_path / "spool.db", durable=False) as spool:
        link = Hanging(f"sqlite:///{tmp_path}/quipu.db", StoreHealth())
        follower = Follower(AsOfIndex(GraphSchema()), spool, link)
        other = threading.Thread(target=follower.follow_feed)
        other.start()
        try:
            entered.wait()
            with pytest.raises(StillBusy):
                follower.follow_feed(patience=0.01)
        finally:
            leave.set()
            other.join()
        assert follower.follow_feed(patience=0.01) == 0
        link.close()
