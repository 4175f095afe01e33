"""Loads of less than all there is: stopped at a limit, of a window of times, dry, or killed half-way."""

from pathlib import Path

import pytest

from etl.ledger import Ledger, sidecar
from etl.loading import load
from etl.mapping import read_mapping
from graph.errors import LimitExceeded
from graph.records import DAY
from graph.sqlite_store import SqliteStore
from graph.store import Store
from tests.etl.shop import DAY_1, GOOD, Content, Shop, Write, killed_while_loading


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
    assert killed_while_loading(path, urls[0], now, batches=9) == -9

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
