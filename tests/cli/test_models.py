"""`quipu models`: one bundle is in use, and nothing that cannot be served ever is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnn.bundle import MANIFEST, write_bundle
from gnn.champion import CURRENT, current_bundle

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
    assert quipu("models", "list", "--json").json() == {"bundles": [name], "in_use": None}
    assert quipu("models", "promote", name, "--json").json() == {"in_use": name}
    other = like(models / name, figures={"note": "another"})
    assert quipu("models", "promote", other).out == f"in use: {other}\n"
    assert quipu("models", "list", "--json").json() == {"bundles": sorted([name, other]), "in_use": other}
    assert f"{other}  in use" in quipu("models", "list").out
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
