"""Whatever is wrong with what a command is given: a message with what and where, a hint, no result, no traceback."""

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import COMMANDS

Quipu = Callable[..., Any]
Program = Callable[..., "subprocess.Popen[str]"]

MAPPING = """
name: shop
source: {files: "tx.csv"}
transaction: {transaction_id: id, occurred_at: at, user_id: user, amount: amount}
label: {is_fraud: {column: fraud, fraud: [1], genuine: [0]}, known_at: {delay: 7d}}
"""
HEAD = "id,at,user,amount,fraud\n"
NOISE = np.random.default_rng(0).bytes(4_000)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files and folders that no command can use, and a mapping with its transactions."""
    (tmp_path / "folder").mkdir()
    for name in ("binary", "binary.csv", "binary.parquet", "binary.yaml", "binary.db"):
        (tmp_path / name).write_bytes(NOISE)
    for name in ("empty.csv", "empty.parquet", "empty.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "m.yaml").write_text(MAPPING)
    days = [f"{i},2024-01-{1 + i % 28:02d}T12:00:00Z,u{i % 7},{i}.5,{int(i % 9 == 0)}\n" for i in range(56)]
    (tmp_path / "tx.csv").write_text(HEAD + "".join(days))
    return tmp_path


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in ("demo", "init", "monitor", "train", "serve")]
)
def test_a_command_without_its_arguments_tells_its_usage(quipu: Quipu, command: str) -> None:
    ran = quipu(command)
    assert ran.status == 2
    assert ran.out == ""
    assert f"Usage: quipu {command}" in ran.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "Did you mean 'train'?"),
        ("init", "nothing to look at"),
        ("nothing", "No such command 'nothing'"),
        ("--nothing", "No such option: --nothing"),
        ("simulate w --users many", "'--users'"),
        ("simulate w --users 0", "users is 0"),
        ("simulate w --users -1", "users is -1"),
        ("simulate w --days 0", "days is 0"),
        ("simulate w --days 10000000", "days is 10000000"),
        ("simulate w --seed -1", "seed is -1"),
        ("simulate w --fraud-rate nan", "fraud rate is nan"),
        ("simulate w --fraud-rate 2", "fraud rate is 2.0"),
        ("simulate w --start yesterday", "'yesterday' does not match"),
        ("simulate w --start 9999-12-01", "the first day is 9999-12-01"),
        ("simulate w --start 1950-01-01", "the first day is 1950-01-01"),
        ("simulate w --format xml", "'--format'"),
        ("simulate binary --users 60 --days 7", "the folder binary cannot be made"),
        ("simulate /proc/world --users 60 --days 7", "the folder /proc/world cannot be made"),
        ("ingest nothing.yaml", "there is no mapping file nothing.yaml"),
        ("ingest folder", "folder cannot be read"),
        ("ingest binary.yaml", "binary.yaml cannot be read"),
        ("ingest empty.yaml", "empty.yaml is not a mapping"),
        ("ingest m.yaml nothing.csv", "no file matches 'nothing.csv'"),
        ("ingest m.yaml folder", "no file that can be read matches 'folder'"),
        ("ingest m.yaml empty.csv", "empty.csv is empty"),
        ("ingest m.yaml binary", "binary is neither CSV"),
        ("ingest m.yaml binary.parquet", "binary.parquet cannot be read"),
        ("ingest m.yaml binary.csv", "has no column"),
        ("ingest m.yaml --since noon", "--since 'noon' is not a time"),
        ("ingest m.yaml --until=", "--until '' is not a time"),
        ("ingest m.yaml --store nonsense", "what kind of store 'nonsense' is"),
        ("quarantine list --reason ugly", "there is no reason 'ugly'"),
        ("quarantine list --limit 0", "'--limit'"),
        ("quarantine show nothing", "no row in quarantine with the id 'nothing'"),
        ("quarantine retry nothing.yaml", "there is no mapping file"),
        ("train --until noon", "'noon' is not a time"),
        ("train --until=", "'' is not a time"),
        ("train --seed -1", "'--seed'"),
        ("train --seed 1e3", "'--seed'"),
        ("train --out binary", "the folder binary cannot be made"),
        ("train --out /proc/models", "the folder /proc/models cannot be made"),
        ("train --store sqlite:///folder", "the store folder cannot be opened"),
        ("train --store sqlite:///binary.db", "binary.db is not a SQLite database"),
        ("train --store sqlite://", "names no SQLite file"),
        ("train --store=", "'--store'"),
        ("train --store mysql://host/db", "what kind of store 'mysql' is"),
        ("backtest --out s.parquet", "Missing option '--train-until'"),
        ("backtest --train-until 2024-01-01", "Missing option '--out'"),
        ("backtest --train-until soon --out s.parquet", "'soon' is not a time"),
        ("backtest --train-until 2024-13-01 --out s.parquet", "'2024-13-01' is not a time"),
        ("backtest --train-until 2024-01-02 --until 2024-01-02 --out s.parquet", "--until is not after --train-until"),
        ("backtest --train-until 2024-01-02 --retrain-every 7 --out s.parquet", "'7' is not a duration"),
        ("backtest --train-until 2024-01-02 --retrain-every 0d --out s.parquet", "'0d' is not a duration"),
        ("backtest --train-until 2024-01-02 --retrain-every= --out s.parquet", "'' is not a duration"),
        ("backtest --train-until 2024-01-02 --out folder", "--out: folder is a folder"),
        ("backtest --train-until 2024-01-02 --out nowhere/s.parquet", "there is no folder nowhere"),
        ("evaluate nothing", "there is no file nothing"),
        ("evaluate binary", "cannot be read as Parquet"),
        ("evaluate empty.parquet", "cannot be read as Parquet"),
        ("evaluate folder", "folder is no bundle"),
        ("evaluate binary.parquet --html folder", "--html: folder is a folder"),
        ("score", "Missing argument"),
        ("score tx.csv --out folder", "--out: folder is a folder"),
        ("score tx.csv --bundle folder", "folder is no bundle"),
        ("score tx.csv --bundle nothing", "there is no bundle at nothing"),
        ("score tx.csv", "no model is in use yet"),
        ("serve --port 70000", "'--port'"),
        ("serve --port web", "'--port'"),
        ("serve --workers 0", "'--workers'"),
        ("serve", "no model is in use yet"),
        ("serve --bundle folder --port 0", "folder is no bundle"),
        ("serve --bundle folder --port 0 --host no.such.host.invalid", "cannot listen on no.such.host.invalid"),
        ("models promote nothing", "there is no bundle nothing"),
        ("models promote ../folder", "there is no bundle ../folder"),
        ("models promote=", "No such command"),
        ("models rollback", "there is no earlier bundle"),
        ("models list --models binary", "cannot be read"),
        ("keys create --name a --scopes everything", "there is no scope 'everything'"),
        ("keys create --name a --scopes=", "at least one scope"),
        ("keys create --name= --scopes score", "a key needs a name"),
        ("keys revoke nothing", "there is no key with the id 'nothing'"),
        ("graph status --store sqlite:///binary.db", "binary.db is not a SQLite database"),
        ("graph draw", "No such command 'draw'"),
        ("demo --users 3", "'--users'"),
        ("demo --days soon", "'--days'"),
        ("demo --once --folder binary", "the folder binary cannot be made"),
    ],
)
def test_wrong_use_is_told(quipu: Quipu, files: Path, line: str, message: str) -> None:
    assert message in quipu(*line.split()).complaint()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("ingest nothing.yaml", 2),
        ("train --until noon", 2),
        ("backtest --train-until 2024-01-02 --out folder", 2),
        ("evaluate folder", 1),
        ("score tx.csv", 1),
        ("models rollback", 1),
        ("train --store sqlite:///binary.db", 1),
    ],
)
def test_wrong_input_is_2_and_a_failed_job_1_with_or_without_json(
    quipu: Quipu, files: Path, line: str, status: int
) -> None:
    for more in ([], ["--json"]):
        ran = quipu(*line.split(), *more)
        assert ran.status == status
        assert "hint: " in ran.complaint()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("QUIPU_PORT", "web", "models list"),
        ("QUIPU_WORKERS", "0", "serve --bundle folder"),
        ("QUIPU_REVIEW_COST", "nan", "train"),
        ("QUIPU_DECLINE_COST", "-1", "evaluate s.parquet"),
        ("QUIPU_FRAUD_LOSS", "inf", "backtest --train-until 2024-01-02 --out s.parquet"),
        ("QUIPU_LOG_LEVEL", "loud", "serve --bundle folder --port 0"),
        ("QUIPU_REQUIRE_KEYS", "perhaps", "keys list"),
    ],
)
def test_a_wrong_setting_is_named(quipu: Quipu, files: Path, name: str, value: str, line: str) -> None:
    ran = quipu(*line.split(), **{name: value})
    assert ran.status == 2
    assert f"wrong setting: {name}" in ran.complaint()


@pytest.mark.parametrize("line", ["train", "models list", "keys list", "keys create --name a --scopes score"])
def test_a_folder_of_settings_that_is_a_file_is_told(quipu: Quipu, files: Path, line: str) -> None:
    assert "binary" in quipu(*line.split(), QUIPU_VAR=str(files / "binary")).complaint()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "there are no transactions"),
        ("1,2024-01-01,u,1,\n2,2024-01-21,u,1,\n", "too few to learn what is usual"),
        ("".join(f"{i},2024-01-{i:02d},u,1,1\n" for i in range(1, 25)), "are fraud; genuine ones are needed too"),
        ("".join(f"{i},2024-01-{2 * i - 1:02d},u,1,{i % 2}\n" for i in range(1, 13)), "too few to learn what is usual"),
    ],
)
def test_too_little_to_learn_from_is_told(quipu: Quipu, files: Path, rows: str, message: str) -> None:
    (files / "tx.csv").write_text(HEAD + rows)
    assert quipu("ingest", "m.yaml", "--json").json()["read"] == rows.count("\n")
    for line in ("train", "backtest --train-until 2024-01-20 --out s.parquet"):
        ran = quipu(*line.split(), "--json")
        assert ran.status == 1
        assert message in ran.complaint()
    assert not (files / "s.parquet").exists()
    assert quipu("models", "list", "--json").json()["bundles"] == []


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("--train-until 2020-01-01", "no transaction had arrived before 2020-01-01T00:00:00Z"),
        ("--train-until 2034-01-01", "no transaction occurred in the period"),
        ("--train-until 2024-01-20T13:00:00Z --until 2024-01-20T14:00:00Z", "no transaction occurred in the period"),
        ("--train-until 0001-01-01T00:00:00+14:00", "no transaction had arrived before 0000-12-31"),
        ("--train-until 9999-12-31T23:59:59-14:00", "no transaction occurred in the period"),
        ("--train-until 2024-01-04", "too few to learn what is usual"),
    ],
)
def test_a_period_that_cannot_be_scored_is_told(quipu: Quipu, files: Path, period: str, message: str) -> None:
    quipu("ingest", "m.yaml").out  # noqa: B018
    assert message in quipu("backtest", *period.split(), "--out", "s.parquet").complaint()


def test_more_trainings_than_anyone_waits_for_are_refused(quipu: Quipu, files: Path) -> None:
    times = np.datetime64("2024-01-01T00:00:00") + 900 * np.arange(3_000)
    (files / "tx.csv").write_text(HEAD + "".join(f"{i},{at}Z,u,1,{i % 2}\n" for i, at in enumerate(times)))
    assert quipu("ingest", "m.yaml").status == 0
    ran = quipu("backtest", "--train-until", "2024-01-09", "--retrain-every", "1s", "--out", "s.parquet")
    assert "2,232 trainings" in ran.complaint()


@pytest.mark.parametrize(
    ("right", "wrong", "hint"),
    [
        ("user_id: user", "user_id: usr", "did you mean 'user'?"),
        ("column: fraud", "column: chargeback", "columns are id, at, user, amount, fraud"),
    ],
)
def test_a_mapping_with_a_wrong_column_is_told(quipu: Quipu, files: Path, right: str, wrong: str, hint: str) -> None:
    (files / "wrong.yaml").write_text(MAPPING.replace(right, wrong))
    text = quipu("ingest", "wrong.yaml").complaint()
    assert f"no column '{wrong.rsplit(maxsplit=1)[-1]}'" in text
    assert hint in text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"probability": ["high", "low"]}, "probability"),
        ({"probability": [0.5, 1.5]}, "not between 0 and 1"),
        ({"probability": [0.5, float("nan")]}, "not between 0 and 1"),
        ({"probability": [0.5, None]}, "empty in 1 rows"),
        ({"band": ["approve", "perhaps"]}, "'perhaps'"),
        ({"occurred_at": ["noon", "night"]}, "occurred_at"),
        ({"occurred_at": None}, "no column occurred_at"),
        ({"is_fraud": [True, True]}, "are fraud"),
        ({"is_fraud": pa.nulls(2, pa.bool_())}, "has a label"),
        ({"is_fraud": ["yes", "perhaps"]}, "is_fraud"),
    ],
)
def test_scores_that_cannot_be_measured_are_told(
    quipu: Quipu, tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    table: dict[str, Any] = {
        "transaction_id": ["a", "b"],
        "occurred_at": pa.array([0, 1], pa.timestamp("us", tz="UTC")),
        "probability": [0.1, 0.9],
        "band": ["approve", "block"],
        "model_version": ["m", "m"],
        "is_fraud": [False, True],
    }
    kept = {name: value for name, value in (table | columns).items() if value is not None}
    pq.write_table(pa.table(kept), tmp_path / "s.parquet")
    assert message in quipu("evaluate", "s.parquet", "--json").complaint()


def test_what_others_named_is_printed_as_it_is(quipu: Quipu, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]a["
    folder.mkdir()
    (folder / "tx.csv").write_text(HEAD.replace("amount", "[/amount]") + "1,2024-01-01,[/u],-1,0\n")
    text = MAPPING.replace("amount: amount", 'amount: "[/amount]"').replace("label", "quarantine: {limit: 1}\nlabel")
    (folder / "[red].yaml").write_text(text)
    ran = quipu("ingest", folder / "[red].yaml")
    assert ran.status == 0, ran.err
    assert "[bold]a[/tx.csv" in ran.out
    assert "[/amount]" in quipu("quarantine", "list").out
    assert "[/nothing]" in quipu("evaluate", "[/nothing]").complaint()


def test_output_that_has_no_character_for_something_goes_on(program: Program, tmp_path: Path) -> None:
    process = program("models", "list", "--models", tmp_path / "mañana", PYTHONIOENCODING="ascii", LC_ALL="C")
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert "ma\\xf1ana" in out


def test_text_that_is_no_utf_8_is_told(quipu: Quipu, tmp_path: Path) -> None:
    assert "not valid UTF-8" in quipu("evaluate", os.fsdecode(b"\xff.parquet")).complaint()
    (tmp_path / ".env").write_bytes(b"QUIPU_PORT=\xff\n")
    assert "not valid UTF-8" in quipu("models", "list").complaint()


def test_a_name_that_no_file_can_have_is_told(quipu: Quipu) -> None:
    for line in (("evaluate", "x" * 5_000), ("score", "x" * 5_000 + ".csv", "--bundle", "x" * 5_000)):
        assert "too long" in quipu(*line).complaint()


def test_a_disk_that_is_full_is_told(program: Program, files: Path) -> None:
    def start() -> "subprocess.Popen[str]":
        return program("simulate", files / "world", "--users", "60", "--days", "7")

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))  # what a child may write, too
        process = start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    out, error = process.communicate()
    assert process.returncode in (1, 2), error
    assert "Traceback" not in error
    assert "error: " in error
    assert out == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever may do everything is refused nothing")
def test_a_folder_that_may_not_be_written_to_is_told(quipu: Quipu, files: Path) -> None:
    (files / "folder").chmod(0o500)
    for line in (
        "train --out folder",
        "backtest --train-until 2024-01-02 --out folder/s.parquet",
        "simulate folder --users 60 --days 7",
    ):
        assert "may not be written to" in quipu(*line.split()).complaint()


def test_an_interrupt_ends_with_130_and_no_traceback(program: Program, files: Path) -> None:
    process = program("simulate", files / "world", "--users", "200000", "--days", "300")
    assert process.stderr is not None
    assert process.stderr.readline()  # it has begun
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in error
    assert out == ""
