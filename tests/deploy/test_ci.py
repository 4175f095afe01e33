"""What continuous integration runs elsewhere is what the Makefile has, on the system that the images are built on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.composed import DOCKERFILE, ROOT

FILES = (ROOT / ".github" / "workflows" / "ci.yml", ROOT / ".gitlab-ci.yml")


def lines(content: Any) -> list[str]:
    """Every text in a document."""
    match content:
        case dict():
            return [text for value in content.values() for text in lines(value)]
        case list():
            return [text for value in content for text in lines(value)]
    return [str(content)]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_it_calls_targets_that_there_are(file: Path) -> None:
    texts = lines(yaml.safe_load(file.read_text()))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = {name for text in texts for name in re.findall(r"\bmake ([a-z0-9-]+)", text) if name != "python3"}
    assert {"check", "test", "images"} <= called <= targets
    (python,) = re.findall(r"^ARG PYTHON=(python:\S+)-slim-(\w+)$", DOCKERFILE.read_text(), re.M)
    assert "-".join(python) in texts
