"""Lays the network of the model in use out as TensorFlow Serving wants it: a folder of numbered versions.

    python serving_model.py MODELS TARGET

Copies the champion's SavedModel from the folder MODELS to TARGET/<n+1>, where it is not the latest there already.
TensorFlow Serving takes the highest number, and looks for a new one by itself.
"""

import shutil
import sys
from pathlib import Path

from gnn.champion import current_bundle
from graph.errors import BundleError, QuipuError

SAVED_MODEL = "saved_model"
_NAME = "BUNDLE"


def lay_out(models: Path, target: Path) -> Path:
    """Returns the folder of the version that holds the champion's network.

    Raises:
        BundleError: no model is in use, or the one in use has no network.
    """
    bundle = current_bundle(models)
    if not (bundle / SAVED_MODEL).is_dir():
        raise BundleError(f"the model in use, {bundle.name}, has no network", hint="train one with a network")
    target.mkdir(parents=True, exist_ok=True)
    numbers = sorted(int(path.name) for path in target.iterdir() if path.name.isdigit())
    if numbers:
        latest = target / str(numbers[-1])
        if (latest / _NAME).read_text() == bundle.name:
            return latest
    # Under another name first: a version that Serving sees is whole.
    coming = target / "coming"
    shutil.rmtree(coming, ignore_errors=True)
    shutil.copytree(bundle / SAVED_MODEL, coming)
    (coming / _NAME).write_text(bundle.name)
    return coming.rename(target / str(numbers[-1] + 1 if numbers else 1))


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{lay_out(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
    except QuipuError as error:
        sys.exit(f"error: {error}")
