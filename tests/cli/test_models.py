"""`quipu models`: one bundle is in use, and nothing that cannot be served ever is."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api.facts import label_table
from api.shadow_log import SHADOW, Shadowed, ShadowLog
from gnn.bundle import MANIFEST, write_bundle
from gnn.champion import CHALLENGER, CURRENT, current_bundle
from gnn.parity import SAMPLE
from graph.store import open_store

Quipu = Callable[..., Any]
OWN = {"format", "quipu", "created_at", "files"}


@pytest.fixture
def models(small_world: Path, tmp_path: Path) -> Path:
    """A models folder with a copy of the small world's bundle, not in use."""
    folder = tmp_path / "var" / "models"
    bundle = current_bundle(small_world / "models")
    shutil.copytree(bundle, folder / bundle.name)
    return folder


@pytest.fixture
def name(small_world: Path) -> str:
    return current_bundle(small_world / "models").name


def like(bundle: Path, *, parts: dict[str, bytes | None] | None = None, **fields: Any) -> str:
    """Another sound bundle beside this one, with some fields or files changed (None: left out); its name."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    content = {file: (bundle / file).read_bytes() for file in manifest["files"]} | (parts or {})
    kept = {key: value for key, value in ({**manifest, **fields}).items() if key not in OWN and value is not None}
    return write_bundle(bundle.parent, {k: v for k, v in content.items() if v is not None}, kept).name


def test_promote_list_and_go_back(quipu: Quipu, models: Path, name: str) -> None:
    nothing = {"in_use": None, "previous": None, "challenger": None}
    assert quipu("models", "list", "--json").json() == {"bundles": [name], **nothing}
    assert quipu("models", "promote", name, "--json").json() == {"in_use": name}
    other = like(models / name, figures={"note": "another"})
    assert quipu("models", "promote", other).out == f"in use: {other}\n"
    told = {"bundles": sorted([name, other]), "in_use": other, "previous": name, "challenger": None}
    assert quipu("models", "list", "--json").json() == told
    listed = quipu("models", "list").out.splitlines()
    assert f"{other}  in use" in listed
    assert f"{name}  before" in listed
    assert quipu("models", "rollback", "--json").json() == {"in_use": name}
    assert "no earlier bundle" in quipu("models", "rollback").complaint()
    assert current_bundle(models).name == name


def test_an_empty_folder_says_how_to_go_on(quipu: Quipu) -> None:
    assert "quipu train" in quipu("models", "list").out


@pytest.mark.parametrize(
    ("parts", "fields", "message"),
    [
        ({}, {"catalogue_hash": "0" * 64}, "was trained on other features"),
        ({}, {"schema": {"entities": ["user"], "categories": [], "numeric": []}}, "was trained on other features"),
        ({}, {"schema": {}}, "lacks 'entities'"),
        ({}, {"blend": None}, "lacks 'blend'"),
        ({}, {"blend": {"inputs": ["head"], "weights": ["much"], "bias": 0}}, "blend cannot be read"),
        ({}, {"policy": {}}, "policy cannot be read"),
        ({"head.npz": None}, {}, "has no head.npz"),
        ({"anomaly.npz": b"no trees"}, {}, "is damaged"),
        ({"network/gnn.onnx": b"no network"}, {}, "not a network that onnxruntime can load"),
        ({"network/gnn.onnx": None}, {}, "has no network/gnn.onnx"),
        ({SAMPLE: b"no sample"}, {}, "sample.npz of bundle"),
        ({}, {"blend": {"inputs": ["head"], "weights": [1.0], "bias": 3.0}}, "scores otherwise here"),
    ],
)
def test_a_bundle_that_cannot_be_served_is_not_put_in_use(
    quipu: Quipu, models: Path, name: str, parts: dict[str, bytes | None], fields: dict[str, Any], message: str
) -> None:
    wrong = like(models / name, parts=parts, **fields)
    (models.parent.parent / "tx.csv").write_text("transaction_id,occurred_at,user_id,amount\n")
    quipu("models", "promote", name)
    for line in (["models", "promote", wrong], ["score", "tx.csv", "--bundle", models / wrong]):
        ran = quipu(*line)
        assert ran.status == 1
        assert message in ran.complaint()
    (models / CURRENT).write_text(json.dumps({"bundles": [name, wrong]}))
    assert message in quipu("models", "rollback").complaint()
    assert current_bundle(models).name == name


@pytest.mark.parametrize("file", ["head.npz", "network/gnn.onnx", "reference.npz", MANIFEST])
def test_one_changed_byte_is_told_by_every_command(quipu: Quipu, models: Path, name: str, file: str) -> None:
    quipu("models", "promote", name)
    content = bytearray((models / name / file).read_bytes())
    # In the manifest a digit, so that it stays JSON: only its digest then tells.
    place = content.index(b'"bytes": ') + 9 if file == MANIFEST else len(content) // 2
    content[place] = content[place] ^ 1
    (models / name / file).write_bytes(content)
    (models.parent.parent / "tx.csv").write_text("transaction_id,occurred_at,user_id,amount\n")
    for line in (
        ["models", "promote", name],
        ["evaluate", models / name],
        ["score", "tx.csv"],
        ["serve", "--port", "0"],
    ):
        ran = quipu(*line)
        assert ran.status == 1
        assert name in ran.complaint()
        assert "Traceback" not in ran.err


@pytest.mark.parametrize("content", [b"", b"[]", b'{"bundles": "x"}', b'{"bundles": ["../x"]}', b"\xff\xfe"])
def test_a_damaged_pointer_is_told_and_mended_as_the_hint_says(
    quipu: Quipu, models: Path, name: str, content: bytes
) -> None:
    (models / CURRENT).write_bytes(content)
    for line in ("models list", "models rollback", "score tx.csv", "serve --port 0", f"models promote {name}", "train"):
        text = quipu(*line.split()).complaint()
        assert CURRENT in text
        assert "delete it and promote a bundle again" in text
    (models / CURRENT).unlink()
    assert quipu("models", "promote", name, "--json").json() == {"in_use": name}


def test_a_pointer_to_a_bundle_that_is_gone_is_told(quipu: Quipu, models: Path, name: str) -> None:
    quipu("models", "promote", name)
    shutil.rmtree(models / name)
    for line in ("score tx.csv", "serve --port 0"):
        assert f"bundle {name}" in quipu(*line.split()).complaint()
    assert quipu("models", "list", "--json").json()["bundles"] == []


def test_challenge_and_withdraw(quipu: Quipu, models: Path, name: str) -> None:
    assert "no model is in use yet" in quipu("models", "challenge", name).complaint()
    quipu("models", "promote", name)
    other = like(models / name, figures={"note": "another"})
    assert "is the one in use" in quipu("models", "challenge", name).complaint()
    assert "no bundle nowhere" in quipu("models", "challenge", "nowhere").complaint()
    assert quipu("models", "challenge", other, "--json").json() == {"challenger": other}
    assert f"{other}  challenger" in quipu("models", "list").out
    assert quipu("models", "withdraw", "--json").json() == {"withdrawn": other}
    assert quipu("models", "withdraw").out == "there was no challenger\n"
    assert quipu("models", "challenge", other).out == f"challenger: {other}\n"
    quipu("models", "promote", other)
    assert quipu("models", "list", "--json").json()["challenger"] is None


def test_a_challenger_that_cannot_be_served_is_refused(quipu: Quipu, models: Path, name: str) -> None:
    quipu("models", "promote", name)
    wrong = like(models / name, catalogue_hash="0" * 64)
    assert "was trained on other features" in quipu("models", "challenge", wrong).complaint()
    assert not (models / CHALLENGER).exists()


def test_the_challenger_is_compared_and_labels_say_which_was_right(
    quipu: Quipu, small_world: Path, models: Path, name: str
) -> None:
    quipu("models", "promote", name)
    assert "models challenge" in quipu("models", "shadow").complaint()
    store = open_store(f"sqlite:///{shutil.copy(small_world / 'store.db', models.parent / 'store.db')}")
    names = [i for chunk in store.transaction_changes(0, with_ids=True) for i in (chunk.transaction_ids or [])][-3:]
    names.append("not-in-the-store")
    store.upsert_labels(
        label_table([(i, fraud, 2**51, "test") for i, fraud in zip(names[:3], (True, False, True), strict=True)])
    )
    store.close()
    names[3] = "not-loaded"
    bands = [("block", "review"), ("review", "approve"), ("approve", "block"), ("approve", "approve")]
    with closing(ShadowLog(models.parent / SHADOW)) as log:
        log.append(
            [
                Shadowed(i, 1_000_000 * n, name, 0.1 * n, used, "new", 0.2 * n, beside)
                for n, (i, (used, beside)) in enumerate(zip(names, bands, strict=True))
            ]
        )
    url = f"sqlite:///{models.parent / 'store.db'}"
    told = quipu("models", "shadow", "--store", url, "--json").json()
    assert (told["champion"], told["challenger"], told["transactions"]) == (name, "new", 4)
    assert told["agreement"] == 0.25
    assert told["bands"]["review"] == {"approve": 1, "review": 0, "block": 0}
    assert (told["labelled"]["transactions"], told["labelled"]["frauds"]) == (3, 2)
    assert told["labelled"]["apart"] == {"transactions": 2, "champion_right": 0, "challenger_right": 2}
    assert told["labelled"]["champion"] == {"precision": 0.5, "recall": 0.5}
    assert [row["transaction_id"] for row in told["differ_most"]] == [names[2], names[1], names[3]]
    assert [row["is_fraud"] for row in told["differ_most"]] == [True, False, None]
    text = quipu("models", "shadow", "--store", url, "--limit", "1").out
    assert "the champion was right on 0, the challenger on 2" in text
    assert names[2] in text
    assert names[1] not in text
    assert "no decisions of the challenger other" in quipu("models", "shadow", "--challenger", "other").complaint()
