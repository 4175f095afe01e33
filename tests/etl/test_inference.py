"""Labels that come late, change, or are inferred from silence: what holds as of each moment, seen through the index."""

from collections.abc import Callable
from pathlib import Path

import pytest

from etl.loading import load
from etl.mapping import Mapping
from graph.index import AsOfIndex
from graph.postings import before, total
from graph.records import DAY
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
DAY_1 = 1_709_251_200_000_000  # 2024-03-01
GOOD = {"id": "1", "at": "2024-03-01", "user": "u", "amount": "1.50", "device": "d"}
LABELS = {"files": "labels*.csv", "transaction_id": "tx", "is_fraud": "f", "known_at": "k"}
FEED = {"labels": LABELS, "label": {"genuine_after": "14d"}}


def report(tx: str, f: str, day: int, month: int = 3) -> dict[str, str]:
    return {"tx": tx, "f": f, "k": f"2024-{month:02}-{day:02}"}


def frauds_on(store: Store, days: list[float], running: AsOfIndex | None = None) -> list[int]:
    """Known frauds of user u, as of so many days after the transaction: the same whether an index is built now, or
    was running and catches up."""

    def asked(index: AsOfIndex) -> list[int]:
        s, user = index.state, index.id_of(0, "u")
        changes = [before(s.fraud, s.label_known_at, user, DAY_1 + int(day * DAY)) for day in days]
        return [int(total(s.fraud, s.fraud.start[user], 0, n)) for n in changes]

    found = asked(AsOfIndex.open(store))
    if running is not None:
        running.catch_up(store)
        assert asked(running) == found
    return found


def test_a_dispute_won_holds_from_its_own_moment(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [GOOD])
    write_csv("labels.csv", [report("1", "1", 11), report("1", "0", 21)])
    load(shop(labels=LABELS), store, now=now)
    assert frauds_on(store, [9, 10.5, 19, 20.5, 99]) == [0, 1, 1, 0, 0]
    found = store.entity("user", "u")
    assert found is not None
    assert found["fraud_known"] == 0


@pytest.mark.parametrize("batch_rows", [1, 50])
def test_a_report_delivered_after_silence_was_read_wins_from_its_own_moment(
    store: Store, shop: Shop, write_csv: Write, now: int, batch_rows: int
) -> None:
    write_csv("tx.csv", [GOOD, {**GOOD, "id": "2", "user": "v", "at": "2024-05-01"}])
    write_csv("labels.csv", [report("9", "1", 1)])
    mapping = shop(**FEED)
    assert load(mapping, store, now=now).labels.inferred == 1
    running = AsOfIndex.open(store)
    assert frauds_on(store, [15, 40]) == [0, 0]

    write_csv("labels.csv", [report("1", "1", 11)])
    for _ in range(2):
        load(mapping, store, now=now, batch_rows=batch_rows)
        assert frauds_on(store, [9, 10.5, 13.9, 14, 14.1, 40], running) == [0, 1, 1, 1, 1, 1]
        found = store.entity("user", "u")
        assert found is not None
        assert found["fraud_known"] == 1

    write_csv("labels.csv", [report("1", "1", 11), report("1", "0", 13)])
    for _ in range(2):
        load(mapping, store, now=now, batch_rows=batch_rows)
        assert frauds_on(store, [9, 10.5, 11.9, 12.1, 14.1, 40], running) == [0, 1, 1, 0, 0, 0]
    write_csv("labels.csv", [report("1", "1", 14), report("1", "0", 20, month=4)])
    load(mapping, store, now=now, batch_rows=batch_rows)
    assert frauds_on(store, [10.5, 12.1, 13.1, 14.1, 40, 60], running) == [1, 0, 1, 1, 1, 0]


def test_labels_in_rows_that_come_late_win_as_well(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    label = {"is_fraud": {"column": "fraud", "fraud": ["1"]}, "known_at": {"delay": "7d"}, "genuine_after": "14d"}
    rows = [{**GOOD, "fraud": ""}, {**GOOD, "id": "2", "user": "v", "at": "2024-05-01", "fraud": ""}]
    write_csv("tx.csv", rows)
    assert load(shop(label=label), store, now=now).labels.inferred == 1
    write_csv("tx.csv", [rows[0] | {"fraud": "1"}, rows[1]])
    load(shop(label=label), store, now=now)
    assert frauds_on(store, [6.9, 7.1, 13.9, 14.1]) == [0, 1, 1, 1]


def test_silence_ripens_in_later_loads(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    mapping = shop(**FEED)
    write_csv("labels.csv", [report("9", "1", 1)])
    first = write_csv("tx1.csv", [GOOD, {**GOOD, "id": "2"}])
    assert load(mapping, store, files=[first], now=now).labels.inferred == 0, "nothing says that time went on"
    write_csv("labels.csv", [report("2", "1", 12)])
    later = write_csv("tx2.csv", [{**GOOD, "id": "3", "at": "2024-03-14"}])
    assert load(mapping, store, files=[later], now=now).labels.inferred == 0
    later = write_csv("tx3.csv", [{**GOOD, "id": "4", "at": "2024-03-20"}])
    assert load(mapping, store, files=[later], now=now).labels.inferred == 1
    assert store.labels_of(["1", "2", "3"]) == {
        "1": [(DAY_1 + 14 * DAY, False, "no report")],
        "2": [(DAY_1 + 11 * DAY, True, "shop")],
    }
    # What was seen once stays seen: an old file that comes late is judged by the newest moment of all.
    old = write_csv("tx4.csv", [{**GOOD, "id": "5", "at": "2024-03-02"}])
    assert load(mapping, store, files=[old], now=now).labels.inferred == 1
