"""`quipu graph backup` and `restore`, as a person meets them."""

import json
from pathlib import Path

import pytest

from api.spool import Record, Spool
from graph.records import Decision
from graph.store import open_store
from tests.cli.conftest import Quipu
from tests.graph.test_copying import content, fill_rings


@pytest.fixture
def filled(tmp_path: Path, quipu: Quipu) -> Path:
    """The folder of a system that holds something of each kind; returns it."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    fill_rings(store)
    store.close()
    assert quipu("keys", "create", "--name", "shop", "--scopes", "score").status == 0
    (tmp_path / "var" / "models" / "m-1").mkdir(parents=True)
    (tmp_path / "var" / "models" / "m-1" / "head.npz").write_bytes(b"trees")
    (tmp_path / "var" / "models" / "CURRENT").write_text('{"bundles": ["m-1"]}')
    (tmp_path / "var" / "index").mkdir()
    (tmp_path / "var" / "index" / "ids.npy").write_bytes(b"made again")
    with Spool(tmp_path / "var" / "spool.db") as spool:
        spool.append([Record(Decision("waiting", b"d", 1, 0.5, "approve", "m-1", b"{}"), b"fact")])
    (tmp_path / "bad.csv").write_text("id,at,user,amount\nx1,2025-01-07,u,ten\n")
    (tmp_path / "bad.yaml").write_text(
        "name: bad\nsource: {files: bad.csv}\nquarantine: {limit: 100%}\ntransaction: {transaction_id: id,"
        " occurred_at: {column: at, timezone: UTC}, user_id: user, amount: amount}\n"
    )
    assert quipu("ingest", "bad.yaml").status == 0
    return tmp_path


def elsewhere(folder: Path) -> dict[str, str]:
    """The environment of an empty system."""
    return {"QUIPU_STORE": f"sqlite:///{folder}/new/graph.db", "QUIPU_VAR": str(folder / "new" / "var")}


def test_a_backup_is_restored_into_an_empty_system(quipu: Quipu, filled: Path) -> None:
    made = quipu("graph", "backup", "kept/first", "--json").json()
    assert made["counts"]["transactions"] > 5 and made["counts"]["rings"] == 3
    assert (filled / "kept" / "first").stat().st_mode & 0o777 == 0o700
    new = elsewhere(filled)
    done = quipu("graph", "restore", "kept/first", "--json", **new).json()
    assert done == made
    first, second = open_store(f"sqlite:///{filled}/store.db"), open_store(new["QUIPU_STORE"])
    assert content(first) == content(second)
    first.close()
    second.close()
    assert quipu("keys", "list", **new).out == quipu("keys", "list").out
    assert quipu("graph", "status", "--check", **new).status == 0
    assert quipu("quarantine", "list", "--json", **new).json() == quipu("quarantine", "list", "--json").json()
    var = filled / "new" / "var"
    assert (var / "keys.json").stat().st_mode & 0o777 == 0o600
    assert (var / "models" / "m-1" / "head.npz").read_bytes() == b"trees"
    assert not (var / "index").exists()
    with Spool(var / "spool.db") as spool:
        assert [record.decision.transaction_id for record in spool.undrained(10)] == ["waiting"]


def test_what_is_there_is_never_overwritten(quipu: Quipu, filled: Path) -> None:
    assert quipu("graph", "backup", "kept").status == 0
    assert "kept exists" in quipu("graph", "backup", "kept").complaint()
    before = (filled / "store.db").read_bytes()
    new = elsewhere(filled)
    (filled / "store.etl.db").unlink()
    assert "store is not empty" in quipu("graph", "restore", "kept", QUIPU_VAR=new["QUIPU_VAR"]).complaint()
    assert "exists" in quipu("graph", "restore", "kept", QUIPU_STORE=new["QUIPU_STORE"]).complaint()
    assert (filled / "store.db").read_bytes() == before
    assert not (filled / "new" / "var").exists()


@pytest.mark.parametrize("change", ["cut", "changed", "gone", "newer", "nothing there"])
def test_a_backup_that_is_not_whole_is_refused(quipu: Quipu, filled: Path, change: str) -> None:
    assert quipu("graph", "backup", "kept").status == 0
    kept = filled / "kept"
    match change:
        case "cut":
            (kept / "store.db").write_bytes((kept / "store.db").read_bytes()[:-1])
        case "changed":
            (kept / "var" / "models" / "m-1" / "head.npz").write_bytes(b"stump")
        case "gone":
            (kept / "var" / "keys.json").unlink()
        case "newer":
            manifest = json.loads((kept / "manifest.json").read_text())
            (kept / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
        case _:
            kept = filled / "nowhere"
    wanted = {"newer": "has the format 2", "nothing there": "is not a backup"}.get(change, "is damaged")
    assert wanted in quipu("graph", "restore", kept, **elsewhere(filled)).complaint()
    assert not (filled / "new").exists()


def test_a_store_that_is_not_there_is_not_made(quipu: Quipu, tmp_path: Path) -> None:
    assert "there is no store" in quipu("graph", "backup", "kept").complaint()
    assert not list(tmp_path.iterdir())
