"""Rings over HTTP: lists, one in full, its picture, and verdicts that the next score knows of."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from api.answers import DecisionOut, RingGraphOut, RingOut, RingsOut, VerdictOut
from api.keys import KeyFile
from graph.ring_records import Refresh, Ring, RingEvent, RingEventKind, RingLink, RingMember, RingReason, RingStatus
from graph.store import open_store, rings_of
from tests.api.conftest import Running

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def kept(shared: Running) -> Iterator[list[Ring]]:
    """Three rings of users of the small world, each over the devices that its users pay from."""
    store = open_store(shared.store)
    keys = [key for part in store.entity_keys() for kind, key in zip(part.kinds, part.keys, strict=True) if kind == 0]
    rings = [_ring(store, f"ring_{i}", keys[3 * i : 3 * i + 3], 0.9 - i / 10) for i in range(3)]
    at = max(ring.refreshed_at for ring in rings)
    found = tuple(RingEvent(ring.ring_id, at, RingEventKind.FOUND, {"users": 3}) for ring in rings)
    rings_of(store).write_refresh(Refresh(at, tuple(rings), found))
    store.close()
    yield rings


def _ring(store: Any, ring_id: str, users: list[str], score: float) -> Ring:
    links: dict[tuple[str, str], list[int]] = {}
    amount = 0
    for user in users:
        for transaction in store.recent_transactions("user", user):
            if "device" in transaction["entities"]:
                links.setdefault((user, transaction["entities"]["device"]), []).append(transaction["occurred_at"])
                amount += transaction["amount"]
    times = [time for each in links.values() for time in each]
    devices = sorted({device for _, device in links})
    at = 1_900_000_000_000_000
    return Ring(
        ring_id=ring_id,
        status=RingStatus.NEW,
        score=score,
        found_at=at,
        refreshed_at=at,
        members=(
            *(RingMember("user", user, min(times), 1, "review") for user in users),
            *(RingMember("device", device, min(times), 1) for device in devices),
        ),
        links=tuple(RingLink(u, "device", d, len(t), min(t), max(t)) for (u, d), t in links.items()),
        transactions=len(times),
        amount=amount,
        fraud_known=0,
        first_at=min(times),
        last_at=max(times),
        structure={"density": 0.5},
        reasons=(RingReason("shared_device", "they share devices", {"devices": devices}),),
    )


def test_the_list(shared: Running, kept: list[Ring]) -> None:
    answer = shared.get("/v1/rings")
    assert answer.status == 200
    assert [ring["ring_id"] for ring in answer.json()["rings"]] == ["ring_0", "ring_1", "ring_2"]
    assert RingsOut.model_validate_json(answer.body).rings[0].amount == kept[0].amount / 100
    assert len(shared.get("/v1/rings?limit=1").json()["rings"]) == 1
    assert shared.get("/v1/rings?active=false").json()["rings"] == []
    assert shared.get("/v1/rings?status=dismissed").json()["rings"] == []


def test_one_ring(shared: Running, kept: list[Ring]) -> None:
    answer = shared.get("/v1/rings/ring_1")
    ring = RingOut.model_validate_json(answer.body)
    assert (ring.ring_id, ring.status, ring.users) == ("ring_1", "new", 3)
    assert [(m.entity, m.key) for m in ring.members] == [(m.entity, m.key) for m in kept[1].members]
    assert [event.text for event in ring.history] == ["found (users 3)"]


def test_its_picture(shared: Running, kept: list[Ring]) -> None:
    answer = shared.get("/v1/rings/ring_1/graph")
    assert answer.headers["content-type"] == "application/json"
    graph = RingGraphOut.model_validate_json(answer.body)
    assert sum(link.transactions for link in graph.links) == kept[1].transactions
    assert sum(node.amount for node in graph.nodes if node.type == "user") == pytest.approx(kept[1].amount / 100)
    browser = {**shared.headers(), "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for page in (
        shared.get("/v1/rings/ring_1/graph?format=html"),
        shared.request("GET", "/v1/rings/ring_1/graph", headers=browser),
    ):
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store"
        assert b"<title>Ring ring_1" in page.body
        assert b"they share devices" in page.body
    told = shared.request("GET", "/v1/rings/ring_1/graph?format=json", headers=browser)
    assert told.body == answer.body
    for accept in ("*/*", "application/json, text/html"):
        headers = {**shared.headers(), "Accept": accept}
        assert shared.request("GET", "/v1/rings/ring_1/graph", headers=headers).body == answer.body


def test_a_verdict_becomes_labels_that_the_index_has_at_once(shared: Running, kept: list[Ring]) -> None:
    labels = shared.get("/health/ready").json()["labels"]
    answer = shared.post("/v1/rings/ring_0/verdict", {"verdict": "confirmed", "by": "Ana", "note": "one phone\nnow"})
    assert answer.status == 200, answer.body
    said = VerdictOut.model_validate_json(answer.body)
    assert said.ring.status == "confirmed"
    assert said.labels.loaded == kept[0].transactions
    assert shared.get("/health/ready").json()["labels"] == labels + kept[0].transactions
    event = said.ring.history[-1]
    assert event.text == "confirmed by Ana: one phone\nnow"
    store = open_store(shared.store)
    user = kept[0].members[0].key
    latest = [t for t in store.recent_transactions("user", user) if "device" in t["entities"]]
    ids = [t["transaction_id"] for t in latest]
    assert {history[-1][2] for history in store.labels_of(ids).values()} == {"ring:ring_0"}
    assert {history[-1][0] for history in store.labels_of(ids).values()} == {
        e.at for e in rings_of(store).ring_events("ring_0") if e.kind == "verdict"
    }
    assert all(t["is_fraud"] for t in latest)
    again = shared.post("/v1/rings/ring_0/verdict", {"verdict": "confirmed", "note": "again"}).json()
    assert again["labels"] == {"loaded": 0, "duplicates": 0, "conflicts": 0, "kept": 0}
    assert again["ring"] == answer.json()["ring"]
    assert shared.get("/health/ready").json()["labels"] == labels + kept[0].transactions
    assert [ring["ring_id"] for ring in shared.get("/v1/rings?status=confirmed").json()["rings"]] == ["ring_0"]
    store.close()


def test_a_dismissal_labels_nothing_but_takes_a_confirmation_back(shared: Running, kept: list[Ring]) -> None:
    dismissed = shared.post("/v1/rings/ring_2/verdict", {"verdict": "dismissed"}).json()
    assert dismissed["ring"]["status"] == "dismissed"
    assert dismissed["labels"]["loaded"] == 0
    assert shared.post("/v1/rings/ring_2/verdict", {"verdict": "confirmed"}).json()["labels"]["loaded"] > 0
    store = open_store(shared.store)
    user = kept[2].members[0].key
    confirmed = store.entity("user", user)["fraud_known"]
    assert shared.post("/v1/rings/ring_2/verdict", {"verdict": "dismissed"}).json()["labels"]["loaded"] > 0
    assert store.entity("user", user)["fraud_known"] < confirmed
    store.close()


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/rings/nope", 404, "not-found"),
        ("/v1/rings/nope/graph", 404, "not-found"),
        ("/v1/rings/nope/graph?format=html", 404, "not-found"),
        ("/v1/rings/%00", 422, "invalid-request"),
        ("/v1/rings/ring_1/graph?format=pdf", 422, "invalid-request"),
        ("/v1/rings?limit=0", 422, "invalid-request"),
        ("/v1/rings?status=odd", 422, "invalid-request"),
    ],
)
def test_what_cannot_be_answered(shared: Running, kept: list[Ring], path: str, status: int, kind: str) -> None:
    answer = shared.get(path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"urn:quipu:problem:{kind}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        ({}, 422),
        ({"verdict": "guilty"}, 422),
        ({"verdict": "new"}, 422),
        ({"verdict": "confirmed", "who": "me"}, 422),
        ({"verdict": "confirmed", "by": "a\u0000b"}, 422),
        ({"verdict": "confirmed", "note": "x" * 5000}, 422),
        (b" " * 70_000, 413),
    ],
)
def test_verdicts_that_cannot_be_used(shared: Running, kept: list[Ring], body: Any, status: int) -> None:
    answer = shared.post("/v1/rings/ring_1/verdict", body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert shared.get("/v1/rings/ring_1").json()["status"] == "new"


def test_a_verdict_on_a_ring_that_is_not_there(shared: Running, kept: list[Ring]) -> None:
    answer = shared.post("/v1/rings/nope/verdict", {"verdict": "confirmed"})
    assert (answer.status, answer.json()["status"]) == (404, 404)
    assert "GET /v1/rings" in answer.json()["hint"]


def test_rings_need_the_scope(shared: Running, kept: list[Ring]) -> None:
    _, key = KeyFile(shared.folder / "var" / "keys.json").create("shop", ("score", "label"))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    shared.until(lambda: shared.request("GET", "/v1/rings", headers=headers).status == 403)
    assert shared.request("GET", "/v1/rings/ring_1", headers=headers).status == 403
    assert shared.request("GET", "/v1/rings/ring_1/graph?format=html", headers=headers).status == 403
    body = b'{"verdict": "confirmed"}'
    assert shared.request("POST", "/v1/rings/ring_1/verdict", body, headers).status == 403
    assert shared.request("GET", "/v1/rings", headers={}).status == 401


def test_a_decision_names_the_ring_it_touches(
    shared: Running, kept: list[Ring], transaction: Callable[..., dict[str, Any]]
) -> None:
    numbers = count()

    def decide(**entities: Any) -> DecisionOut:
        answer = shared.post("/v1/score", transaction(f"ring-{next(numbers)}", ip=..., restaurant_id=..., **entities))
        assert answer.status == 200, answer.body
        return DecisionOut.model_validate_json(answer.body)

    user, device = kept[1].members[0].key, kept[1].links[0].key
    shared.until(lambda: decide(user_id=user).ring is not None)  # the service looks every half second
    touched = decide(user_id=user, device_id=device).ring
    assert touched is not None
    assert (touched.ring_id, touched.status, touched.score) == ("ring_1", "new", kept[1].score)
    assert (touched.members, touched.through) == (len(kept[1].members), ["user", "device"])
    by_device = decide(user_id="ring-nobody", device_id=device).ring
    assert by_device is not None
    assert by_device.through == ["device"]
    assert decide(user_id="ring-nobody", device_id=...).ring is None
    shared.post("/v1/rings/ring_1/verdict", {"verdict": "dismissed"})
    assert decide(user_id=user).ring is None
