"""A client that goes on whatever happens: it sends transactions and labels steadily, and keeps what it was told.

Afterwards what it was told is compared with what the graph store has.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from graph.store import Store, open_store

_USERS, _DEVICES, _RESTAURANTS = 97, 31, 13
_REPEAT_EVERY, _LABEL_EVERY = 10, 20
_SENDERS = 8
_LONGEST_SECONDS = 30.0
_CHUNK = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Told:
    """What the client was told.

    Attributes:
        decisions: the answer to each transaction, by its id; labels: those that were taken, by transaction id.
        failures: what was answered otherwise than it should have been.
        repeated: requests that were sent again on purpose, and gave the original decision.
        refused: requests that found no service, because it was being restarted, and were sent again until it answered.
        slowest: seconds, of requests that were not refused; seconds: of all of these that were scores.
        statuses: of all answers.
    """

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    repeated: int = 0
    refused: int = 0
    slowest: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Traffic:
    """Sends transactions of its own users, devices and restaurants; one in ten is sent again, one in twenty labelled.

    Args:
        port: where the service listens on loopback, also after a restart. key: with the scopes score and label.
        per_second: requests.
        name: begins each id.
    """

    def __init__(self, port: int, key: str, *, per_second: float, name: str = "T") -> None:
        self.told = Told()
        self.name = name
        self._port = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._gap = 1 / per_second
        self._mutex = threading.Lock()
        self._sent = 0
        self._stopping = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Told]:
        """Sends meanwhile; on leaving, ends when every request has its answer."""
        senders = [threading.Thread(target=self._send_all, daemon=True) for _ in range(_SENDERS)]
        self._began = time.monotonic()
        for sender in senders:
            sender.start()
        try:
            yield self.told
        finally:
            self._stopping.set()
            for sender in senders:
                sender.join()

    def transaction(self, number: int) -> dict[str, Any]:
        """The transaction of this number."""
        return {
            "transaction_id": f"{self.name}-{number}",
            "occurred_at": (START + timedelta(seconds=number)).isoformat(),
            "user_id": f"{self.name}-U{number % _USERS}",
            "device_id": f"{self.name}-D{number % _DEVICES}",
            "restaurant_id": f"{self.name}-R{number % _RESTAURANTS}",
            "amount": 1 + number % 50,
        }

    def label(self, number: int) -> dict[str, Any]:
        """The label of the transaction of this number."""
        known_at = START + timedelta(days=3, seconds=number)
        return {
            "transaction_id": f"{self.name}-{number}",
            "is_fraud": number % (2 * _LABEL_EVERY) == 0,
            "known_at": known_at.isoformat(),
            "source": "drill",
        }

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_LONGEST_SECONDS)
        while not self._stopping.is_set():
            with self._mutex:
                number, self._sent = self._sent, self._sent + 1
            time.sleep(max(self._began + number * self._gap - time.monotonic(), 0.0))
            self._send(connection, number)
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, number: int) -> None:
        body = self.transaction(number)
        name = body["transaction_id"]
        status, answer = self._post(connection, "/v1/score", body)
        if status != 200:
            return self._failed(f"{name}: {status} {answer}")
        with self._mutex:
            self.told.decisions[name] = answer
        if number % _REPEAT_EVERY == 0 and number:
            self._repeat(connection, number - (number % 7) * _REPEAT_EVERY)
        if number % _LABEL_EVERY == 0:
            label = self.label(number)
            status, answer = self._post(connection, "/v1/labels", label)
            if status not in {200, 202}:
                return self._failed(f"label of {name}: {status} {answer}")
            with self._mutex:
                self.told.labels[name] = label
        return None

    def _repeat(self, connection: http.client.HTTPConnection, number: int) -> None:
        body = self.transaction(max(number, 0))
        name = body["transaction_id"]
        first = self.told.decisions.get(name)
        if first is None:
            return
        status, answer = self._post(connection, "/v1/score", body)
        if status != 200 or answer != {**first, "replayed": True}:
            self._failed(f"{name} again: {status} {answer}, at first {first}")
        else:
            with self._mutex:
                self.told.repeated += 1

    def _post(self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """As a client does that sends again until it is answered."""
        refused = False
        while True:
            began = time.monotonic()
            try:
                connection.request("POST", path, json.dumps(body), self._headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except TimeoutError:
                connection.close()
                return 0, "no answer"
            except (OSError, http.client.HTTPException):
                connection.close()
                refused = True
                time.sleep(0.1)
                continue
            starting = response.status == 503 and answer.get("type", "").endswith("not-ready")
            with self._mutex:
                self.told.statuses[response.status] += 1
                self.told.refused += (refused or starting) and not (refused and starting)
                if not (refused or starting):
                    took = time.monotonic() - began
                    self.told.slowest = max(self.told.slowest, took)
                    if path == "/v1/score":
                        self.told.seconds.append(took)
            if not starting:
                return self._first_told(response.status, answer, refused)
            refused = True
            time.sleep(0.1)

    @staticmethod
    def _first_told(status: int, answer: Any, refused: bool) -> tuple[int, Any]:
        """An answer as if its request had been sent once: one that was cut off may have been decided on."""
        if refused and status == 200 and answer.get("replayed") is True:
            answer = {**answer, "replayed": False}
        return status, answer

    def _failed(self, what: str) -> None:
        with self._mutex:
            self.told.failures.append(what)


@dataclass(frozen=True, slots=True)
class Before:
    """What a store had before the traffic."""

    transactions: int
    labels: int

    @classmethod
    def of(cls, url: str) -> "Before":
        """Counts now."""
        store = open_store(url)
        try:
            counts = store.status()
        finally:
            store.close()
        return cls(counts["transactions"], counts["labels"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the client was told, beside what the store has; all of it is zero where nothing was lost or doubled.

    Attributes:
        lost: transactions, decisions and labels that the store lacks.
        doubled: transactions and labels that it has beyond those.
        other: decisions that are not those that the client was told, and labels that say something else.
        gaps: numbers of the change feed that are missing.
        sums: users whose sums are not those of their transactions.
    """

    lost: int
    doubled: int
    other: int
    gaps: int
    sums: int

    @property
    def clean(self) -> bool:
        """Nothing was lost, doubled or changed."""
        return not (self.lost or self.doubled or self.other or self.gaps or self.sums)


def compare(url: str, traffic: Traffic, before: Before) -> Comparison:
    """Compares what the client was told with the store."""
    store = open_store(url)
    try:
        return _compare(store, traffic, before)
    finally:
        store.close()


def _compare(store: Store, traffic: Traffic, before: Before) -> Comparison:
    told = traffic.told
    names = list(told.decisions)
    lost = other = 0
    for start in range(0, len(names), _CHUNK):
        part = names[start : start + _CHUNK]
        numbers, kept, histories = store.sequence_numbers(part), store.decisions(part), store.labels_of(part)
        lost += len(part) - len(numbers) + len(part) - len(kept)
        for name, decision in kept.items():
            other += {**json.loads(decision.response), "replayed": False} != told.decisions[name]
        for name in part:
            given = told.labels.get(name)
            expected = [] if given is None else [(_micros(given["known_at"]), given["is_fraud"], given["source"])]
            found = histories.get(name, [])
            lost += len(expected) > len(found)
            other += len(expected) <= len(found) and found[: len(expected)] != expected
    counts, mark = store.status(), store.watermark()
    doubled = counts["transactions"] - before.transactions - len(names)
    doubled += counts["labels"] - before.labels - len(told.labels)
    numbers_seen = sum(len(chunk.seq) for chunk in store.transaction_changes(0))
    gaps = mark.transaction - numbers_seen + abs(mark.transaction - counts["transactions"])
    return Comparison(lost, max(doubled, 0), other, gaps, _wrong_sums(store, traffic))


def _wrong_sums(store: Store, traffic: Traffic) -> int:
    count: Counter[str] = Counter()
    amount: Counter[str] = Counter()
    for name in traffic.told.decisions:
        body = traffic.transaction(int(name.rpartition("-")[2]))
        count[body["user_id"]] += 1
        amount[body["user_id"]] += 100 * body["amount"]
    wrong = 0
    for user in count:
        found = store.entity("user", user) or {}
        wrong += (found.get("transactions"), found.get("amount")) != (count[user], amount[user])
    return wrong


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
