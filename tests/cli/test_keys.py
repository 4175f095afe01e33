"""`quipu keys`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.keys import KeyFile, KeyRing
from cli.keys import app
from graph.errors import InputError, NotFound
from graph.settings import settings


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUIPU_VAR", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_a_key_that_was_made_works_until_it_is_revoked(var: Path) -> None:
    made = json.loads(run("create", "--name", "shop", "--scopes", "score, label", "--json"))
    assert made["scopes"] == ["score", "label"]
    KeyRing(KeyFile(var / "keys.json"), required=True).require(f"Bearer {made['key']}", "label")
    assert "shop" in run("list")
    assert made["key"] not in run("list") + run("list", "--json")
    run("revoke", made["id"])
    (listed,) = json.loads(run("list", "--json"))["keys"]
    assert listed["revoked_at"] is not None
    assert "revoked" in run("list")


def test_the_key_is_the_first_line_for_people_who_pipe(var: Path) -> None:
    lines = run("create", "--name", "me [admin]", "--scopes", "admin").splitlines()
    KeyRing(KeyFile(var / "keys.json"), required=True).require(f"Bearer {lines[0]}", "score")
    assert "me [admin]" in lines[1]


def test_an_empty_list_says_how_to_go_on() -> None:
    assert "quipu keys create" in run("list")


def test_wrong_use_is_an_input_error() -> None:
    with pytest.raises(InputError, match="scope"):
        run("create", "--name", "x", "--scopes", "everything")
    with pytest.raises(NotFound):
        run("revoke", "nothing")
