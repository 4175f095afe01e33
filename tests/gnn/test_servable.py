"""What is not sound, not of this version, for other columns, or scores otherwise is found before it is used."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gnn.bundle import FORMAT, MANIFEST, open_bundle, write_bundle
from gnn.champion import current_bundle
from gnn.parity import SAMPLE
from gnn.servable import load_servable
from gnn.serving import schema_of
from graph.errors import BundleError
from graph.records import GraphSchema

OWN = {"format", "quipu", "created_at", "files"}
Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def bundle(small_world: Path, tmp_path: Path) -> Path:
    path = current_bundle(small_world / "models")
    return Path(shutil.copytree(path, tmp_path / path.name))


def rewritten(bundle: Path, change: Callable[[dict[str, bytes], dict[str, Any]], object]) -> Path:
    """Another bundle, whole by its fingerprint, with other parts or fields."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    parts = {name: (bundle / name).read_bytes() for name in manifest["files"]}
    fields = {name: value for name, value in manifest.items() if name not in OWN}
    change(parts, fields)
    return write_bundle(bundle.parent / "other", parts, fields)


def with_sample(bundle: Path, change: Callable[[Arrays], object]) -> Path:
    def rewrite(parts: dict[str, bytes], _: dict[str, Any]) -> None:
        arrays = dict(np.load(io.BytesIO(parts[SAMPLE])))
        change(arrays)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        parts[SAMPLE] = buffer.getvalue()

    return rewritten(bundle, rewrite)


def test_a_trained_bundle_carries_a_sample_and_scores_it_as_it_did(bundle: Path) -> None:
    servable = load_servable(bundle, schema_of(open_bundle(bundle)))
    assert 35 <= servable.verified <= 50
    assert servable.name == bundle.name
    sample = dict(np.load(bundle / SAMPLE))
    assert sample["probability"].max() > 0.5 > sample["probability"].min()
    assert (bundle / SAMPLE).stat().st_size < 300_000


def test_a_bundle_of_a_version_that_wrote_no_sample_still_loads(bundle: Path) -> None:
    older = rewritten(bundle, lambda parts, _: parts.pop(SAMPLE))
    assert load_servable(older).verified == 0


@pytest.mark.parametrize("off", [0.01, -0.5, float("nan")])
def test_one_probability_that_is_another_here_is_told(bundle: Path, off: float) -> None:
    def change(arrays: Arrays) -> None:
        arrays["probability"][7] += off

    with pytest.raises(BundleError, match="scores otherwise here than where it was trained"):
        load_servable(with_sample(bundle, change))


def test_differences_between_processors_are_no_reason(bundle: Path) -> None:
    def change(arrays: Arrays) -> None:
        arrays["probability"] += 2e-6

    assert load_servable(with_sample(bundle, change)).verified > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("nodes"), "cannot be read"),
        (lambda a: a.update(probability=a["probability"][:3]), "contradicts itself"),
        (lambda a: a.update(features=a["features"][:, :4]), "cannot score its sample"),
        (lambda a: a.update(parents=a["parents"] + 999), "cannot score its sample"),
        (lambda a: a.update(counts=a["counts"].astype(np.int64)), "cannot be read"),
    ],
)
def test_a_sample_that_does_not_fit_is_told(bundle: Path, change: Callable[[Arrays], object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_servable(with_sample(bundle, change))


def test_models_of_another_training_do_not_pass_for_these(bundle: Path) -> None:
    """A head whose file was exchanged for another one of the same shape: whole by fingerprint, found by its scores."""

    def exchange(parts: dict[str, bytes], _: dict[str, Any]) -> None:
        arrays = dict(np.load(io.BytesIO(parts["head.npz"])))
        arrays["value"] = -arrays["value"]
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        parts["head.npz"] = buffer.getvalue()

    with pytest.raises(BundleError, match="scores otherwise"):
        load_servable(rewritten(bundle, exchange))


def test_other_columns_are_named(bundle: Path) -> None:
    schema = schema_of(open_bundle(bundle))
    fewer = GraphSchema(schema.entities[:-1], schema.categories, (*schema.numeric, "age"))
    with pytest.raises(BundleError) as told:
        load_servable(bundle, fewer)
    assert f"entities +{schema.entities[-1]}; numeric -age" in told.value.message
    assert "restart" in (told.value.hint or "")
    turned = GraphSchema(schema.entities, schema.categories[::-1], schema.numeric)
    with pytest.raises(BundleError, match="categories in another order"):
        load_servable(bundle, turned)


def test_a_newer_format_is_told_before_anything_else(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps({**manifest, "format": FORMAT + 1, "quipu": "99.0"}))
    with pytest.raises(BundleError, match=f"has format {FORMAT + 1}") as told:
        load_servable(bundle)
    assert "99.0" in (told.value.hint or "")
