"""A closed-loop HTTP/1.1 load generator that spends little of the machine it measures.

Every connection is kept alive and sends its next request when the last answer has come, so that
throughput and latency belong together. Requests are rendered before the clock starts; of an answer
only the status and the length are parsed. Run it in another process than the server's.

    python -m bench.load http://127.0.0.1:8000/v1/score --bodies requests.jsonl --connections 16
"""

import argparse
import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import SplitResult, urlsplit

import numpy as np
import uvloop

LENGTH = b"\r\ncontent-length:"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run of load measured.

    Attributes:
        connections: how many sent requests at the same time.
        requests: answers received.
        seconds: from the first request sent to the last answer received.
        per_second: answers a second.
        p50_ms, p90_ms, p99_ms, p999_ms, max_ms: latency from request sent to answer complete; 0 without answers.
        statuses: answers by HTTP status.
        unanswered: requests that got no answer, because the server closed their connection.
    """

    connections: int
    requests: int
    seconds: float
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    statuses: dict[int, int]
    unanswered: int


def run(
    url: str,
    bodies: Iterable[bytes],
    *,
    connections: int = 16,
    headers: Mapping[str, str] | None = None,
    timeout: float = 600.0,
) -> LoadResult:
    """Posts each body once to `url`, over this many connections, and measures.

    Args:
        url: an `http://` address.
        bodies: JSON documents, each sent once; they are taken and rendered before the clock starts.
        connections: requests in flight at any time, as long as there are bodies left.
        headers: further headers, such as Authorization.
        timeout: seconds for the whole run.

    Raises:
        OSError: the server cannot be reached.
        TimeoutError: the run did not end in time.
        ValueError: the address is not an http:// address, or the server does not speak HTTP/1.1 with lengths.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is not an http:// address")
    requests = _rendered(parts, bodies, headers or {})
    load = _Load(requests)
    # A pause for collection would be booked as the server's latency.
    gc.collect()
    gc.disable()
    try:
        uvloop.run(_drive(load, parts, connections, timeout))
    finally:
        gc.enable()
    return load.result(connections)


def _rendered(parts: SplitResult, bodies: Iterable[bytes], headers: Mapping[str, str]) -> list[bytes]:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "content-length: "]).encode()
    return [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in bodies]


class _Load:
    """The requests that are left, and what has been measured."""

    def __init__(self, requests: list[bytes]) -> None:
        self.waiting = iter(requests)
        self.latencies = np.zeros(len(requests), np.int64)
        self.answered = 0
        self.unanswered = 0
        self.statuses: Counter[int] = Counter()
        self.began = self.ended = 0

    def answer(self, status: int, sent: int) -> None:
        now = time.perf_counter_ns()
        self.latencies[self.answered] = now - sent
        self.answered += 1
        self.statuses[status] += 1
        self.ended = now

    def result(self, connections: int) -> LoadResult:
        seconds = max(self.ended - self.began, 1) / 1e9
        times = self.latencies[: self.answered] / 1e6 if self.answered else np.zeros(1)
        p50, p90, p99, p999, most = (round(float(v), 3) for v in np.percentile(times, [50, 90, 99, 99.9, 100]))
        return LoadResult(
            connections=connections,
            requests=self.answered,
            seconds=round(seconds, 3),
            per_second=round(self.answered / seconds, 1),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            p999_ms=p999,
            max_ms=most,
            statuses=dict(sorted(self.statuses.items())),
            unanswered=self.unanswered,
        )


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: _Load, done: "asyncio.Future[None]") -> None:
        self.load = load
        self.done = done
        self.buffer = b""
        self.need = 0
        self.status = 0
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport.
        self.transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        request = next(self.load.waiting, None)
        if request is None:
            self.sent = 0
            self.transport.close()
            return
        self.sent = time.perf_counter_ns()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not self.need and not self._read_head():
            return
        if len(self.buffer) >= self.need:
            self.buffer = b""
            self.need = 0
            self.load.answer(self.status, self.sent)
            self.send()

    def _read_head(self) -> bool:
        """Reads status and length once the head is complete; `need` becomes the length of the whole answer."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[: end + 2].lower()
        at = head.find(LENGTH)
        if not head.startswith(b"http/1.1 ") or at < 0:
            self._fail(ValueError("the answer is not HTTP/1.1 with a content-length"))
            return False
        self.status = int(head[9:12])
        self.need = end + 4 + int(head[at + len(LENGTH) : head.index(b"\r\n", at + 2)])
        return True

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self.sent = 0
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self.sent:
            self.load.unanswered += 1
        if not self.done.done():
            self.done.set_result(None)


async def _drive(load: _Load, parts: SplitResult, connections: int, timeout: float) -> None:
    loop = asyncio.get_running_loop()
    opened: list[_Connection] = []
    try:
        async with asyncio.timeout(timeout):
            for _ in range(connections):
                _, connection = await loop.create_connection(
                    lambda: _Connection(load, loop.create_future()), parts.hostname or "", parts.port or 80
                )
                opened.append(connection)
            load.began = load.ended = time.perf_counter_ns()
            for connection in opened:
                connection.send()
            await asyncio.gather(*(connection.done for connection in opened))
    finally:
        for connection in opened:
            connection.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Posts JSON lines to a URL and measures.")
    parser.add_argument("url")
    parser.add_argument("--bodies", type=Path, required=True, help="a file with one JSON document a line")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--key", help="API key, sent as a bearer token")
    args = parser.parse_args()
    bodies = [line for line in args.bodies.read_bytes().splitlines() if line]
    headers = {"authorization": f"Bearer {args.key}"} if args.key else {}
    print(json.dumps(asdict(run(args.url, bodies, connections=args.connections, headers=headers))))


if __name__ == "__main__":
    main()
