"""Amounts far from their group's: marked in the ledger with what makes them odd, and loaded like any other."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.ledger import Ledger, sidecar
from etl.loading import load
from etl.mapping import Mapping
from etl.outliers.groups import BINS, AmountGroups, scaled
from graph.errors import MappingError
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
MAPPED = {"restaurant_id": "place", "payment_method": "method"}


def bills(place: str, amounts: list[float], first: int = 0, method: str = "card") -> list[dict[str, Any]]:
    return [
        {"id": f"{place}{first + i}", "at": "2024-03-01", "user": "u", "device": "", "place": place, "method": method,
         "amount": amount}
        for i, amount in enumerate(amounts)
    ]  # fmt: skip


def usual(middle: float, count: int = 60) -> list[float]:
    rng = np.random.default_rng(1)
    return [round(float(x), 2) for x in middle * np.exp(rng.normal(0, 0.3, count))]


def marks(store: Store) -> dict[str, tuple[Any, ...]]:
    with Ledger(sidecar(store.url)) as ledger:
        rows = ledger.connection.execute(
            'SELECT transaction_id, mapping, amount, "group", median, z, iqr FROM outliers'
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def test_what_is_far_from_its_own_group_is_marked_and_loaded(
    store: Store, shop: Shop, write_csv: Write, now: int
) -> None:
    cafe, hall = usual(8), usual(900)
    rows = [*bills("cafe", [*cafe, 900.0, 0.02, 0.0]), *bills("hall", [*hall, 900.0, 8.0])]
    write_csv("tx.csv", rows)
    report = load(shop(MAPPED), store, now=now, batch_rows=17)
    assert report.transactions.loaded == len(rows), "marked, never dropped"
    assert report.outliers is not None
    assert (report.outliers.judged, report.outliers.marked) == (len(rows) - 1, 3), "zero is a card check"
    found = marks(store)
    assert set(found) == {"cafe60", "cafe61", "hall61"}
    mapping, amount, group, median, z, iqr = found["cafe60"]
    assert (mapping, amount, group) == ("shop", 90_000, "restaurant cafe, payment_method card")
    assert median == pytest.approx(statistics.median(cafe) * 100, rel=0.05)
    assert z > 6
    assert iqr > 3
    assert found["cafe61"][4] < -6
    farthest = max(found, key=lambda id_: abs(found[id_][4]))
    assert report.outliers.worst[0].transaction_id == farthest
    assert {o.group.split(",")[0] for o in report.outliers.worst} == {"restaurant cafe", "restaurant hall"}


def test_small_groups_are_judged_by_what_they_are_part_of(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", [*bills("cafe", usual(8)), *bills("cafe", [8.0, 900.0], first=90, method="voucher"),
                         *bills("kiosk", [7.0, 700.0]), *bills("", [5000.0], first=5)])  # fmt: skip
    load(shop(MAPPED), store, now=now)
    assert {id_: mark[2] for id_, mark in marks(store).items()} == {
        "cafe91": "restaurant cafe", "kiosk1": "all transactions", "5": "all transactions",
    }  # fmt: skip


def test_later_loads_know_what_is_usual(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    mapping = shop(MAPPED)
    load(mapping, store, files=[write_csv("a.csv", bills("cafe", usual(8)))], now=now)
    report = load(mapping, store, files=[write_csv("b.csv", bills("cafe", [8.5, 800.0], first=100))], now=now)
    assert report.outliers is not None
    assert (report.outliers.judged, report.outliers.marked) == (2, 1)
    again = load(mapping, store, files=[write_csv("b.csv", bills("cafe", [8.5, 800.0], first=100))], now=now)
    assert again.outliers is not None
    assert (again.outliers.judged, again.outliers.marked) == (0, 0), "each transaction is judged once"
    assert set(marks(store)) == {"cafe101"}


def test_settings_of_outliers(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    write_csv("tx.csv", bills("cafe", [*usual(8), 900.0]))
    assert load(shop(MAPPED, outliers=False), store, now=now).outliers is None
    report = load(shop(MAPPED, outliers={"by": ["user_id"], "z": 1000}), store, now=now)
    assert report.outliers is not None
    assert (report.outliers.judged, report.outliers.marked) == (61, 0)
    with pytest.raises(MappingError, match=r"outliers\.by.*ip"):
        load(shop(MAPPED, outliers={"by": ["ip"]}), store, now=now)
    assert load(shop(), store, now=now, dry_run=True).outliers is None


@given(
    rows=st.lists(
        st.tuples(st.integers(-1, 2), st.integers(-1, 1), st.integers(1, 10**9)), min_size=1, max_size=60
    ),
    parts=st.integers(1, 4), least=st.integers(1, 8),
)  # fmt: skip
def test_what_is_usual_is_the_median_of_the_narrowest_group_with_enough(
    rows: list[tuple[int, int, int]], parts: int, least: int
) -> None:
    groups = AmountGroups(2)
    codes = {}
    for part in range(parts):
        some = rows[part::parts]
        if some:
            columns = np.array(some, dtype=np.int64)
            given_codes = groups.add(columns[:, :2].astype(np.int32), columns[:, 2])
            codes |= {tuple(row[:2]): code for row, code in zip(some, given_codes.tolist(), strict=True)}
    kept = AmountGroups(2)
    kept.put(groups.of(np.arange(len(codes), dtype=np.int32)))
    for known in (groups, kept):
        found = known.usual(least)
        for (a, b), code in codes.items():
            levels = [[(2, (a, b))] if min(a, b) >= 0 else [], [(1, (a,))] if a >= 0 else [], [(0, ())]]
            alike = [(n, [r[2] for r in rows if r[:n] == key]) for level in levels for n, key in level]
            wanted = next(((n, amounts) for n, amounts in alike if len(amounts) >= least), None)
            assert found.level[code] == (-1 if wanted is None else wanted[0])
            if wanted is not None:
                middle = scaled(np.array([statistics.median_low(wanted[1])]))[0]
                assert abs(found.median[code] - middle) <= 1, f"off by more than one of {BINS} bins"
                assert found.low[code] <= found.median[code] <= found.high[code]
