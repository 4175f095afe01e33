"""Rows that are refused: each for one reason, kept with what it was, once, and none is lost."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.ledger import Ledger, sidecar
from etl.loading import load
from graph.sqlite_store import SqliteStore
from graph.store import Store
from tests.etl.shop import GOOD, Content, Shop, Write


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
