"""`quipu graph status`, `copy` and `export-import`, as a person meets them."""

import sqlite3
from pathlib import Path

import pytest

from graph.store import open_store
from tests.cli.conftest import Quipu
from tests.graph.test_copying import fill_rings


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The file of the store that `quipu` works on."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    fill_rings(store)
    store.close()
    return tmp_path / "store.db"


def test_status(quipu: Quipu, filled: Path) -> None:
    result = quipu("graph", "status", "--json").json()
    assert result["transactions"] == result["feed"]["transaction"] > 5
    assert result["schema"]["entities"] == ["user", "device", "ip", "restaurant"]
    assert result["last_occurred_at"].startswith("2025-03")
    assert result["rings_as_of"].startswith("2025-03")
    assert "checks" not in result
    assert "entities:user" in quipu("graph", "status").out


def test_status_of_an_empty_store(quipu: Quipu) -> None:
    result = quipu("graph", "status", "--check", "--json").json()
    assert result["last_occurred_at"] is result["rings_as_of"] is None
    assert all(check["holds"] for check in result["checks"])


def test_a_check_that_fails_says_where(quipu: Quipu, filled: Path) -> None:
    sound = quipu("graph", "status", "--check")
    assert "WRONG" not in sound.out, sound.out
    assert sound.status == 0
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE totals SET transactions = 99 WHERE entity = 0")
    connection.close()
    broken = quipu("graph", "status", "--check", "--full")
    assert broken.status == 1
    assert "WRONG sums of entities are those of their transactions" in broken.out
    assert "user 'u1'" in broken.out


def test_copy_and_compare(quipu: Quipu, filled: Path, tmp_path: Path) -> None:
    here, there = f"sqlite:///{filled}", f"sqlite:///{tmp_path}/copy.db"
    assert quipu("graph", "status", "--against", there).status == 1
    done = quipu("graph", "copy", here, there, "--json").json()
    assert done["complete"]
    assert done["differences"] == {}
    assert done["copied"]["transactions"]["conflicts"] == 0
    assert quipu("graph", "status", "--against", there).status == 0
    again = quipu("graph", "copy", here, there)
    assert again.status == 0
    assert "complete" in again.out
    assert "same store" in quipu("graph", "copy", here, here).complaint()


def test_a_copy_onto_other_facts_is_not_complete(quipu: Quipu, filled: Path, tmp_path: Path) -> None:
    here, there = f"sqlite:///{filled}", f"sqlite:///{tmp_path}/copy.db"
    assert quipu("graph", "copy", here, there).status == 0
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE transactions SET amount = amount + 1 WHERE seq = 1")
    connection.close()
    result = quipu("graph", "copy", here, there)
    assert result.status == 1
    assert "1 conflicts" in result.out
    assert "not complete" in result.out


def test_export_import(quipu: Quipu, filled: Path, tmp_path: Path) -> None:
    result = quipu("graph", "export-import", "files", "--json").json()
    assert result["transactions"] > 5
    assert "neo4j-admin database import full" in result["command"]
    assert (tmp_path / "files" / "import.args").read_text().count("--nodes=") > 5
    assert "not empty" in quipu("graph", "export-import", "files").complaint()
    assert "make neo4j-import DIR=other" in quipu("graph", "export-import", "other").out
