"""Bad input to a running service, beyond what `test_wire` and `test_service` send: labels, entities, headers."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import Answer, Running

Make = Callable[..., dict[str, Any]]

LABEL = {"transaction_id": "labelled", "is_fraud": True, "known_at": "2025-06-01T00:00:00Z", "source": "chargeback"}


def problem(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    return content


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"transaction_id": ...}, "/transaction_id"),
        ({"transaction_id": 17}, "/transaction_id"),
        ({"transaction_id": ""}, "/transaction_id"),
        ({"transaction_id": "x" * 100_000}, "/transaction_id"),
        ({"transaction_id": "a\x00b"}, "/transaction_id"),
        ({"is_fraud": ...}, "/is_fraud"),
        ({"is_fraud": None}, "/is_fraud"),
        ({"is_fraud": "true"}, "/is_fraud"),
        ({"is_fraud": 1}, "/is_fraud"),
        ({"is_fraud": float("nan")}, "/is_fraud"),
        ({"known_at": "soon"}, "/known_at"),
        ({"known_at": 1_750_000_000}, "/known_at"),
        ({"known_at": "2025-06-01T00:00:00"}, "/known_at"),
        ({"known_at": "1971-01-01T00:00:00Z"}, "/known_at"),
        ({"known_at": (datetime.now(UTC) + timedelta(days=30)).isoformat()}, "/known_at"),
        ({"known_at": "9999-12-31T23:59:59-14:00"}, "/known_at"),
        ({"source": ""}, "/source"),
        ({"source": ["a"]}, "/source"),
        ({"source": "x" * 100_000}, "/source"),
        ({"amount": 5}, "/amount"),
    ],
)
def test_the_field_of_a_label_that_is_wrong_is_named(shared: Running, changes: dict[str, Any], pointer: str) -> None:
    label = {name: value for name, value in (LABEL | changes).items() if value is not ...}
    content = problem(shared.post("/v1/labels", json.dumps(label).encode()), 422)
    assert {error["pointer"] for error in content["errors"]} == {pointer}
    content = problem(shared.post("/v1/labels", json.dumps([LABEL, label]).encode()), 422)
    assert {error["pointer"] for error in content["errors"]} == {f"/1{pointer}"}


def test_a_label_of_a_transaction_never_seen_waits_for_it(shared: Running, transaction: Make) -> None:
    label = LABEL | {"transaction_id": "comes later"}
    assert shared.post("/v1/labels", label).status < 300
    assert shared.post("/v1/score", transaction("comes later")).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/entities/planet/mars", 422),
        ("/v1/entities/user/nobody-of-this-name", 404),
        ("/v1/entities/user/nobody-of-this-name/graph", 404),
        ("/v1/entities/planet/mars/graph?depth=1", 422),
        ("/v1/entities/user/" + "x" * 100_000, 422),
        ("/v1/entities/%00/x", 422),
        ("/v1/entities/user/x/graph?depth=-1", 422),
        ("/v1/entities/user/x/graph?depth=NaN", 422),
        ("/v1/entities/user/x/graph?limit=1e3", 422),
        ("/v1/decisions/" + "x" * 100_000, 422),
    ],
)
def test_what_is_not_there_or_cannot_be_is_told(shared: Running, path: str, status: int) -> None:
    if len(path) < 60_000:
        problem(shared.get(path), status)
    else:  # the parser may refuse so long a line before any route sees it
        assert shared.get(path).status in {status, 400, 414}


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/score HTTP/9.9\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_ends_the_connection_and_nothing_else(shared: Running, transaction: Make, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert not answer or answer.split()[1][:1] == b"4", answer
    assert shared.post("/v1/score", transaction(f"after {sent[:12]!r}")).status == 200
    assert "Traceback" not in shared.log()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer \xff\xfe"},
        {"Authorization": "Bearer " + "x" * 10_000},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": "Bearer qp_a_b\x00"},
    ],
)
def test_keys_that_are_none_are_refused(shared: Running, transaction: Make, headers: dict[str, str]) -> None:
    body = json.dumps(transaction("refused")).encode()
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = shared.request("POST", "/v1/score", body, {**raw, "Content-Type": "application/json"})
    assert answer.status in {400, 401}
    problem(shared.get("/v1/decisions/refused"), 404)
    assert "Traceback" not in shared.log()
