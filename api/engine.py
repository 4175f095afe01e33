"""The scoring path, free of any web framework: it turns waiting transactions into durable decisions.

Whatever waits is scored together (a micro-batch), committed to the spool together, and answered together.
All of it happens in turns on one thread, which also makes all changes to the as-of index, so look-ups never see
half a change. In the service that is the event loop's own thread: on a thread of its own, the engine and the loop
would take the interpreter from each other at every compiled call and every database step, and did, at three
times the cost of the work.
"""

import logging
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np

from api import facts
from api.active_rings import ActiveRings
from api.crowd import Crowd
from api.drain import Drainer
from api.known import contradicting, known
from api.link import StoreLink
from api.metrics import Meters
from api.replays import new_body, replayed_again, replayed_body
from api.spool import Record, Spool
from api.wire import EPOCH, Submission
from gnn.scoring import Answer
from graph.browser.links import BrowserLinks
from graph.errors import Conflict, Overloaded, QuipuError
from graph.index import AsOfIndex
from graph.records import Decision
from graph.snapshot import Snapshot

if TYPE_CHECKING:
    from api.shadow import Watcher
    from gnn.scorer import Scorer

log = logging.getLogger(__name__)
T = TypeVar("T")

_QUICK_COMMIT = 5e-3
"""Seconds; a disk that commits faster than this is not worth another thread's waking."""


class Pending:
    """One transaction on its way; after delivery it has a `body` or an `error`.

    Attributes:
        waiter: whatever the one who waits wants to find it by. client: whose it is, where that is known.
        body: the answer's JSON.
    """

    __slots__ = ("body", "client", "digest", "error", "submission", "waiter")

    def __init__(self, submission: Submission, waiter: Any, client: Hashable = None) -> None:
        self.submission = submission
        self.digest = submission.digest()
        self.waiter = waiter
        self.client = client
        self.body = b""
        self.error: QuipuError | None = None


class _Step:
    """A batch on its way.

    Attributes:
        first: the first transaction of each id; standing: decisions there were before, by id.
        fresh: those that are scored now, with their answers and records.
        lost: decisions of other workers that came first, by id.
    """

    __slots__ = ("answers", "batch", "first", "fresh", "lost", "records", "standing")

    def __init__(self, batch: list[Pending]) -> None:
        self.batch = batch
        self.first: dict[str, Pending] = {}
        for pending in batch:
            self.first.setdefault(pending.submission.transaction_id, pending)
        self.standing: dict[str, Decision] = {}
        self.fresh: list[Pending] = []
        self.answers: list[Answer] = []
        self.records: list[Record] = []
        self.lost: dict[str, Decision] = {}

    def fail(self, error: QuipuError) -> None:
        """Tells all that have no answer yet."""
        for pending in self.batch:
            if not pending.body and pending.error is None:
                pending.error = error


def _told(error: Exception, transactions: int) -> QuipuError:
    if isinstance(error, QuipuError):
        return error
    log.error("scoring %d transactions failed", transactions, exc_info=error)
    return QuipuError("scoring failed; the service's log has the details")


class Engine:
    """Owns the scorer, the index and two connections to the spool while it runs.

    Args:
        link: to the graph store, which is asked for what it knows of a transaction, as long as it answers.
        spool, journal: two connections to the spool: one to look decisions up, one to commit them while the next
            batch is scored.
        deliver: called in a turn with the transactions that are done, once a batch.
        soon: runs a function in a turn of its own, later, in the order asked for; may be called from any thread.
        batch_max: most transactions scored together. queue_max: most that may wait.
    """

    def __init__(
        self,
        scorer: "Scorer",
        index: AsOfIndex,
        link: StoreLink,
        spool: Spool,
        journal: Spool,
        drainer: Drainer,
        meters: Meters,
        deliver: Callable[[list[Pending]], None],
        soon: Callable[[Callable[[], None]], object],
        *,
        batch_max: int,
        queue_max: int,
    ) -> None:
        self.scorer = scorer
        self.index = index
        self.rings = ActiveRings()
        self._link = link
        self._browser = BrowserLinks.of(link.shown)
        self._spool = spool
        self._journal = journal
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="quipu-commit")
        self._in_flight: dict[str, list[Pending]] = {}
        self._drainer = drainer
        self._meters = meters
        self._deliver = deliver
        self._soon = soon
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._waiting: deque[Pending] = deque()
        self._turn_due = False
        self._crowd = Crowd(batch_max)
        self._commit_takes = 0.0
        self._newest_at = index.newest_at
        self._encoder = msgspec.json.Encoder(enc_hook=_plain)
        self._not_durable: set[str] = set()
        self._stopped = False
        self._watcher: Watcher | None = None

    def use(self, scorer: "Scorer") -> None:
        """Goes over to another scorer of the same index. Only in a turn (by `call`)."""
        self.scorer = scorer

    def watch(self, watcher: "Watcher | None") -> None:
        """Shows every batch to `watcher` once it is scored; None: to nobody. Only in a turn (by `call`)."""
        self._watcher = watcher

    def stop(self) -> None:
        """Accepts no more, and returns when what waits is done. Not to be called in a turn."""
        self._stopped = True
        while True:
            ended: Future[None] = Future()
            self._soon(partial(ended.set_result, None))
            ended.result()
            self._committer.submit(bool).result()
            if not (self._waiting or self._in_flight):
                self._committer.shutdown()
                return

    @property
    def waiting(self) -> int:
        """Transactions that wait."""
        return len(self._waiting)

    @property
    def newest_at(self) -> int:
        """Event time of the newest transaction in the index, microseconds UTC; 0 where there is none."""
        return self._newest_at

    def submit(self, pendings: Sequence[Pending]) -> None:
        """Queues transactions; each is delivered later.

        Raises:
            Overloaded: too many wait already, or the service is stopping.
        """
        if self._stopped or len(self._waiting) >= self._queue_max:
            raise Overloaded("the service has more work waiting than it accepts", hint="try again in a second")
        if pendings:
            self._crowd.came(first=not self._waiting, client=pendings[0].client)
        self._waiting.extend(pendings)
        self._ask_for_a_turn()

    def call(self, function: Callable[[], T]) -> "Future[T]":
        """Runs `function` between two batches."""
        if self._stopped:
            raise Overloaded("the service is stopping")
        done: Future[T] = Future()

        def turn() -> None:
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        self._soon(turn)
        return done

    def at_rest(self, function: Callable[[], T]) -> T:
        """What `function` returns, run between two batches, or at once after `stop`."""
        return function() if self._stopped else self.call(function).result()

    def came(self, occurred_at: int) -> None:
        """Tells that the index has a transaction of this event time. Only in a turn (by `call`)."""
        self._newest_at = max(self._newest_at, occurred_at)

    def snapshot(self, about: dict[str, Any] | None = None) -> Snapshot | None:
        """A copy of the index, to be written to disk with `about`. Only in a turn, or after `stop`.

        None while the index has a transaction whose spooling failed: a restart would keep what nobody was told.
        """
        if not self._stopped:
            self._committer.submit(bool).result()  # What is on its way to the disk gets there first.
        return None if self._not_durable else Snapshot(self.index, about)

    def _ask_for_a_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._soon(self._turn)

    def _turn(self) -> None:
        # Lowered before looking, so that whoever comes after the look asks for another turn.
        self._turn_due = False
        soon = self._commit_takes < _QUICK_COMMIT
        if self._waiting and self._crowd.worth_waiting(len(self._waiting), len(self._in_flight), soon=soon):
            self._ask_for_a_turn()
            return
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))]
        if batch:
            self._answer(batch)
        if self._waiting:
            self._ask_for_a_turn()

    def _answer(self, batch: list[Pending]) -> None:
        """Starts on a batch; what needs no commit is answered at once, the rest when it is on disk."""
        step = _Step(self._leaders(batch))
        try:
            self._decide(step)
        except Exception as error:
            step.fail(_told(error, len(batch)))
        if step.records:
            quick = self._commit_takes < _QUICK_COMMIT or len(step.records) == 1
            alone = quick and not (self._waiting or self._in_flight)
            self._in_flight |= {pending.submission.transaction_id: [] for pending in step.fresh}
            if alone:
                # With nobody to score meanwhile, another thread would only add its waking to the wait.
                self._persist(step)
                self._committed(step)
            else:
                self._committer.submit(self._commit, step)
        else:
            self._finish(step)

    def _leaders(self, batch: list[Pending]) -> list[Pending]:
        """The batch without retries of what is on its way to the disk: those wait with the one they repeat."""
        leaders = []
        for pending in batch:
            flight = self._in_flight.get(pending.submission.transaction_id)
            if flight is None:
                leaders.append(pending)
            else:
                flight.append(pending)
        return leaders

    def _decide(self, step: "_Step") -> None:
        started = perf_counter()
        first, standing = step.first, step.standing
        standing |= self._spool.decisions(list(first))
        fresh = [pending for i, pending in first.items() if i not in standing]
        stored = self._in_store([pending.submission.transaction_id for pending in fresh], standing)
        if standing:
            fresh = [pending for pending in fresh if pending.submission.transaction_id not in standing]
        if stored:
            fresh = self._agreeing(fresh, stored)
        looked_up = perf_counter()
        self._meters.lookup.observe(looked_up - started)
        if fresh:
            step.fresh = fresh
            self._score(step, stored)
            self._meters.score.observe(perf_counter() - looked_up)

    def _score(self, step: "_Step", stored: dict[str, int]) -> None:
        now = time_ns() // 1000
        index, submissions = self.index, [pending.submission for pending in step.fresh]
        seen = index.watermark.transaction
        questions = [
            s.question(indexed=index.owns(s.transaction_id) or 0 < stored.get(s.transaction_id, 0) <= seen)
            for s in submissions
        ]
        graph_as_of = self._newest_at
        self._not_durable.update(s.transaction_id for s in submissions)
        step.answers = self.scorer.score(questions)
        for name, number in self.scorer.new.items():
            self._meters.unknown.labels(name).inc(number)
        if self._watcher is not None:
            names = [s.transaction_id for s in submissions]
            self._watcher(names, self.scorer.model_version, step.answers, self.scorer.seen)
        self._newest_at = max(graph_as_of, *(s.occurred_at for s in submissions))
        common = {
            "model_version": self.scorer.model_version,
            "graph_as_of": EPOCH + timedelta(microseconds=graph_as_of) if graph_as_of else None,
            "decided_at": EPOCH + timedelta(microseconds=now),
        }
        step.records = [
            self._record(pending, answer, now, common, known=pending.submission.transaction_id in stored)
            for pending, answer in zip(step.fresh, step.answers, strict=True)
        ]

    def _commit(self, step: "_Step") -> None:
        """Runs on the committer's thread, beside the scoring of the next batch."""
        self._persist(step)
        self._soon(partial(self._committed, step))

    def _persist(self, step: "_Step") -> None:
        """Puts a step's decisions on disk."""
        started = perf_counter()
        try:
            step.lost = self._journal.append(step.records)
            self._not_durable.difference_update(record.decision.transaction_id for record in step.records)
        except Exception as error:
            step.fail(_told(error, len(step.records)))
        took = perf_counter() - started
        self._commit_takes += (took - self._commit_takes) / 8
        self._meters.spool.observe(took)
        self._drainer.wake()

    def _committed(self, step: "_Step") -> None:
        told = []
        for pending, answer, record in zip(step.fresh, step.answers, step.records, strict=True):
            if pending.error is None and record.decision.transaction_id not in step.lost:
                pending.body = new_body(record.decision)
                told.append((answer, pending.submission.amount))
        self._meters.answered(told)
        step.standing |= step.lost
        self._meters.batch.observe(len(step.fresh))
        for pending in step.fresh:
            step.batch += self._in_flight.pop(pending.submission.transaction_id)
        self._finish(step)

    def _finish(self, step: "_Step") -> None:
        clients = {pending.client for pending in step.batch}
        self._crowd.answered(len(step.batch) + len(self._waiting) + len(self._in_flight), clients)
        for pending in step.batch:
            if not pending.body and pending.error is None:
                self._replay(pending, step.standing.get(pending.submission.transaction_id), step.first)
        self._deliver(step.batch)

    def _record(self, pending: Pending, answer: Answer, now: int, common: dict[str, Any], *, known: bool) -> Record:
        transaction_id = pending.submission.transaction_id
        response = {
            "transaction_id": transaction_id,
            "probability": answer.probability,
            "band": answer.band,
            "reasons": answer.reasons,
            "neighbourhood": answer.neighbourhood,
            "ring": self.rings.of(pending.submission.entities),
            "links": self._links(transaction_id),
            **common,
        }
        decision = Decision(
            transaction_id,
            pending.digest,
            now,
            float(answer.probability),
            answer.band,
            self.scorer.model_version,
            self._encoder.encode(response),
            answer.features,
        )
        return Record(decision, b"" if known else facts.encode(pending.submission, now))

    def _links(self, transaction_id: str) -> dict[str, str]:
        links = {"self": f"/v1/decisions/{quote(transaction_id, safe='')}"}
        if self._browser is not None:
            links["browser"] = self._browser.decision(transaction_id)
        return links

    def _in_store(self, transaction_ids: list[str], standing: dict[str, Decision]) -> dict[str, int]:
        """Sequence numbers of those that the store has no decision on; adds the decisions it has to `standing`."""
        found = known(self._link, transaction_ids)
        standing |= found.decisions
        return found.loaded

    def _agreeing(self, pendings: list[Pending], stored: dict[str, int]) -> list[Pending]:
        """Those that have the content that they were loaded with, where they were loaded, but never decided."""
        loaded = [p.submission for p in pendings if p.submission.transaction_id in stored]
        contrary = contradicting(self._link, loaded, self.scorer.schema)
        for pending in pendings:
            if pending.submission.transaction_id in contrary:
                self._conflict(pending)
        return [pending for pending in pendings if pending.submission.transaction_id not in contrary]

    def _replay(self, pending: Pending, decision: Decision | None, first: dict[str, Pending]) -> None:
        transaction_id = pending.submission.transaction_id
        if decision is not None:
            if decision.digest == pending.digest:
                self._repeat(pending, replayed_body(decision))
            else:
                self._conflict(pending)
            return
        leader = first[transaction_id]
        if leader.error is not None:
            pending.error = leader.error
        elif leader.digest == pending.digest:
            self._repeat(pending, replayed_again(leader.body))
        else:
            self._conflict(pending)

    def _repeat(self, pending: Pending, body: bytes) -> None:
        pending.body = body
        self._meters.replays.inc()

    def _conflict(self, pending: Pending) -> None:
        self._meters.conflicts.inc()
        pending.error = Conflict(
            f"transaction {pending.submission.transaction_id!r} is known with other content",
            hint="a retry must send the same body; a new transaction needs an id of its own",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot encode {type(value).__name__}")
