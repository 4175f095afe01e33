"""`GET /v1/entities/{type}/{id}/similar` of a running service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.answers import SIMILAR_EXAMPLE, SimilarOut
from api.keys import KeyFile
from gnn.embeddings import embed_store
from graph.store import embeddings_of, open_store
from tests.api.conftest import Running


@pytest.fixture(scope="module")
def users(shared: Running) -> list[str]:
    """Users of the small world."""
    store = open_store(shared.store)
    part = next(iter(store.entity_keys()))
    store.close()
    return [key for kind, key in zip(part.kinds.tolist(), part.keys, strict=True) if kind == 0]


@pytest.fixture(scope="module")
def embedded(shared: Running, small_bundle: Path, users: list[str]) -> Iterator[Running]:
    """The service, which was asked once before there were embeddings."""
    lacking = shared.get(f"/v1/entities/user/{users[0]}/similar")
    assert lacking.status == 404
    assert lacking.headers["content-type"] == "application/problem+json"
    assert lacking.json()["hint"] == "make them: quipu graph embed"
    store = open_store(shared.store)
    embeddings_of(store).write_embeddings(embed_store(store, small_bundle))
    store.close()
    yield shared


def test_entities_like_one(embedded: Running, users: list[str]) -> None:
    answer = embedded.get(f"/v1/entities/user/{users[0]}/similar")
    assert answer.status == 200
    found = SimilarOut.model_validate_json(answer.body, strict=False)
    assert (found.type, found.key, len(found.similar)) == ("user", users[0], 10)
    assert users[0] not in {other.key for other in found.similar}
    similarities = [other.similarity for other in found.similar]
    assert similarities == sorted(similarities, reverse=True)
    fewer = embedded.get(f"/v1/entities/user/{users[0]}/similar?limit=3").json()
    assert fewer["similar"] == answer.json()["similar"][:3]
    told = embedded.get(f"/v1/entities/user/{found.similar[0].key}").json()
    closest = answer.json()["similar"][0]
    for field in ("transactions", "fraud_known", "first_at", "last_at"):
        assert closest[field] == told[field]


@pytest.mark.parametrize("entity", ["device", "ip", "restaurant"])
def test_every_type(embedded: Running, users: list[str], entity: str) -> None:
    recent = embedded.get(f"/v1/entities/user/{users[0]}").json()["recent"]
    key = next(transaction["entities"][entity] for transaction in recent if entity in transaction["entities"])
    answer = embedded.get(f"/v1/entities/{entity}/{key}/similar?limit=2")
    assert answer.status == 200
    assert [other["type"] for other in answer.json()["similar"]] == [entity, entity]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/entities/user/nobody/similar", 404),
        ("/v1/entities/planet/earth/similar", 422),
        ("/v1/entities/user/U-1/similar?limit=0", 422),
        ("/v1/entities/user/U-1/similar?limit=many", 422),
        ("/v1/entities/user/%00/similar", 422),
    ],
)
def test_what_cannot_be_answered(embedded: Running, path: str, status: int) -> None:
    answer = embedded.get(path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"].startswith("/v1/entities/")


def test_it_needs_the_scope(embedded: Running, users: list[str]) -> None:
    path = f"/v1/entities/user/{users[0]}/similar"
    assert embedded.request("GET", path, headers={}).status == 401
    _, key = KeyFile(embedded.folder / "var" / "keys.json").create("scores only", ("score",))
    embedded.until(lambda: embedded.request("GET", path, headers={"Authorization": f"Bearer {key}"}).status == 403)


def test_the_example_is_an_answer(embedded: Running) -> None:
    SimilarOut.model_validate(SIMILAR_EXAMPLE, strict=False)
    route = embedded.request("GET", "/openapi.json", headers={}).json()["paths"]["/v1/entities/{type}/{key}/similar"]
    content = route["get"]["responses"]["200"]["content"]["application/json"]
    assert content["example"] == SIMILAR_EXAMPLE
    assert content["schema"] == {"$ref": "#/components/schemas/SimilarOut"}
