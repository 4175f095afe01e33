"""Several processes that share a port answer as one service, also while one of them starts or ends."""

import contextlib
import http.client
import itertools
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from tests.api.conftest import Running
from tests.api.test_service import Make, metrics


def test_workers_end_with_their_supervisor(service: Running) -> None:
    service.arguments = ("--workers", "2")
    service.start()
    assert service.process is not None
    service.end(signal.SIGKILL)

    def gone() -> bool:
        try:
            service.get("/health/ready")
        except ConnectionRefusedError:
            return True
        except (OSError, http.client.HTTPException):
            pass  # a worker that is just ending
        return False

    service.until(gone)


def test_several_workers_answer_as_one(service: Running, transaction: Make) -> None:
    service.arguments = ("--workers", "2")
    service.start()
    service.until(lambda: len(service.ready_workers()) == 2)
    answers = [answer.json() for answer in service.post_at_once("/v1/score", transaction("same"), 16)]
    assert sorted(answer.pop("replayed") for answer in answers) == [False] + [True] * 15
    assert all(answer == answers[0] for answer in answers)
    scored = (("method", "POST"), ("route", "/v1/score"), ("status", "200"))
    # A request is counted once its answer has been sent, so the last may still be missing.
    service.until(lambda: metrics(service)["quipu_http_requests_total"][scored] == 16)
    assert service.end() == 0


def test_a_worker_that_loads_leaves_requests_to_those_that_can_score(service: Running, transaction: Make) -> None:
    service.arguments = ("--workers", "2")
    service.start()
    service.until(lambda: len(service.ready_workers()) == 2)
    os.kill(service.ready_workers()[0], signal.SIGKILL)
    numbers = itertools.count()

    def ask(_: int) -> list[int]:
        statuses = []
        while len(service.ready_workers()) < 3:
            with contextlib.suppress(OSError, http.client.HTTPException):  # what the killed one had accepted
                statuses.append(service.post("/v1/score", transaction(f"{next(numbers)}")).status)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for told in pool.map(ask, range(8)) for status in told]
    assert set(statuses) == {200}
    assert service.end() == 0
