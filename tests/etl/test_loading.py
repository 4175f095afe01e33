"""Loading: one outcome a row, whatever the rows, the order of the files and the size of the batches."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.ledger import Ledger, sidecar
from etl.loading import load, read_transactions
from etl.mapping import Mapping, parse_mapping, read_mapping
from etl.reporting.report import LoadReport
from graph.errors import InputError, LimitExceeded, MappingError
from graph.records import DAY, GraphSchema, transaction_columns
from graph.sqlite_store import SqliteStore
from graph.store import Store
from tests.progress import Watcher

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT.parent / "shared" / "data" / "handbook"
Shop = Callable[..., Mapping]
Write = Callable[..., Path]
Content = Callable[[Store], dict[str, Any]]

DAY_1 = 1_709_251_200_000_000  # 2024-03-01
GOOD = {"id": "1", "at": "2024-03-01", "user": "u", "amount": "1.50", "device": "d"}


def reasons_kept(store: Store) -> dict[str, int]:
    with Ledger(sidecar(store.url)) as ledger:
        return ledger.counts()


@pytest.mark.parametrize(
    ("change", "reason", "column", "value"),
    [
        ({"id": ""}, "missing_transaction_id", "id", ""),
        ({"id": "unknown"}, "missing_transaction_id", "id", "unknown"),
        ({"user": "null"}, "missing_user", "user", "null"),
        ({"user": "00000000"}, "missing_user", "user", "00000000"),
        ({"id": "x" * 1025}, "id_too_long", "id", "x" * 200),
        ({"device": "é" * 1025}, "id_too_long", "device", "é" * 200),
        ({"city": "y" * 1025}, "text_too_long", "city", "y" * 200),
        ({"at": ""}, "missing_time", "at", ""),
        ({"at": "2024-02-30"}, "bad_time", "at", "2024-02-30"),
        ({"at": "1989-12-31T23:59:59Z"}, "ancient_time", "at", "1989-12-31T23:59:59Z"),
        ({"at": "2025-06-16"}, "future_time", "at", "2025-06-16"),
        ({"seen": "x"}, "bad_time", "seen", "x"),
        ({"seen": "2025-06-16"}, "future_time", "seen", "2025-06-16"),
        ({"amount": ""}, "missing_amount", "amount", ""),
        ({"amount": "a lot"}, "bad_amount", "amount", "a lot"),
        ({"amount": "NaN"}, "bad_amount", "amount", "NaN"),
        ({"amount": "inf"}, "bad_amount", "amount", "inf"),
        ({"amount": "1e16"}, "bad_amount", "amount", "1e16"),
        ({"amount": "-1e16"}, "bad_amount", "amount", "-1e16"),
        ({"amount": "-0.01"}, "negative_amount", "amount", "-0.01"),
    ],
)
def test_every_reason(
    store: Store, shop: Shop, write_csv: Write, now: int, change: dict[str, str], reason: str, column: str, value: str
) -> None:
    row = {**GOOD, "city": "Lima", "seen": ""} | change
    path = write_csv("tx.csv", [{**GOOD, "id": "0"}, row])
    report = load(shop({"city": "city", "arrived_at": "seen"}), store, now=now)
    assert (report.transactions.read, report.transactions.loaded) == (2, 1)
    assert report.transactions.reasons == {reason: 1}
    with Ledger(sidecar(store.url)) as ledger:
        (kept,) = ledger.rows()
    assert (kept.row.reason, kept.row.column, kept.row.value) == (reason, column, value)
    assert (kept.row.file, kept.row.row) == (str(path), 2)
    assert json.loads(kept.row.raw) == row
    assert kept.row.kind == "transaction"


def test_what_is_no_reason_to_refuse(store: Store, shop: Shop, write_csv: Write, now: int, content: Content) -> None:
    write_csv(
        "tx.csv",
        [
            {**GOOD, "id": "0", "user": "0", "amount": "0"},
            {**GOOD, "id": "2", "device": "unknown", "at": "2025-06-15T15:10:00Z"},
        ],
    )
    report = load(shop(), store, now=now)
    assert report.transactions.loaded == 2
    assert content(store)["transactions"]["0"][2:4] == (0, ("0", "d"))
    assert content(store)["transactions"]["2"][3] == ("u", None), "devices that are unknown are not one device"
    assert report.as_dict()["missing"] == {"entity:device": 0.5}


def test_conflicts_go_to_quarantine_and_the_first_row_stays(
    store: Store, shop: Shop, write_csv: Write, now: int, content: Content
) -> None:
    write_csv("tx.csv", [GOOD, GOOD, {**GOOD, "amount": "2"}, {**GOOD, "amount": "1.500"}])
    for again in (False, True):
        report = load(shop(), store, now=now).transactions
        assert (report.loaded, report.duplicates, report.quarantined) == ((0, 3, 1) if again else (1, 2, 1))
        assert report.newly_quarantined == (0 if again else 1)
    assert reasons_kept(store) == {"conflicting_duplicate": 1}
    assert content(store)["transactions"]["1"][2] == 150


def test_types_of_parquet(store: Store, tmp_path: Path, now: int, content: Content, shop: Shop) -> None:
    table = pa.table(
        {
            "id": pa.array([0, 1, 2, 3], pa.int32()),
            "at": pa.array([DAY_1 // 1000] * 3 + [None], pa.int64()).view(pa.timestamp("ms")),
            "user": pa.array([7.0, 7.0, None, 8.0]),
            "amount": pa.array([1.005, float("nan"), 1.0, 1.0]),
            "device": pa.array(["a", "a", "a", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "tx.parquet")
    report = load(shop(source={"files": "tx.parquet"}), store, now=now)
    assert report.transactions.reasons == {"bad_amount": 1, "missing_user": 1, "missing_time": 1}
    assert content(store)["transactions"] == {"0": (DAY_1, DAY_1, 100, ("7", "a"), ())}
    with Ledger(sidecar(store.url)) as ledger:
        raw = {row.row.reason: json.loads(row.row.raw) for row in ledger.rows()}
    assert raw["bad_amount"] == {
        "id": 1,
        "at": "2024-03-01 00:00:00.000",
        "user": 7.0,
        "amount": "nan",
        "device": "a",
    }


def test_extra_columns_and_arrival(store: Store, shop: Shop, write_csv: Write, now: int, content: Content) -> None:
    extra = {"V1": "1.5", "V2": "x", "born": "2024-02-29", "kind": " Dine ", "card": "c", "seen": "2024-03-02"}
    write_csv("tx.csv", [{**GOOD, **extra}, {**GOOD, "id": "2", "seen": "2024-02-01"}])
    mapping = shop(
        {"numeric": "V*", "times": ["born"], "categorical": "kind", "entities": {"card": "card"}, "arrived_at": "seen"}
    )
    report = load(mapping, store, now=now)
    found = content(store)["transactions"]
    assert found["1"] == (DAY_1, DAY_1 + DAY, 150, ("u", "d", "c", "Dine"), ("1.5", "nan", "86400.0"))
    assert found["2"][1] == DAY_1, "nothing arrives before it occurred"
    assert report.as_dict()["unreadable"] == {"V2": 1}
    assert report.new_entities == {"user": 1, "device": 1, "card": 1}


def test_the_limit_stops_a_load_before_it_changes_anything(
    store: Store, shop: Shop, write_csv: Write, now: int
) -> None:
    rows = [{**GOOD, "id": str(i)} for i in range(1, 20)] + [{**GOOD, "id": "20", "amount": "x"}]
    write_csv("tx.csv", rows)
    limited = shop(quarantine={"limit": "4.9%"})
    with pytest.raises(LimitExceeded, match=r"1 of 20 transactions \(5\.0%\).*bad_amount 1.*row 20.*amount = 'x'"):
        load(limited, store, now=now, batch_rows=7)
    assert store.status()["transactions"] == 0
    assert not sidecar(store.url).exists()
    assert load(shop(quarantine={"limit": "5%"}), store, now=now, batch_rows=7).transactions.loaded == 19


def test_a_window_loads_its_part_and_the_rest_later(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(day), "at": f"2024-03-{day:02}"} for day in range(1, 11)])
    first = load(shop(), store, until=DAY_1 + 4 * DAY, now=now).transactions
    assert (first.read, first.loaded, first.outside) == (4, 4, 6)
    second = load(shop(), store, since=DAY_1 + 3 * DAY, now=now).transactions
    assert (second.read, second.loaded, second.duplicates, second.outside) == (7, 6, 1, 3)


def test_a_dry_run_tells_and_changes_nothing(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD, {**GOOD, "id": "2"}, {**GOOD, "id": "3", "amount": "x"}])
    load(shop(), store, until=DAY_1, now=now)
    sidecar(store.url).unlink()
    report = load(shop(), store, dry_run=True, now=now)
    assert (report.transactions.read, report.transactions.loaded, report.transactions.quarantined) == (3, 2, 1)
    assert store.status()["transactions"] == 0
    assert not sidecar(store.url).exists()


LABELLED = {"is_fraud": {"column": "fraud"}, "known_at": "known", "source": "desk"}


def test_labels_in_rows_and_what_makes_them_unusable(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    given_labels = [
        ("1", "2024-03-05"), ("no", "2024-03-05"), ("", ""), ("maybe", "2024-03-05"), ("1", ""), ("1", "soon"),
        ("1", "2024-02-01"), ("1", "2026-01-01"),
    ]  # fmt: skip
    rows = [{**GOOD, "id": str(i), "fraud": f, "known": k} for i, (f, k) in enumerate(given_labels)]
    write_csv("tx.csv", rows)
    for again in (False, True):
        report = load(shop(label=LABELLED), store, now=now, batch_rows=3)
        assert report.transactions.quarantined == 0, "a bad label does not cost its transaction"
        labels = report.labels.as_dict()
        assert (labels["found"], labels["loaded"], labels["duplicates"]) == ((7, 0, 2) if again else (7, 2, 0))
        assert labels["unusable_reasons"] == {
            "bad_label_time": 2, "bad_label": 1, "missing_label_time": 1, "label_before_transaction": 1,
        }  # fmt: skip
        assert labels["unlabelled"] == 1
    assert store.labels_of(["0", "1", "5"]) == {
        "0": [(DAY_1 + 4 * DAY, True, "desk")],
        "1": [(DAY_1 + 4 * DAY, False, "desk")],
    }


def test_a_delay_makes_labels_known_later(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "fraud": "1"}])
    load(shop(label={"is_fraud": "fraud", "known_at": {"delay": "7d"}}), store, now=now)
    assert store.labels_of(["1"]) == {"1": [(DAY_1 + 7 * DAY, True, "shop")]}


def test_silence_counts_as_genuine_once_its_moment_has_passed(
    store: Store, shop: Shop, write_csv: Write, now: int
) -> None:
    rows = [
        {**GOOD, "id": "silent", "fraud": "", "known": ""},
        {**GOOD, "id": "reported", "fraud": "1", "known": "2024-03-03"},
        {**GOOD, "id": "late", "fraud": "1", "known": "2024-03-20"},
        {**GOOD, "id": "unreadable", "fraud": "1", "known": "soon"},
        {**GOOD, "id": "fresh", "fraud": "", "known": "", "at": "2024-03-10"},
    ]
    write_csv("tx.csv", rows)
    mapping = shop(label=LABELLED | {"genuine_after": "14d"})
    for again in (False, True):
        report = load(mapping, store, now=now, batch_rows=2)
        assert report.labels.inferred == (0 if again else 2)
    genuine = (DAY_1 + 14 * DAY, False, "no report")
    assert store.labels_of([row["id"] for row in rows]) == {
        "silent": [genuine],
        "reported": [(DAY_1 + 2 * DAY, True, "desk")],
        "late": [genuine, (DAY_1 + 19 * DAY, True, "desk")],
    }


LABEL_FILES = {"files": "labels*.csv", "transaction_id": "tx", "is_fraud": "f", "known_at": "k", "source": "s"}


def test_label_files(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(3)])
    label = {"tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}
    write_csv(
        "labels.csv",
        [
            label, label, {**label, "f": "0"}, {**label, "tx": "2", "s": ""}, {**label, "tx": ""}, {**label, "f": ""},
            {**label, "f": "?"}, {**label, "k": ""}, {**label, "k": "soon"}, {**label, "tx": "not yet here"},
        ],
    )  # fmt: skip
    for again in (False, True):
        files = load(shop(labels=LABEL_FILES), store, now=now, batch_rows=4).label_files
        assert (files.read, files.loaded, files.duplicates) == ((10, 0, 4) if again else (10, 3, 1))
        assert files.reasons == {
            "conflicting_label": 1, "missing_transaction_id": 1, "missing_label": 1, "bad_label": 1,
            "missing_label_time": 1, "bad_label_time": 1,
        }  # fmt: skip
        assert files.newly_quarantined == (0 if again else 6)
    known = DAY_1 + 4 * DAY
    assert store.labels_of(["1", "2"]) == {"1": [(known, True, "desk")], "2": [(known, True, "shop")]}


def test_silence_heeds_label_files(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(2)])
    write_csv(
        "labels.csv", [{"tx": "1", "f": "1", "k": "2024-03-05", "s": "desk"}, {"tx": "9", "f": "1", "k": "2024-04-01"}]
    )
    report = load(shop(labels=LABEL_FILES, label={"genuine_after": "14d"}), store, now=now)
    assert report.labels.inferred == 1
    assert store.labels_of(["0", "1"]) == {
        "0": [(DAY_1 + 14 * DAY, False, "no report")],
        "1": [(DAY_1 + 4 * DAY, True, "desk")],
    }


def test_attributes(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD])
    write_csv("users.csv", [{"key": "u", "city": "Cusco", "age": ""}, {"key": "", "city": "Lima", "age": "1"}])
    report = load(shop(attributes={"user": {"files": "users.csv", "key": "key"}}), store, now=now)
    assert report.attributes["user"].reasons == {"missing_key": 1}
    found = store.entity("user", "u")
    assert found is not None
    assert found["attributes"] == {"city": "Cusco"}


def test_pseudonyms_replace_identifiers_everywhere(
    store: Store, shop: Shop, write_csv: Write, now: int, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv("tx.csv", [{**GOOD, "user": "maria@example.pe", "device": "maria@example.pe"}])
    write_csv("users.csv", [{"key": "maria@example.pe", "city": "Cusco"}])
    mapping = shop(pseudonymise=["user_id", "device_id"], attributes={"user": {"files": "users.csv", "key": "key"}})
    monkeypatch.delenv("QUIPU_PSEUDONYM_KEY", raising=False)
    with pytest.raises(InputError, match="QUIPU_PSEUDONYM_KEY holds no key"):
        load(mapping, store, now=now)
    monkeypatch.setenv("QUIPU_PSEUDONYM_KEY", "a secret for this test only")
    load(mapping, store, now=now)
    user, device = content(store)["transactions"]["1"][3]
    assert len(user) == 32
    assert user != device, "the same text for another type is another pseudonym"
    found = store.entity("user", user)
    assert found is not None
    assert found["attributes"] == {"city": "Cusco"}
    assert b"maria" not in Path(store.url.removeprefix("sqlite:///")).read_bytes()


def test_sources_that_do_not_fit(store: Store, shop: Shop, write_csv: Write, now: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches 'tx"):
        load(shop(), store, now=now)
    write_csv("tx1.csv", [{**GOOD, "V1": "1"}])
    write_csv("tx2.csv", [{**GOOD, "V2": "1"}])
    with pytest.raises(MappingError, match=r"tx2\.csv and .*tx1\.csv differ"):
        load(shop({"numeric": "V*"}), store, now=now)
    with pytest.raises(MappingError, match="has no column 'total'"):
        load(shop({"amount": "total"}), store, now=now)
    with pytest.raises(InputError, match="there is no file"):
        load(shop(), store, files=[tmp_path / "tx9.csv"], now=now)
    assert store.status()["transactions"] == 0


def test_reading_without_a_store(shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD, {**GOOD, "amount": "x"}, {**GOOD, "id": "3"}])
    batches = list(read_transactions(shop(), now=now, batch_rows=2))
    assert [table.num_rows for table, _ in batches] == [1, 1]
    assert [row.reason for _, refused in batches for row in refused] == ["bad_amount"]
    for table, _ in batches:
        assert table.schema.equals(transaction_columns(GraphSchema(("user", "device"))))


# Conservation. What each damaged value should end as is said here once more, row by row and without the
# loader's code.
VALUES: dict[str, dict[str, str | None]] = {
    "id": {"": "missing_transaction_id", "null": "missing_transaction_id", "x" * 1030: "id_too_long"},
    "user": {"": "missing_user", "None": "missing_user", "y" * 1030: "id_too_long", "u2": None},
    "device": {"": None, "unknown": None, "z" * 1030: "id_too_long"},
    "at": {"": "missing_time", "soon": "bad_time", "1970-01-01": "ancient_time", "2031-01-01": "future_time"},
    "amount": {"": "missing_amount", "1x5": "bad_amount", "-2": "negative_amount", "NaN": "bad_amount", "2": None},
}
ORDER = ("id", "user", "device", "at", "amount")


@st.composite
def damaged_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    count = draw(st.integers(0, 25))
    rows = []
    for _ in range(count):
        row = {**GOOD, "id": str(draw(st.integers(1, 12)))}
        for column in draw(st.lists(st.sampled_from(ORDER), max_size=2, unique=True)):
            row[column] = draw(st.sampled_from(list(VALUES[column])))
        rows.append(row)
    return rows


def expected_reason(row: dict[str, str]) -> str | None:
    return next((reason for column in ORDER if (reason := VALUES[column].get(row[column]))), None)


@given(rows=damaged_rows(), broken=st.lists(st.integers(0, 30), max_size=3), data=st.data())
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_conservation(
    rows: list[dict[str, str]],
    broken: list[int],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    shop: Shop,
    now: int,
) -> None:
    folder = tmp_path_factory.mktemp("conservation")
    lines = [",".join(row[column] if column != "amount" else f'"{row[column]}"' for column in ORDER) for row in rows]
    for position in broken:
        lines.insert(position, data.draw(st.sampled_from(["1,2", 'a,"b', "1,2,3,4,5,6", '"x" y,2,3,4,5'])))
    parts = data.draw(st.integers(1, 3))
    files = []
    for part in range(parts):
        files.append(folder / f"{part}.csv")
        files[-1].write_text("\n".join([",".join(ORDER), *lines[part::parts]]) + "\n")
    files = data.draw(st.permutations(files))
    wanted = Counter(filter(None, map(expected_reason, rows))) + Counter(broken_row=len(broken))
    good = [row for row in rows if expected_reason(row) is None]

    store = SqliteStore(f"sqlite:///{folder}/graph.db")
    try:
        for again in (False, True):
            size = data.draw(st.integers(1, 9))
            tally = load(shop(), store, files=files, now=now, batch_rows=size).transactions
            assert tally.read == len(rows) + len(broken) == tally.loaded + tally.duplicates + tally.quarantined
            conflicts = tally.reasons.pop("conflicting_duplicate", 0)
            assert tally.reasons == wanted
            assert tally.loaded == (0 if again else len({row["id"] for row in good}))
            assert tally.loaded + tally.duplicates + conflicts == len(good)
            assert store.status()["transactions"] == len({row["id"] for row in good})
            if again:
                assert tally.newly_quarantined == 0
    finally:
        store.close()


KILLED = """
import sys
from contextlib import contextmanager
from pathlib import Path
from etl.loading import load
from etl.mapping import read_mapping
from graph.sqlite_store import SqliteStore

class Told:
    @contextmanager
    def stage(self, name, total=None):
        yield lambda rows: print(name, flush=True)

load(read_mapping(Path(sys.argv[1])), SqliteStore(sys.argv[2]), progress=Told(), now=int(sys.argv[3]), batch_rows=100)
"""


def test_kill_nine_half_way_and_run_again(tmp_path: Path, write_csv: Write, now: int, content: Content) -> None:
    rows = [
        {**GOOD, "id": str(i), "user": f"u{i % 97}", "device": f"d{i % 31}", "amount": "x" if i % 50 == 7 else str(i),
         "fraud": str(int(i % 13 == 0)), "known": "2024-03-09"}
        for i in range(4_000)
    ]  # fmt: skip
    write_csv("tx.csv", rows)
    path = tmp_path / "mapping.yaml"
    columns = "transaction_id: id, occurred_at: at, user_id: user, amount: amount, device_id: device"
    path.write_text(
        f"{{name: shop, source: {{files: {tmp_path}/tx.csv}}, transaction: {{{columns}}},"
        " label: {is_fraud: fraud, known_at: known}}"
    )
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("killed", "whole")]
    command = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, urls[0], str(now)], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdout is not None
        written = 0
        for line in process.stdout:
            written += line.startswith("loading")
            if written == 9:
                process.kill()
                break
    assert process.returncode == -9

    stores = [SqliteStore(url) for url in urls]
    before = stores[0].status()["transactions"]
    assert 0 < before < 3_920, "it was killed half-way"
    reports = [load(read_mapping(path), opened, now=now) for opened in stores]
    assert reports[0].transactions.duplicates == before
    assert reports[0].transactions.loaded == 3_920 - before
    assert content(stores[0]) == content(stores[1])
    with Ledger(sidecar(urls[0])) as one, Ledger(sidecar(urls[1])) as other:
        assert [row.as_dict() for row in one.rows()] == [row.as_dict() for row in other.rows()]
        assert [entry["outcome"] for entry in one.loads()] == ["running", "done"]
        assert one.loads()[1]["report"] == reports[0].as_dict()
    for opened in stores:
        opened.close()


def test_progress_adds_up(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [{**GOOD, "id": str(i)} for i in range(10)])
    watched = Watcher()
    load(shop(quarantine={"limit": 0}), store, progress=watched, now=now, batch_rows=3)
    assert watched.stages == [
        ("checking transactions", None, 10), ("loading transactions", 10, 10), ("looking at what came in", None, 0),
    ]  # fmt: skip


def test_the_handbook_adds_up(tmp_path: Path) -> None:
    if not HANDBOOK.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{HANDBOOK} is absent")
        pytest.skip("the Handbook's data is absent")
    document = {
        "name": "handbook",
        "source": {"files": str(HANDBOOK / "*.parquet")},
        "transaction": {
            "transaction_id": "TRANSACTION_ID", "occurred_at": "TX_DATETIME", "user_id": "CUSTOMER_ID",
            "restaurant_id": "TERMINAL_ID", "amount": "TX_AMOUNT",
        },
        "label": {"is_fraud": {"column": "TX_FRAUD", "fraud": [1], "genuine": [0]}, "known_at": {"delay": "7d"}},
    }  # fmt: skip
    store = SqliteStore(f"sqlite:///{tmp_path}/graph.db")
    report: LoadReport = load(parse_mapping(document), store, dry_run=True)
    store.close()
    assert report.transactions.read == 1_754_155 == report.transactions.loaded
    assert report.labels.found == 1_754_155
