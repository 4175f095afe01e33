"""Keeping the index current: with what this host's workers have decided, from the spool, and with the store's feed.

A decision of another worker is seen in the spool, and so does not depend on the graph store. The feed brings it once
more, as it does this worker's own; what the index has already is not added again, whichever way it comes first.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from api.facts import Fact, decode
from api.link import StillBusy, StoreLink
from api.spool import Spool
from graph.errors import StoreError
from graph.index import AsOfIndex, Change
from graph.ring_log import ring_watermark
from graph.snapshot import belongs
from graph.store import Watermark

T = TypeVar("T")
InTurn = Callable[[Callable[[], T]], T]

_ROWS = 256
"""Rows that are added in one turn of the engine: more would hold up scoring."""
_READ_ROWS = 8_192
_LOOK = 2_048
PATIENCE_SECONDS = 2.0
_READ_SECONDS = 30.0


class Follower:
    """Adds to an index what others have decided, loaded and labelled; one thread at a time.

    Args:
        spool: a connection that nobody else is busy with for long.
        position: the index has all records of the spool up to here.
        brought: transactions that the feed has brought, and whose records may lie behind `position`.
        on_disk: there is a snapshot of the index.
    """

    def __init__(
        self,
        index: AsOfIndex,
        spool: Spool,
        link: StoreLink,
        *,
        position: int = 0,
        brought: set[str] | None = None,
        on_disk: bool = False,
    ) -> None:
        self.index = index
        self.on_disk = on_disk
        self.position = position
        self._spool = spool
        self._link = link
        self._mutex = threading.Lock()
        self._in_turn: Callable[[Callable[[], Any]], Any] = lambda change: change()
        self._newest: Callable[[int], None] = lambda _: None
        self._own: deque[range] = deque()
        self._brought: deque[tuple[int, set[str]]] = deque()
        if brought:
            self._brought.append((spool.last(), brought))
        self._mark: tuple[Watermark, int] | None = None
        self._compared = False

    def serve(
        self,
        in_turn: Callable[[Callable[[], Any]], Any],
        newest: Callable[[int], None],
        own: deque[range],
    ) -> None:
        """From now on the index is in use: it is changed by `in_turn`, a little at a time.

        Args:
            in_turn: runs a change when nobody looks at the index, and returns what that returns.
            newest: is told, in a turn, the latest event time that was added (microseconds UTC).
            own: where in the spool is what this index had before it was spooled (see `Spool.appended`).
        """
        self._in_turn, self._newest, self._own = in_turn, newest, own

    def at_rest(self, take: Callable[[dict[str, Any]], T]) -> T:
        """What `take` returns, while nothing of others is added; it gets what a snapshot of the index must keep."""
        with self._mutex:
            self._forget()
            brought = sorted({name for _, names in self._brought for name in names})
            spool = self._spool.value("identity")
            return take({"spool": spool, "position": self.position, "brought": brought})

    def follow_spool(self) -> int:
        """Adds what workers of this host have decided since; returns how many transactions were new here.

        Raises:
            StoreUnavailable: the spool cannot be read.
        """
        with self._mutex:
            added = 0
            while records := self._unseen():
                new = [seq for seq, name in records if not self._has(name)]
                for start in range(0, len(new), _ROWS):
                    facts = [decode(fact) for fact in self._spool.facts(new[start : start + _ROWS])]
                    added += self._turn(partial(self._append, facts))
                self.position = records[-1][0]
            self._forget()
            return added

    def _unseen(self) -> list[tuple[int, str]]:
        """What stands next in the spool, past what comes from this worker: that need not be read."""
        while self._own:
            # Taken out before it is looked at: where many wait, a new one pushes the first out.
            own = self._own.popleft()
            if own.start > self.position + 1:
                self._own.appendleft(own)
                break
            self.position = max(self.position, own[-1])
        return self._spool.after(self.position, _LOOK)

    def follow_feed(self, *, patience: float = _READ_SECONDS) -> int:
        """Adds what the store's change feed has; returns how many transactions and labels were new.

        Args:
            patience: seconds to wait for whoever is at it already, and for each of the store's answers.

        Raises:
            StillBusy: somebody else is at it, and was not done in time.
            StoreUnavailable: the store is away, or too slow; what was added before stays.
            StoreError: the store is not the one, or not in a later state of the one, that the index knows.
        """
        if not self._mutex.acquire(timeout=patience):
            raise StillBusy("what is new in the graph store is still being read")
        try:
            return self._follow_feed(patience)
        except StoreError:
            self._compared = False
            raise
        finally:
            self._mutex.release()

    def _follow_feed(self, patience: float) -> int:
        mark = self._link.ask(lambda store: (store.watermark(), ring_watermark(store)), patience=PATIENCE_SECONDS)
        if not self._compared:
            if not self._link.ask(lambda store: belongs(self.index, store), patience=patience):
                raise StoreError(
                    "it lacks transactions that it had: it is another store, or was restored from an older backup",
                    hint="load again what it lacks, and restart the service",
                )
            self._compared = True
        if mark == self._mark:
            return 0
        added = 0
        changes = self._link.ask(lambda store: self.index.changes(store, chunk=_READ_ROWS), patience=patience)
        while (change := self._next(changes, patience)) is not None:
            if change.transactions is not None:
                assert change.transactions.transaction_ids is not None
                # Whatever the feed has was in a spool before, so at or before the newest position now.
                self._brought.append((self._spool.last(), set(change.transactions.transaction_ids)))
            for part in change.parts(_ROWS):
                added += self._turn(partial(self._apply, part))
        self._mark = mark
        self._forget()
        return added

    def _next(self, changes: Iterator[Change], patience: float) -> Change | None:
        return self._link.ask(lambda _: next(changes, None), patience=patience)

    def _turn(self, change: Callable[[], int]) -> int:
        return int(self._in_turn(change))

    def _apply(self, change: Change) -> int:
        applied = self.index.apply(change)
        if applied and change.transactions is not None:
            self._newest(int(change.transactions.occurred_at.max()))
        return applied

    def _append(self, facts: list[Fact]) -> int:
        index = self.index
        kinds = {name: kind for kind, name in enumerate(index.schema.keyed)}
        for fact in facts:
            given = fact.submission
            ids = [-1] * len(kinds)
            for name, key in (*given.entities.items(), *given.categories.items()):
                if name in kinds:
                    ids[kinds[name]] = index.id_for(kinds[name], key)
            index.append(given.transaction_id, given.occurred_at, given.amount, ids)
            self._newest(given.occurred_at)
        return len(facts)

    def _has(self, transaction_id: str) -> bool:
        return self.index.owns(transaction_id) or any(transaction_id in names for _, names in self._brought)

    def _forget(self) -> None:
        while self._brought and self._brought[0][0] <= self.position:
            self._brought.popleft()
