"""The service as its clients see it: a real server, a real store, a real model."""

import http.client
import json
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from api.answers import BatchOut, DecisionOut, LabelsOut, ProblemOut
from api.keys import KeyFile
from graph.store import open_store
from tests.api.conftest import Answer, Running

Make = Callable[..., dict[str, Any]]


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """The problem an answer is; it must have the form that is documented."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    ProblemOut.model_validate(content)
    assert content["status"] == status
    assert content["type"].startswith("urn:quipu:problem:")
    return content


def test_a_decision_is_as_documented(shared: Running, transaction: Make) -> None:
    answer = shared.post("/v1/score", transaction("d1"))
    assert answer.status == 200, answer.body
    content = answer.json()
    DecisionOut.model_validate_json(answer.body)
    assert content.keys() == DecisionOut.model_fields.keys()
    assert content["transaction_id"] == "d1"
    assert content["reasons"][0]["text"]
    assert content["ring"] is None
    assert content["replayed"] is False
    again = shared.get(content["links"]["self"])
    assert again.json() == {**content, "replayed": True}


def test_entities_never_seen_get_an_ordinary_decision(shared: Running, transaction: Make) -> None:
    names = {name: f"never-seen-{name}" for name in ("user_id", "device_id", "restaurant_id")}
    assert shared.post("/v1/score", transaction("unknown-1", ip="203.0.113.9", **names)).status == 200
    only_required = transaction("unknown-2", device_id=..., ip=..., restaurant_id=..., currency=...)
    assert shared.post("/v1/score", only_required).status == 200


def test_ids_may_have_any_printable_characters(shared: Running, transaction: Make) -> None:
    for name in ("a/b?c=d#e", "ñandú 🦙", "%41", "..", "a\\b'\";--"):
        content = shared.post("/v1/score", transaction(name)).json()
        assert content["transaction_id"] == name
        assert shared.get(content["links"]["self"]).json()["transaction_id"] == name


def test_a_retry_gets_the_original_and_another_body_a_conflict(shared: Running, transaction: Make) -> None:
    first = shared.post("/v1/score", transaction("r1")).json()
    reordered = dict(reversed(transaction("r1", occurred_at="2025-05-01T07:30:00.0-05:00").items()))
    assert shared.post("/v1/score", json.dumps(reordered, indent=3).encode()).json() == {**first, "replayed": True}
    assert "r1" in problem(shared.post("/v1/score", transaction("r1", amount=86.51)), 409)["detail"]
    assert shared.post("/v1/score", transaction("r1")).json() == {**first, "replayed": True}


def test_thirty_two_clients_with_one_id_get_one_decision(shared: Running, transaction: Make) -> None:
    answers = [answer.json() for answer in shared.post_at_once("/v1/score", transaction("same"), 32)]
    assert sorted(answer.pop("replayed") for answer in answers) == [False] + [True] * 31
    assert all(answer == answers[0] for answer in answers)


def test_a_batch_answers_each_in_order(shared: Running, transaction: Make) -> None:
    wrong = transaction("b-wrong", amount=-1)
    batch = [transaction("b1"), wrong, transaction("b2"), transaction("b1"), transaction("b2", amount=1), 17]
    answer = shared.post("/v1/score/batch", batch)
    assert answer.status == 200
    BatchOut.model_validate_json(answer.body)
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [200, 422, 200, 200, 409, 422]
    assert results[3]["decision"] == {**results[0]["decision"], "replayed": True}
    assert results[1]["problem"]["errors"][0]["pointer"] == "/amount"


def test_a_batch_of_a_thousand(shared: Running, transaction: Make) -> None:
    results = shared.post("/v1/score/batch", [transaction(f"k{i}") for i in range(1000)]).json()["results"]
    assert [result["transaction_id"] for result in results] == [f"k{i}" for i in range(1000)]
    assert {result["status"] for result in results} == {200}
    problem(shared.post("/v1/score/batch", [transaction(f"k{i}") for i in range(1001)]), 422)


def test_labels_alone_and_as_a_list(shared: Running, transaction: Make) -> None:
    shared.post("/v1/score/batch", [transaction("l1"), transaction("l2")])
    one = {"transaction_id": "l1", "is_fraud": True, "known_at": "2025-06-01T00:00:00Z", "source": "bank"}
    answer = shared.post("/v1/labels", one)
    LabelsOut.model_validate_json(answer.body)
    assert answer.json() == {"loaded": 1, "duplicates": 0, "conflicts": 0, "kept": 0}
    other = {**one, "transaction_id": "l2"}
    assert shared.post("/v1/labels", [one, other]).json()["duplicates"] == 1
    contrary = {**one, "is_fraud": False}
    problem(shared.post("/v1/labels", contrary), 409)
    assert shared.post("/v1/labels", [contrary, other]).json() == {
        "loaded": 0,
        "duplicates": 1,
        "conflicts": 1,
        "kept": 0,
    }
    early = {"transaction_id": "not-there-yet", "is_fraud": True, "known_at": "2025-06-01T00:00:00Z"}
    assert shared.post("/v1/labels", early).status == 200


def test_an_entity_and_its_neighbourhood(shared: Running, transaction: Make) -> None:
    for i in range(3):
        shared.post("/v1/score", transaction(f"e{i}", user_id="E/1", device_id=f"E-{i}"))
    shared.until(lambda: shared.get("/v1/entities/user/E%2F1").status == 200)
    shared.until(lambda: shared.get("/v1/entities/user/E%2F1").json()["transactions"] == 3)
    found = shared.get("/v1/entities/user/E%2F1?limit=2").json()
    assert (found["type"], found["key"], found["amount"]) == ("user", "E/1", 259.5)
    assert found["first_at"] == "2025-05-01T12:30:00Z"
    assert len(found["recent"]) == 2
    graph = shared.get("/v1/entities/user/E%2F1/graph?depth=2").json()
    assert {"user:E/1", "device:e-0", "device:e-1", "device:e-2"} <= {node["id"] for node in graph["nodes"]}


def test_a_device_is_found_by_any_spelling(shared: Running, transaction: Make) -> None:
    shared.post("/v1/score", transaction("spelled", device_id="ABCD-EF01-2345"))
    shared.until(lambda: shared.get("/v1/entities/device/abcdef012345").status == 200)
    for spelling in ("ABCD-EF01-2345", "%7Babcd:ef01:2345%7D", "%EF%BB%BFabcdef012345"):
        assert shared.get(f"/v1/entities/device/{spelling}").json()["key"] == "abcdef012345"
        assert shared.get(f"/v1/entities/device/{spelling}/graph").status == 200
    problem(shared.get("/v1/entities/user/nobody"), 404)
    problem(shared.get("/v1/entities/user/nobody/graph"), 404)
    assert "device" in problem(shared.get("/v1/entities/planet/x"), 422)["errors"][0]["detail"]


def test_features_are_for_investigators_and_exact(shared: Running, transaction: Make) -> None:
    shared.post("/v1/score", transaction("f1", amount=12.34))
    features = shared.get("/v1/decisions/f1?features=true").json()["features"]
    assert features["amount"] == pytest.approx(12.34, abs=1e-4)
    for value in features.values():
        assert value is None or TypeAdapter(float).validate_python(value) == value
    _, key = KeyFile(shared.folder / "var" / "keys.json").create("scorer", ["score"])
    bearer = {"Authorization": f"Bearer {key}"}
    # A running service sees new keys within seconds.
    shared.until(lambda: shared.request("GET", "/v1/decisions/f1", headers=bearer).status == 200)
    assert "features" not in shared.request("GET", "/v1/decisions/f1", headers=bearer).json()
    problem(shared.request("GET", "/v1/decisions/f1?features=true", headers=bearer), 403)


ROUTES = [
    ("POST", "/v1/score", "score"),
    ("POST", "/v1/score/batch", "score"),
    ("POST", "/v1/labels", "label"),
    ("GET", "/v1/entities/user/x", "investigate"),
    ("GET", "/v1/entities/user/x/graph", "investigate"),
    ("GET", "/v1/decisions/x?features=1", "investigate"),
]


def test_every_route_asks_for_a_key_with_its_scope(shared: Running) -> None:
    file = KeyFile(shared.folder / "var" / "keys.json")
    keys = {scope: file.create(scope, [scope])[1] for scope in ("score", "label", "investigate", "admin")}

    def status(method: str, path: str, key: str | None) -> int:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        return shared.request(method, path, b"{}" if method == "POST" else None, headers).status

    shared.until(lambda: status("POST", "/v1/score", keys["admin"]) != 401)
    for method, path, scope in ROUTES:
        assert status(method, path, None) == 401
        assert status(method, path, "qp_000000000000_x") == 401
        for other, key in keys.items():
            allowed = other in {scope, "admin"}
            assert (status(method, path, key) not in {401, 403}) == allowed, (method, path, other)
    refused = shared.request("POST", "/v1/score", b"{}", {"Content-Type": "application/json"})
    problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    kept = next(key for key in file.all() if key.name == "label")
    file.revoke(kept.id)
    shared.until(lambda: status("POST", "/v1/labels", keys["label"]) == 401)


def bodies(transaction: Make) -> dict[str, bytes]:
    """Bodies that no route should take, by what is wrong with them."""
    return {
        "empty": b"",
        "cut": b'{"transaction_id": "x"',
        "text": b"hello",
        "not utf-8": b'{"transaction_id": "\xff\xfe"}',
        "surrogate": b'{"transaction_id": "\\ud800"}',
        "deep": b"[" * 100_000,
        "deep object": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        "null": b"null",
        "number": b"17",
        "list of nothing": b"[]",
        "nan": json.dumps(transaction("x", amount=float("nan"))).encode(),
        "infinity": json.dumps(transaction("x", amount=float("inf"))).encode(),
        "huge number": json.dumps(transaction("x")).replace("86.5", "9" * 400).encode(),
        "endless number": json.dumps(transaction("x")).replace("86.5", "9" * 100_000).encode(),
        "huge exponent": json.dumps(transaction("x")).replace("86.5", "1e999").encode(),
        "negative": json.dumps(transaction("x", amount=-1)).encode(),
        "huge text": json.dumps(transaction("x" * 100_000)).encode(),
        "nul": json.dumps(transaction("a\x00b")).encode(),
        "naive time": json.dumps(transaction("x", occurred_at="2025-05-01T12:30:00")).encode(),
        "future": json.dumps(transaction("x", occurred_at="2999-01-01T00:00:00Z")).encode(),
        "ancient": json.dumps(transaction("x", occurred_at="1901-01-01T00:00:00Z")).encode(),
        "year zero": json.dumps(transaction("x", occurred_at="0000-00-00T00:00:00Z")).encode(),
        "wrong types": b'{"transaction_id": {}, "occurred_at": [], "user_id": 1.5, "amount": "1", "is_fraud": "no"}',
        "unknown field": json.dumps(transaction("x", colour="red")).encode(),
        "unknown entity type": json.dumps(transaction("x", entities={"planet": "mars"})).encode(),
    }


@pytest.mark.parametrize("path", ["/v1/score", "/v1/labels", "/v1/score/batch"])
def test_bad_bodies_get_a_clear_answer(shared: Running, transaction: Make, path: str) -> None:
    for name, body in bodies(transaction).items():
        wrapped = b"[" + body + b"]" if path == "/v1/score/batch" else body
        answer = shared.post(path, wrapped)
        if path == "/v1/score/batch" and answer.status == 200:
            (result,) = answer.json()["results"]
            assert result["status"] == 422, name
            continue
        content = problem(answer, answer.status)
        assert answer.status in {400, 422}, (name, answer.body)
        assert content["detail"]
        assert answer.status == 400 or content["errors"], name
    assert "Traceback" not in shared.log()


def test_bodies_that_are_too_large_or_not_json(shared: Running, transaction: Make) -> None:
    for path in ("/v1/score", "/v1/labels", "/v1/score/batch"):
        problem(shared.post(path, b" " * 10_000_000), 413)
        chunks = (b" " * 65_536 for _ in range(100))
        problem(shared.request("POST", path, chunks, shared.headers(b"")), 413)  # type: ignore[arg-type]
        form = {**shared.headers(), "Content-Type": "application/x-www-form-urlencoded"}
        assert "application/json" in problem(shared.request("POST", path, b"a=1", form), 415)["hint"]
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.shop+json"):
        headers = {**shared.headers(), "Content-Type": kind}
        body = json.dumps(transaction(f"kind {kind}")).encode()
        assert shared.request("POST", "/v1/score", body, headers).status == 200
    bare = json.dumps(transaction("bare")).encode()
    assert shared.request("POST", "/v1/score", bare, shared.headers()).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/score", 405),
        ("DELETE", "/v1/labels", 405),
        ("PUT", "/v1/decisions/x", 405),
        ("TRACE", "/v1/score", 405),
        ("GET", "/nothing/here", 404),
        ("GET", "/v1/decisions/nobody", 404),
        ("GET", "/v1/decisions/", 422),
        ("GET", "/v1/decisions/a%00b", 422),
        ("GET", "/v1/decisions/" + "x" * 300, 422),
        ("GET", "/v1/decisions/%ff%fe", 404),
        ("GET", "/v1/decisions/x?features=perhaps", 422),
        ("GET", "/v1/entities/user/x/graph?depth=0", 422),
        ("GET", "/v1/entities/user/x/graph?depth=deep", 422),
        ("GET", "/v1/entities/user/x/graph?depth=99999999999999999999999", 422),
        ("GET", "/v1/entities/user/x?limit=-1", 422),
        ("GET", "/v1/entities/user/a%00b", 422),
        ("GET", "/v1/entities/user/", 422),
    ],
)
def test_wrong_routes_and_parameters(shared: Running, method: str, path: str, status: int) -> None:
    problem(shared.request(method, path), status)


def test_health_needs_no_key(shared: Running) -> None:
    assert shared.request("GET", "/health/live", headers={}).json() == {"status": "alive"}
    ready = shared.request("GET", "/health/ready", headers={})
    assert ready.status == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["transactions"] > 10_000


def metrics(running: Running) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels."""
    answer = running.request("GET", "/metrics", headers={})
    assert answer.status == 200
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_metrics_count_what_happened(shared: Running, transaction: Make) -> None:
    before = metrics(shared)
    shared.post("/v1/score", transaction("m1"))
    shared.post("/v1/score", transaction("m1"))
    shared.post("/v1/score", transaction("m1", amount=1))
    shared.get("/v1/decisions/m1")
    shared.request("GET", "/nothing/m1")
    after = metrics(shared)

    def grown(name: str, **labels: str) -> float:
        key = tuple(sorted(labels.items()))
        return after[name][key] - before.get(name, {}).get(key, 0.0)

    assert grown("quipu_http_requests_total", route="/v1/score", method="POST", status="200") == 2
    assert grown("quipu_http_requests_total", route="/v1/score", method="POST", status="409") == 1
    assert grown("quipu_http_request_duration_seconds_count", route="/v1/score", method="POST") == 3
    assert grown("quipu_replays_total") == 1
    assert grown("quipu_conflicts_total") == 1
    assert grown("quipu_decision_probability_count") == 1
    assert sum(after["quipu_decisions_total"].values()) - sum(before["quipu_decisions_total"].values()) == 1
    for stage in ("lookup", "score", "spool"):
        assert grown("quipu_stage_duration_seconds_count", stage=stage) >= 1
    assert after["quipu_store_up"][()] == 1
    assert after["quipu_index_transactions"][()] > 10_000
    assert after["quipu_index_bytes"][()] > 100_000
    assert len(after["quipu_model_info"]) == 1
    assert all(re.match("quipu_|python_|process_", name) for name in after)
    routes = {dict(labels)["route"] for labels in after["quipu_http_requests_total"]}
    assert not {route for route in routes if "m1" in route}, "ids are never labels"


def test_what_was_acknowledged_survives_a_restart(service: Running, transaction: Make) -> None:
    service.start()
    first = [service.post("/v1/score", transaction(f"t{i}")).json() for i in range(10)]
    service.post("/v1/labels", {"transaction_id": "t0", "is_fraud": True})
    assert service.end() == 0
    service.start()
    assert [service.post("/v1/score", transaction(f"t{i}")).json() for i in range(10)] == [
        {**answer, "replayed": True} for answer in first
    ]
    problem(service.post("/v1/score", transaction("t0", amount=1)), 409)


class Load:
    """Clients that score as fast as they can until the service goes away; keeps what was acknowledged."""

    def __init__(self, running: Running, transaction: Make, name: str, clients: int = 4) -> None:
        self.acknowledged: dict[str, Any] = {}
        self._running, self._make, self._name = running, transaction, name
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def _work(self, client: int) -> None:
        for i in range(1_000_000):
            transaction_id = f"{self._name}-{client}-{i}"
            try:
                answer = self._running.post("/v1/score", self._make(transaction_id, user_id=f"u{i % 7}"))
            except (OSError, http.client.HTTPException):  # killed before, or in the middle of, its answer
                return
            assert answer.status == 200
            self.acknowledged[transaction_id] = answer.json()

    def reached(self, count: int) -> bool:
        return len(self.acknowledged) >= count

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


def kill_under_load(running: Running, transaction: Make, kills: int) -> None:
    acknowledged: dict[str, Any] = {}
    for kill in range(kills):
        running.start()
        load = Load(running, transaction, f"k{kill}")
        running.until(partial(load.reached, 40 + 20 * kill))
        running.end(9)
        load.join()
        acknowledged |= load.acknowledged
    running.start()
    for transaction_id, answer in acknowledged.items():
        assert running.get(answer["links"]["self"]).json() == {**answer, "replayed": True}, transaction_id
    assert running.end() == 0
    store = open_store(running.store)
    assert store.decisions(list(acknowledged)).keys() == acknowledged.keys()
    assert store.sequence_numbers(list(acknowledged)).keys() == acknowledged.keys()
    store.close()


def test_kill_9_under_load_loses_nothing_acknowledged(service: Running, transaction: Make) -> None:
    kill_under_load(service, transaction, kills=2)


@pytest.mark.slow
def test_kill_9_ten_times_loses_nothing_acknowledged(service: Running, transaction: Make) -> None:
    kill_under_load(service, transaction, kills=10)


def test_without_keys_it_says_so_loudly(service: Running, transaction: Make) -> None:
    service.environment["QUIPU_REQUIRE_KEYS"] = "false"
    service.start()
    body = json.dumps(transaction("open")).encode()
    assert service.request("POST", "/v1/score", body, {"Content-Type": "application/json"}).status == 200
    assert "API KEYS ARE OFF" in service.log()
