"""`quipu ingest` and `quipu quarantine` as a person meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from graph.errors import InputError, LimitExceeded, MappingError, NotFound, QuipuError

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """
name: shop
source: {files: "tx*.csv"}
transaction: {transaction_id: id, occurred_at: at, user_id: user, amount: amount, device_id: device}
quarantine: {limit: 50%}
"""
ROWS = """id,at,user,amount,device
1,2024-03-01,u,1.50,d
2,2024-03-02,u,[x],d
3,2024-03-03,v,2,d
3,2024-03-03,v,2,d
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "tx.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUIPU_STORE", f"sqlite:///{tmp_path}/graph.db")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="quipu")


def test_ingest_reports_to_people_and_machines(folder: Path) -> None:
    first = run("ingest", "mapping.yaml")
    assert first.exit_code == 0, first.output
    assert "4 read = 2 loaded + 1 duplicates + 1 quarantined (1 of them new)" in first.stdout
    assert "bad_amount" in first.stdout
    assert "2 user, 1 device" in first.stdout
    again = json.loads(run("ingest", "mapping.yaml", "--json").stdout)
    assert (again["read"], again["loaded"], again["duplicates"], again["quarantined"]) == (4, 0, 3, 1)
    assert again["newly_quarantined"] == 0
    assert again["rows_per_second"] > 0
    assert (again["first_occurred_at"], again["last_occurred_at"]) == ("2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z")


def test_ingest_of_a_window_of_a_given_file(folder: Path) -> None:
    (folder / "other.csv").write_text(ROWS.replace("3,2024", "4,2024"))
    report = json.loads(
        run("ingest", "mapping.yaml", "oth*.csv", "--since", "2024-03-02", "--until", "2024-03-04", "--json").stdout
    )
    assert (report["read"], report["loaded"], report["outside_window"]) == (3, 1, 1)
    assert report["files"] == ["other.csv"]


def test_given_files_are_read_as_the_mapping_says(folder: Path) -> None:
    (folder / "odd.yaml").write_text(MAPPING.replace('"tx*.csv"', '"tx*.csv", csv: {delimiter: "~"}'))
    (folder / "odd.csv").write_text(ROWS.replace(",", "~"))
    report = json.loads(run("ingest", "odd.yaml", "odd.csv", "--json").stdout)
    assert (report["read"], report["loaded"]) == (4, 2)


def test_loads_into_two_stores_keep_a_page_each(folder: Path) -> None:
    pages = [
        json.loads(run("ingest", "mapping.yaml", "--store", f"sqlite:///{name}/graph.db", "--json").stdout)["pages"][0]
        for name in ("lima", "cusco")
    ]
    assert len(set(pages)) == 2
    assert all((folder / page).is_file() for page in pages)


def test_every_load_leaves_a_page_and_says_where(folder: Path) -> None:
    first = run("ingest", "mapping.yaml", "--html", "page.html")
    assert first.exit_code == 0, first.output
    assert "What needs your attention: 1 problem" in first.stdout
    assert "PROBLEM 1 of 4 transactions (25%) were held back because the amount is not a finite number" in first.stdout
    assert "For example “[x]” in column amount (tx.csv, row 2)." in first.stdout
    assert first.stdout.index("PROBLEM") < first.stdout.index("4 read =")
    (kept,) = (folder / "var" / "reports").glob("load-shop-*-1.html")
    assert kept.read_text() == (folder / "page.html").read_text()
    assert "<h1>Load 1 of shop</h1>" in kept.read_text()
    assert f"var/reports/{kept.name}" in first.stdout.replace("\n", "")
    again = json.loads(run("ingest", "mapping.yaml", "--json").stdout)
    (page,) = again["pages"]
    assert page == f"var/reports/{kept.name.replace('-1.html', '-2.html')}"
    assert again["compared_with"] == 1
    assert again["attention"][0]["level"] == "problem"
    assert "Compared with the load before" in (folder / page).read_text()


def test_what_suddenly_goes_missing_is_said_at_the_very_top(folder: Path) -> None:
    run("ingest", "mapping.yaml")
    (folder / "tx.csv").write_text(ROWS.replace(",d\n", ",\n").replace("\n1,", "\n7,").replace("\n3,", "\n8,"))
    said = run("ingest", "mapping.yaml").stdout
    assert "PROBLEM device is suddenly missing in 100% of transactions; it was 0% in the load before." in said
    assert said.index("suddenly missing") < said.index("held back")


def test_a_stopped_load_leaves_a_page_that_says_why(folder: Path) -> None:
    (folder / "strict.yaml").write_text(MAPPING.replace("50%", "5%"))
    stopped = run("ingest", "strict.yaml")
    assert isinstance(stopped.exception, LimitExceeded)
    (page,) = (folder / "var" / "reports").glob("load-shop-*-stopped.html")
    assert page.name in (stopped.exception.hint or "")
    text = page.read_text()
    assert "This load was stopped, and nothing was changed" in text
    assert "bad_amount" in text
    assert json.loads(run("quarantine", "list", "--json").stdout)["rows"] == []
    assert isinstance(run("ingest", "strict.yaml", "--dry-run", "--html", "why.html").exception, LimitExceeded)
    assert "1 of 4 transactions" in (folder / "why.html").read_text()


def test_a_page_that_cannot_be_written_is_told_before_the_load(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run("ingest", "mapping.yaml", "--html", "nowhere/page.html")
    assert isinstance(result.exception, InputError)
    assert "there is no folder nowhere" in result.exception.message
    assert sorted(folder.iterdir()) == before


def test_a_folder_for_pages_that_cannot_be_made_stops_no_load(folder: Path) -> None:
    (folder / "var").write_text("a file")
    result = run("ingest", "mapping.yaml", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["loaded"], report["pages"]) == (2, [])
    assert "warning: the page of this load cannot be kept" in result.stderr


def test_a_dry_run_leaves_nothing_behind(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run("ingest", "mapping.yaml", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "nothing written" in result.stdout
    assert sorted(folder.iterdir()) == before


def test_quarantine_list_show_retry(folder: Path) -> None:
    assert "nothing is in quarantine" in run("quarantine", "list").stdout
    run("ingest", "mapping.yaml")
    listed = run("quarantine", "list")
    assert "bad_amount" in listed.stdout
    assert "[x]" in listed.stdout
    (row,) = json.loads(run("quarantine", "list", "--reason", "bad_amount", "--json").stdout)["rows"]
    assert (row["file"], row["row"], row["column"], row["value"]) == ("tx.csv", 2, "amount", "[x]")
    shown = run("quarantine", "show", row["id"][:6])
    assert "the amount is not a finite number" in shown.stdout
    assert "amount = '[x]'" in shown.stdout
    assert json.loads(run("quarantine", "show", row["id"], "--json").stdout)["raw"]["user"] == "u"

    (folder / "corrected.yaml").write_text(MAPPING.replace("amount: amount", "amount: id"))
    retried = run("quarantine", "retry", "corrected.yaml")
    assert "1 tried = 1 loaded + 0 duplicates + 0 still in quarantine" in retried.stdout
    assert "nothing is in quarantine" in run("quarantine", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["ingest", "missing.yaml"], MappingError, "there is no mapping file missing.yaml"),
        (["ingest", "mapping.yaml", "missing.csv"], InputError, "no file matches 'missing.csv'"),
        (["ingest", "mapping.yaml", "--since", "soon"], InputError, "--since 'soon' is not a time"),
        (["ingest", "wrong.yaml"], MappingError, "tx.csv has no column 'amuont'"),
        (["ingest", "typo.yaml"], MappingError, "did you mean 'transaction'?"),
        (["ingest", "strict.yaml"], LimitExceeded, "1 of 4 transactions (25.0%) cannot be loaded"),
        (["ingest", "mapping.yaml", "--store", "oracle://x"], InputError, "what kind of store 'oracle' is"),
        (["quarantine", "show", "nothing"], NotFound, "no row in quarantine"),
        (["quarantine", "list", "--reason", "ugly"], InputError, "there is no reason 'ugly'"),
    ],
)
def test_what_goes_wrong_is_said(folder: Path, arguments: list[str], kind: type[QuipuError], message: str) -> None:
    (folder / "wrong.yaml").write_text(MAPPING.replace("amount: amount", "amount: amuont"))
    (folder / "typo.yaml").write_text(MAPPING.replace("transaction:", "transactoin:"))
    (folder / "strict.yaml").write_text(MAPPING.replace("50%", "5%"))
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert message in result.exception.message
    assert result.exception.hint is None or result.exception.hint


def test_the_program_itself_gives_no_traceback(folder: Path) -> None:
    (folder / "wrong.yaml").write_text(MAPPING.replace("amount: amount", "amount: amuont"))
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "ingest", "wrong.yaml"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "did you mean 'amount'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
