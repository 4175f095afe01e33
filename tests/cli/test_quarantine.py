"""`quipu quarantine`: which rows are listed and written out, and what is said of one."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from graph.errors import InputError

MAPPING = """
name: {name}
source: {{files: "{files}"}}
transaction: {{transaction_id: id, occurred_at: at, user_id: user, amount: amount, city: city}}
quarantine: {{limit: 100%}}
"""
ROWS = """id,at,user,amount,city
1,2024-03-01,u,1.50,Lima
2,soon,u,2,"Lima, centro"
3,2024-03-03,,3,Cusco
4,2024-03-04,u,doce,Ñaña
5,2024-03-05,u,trece,Lima
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUIPU_STORE", f"sqlite:///{tmp_path}/graph.db")
    for name in ("shop", "other"):
        (tmp_path / f"{name}.yaml").write_text(MAPPING.format(name=name, files=f"{name}.csv"))
    (tmp_path / "shop.csv").write_text(ROWS)
    (tmp_path / "other.csv").write_text("id,at,user,amount,city\n9,2024-03-01,u,gratis,Lima\n")
    for name in ("shop", "other"):
        assert run("ingest", f"{name}.yaml").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="quipu")


def listed(*options: str) -> set[tuple[str, str, str]]:
    found = json.loads(run("quarantine", "list", *options, "--json").stdout)
    rows = {(row["mapping"], row["column"], row["value"]) for row in found["rows"]}
    assert sum(group["rows"] for group in found["groups"]) == len(found["rows"])
    return rows


def test_rows_are_listed_by_column_mapping_and_reason(folder: Path) -> None:
    amounts = {("shop", "amount", "doce"), ("shop", "amount", "trece"), ("other", "amount", "gratis")}
    assert listed("--column", "amount") == amounts
    assert listed("--column", "amount", "--mapping", "shop") == amounts - {("other", "amount", "gratis")}
    assert listed("--column", "at") == listed("--reason", "bad_time") == {("shop", "at", "soon")}
    assert listed("--column", "city") == set()
    assert len(listed()) == 5
    said = run("quarantine", "list", "--column", "city").stdout
    assert "no such rows are in quarantine; there are others: " in said
    assert "the first 1 of 5" in run("quarantine", "list", "--limit", "1").stdout


def test_all_rows_are_written_as_csv_that_only_the_owner_reads(folder: Path) -> None:
    (folder / "kept.csv").write_text("what was there before")
    (folder / "kept.csv").chmod(0o644)
    said = run("quarantine", "list", "--mapping", "shop", "--limit", "1", "--csv", "kept.csv").stdout
    assert "4 rows written to kept.csv" in said, "all of them, whatever the limit"
    assert (folder / "kept.csv").stat().st_mode & 0o077 == 0
    with (folder / "kept.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["row"]): row for row in csv.DictReader(file)}
    assert {number: row["reason"] for number, row in rows.items()} == {
        2: "bad_time", 3: "missing_user", 4: "bad_amount", 5: "bad_amount",
    }  # fmt: skip
    assert {row["mapping"] for row in rows.values()} == {"shop"}
    assert json.loads(rows[2]["raw"])["city"] == "Lima, centro"
    assert json.loads(rows[4]["raw"])["city"] == "Ñaña"
    found = json.loads(run("quarantine", "list", "--column", "at", "--csv", "one.csv", "--json").stdout)
    assert (found["csv"], found["written"]) == ("one.csv", 1)


def test_a_csv_file_that_cannot_be_written_is_told(folder: Path) -> None:
    result = run("quarantine", "list", "--csv", "nowhere/kept.csv")
    assert isinstance(result.exception, InputError)
    assert "there is no folder nowhere" in result.exception.message


def test_one_row_is_shown_with_what_is_wrong_and_what_to_do(folder: Path) -> None:
    (row,) = json.loads(run("quarantine", "list", "--reason", "bad_time", "--json").stdout)["rows"]
    shown = run("quarantine", "show", row["id"]).stdout
    assert shown.startswith("bad_time: ")
    assert "> at = 'soon'" in shown
    assert "  city = 'Lima, centro'" in shown
    assert "what to do: " in shown
    assert "quipu quarantine retry MAPPING --reason bad_time" in shown
    found = json.loads(run("quarantine", "show", row["id"], "--json").stdout)
    assert found["advice"]
    assert found["meaning"]
    assert found["raw"] == {"id": "2", "at": "soon", "user": "u", "amount": "2", "city": "Lima, centro"}
