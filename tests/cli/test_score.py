"""`quipu score`: a file scored as the service would, and nothing written but what was asked for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gnn.champion import current_bundle

Quipu = Callable[..., Any]
HEAD = "transaction_id,occurred_at,user_id,amount,device_id,ip,restaurant_id,currency\n"
PLAIN = "2025-03-05T12:00:00Z,U-new,86.50,D-new,190.232.10.4,R-new,PEN"


@pytest.fixture
def world(small_world: Path, tmp_path: Path) -> Path:
    """The small world's store and model where the program looks for them; the world itself in `world/`."""
    shutil.copy(small_world / "store.db", tmp_path / "store.db")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "models").symlink_to(small_world / "models")
    (tmp_path / "world").symlink_to(small_world / "world")
    return tmp_path


def test_entities_never_seen_get_an_ordinary_decision(quipu: Quipu, world: Path, small_world: Path) -> None:
    (world / "f.csv").write_text(f"{HEAD}n1,{PLAIN}\n")
    result = quipu("score", "f.csv", "--json").json()
    assert (result["scored"], result["refused"]) == (1, 0)
    assert result["model_version"] == current_bundle(small_world / "models").name
    (decision,) = result["decisions"]
    assert decision["transaction_id"] == "n1"
    assert 0 <= decision["probability"] <= 1
    assert decision["reasons"]
    shown = quipu("score", "f.csv").out
    assert f"n1  {decision['probability']:.4f}  {decision['band']}" in shown
    assert decision["reasons"][0] in shown


def test_history_is_scored_as_of_its_own_time(quipu: Quipu, world: Path) -> None:
    """A part of history and all of it give the same scores, and frauds the higher ones."""
    rows = pq.read_table(world / "world" / "transactions.parquet")
    pq.write_table(rows.slice(rows.num_rows // 2, 3_000), world / "part.parquet")
    before = quipu("graph", "status", "--json").json()
    arguments = ("part.parquet", "--mapping", "world/mapping.yaml")
    result = quipu("score", *arguments, "--out", "o.parquet", "--json").json()
    scores = pq.read_table(world / "o.parquet")
    assert scores.column_names == [
        "transaction_id", "occurred_at", "probability", "band", "model_version", "reasons",
    ]  # fmt: skip
    assert result["scored"] == scores.num_rows == 3_000
    assert sum(result["bands"].values()) == 3_000
    assert pc.all(pc.less_equal(scores["occurred_at"][:-1], scores["occurred_at"][1:])).as_py()
    assert pc.min(scores["probability"]).as_py() >= 0
    assert pc.max(scores["probability"]).as_py() <= 1
    assert set(scores["band"].unique().to_pylist()) <= {"approve", "review", "block"}
    assert all(json.loads(text)[0]["text"] for text in scores["reasons"].to_pylist())

    truth = pq.read_table(world / "world" / "truth" / "fraud.parquet")
    fraud = truth["transaction_id"].filter(truth["is_fraud"])
    is_fraud = pc.is_in(scores["transaction_id"], fraud.combine_chunks())
    of_frauds = pc.mean(scores["probability"].filter(is_fraud)).as_py()
    assert of_frauds > 5 * pc.mean(scores["probability"].filter(pc.invert(is_fraud))).as_py()

    pq.write_table(rows.slice(rows.num_rows // 2 + 1_000, 1_000), world / "part.parquet")
    quipu("score", *arguments, "--out", "again.parquet")
    again = pq.read_table(world / "again.parquet")
    places = pc.index_in(again["transaction_id"], scores["transaction_id"].combine_chunks())
    assert scores["probability"].take(places).equals(again["probability"])
    assert quipu("graph", "status", "--json").json() == before


def test_rows_that_cannot_be_scored_are_counted_by_reason_and_the_others_scored(quipu: Quipu, world: Path) -> None:
    bad = {
        "future_time": "n2,2034-03-05T12:00:00Z,u,5,,,,",
        "ancient_time": "n3,1970-03-05T12:00:00Z,u,5,,,,",
        "bad_time": "n4,noon,u,5,,,,",
        "missing_time": "n5,,u,5,,,,",
        "negative_amount": "n6,2025-03-05,u,-5,,,,",
        "bad_amount": "n7,2025-03-05,u,NaN,,,,",
        "missing_amount": "n8,2025-03-05,u,,,,,",
        "missing_user": "n9,2025-03-05,,5,,,,",
        "id_too_long": f"{'x' * 5_000},2025-03-05,u,5,,,,",
        "broken_row": "1,2",
    }
    (world / "f.csv").write_text(HEAD + f"n1,{PLAIN}\n" + "".join(f"{row}\n" for row in bad.values()))
    result = quipu("score", "f.csv", "--json").json()
    assert (result["scored"], result["refused"]) == (1, len(bad))
    assert set(result["refused_reasons"]) == set(bad)
    shown = quipu("score", "f.csv").out
    assert f"{len(bad)} rows refused" in shown
    assert "the time lies in the future" in shown


def test_ids_and_reasons_are_printed_as_they_are(quipu: Quipu, world: Path) -> None:
    (world / "f.csv").write_text(
        f"{HEAD}[/n1],2025-03-05,[bold]u[/],5,d[/],,,\n[/n2],2025-03-06,[bold]u[/],5,d[/],,,\n"
    )
    shown = quipu("score", "f.csv").out
    assert "[/n1]  0" in shown
    assert "[/n2]  0" in shown


def test_a_file_without_rows_gives_scores_without_rows(quipu: Quipu, world: Path) -> None:
    (world / "f.csv").write_text(HEAD)
    assert quipu("score", "f.csv", "--out", "o.parquet", "--json").json()["scored"] == 0
    schema = pq.read_schema(world / "o.parquet")
    assert schema.field("probability").type == pa.float64()
    assert schema.field("transaction_id").type == pa.string()


def test_an_empty_store_knows_nobody_and_says_so(quipu: Quipu, world: Path) -> None:
    (world / "f.csv").write_text(f"{HEAD}n1,{PLAIN}\n")
    ran = quipu("score", "f.csv", "--store", f"sqlite:///{world}/new.db", "--json")
    assert ran.json()["scored"] == 1
    assert "the store is empty" in ran.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("id,at,user,amount\n1,2025-01-01,u,1\n", "no column transaction_id, occurred_at, user_id"),
        ("transaction_id,occurred_at,user_id\nn1,2025-01-01,u\n", "no column amount"),
        ("transaction_id,occurred_at,user_id,amount,amount\n", "the column 'amount' twice"),
        (b"\x00\xff" * 2_000, "no column transaction_id"),
        (None, "there is no file f.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    quipu: Quipu, world: Path, content: str | bytes | None, message: str
) -> None:
    if content is not None:
        (world / "f.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = quipu("score", "f.csv", "--json")
    assert ran.status == 2
    assert message in ran.complaint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--mapping nothing.yaml", "there is no mapping file nothing.yaml"),
        ("--mapping f.csv", "is not a mapping"),
        ("--mapping world/mapping.yaml", "no column"),
        ("--out .", "--out: . is a folder"),
        ("--out nowhere/o.parquet", "there is no folder nowhere"),
        ("--store sqlite:///f.csv", "is not a SQLite database"),
        ("--store nonsense", "what kind of store"),
        ("--bundle world", "world is no bundle"),
    ],
)
def test_what_else_may_be_wrong_is_told(quipu: Quipu, world: Path, options: str, message: str) -> None:
    (world / "f.csv").write_text("transaction_id,occurred_at,user_id,amount\n" + "n,2025-03-05,u,5\n" * 20)
    assert message in quipu("score", "f.csv", *options.split()).complaint()
