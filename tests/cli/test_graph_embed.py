"""`quipu graph embed` and `quipu graph similar` over the small world."""

import shutil
from pathlib import Path

import pytest

from graph.store import Store, embeddings_of, open_store
from tests.cli.conftest import Quipu


@pytest.fixture
def world(small_world: Path, tmp_path: Path) -> Path:
    """The small world's store and model where the program looks for them."""
    shutil.copy(small_world / "store.db", tmp_path / "store.db")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "models").symlink_to(small_world / "models")
    return tmp_path


def opened(world: Path) -> Store:
    return open_store(f"sqlite:///{world}/store.db")


def a_user(world: Path) -> str:
    store = opened(world)
    keys = next(iter(store.entity_keys()))
    store.close()
    return keys.keys[keys.kinds.tolist().index(0)]


def test_embed_and_similar(quipu: Quipu, world: Path) -> None:
    status = quipu("graph", "status", "--json").json()
    result = quipu("graph", "embed", "--json").json()
    assert set(result) == {"at", "model_version", "dimension", "written", "seconds"}
    assert list(result["written"]) == ["user", "device", "ip", "restaurant"]
    assert all(0 < count <= status[f"entities:{name}"] for name, count in result["written"].items())

    user = a_user(world)
    found = quipu("graph", "similar", "user", user, "--limit", 7, "--json").json()
    assert (found["type"], found["key"], found["as_of"]) == ("user", user, result["at"])
    assert found["model_version"] == result["model_version"]
    similarities = [other["similarity"] for other in found["similar"]]
    assert len(similarities) == 7
    assert similarities == sorted(similarities, reverse=True)
    assert -1 <= similarities[-1] <= similarities[0] <= 1
    store = opened(world)
    for other in found["similar"]:
        known = store.entity("user", other["key"])
        assert known is not None
        assert (other["transactions"], other["fraud_known"]) == (known["transactions"], known["fraud_known"])
    store.close()
    text = quipu("graph", "similar", "user", user)
    assert text.status == 0
    assert all(other["key"] in text.out for other in found["similar"])
    assert f"like user {user}, as of {result['at']}" in text.out

    again = quipu("graph", "embed", "--json").json()
    assert {**again, "seconds": 0} == {**result, "seconds": 0}
    assert quipu("graph", "similar", "user", user, "--limit", 7, "--json").json() == found


def test_an_earlier_moment_and_a_shorter_time(quipu: Quipu, world: Path) -> None:
    whole = quipu("graph", "embed", "--json").json()
    early = quipu("graph", "embed", "--at", "2025-01-20", "--days", "3", "--json").json()
    assert early["at"] == "2025-01-20T00:00:00Z"
    assert 0 < early["written"]["user"] < whole["written"]["user"]
    store = opened(world)
    kept = embeddings_of(store).embeddings()
    store.close()
    assert kept is not None
    assert kept.counts == early["written"]
    text = quipu("graph", "embed", "--at", "2025-01-20", "--days", "3").out
    assert "as of 2025-01-20T00:00:00Z by the model" in text


def test_what_lacks(quipu: Quipu, world: Path) -> None:
    user = a_user(world)
    assert "hint: make them: quipu graph embed" in quipu("graph", "similar", "user", user).complaint()
    assert "there is no user 'nobody' in the graph" in quipu("graph", "similar", "user", "nobody").complaint()
    wrong = quipu("graph", "similar", "planet", "earth")
    assert wrong.status == 2
    assert "there are: user, device, ip, restaurant" in wrong.complaint()
    assert quipu("graph", "similar", "user", user, "--limit", "0").status == 2
    assert "no transaction occurred in the 90 days" in quipu("graph", "embed", "--at", "1999-01-01").complaint()
    assert quipu("graph", "embed", "--at", "yesterday").status == 2
    assert "bundle" in quipu("graph", "embed", "--bundle", world / "no").complaint()

    quipu("graph", "embed", "--at", "2025-01-20", "--days", "1").out  # noqa: B018 (it went well)
    store = opened(world)
    (idle, *_) = [
        key
        for part in store.entity_keys()
        for kind, key in zip(part.kinds.tolist(), part.keys, strict=True)
        if kind == 0 and embeddings_of(store).similar("user", key) is None
    ]
    store.close()
    assert f"there is no embedding of user {idle!r}" in quipu("graph", "similar", "user", idle).complaint()


def test_without_a_model(quipu: Quipu, world: Path, tmp_path: Path) -> None:
    (tmp_path / "var" / "models").unlink()
    assert "no model is in use yet" in quipu("graph", "embed").complaint()
