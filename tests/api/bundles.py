"""Bundles like a trained one that differ from it in one way, beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnn.bundle import MANIFEST, write_bundle
from gnn.parity import SAMPLE

_OWN = {"format", "quipu", "created_at", "files"}


def like(bundle: Path, *, parts: Mapping[str, bytes | None] | None = None, **fields: Any) -> str:
    """A whole bundle with some parts (None: left out) and fields of its own; returns its name."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    content = {name: (bundle / name).read_bytes() for name in manifest["files"]} | dict(parts or {})
    kept = {name: value for name, value in {**manifest, **fields}.items() if name not in _OWN}
    return write_bundle(bundle.parent, {k: v for k, v in content.items() if v is not None}, kept).name


def stricter(bundle: Path) -> str:
    """A bundle whose probabilities are far higher; returns its name."""
    blend = json.loads((bundle / MANIFEST).read_text())["blend"]
    return like(bundle, parts={SAMPLE: None}, blend={**blend, "bias": blend["bias"] + 6})
