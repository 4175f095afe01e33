"""A bundle is whole or not there, tells any change, and one of them is in use."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnn.bundle import FORMAT, MANIFEST, open_bundle, write_bundle
from gnn.champion import (
    CHALLENGER,
    CURRENT,
    challenge,
    challenger,
    current_bundle,
    history,
    list_bundles,
    promote,
    rollback,
    withdraw,
)
from gnn.trees import Forest
from graph.errors import BundleError, Conflict, NotFound

FIELDS: dict[str, Any] = {
    "schema": {"entities": ["user"]},
    "catalogue": ["amount", "user_count_1d"],
    "catalogue_hash": "abc",
    "policy": {"review_at": 0.1},
    "data": {"transactions": 5, "first": None},
}


def saved_model(path: Path) -> None:
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "data").write_bytes(b"weights")


def write(root: Path, head: bytes = b"trees", **fields: Any) -> Path:
    return write_bundle(root, {"head.npz": head, "saved_model": saved_model}, FIELDS | fields)


def test_holds_what_was_written(tmp_path: Path) -> None:
    moment = datetime(2026, 5, 4, 23, 30, tzinfo=UTC)
    path = write_bundle(tmp_path / "models", {"a/b.txt": b"hello"}, FIELDS, created_at=moment)
    bundle = open_bundle(path, catalogue_hash="abc")
    assert bundle.name == path.name
    assert path.name.startswith("20260504-")
    assert len(path.name) == len("20260504-") + 12
    assert bundle.file("a/b.txt").read_bytes() == b"hello"
    assert bundle.manifest["created_at"] == "2026-05-04T23:30:00+00:00"
    assert {key: bundle.manifest[key] for key in FIELDS} == FIELDS
    assert bundle.manifest["files"]["a/b.txt"]["bytes"] == 5
    with pytest.raises(BundleError, match=r"has no c\.txt"):
        bundle.file("c.txt")


def test_parts_may_be_folders_and_models(tmp_path: Path) -> None:
    forest = Forest(2, *(np.array(a) for a in ([0], [-1], [0.0], [0], [0], [True], [0.5])))
    path = write_bundle(tmp_path, {"saved_model": saved_model, "head.npz": forest.save}, FIELDS)
    bundle = open_bundle(path)
    assert set(bundle.manifest["files"]) == {"head.npz", "saved_model/saved_model.pb", "saved_model/variables/data"}
    assert Forest.load(bundle.file("head.npz")).predict(np.zeros((1, 2))).tolist() == [0.5]


def test_the_same_content_is_written_once_and_other_content_has_another_name(tmp_path: Path) -> None:
    first = write(tmp_path)
    before = (first / MANIFEST).stat().st_mtime_ns
    assert write(tmp_path) == first
    assert (first / MANIFEST).stat().st_mtime_ns == before
    assert write(tmp_path, b"other trees") != first
    assert write(tmp_path, policy={"review_at": 0.2}) != first
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def breaks(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("export failed")

    with pytest.raises(RuntimeError):
        write_bundle(tmp_path, {"a": b"1", "model.onnx": breaks}, FIELDS)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_bundle(tmp_path, {"a": b"1"}, {"metrics": float("nan")})
    for parts, fields in (({"../a": b""}, {}), ({"/a": b""}, {}), ({MANIFEST: b""}, {}), ({"a": b""}, {"files": {}})):
        with pytest.raises(BundleError, match="cannot have"):
            write_bundle(tmp_path, parts, fields)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["head.npz", "saved_model/variables/data"])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path)
    content = (path / name).read_bytes()
    (path / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(BundleError, match=f"{name} of bundle .* is damaged"):
        open_bundle(path)
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"lacks its file {name}"):
        open_bundle(path)


def edit(path: Path, **changes: Any) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(manifest | changes))


def test_a_bundle_of_a_newer_program_or_another_catalogue_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(BundleError, match=r"another feature catalogue \(abc; this program has xyz\)"):
        open_bundle(path, catalogue_hash="xyz")
    edit(path, format=FORMAT + 1)
    with pytest.raises(BundleError, match=f"has format {FORMAT + 1}") as caught:
        open_bundle(path)
    assert "upgrade" in str(caught.value.hint)


def test_a_changed_manifest_is_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    edit(path, policy={"review_at": 0.9})
    with pytest.raises(BundleError, match="was changed"):
        open_bundle(path)
    renamed = tmp_path / "my-best-model"
    shutil.copytree(write(tmp_path, b"x"), renamed)
    with pytest.raises(BundleError, match="renamed"):
        open_bundle(renamed)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "1"}', '{"format": 1}', "\xff"])
def test_a_broken_manifest_is_told(tmp_path: Path, text: str) -> None:
    path = write(tmp_path)
    (path / MANIFEST).write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match="manifest"):
        open_bundle(path)


def test_no_bundle_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle at"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="is no bundle"):
        open_bundle(tmp_path)


def test_one_bundle_is_in_use_and_can_be_taken_back(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model is in use yet"):
        current_bundle(tmp_path)
    with pytest.raises(NotFound):
        rollback(tmp_path)
    one, two = write(tmp_path, b"1"), write(tmp_path, b"2")
    promote(tmp_path, one.name)
    promote(tmp_path, one.name)
    assert current_bundle(tmp_path) == one
    assert history(tmp_path) == [one.name]
    promote(tmp_path, two.name)
    assert current_bundle(tmp_path) == two
    assert rollback(tmp_path).path == one
    assert current_bundle(tmp_path) == one
    with pytest.raises(NotFound, match="no earlier bundle"):
        rollback(tmp_path)
    assert sorted(list_bundles(tmp_path)) == sorted([one.name, two.name])


def test_an_unsound_bundle_is_never_put_in_use(tmp_path: Path) -> None:
    one, two = write(tmp_path, b"1"), write(tmp_path, b"2")
    promote(tmp_path, one.name)
    promote(tmp_path, two.name)
    (one / "head.npz").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="damaged"):
        rollback(tmp_path)
    with pytest.raises(BundleError, match="damaged"):
        promote(tmp_path, one.name)
    for name in ("nowhere", "../x", ""):
        with pytest.raises(NotFound):
            promote(tmp_path, name)
    assert current_bundle(tmp_path) == two
    shutil.rmtree(two)
    with pytest.raises(BundleError, match="is not there"):
        current_bundle(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"bundles": "x"}', '{"bundles": ["../x"]}'])
def test_a_damaged_pointer_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / CURRENT).write_text(text)
    with pytest.raises(BundleError, match=CURRENT):
        current_bundle(tmp_path)


def test_a_challenger_is_beside_the_champion_until_it_is_withdrawn_or_promoted(tmp_path: Path) -> None:
    first, second = write(tmp_path).name, write(tmp_path, b"other").name
    assert challenger(tmp_path) is None
    with pytest.raises(BundleError, match="no model is in use yet"):
        challenge(tmp_path, second)
    promote(tmp_path, first)
    with pytest.raises(Conflict, match="is the one in use"):
        challenge(tmp_path, first)
    with pytest.raises(NotFound):
        challenge(tmp_path, "20200101-000000000000")
    assert challenge(tmp_path, second).name == second
    assert (challenger(tmp_path), history(tmp_path)) == (second, [first])
    withdraw(tmp_path)
    withdraw(tmp_path)
    assert challenger(tmp_path) is None
    challenge(tmp_path, second)
    promote(tmp_path, second)
    assert (challenger(tmp_path), history(tmp_path)) == (None, [second, first])
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_damaged_challenger_is_refused_and_the_one_named_before_stays(tmp_path: Path) -> None:
    first, second, third = write(tmp_path).name, write(tmp_path, b"other").name, write(tmp_path, b"third").name
    promote(tmp_path, first)
    challenge(tmp_path, second)
    (tmp_path / third / "head.npz").write_bytes(b"thirf")
    with pytest.raises(BundleError, match="is damaged"):
        challenge(tmp_path, third)
    assert challenger(tmp_path) == second


@pytest.mark.parametrize("content", [b"", b"[]", b'{"bundle": 3}', b'{"bundle": "../x"}', b'{"bundle": ""}', b"\xff"])
def test_a_damaged_challenger_file_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    promote(tmp_path, write(tmp_path).name)
    (tmp_path / CHALLENGER).write_bytes(content)
    with pytest.raises(BundleError, match=CHALLENGER) as told:
        challenger(tmp_path)
    assert "quipu models challenge" in (told.value.hint or "")


def test_only_so_many_are_kept_to_go_back_to(tmp_path: Path) -> None:
    names = [write(tmp_path).name, write(tmp_path, b"other").name]
    for _ in range(80):
        for name in names:
            promote(tmp_path, name)
    assert history(tmp_path)[:3] == [names[1], names[0], names[1]]
    assert len(history(tmp_path)) == 100
