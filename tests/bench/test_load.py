"""The load generator against real sockets: what it sends, what it counts, how it fails."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.load import run


@contextmanager
def server(answer: bytes, *, answers: int | None = None) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that reads requests to their end and sends `answer`, split in two writes.

    After `answers` of them it closes every connection. Yields its address and the requests it saw.
    """
    seen: list[tuple[str, bytes]] = []
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                seen.append((head, await reader.readexactly(length)))
                if answers is not None and len(seen) > answers:
                    break
                writer.write(answer[:25])
                await writer.drain()
                writer.write(answer[25:])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    port = listener.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def close() -> None:
        listener.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield f"http://127.0.0.1:{port}/v1/score?x=1", seen
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull"


@pytest.mark.parametrize("connections", [1, 8])
def test_every_body_is_sent_once_and_every_answer_counted(connections: int) -> None:
    bodies = [b'{"n": %d}' % n for n in range(200)]
    with server(CREATED) as (url, seen):
        result = run(url, iter(bodies), connections=connections, headers={"Authorization": "Bearer k"})
    assert sorted(body for _, body in seen) == sorted(bodies)
    assert all(head.startswith("post /v1/score?x=1 http/1.1\r\n") for head, _ in seen)
    assert all("\r\nauthorization: bearer k\r\n" in head for head, _ in seen)
    assert (result.requests, result.statuses, result.unanswered) == (200, {201: 200}, 0)
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms <= result.seconds * 1000 + 1
    assert result.per_second == pytest.approx(200 / result.seconds, rel=0.2)


def test_requests_that_a_dying_server_left_open_are_counted_apart() -> None:
    with server(CREATED, answers=10) as (url, seen):
        result = run(url, [b"{}"] * 100, connections=4)
    assert result.requests == 10
    assert result.unanswered == 4
    assert len(seen) == 14


def test_more_connections_than_bodies() -> None:
    with server(CREATED) as (url, _):
        assert run(url, [b"{}"] * 2, connections=5).requests == 2


def test_an_answer_without_a_length_is_refused() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with server(chunked) as (url, _), pytest.raises(ValueError, match="content-length"):
        run(url, [b"{}"], connections=1)


def test_an_address_that_is_not_http() -> None:
    with pytest.raises(ValueError, match="http://"):
        run("https://127.0.0.1/", [b"{}"])
