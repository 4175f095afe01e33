"""Prometheus' and Alertmanager's programs, which may be absent: then tests skip, or in CI fail."""

import os
import shutil

import pytest


def program(*names: str) -> str:
    """The path of the first of these programs that is installed; skips the test (in CI: fails it) where none is."""
    for name in names:
        if found := shutil.which(name):
            return found
    reason = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def promtool() -> str:
    return program("promtool")


@pytest.fixture
def amtool() -> str:
    return program("amtool")
