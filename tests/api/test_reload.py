"""The running service follows its models folder: it drops no request, and never uses what it cannot verify."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.keys import KeyFile
from api.reload import _LOOK_SECONDS
from gnn.bundle import FORMAT, MANIFEST
from gnn.champion import CURRENT, challenge, current_bundle, promote, withdraw
from gnn.parity import SAMPLE
from tests.api.bundles import like, stricter
from tests.api.conftest import Running, copied

Make = Callable[..., dict[str, Any]]


class Followed:
    """A running service with a models folder of its own, which the test changes."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.models = running.folder / "var" / "models"
        original = self.models.resolve()
        self.models.unlink()
        shutil.copytree(original, self.models)
        self.name = current_bundle(self.models).name
        _, self.admin = KeyFile(running.folder / "var" / "keys.json").create("admin", ["admin"])

    @property
    def bundle(self) -> Path:
        return self.models / self.name

    def reload(self, key: str | None = None) -> Any:
        return self.running.request("POST", "/v1/models/reload", b"", {"Authorization": f"Bearer {key or self.admin}"})

    def health(self) -> dict[str, Any]:
        answer = self.running.get("/health/ready")
        assert answer.status == 200
        found: dict[str, Any] = answer.json()
        return found

    def metric(self, line: str) -> float | None:
        text = self.running.request("GET", "/metrics", headers={}).body.decode()
        found = [part.rsplit(" ", 1)[1] for part in text.splitlines() if part.startswith(f"{line} ")]
        return float(found[0]) if found else None

    def name_in_use(self, name: str) -> None:
        """As a promotion elsewhere would, by a program that did not look."""
        (self.models / ".next").write_text(json.dumps({"bundles": [name, self.name]}))
        (self.models / ".next").replace(self.models / CURRENT)


@pytest.fixture(scope="module")
def shared_followed(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    followed = Followed(copied(small_world, tmp_path_factory.mktemp("reload") / "service"))
    followed.running.start()
    yield followed
    if followed.running.process is not None:
        assert followed.running.end() == 0


@pytest.fixture
def followed(shared_followed: Followed) -> Iterator[Followed]:
    yield shared_followed
    withdraw(shared_followed.models)
    promote(shared_followed.models, shared_followed.name)
    assert shared_followed.reload().status == 200
    assert shared_followed.health()["status"] == "ready"


def test_swaps_under_load_drop_no_request_and_change_no_decision(followed: Followed, transaction: Make) -> None:
    running, other = followed.running, stricter(followed.bundle)
    answers: dict[str, dict[str, Any]] = {}
    failures: list[Any] = []
    ending = threading.Event()

    def send(sender: int) -> None:
        number = 0
        while not ending.is_set() or number < 20:
            body = transaction(f"load-{sender}-{number}", user_id=f"U{number % 5}")
            answer = running.post("/v1/score", body)
            if answer.status != 200:
                failures.append((answer.status, answer.body))
            else:
                answers[body["transaction_id"]] = answer.json()
            number += 1

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for sender in senders:
        sender.start()
    names = [other, followed.name] * 15
    for name in names:
        promote(followed.models, name)
        told = followed.reload()
        assert (told.status, told.json()["model_version"]) == (200, name)
    ending.set()
    for sender in senders:
        sender.join()
    assert not failures
    # Each decision is of one model, and says of which.
    assert {answer["model_version"] for answer in answers.values()} == set(names)
    for name, high in ((other, True), (followed.name, False)):
        likely = [a["probability"] > 0.2 for a in answers.values() if a["model_version"] == name]
        assert likely.count(high) > 0.9 * len(likely)
    for transaction_id, answer in list(answers.items())[::7]:
        assert running.get(f"/v1/decisions/{transaction_id}").json() == {**answer, "replayed": True}
        again = running.post("/v1/score", transaction(transaction_id, user_id=f"U{int(transaction_id[7:]) % 5}"))
        assert again.json() == {**answer, "replayed": True}
    assert (followed.metric('quipu_model_swaps_total{outcome="swapped",role="champion"}') or 0) >= len(names)


def test_a_change_is_noticed_without_being_told(followed: Followed) -> None:
    other = like(followed.bundle, figures={"note": "noticed"})
    promote(followed.models, other)
    followed.running.until(lambda: followed.health()["model_version"] == other)
    assert followed.metric(f'quipu_model_info{{role="champion",version="{other}"}}') == 1
    assert followed.metric(f'quipu_model_info{{role="champion",version="{followed.name}"}}') is None


def test_features_of_decisions_of_the_model_before_are_still_at_hand(followed: Followed, transaction: Make) -> None:
    running = followed.running
    running.post("/v1/score", transaction("before-the-swap"))
    before = running.get("/v1/decisions/before-the-swap?features=true").json()
    promote(followed.models, like(followed.bundle, figures={"note": "features"}))
    assert followed.reload().status == 200
    assert running.get("/v1/decisions/before-the-swap?features=true").json() == before


def damaged(bundle: Path) -> str:
    name = like(bundle, figures={"note": "to be damaged"})
    content = bytearray((bundle.parent / name / "head.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle.parent / name / "head.npz").write_bytes(content)
    return name


def newer(bundle: Path) -> str:
    name = like(bundle, figures={"note": "newer"})
    manifest = json.loads((bundle.parent / name / MANIFEST).read_text())
    (bundle.parent / name / MANIFEST).write_text(json.dumps({**manifest, "format": FORMAT + 1, "quipu": "9.9.0"}))
    return name


def other_columns(bundle: Path) -> str:
    schema = json.loads((bundle / MANIFEST).read_text())["schema"]
    return like(bundle, schema={**schema, "entities": [*schema["entities"], "card"]})


def other_features(bundle: Path) -> str:
    return like(bundle, catalogue_hash="0" * 64)


def scores_otherwise(bundle: Path) -> str:
    blend = json.loads((bundle / MANIFEST).read_text())["blend"]
    return like(bundle, blend={**blend, "bias": blend["bias"] + 1})


def not_there(_: Path) -> str:
    return "20200101-000000000000"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (damaged, "head.npz of bundle {name} is damaged"),
        (newer, f"bundle {{name}} has format {FORMAT + 1}; this program reads up to {FORMAT}"),
        (other_columns, "bundle {name} was trained on other columns than the index has: entities +card"),
        (other_features, "bundle {name} was trained on other features than this version of Quipu computes"),
        (scores_otherwise, "bundle {name} scores otherwise here than where it was trained"),
        (not_there, "bundle {name}, which"),
    ],
)
def test_what_cannot_be_verified_is_refused_and_the_old_goes_on(
    followed: Followed, transaction: Make, make: Callable[[Path], str], reason: str
) -> None:
    refused = 'quipu_model_swaps_total{outcome="refused",role="champion"}'
    before = followed.metric(refused) or 0
    name = make(followed.bundle)
    followed.name_in_use(name)
    told = followed.reload()
    assert told.status == 409
    problem = told.json()
    assert problem["type"] == "urn:quipu:problem:model-refused"
    assert reason.format(name=name) in problem["detail"]
    assert f"{followed.name} goes on serving" in problem["detail"]
    answer = followed.running.post("/v1/score", transaction(f"after-{name}"))
    assert (answer.status, answer.json()["model_version"]) == (200, followed.name)
    health = followed.health()
    assert (health["status"], health["model_version"]) == ("degraded", followed.name)
    assert [(r["role"], r["bundle"]) for r in health["refused"]] == [("champion", name)]
    assert reason.format(name=name) in health["reasons"][0]
    assert followed.metric("quipu_model_refused") == 1
    # Told again, it is refused again, but counted once.
    assert followed.reload().status == 409
    assert followed.metric(refused) == before + 1


def test_a_bundle_that_arrives_after_its_name_is_taken_when_it_is_whole(followed: Followed) -> None:
    name = like(followed.bundle, figures={"note": "arrives"})
    away = followed.models / ".arriving"
    (followed.models / name).rename(away)
    followed.name_in_use(name)
    assert followed.reload().status == 409
    looked_by_itself = time.monotonic() + 3 * _LOOK_SECONDS
    followed.running.until(lambda: time.monotonic() > looked_by_itself)
    assert followed.health()["model_version"] == followed.name
    away.rename(followed.models / name)
    # Nobody touches the folder's files or asks again: the service looks again by itself.
    followed.running.until(lambda: followed.health()["model_version"] == name)
    assert followed.health()["refused"] == []
    assert followed.metric("quipu_model_refused") == 0


def test_a_challenger_that_cannot_be_used_does_not_touch_the_champion(followed: Followed) -> None:
    other = like(followed.bundle, figures={"note": "challenger"})
    challenge(followed.models, other)
    assert followed.reload().json()["challenger"] == other
    (followed.models / other / SAMPLE).write_bytes(b"damaged")
    wrong = like(followed.bundle, figures={"note": "wrong"})
    challenge(followed.models, wrong)
    (followed.models / wrong / "head.npz").write_bytes(b"damaged")
    told = followed.reload()
    assert told.status == 200
    assert (told.json()["model_version"], told.json()["challenger"]) == (followed.name, None)
    assert [(r["role"], r["bundle"]) for r in told.json()["refused"]] == [("challenger", wrong)]
    assert followed.metric(f'quipu_model_info{{role="challenger",version="{other}"}}') is None


def test_only_an_admin_may_tell_the_service_to_reload(followed: Followed) -> None:
    assert followed.reload(followed.running.key).status == 403
    assert followed.running.request("POST", "/v1/models/reload", b"", {}).status == 401


def test_a_service_with_a_bundle_of_its_own_keeps_it(service: Running, transaction: Make) -> None:
    followed = Followed(service)
    service.arguments = ("--bundle", str(followed.bundle))
    service.start()
    promote(followed.models, like(followed.bundle, figures={"note": "another"}))
    told = followed.reload()
    assert told.status == 409
    assert "--bundle" in told.json()["detail"]
    assert service.post("/v1/score", transaction("own")).json()["model_version"] == followed.name
    assert followed.health()["status"] == "ready"


def test_all_workers_follow(service: Running, transaction: Make) -> None:
    followed = Followed(service)
    other = like(followed.bundle, figures={"note": "workers"})
    service.arguments = ("--workers", "2")
    service.start()
    promote(followed.models, other)
    last: list[str | None] = []

    def all_of_them() -> bool:
        # None while a worker is still loading.
        last.append(service.post("/v1/score", transaction(f"w{len(last)}")).json().get("model_version"))
        return last[-30:] == [other] * 30

    service.until(all_of_them)
    # The first worker to look may be asked to reload: both have the bundle, whichever answers.
    assert followed.reload().json()["model_version"] == other
    assert followed.metric(f'quipu_model_info{{role="champion",version="{other}"}}') == 1
    assert followed.metric(f'quipu_model_info{{role="champion",version="{followed.name}"}}') == 0
