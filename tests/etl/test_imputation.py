"""Values filled in: from what came earlier only, the same in whatever order and however often rows are loaded."""

import statistics
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.imputation import as_of
from etl.imputation.as_of import AsOf, median, most_frequent
from etl.imputation.filling import Imputer
from etl.ledger import Ledger, sidecar
from etl.loading import clock, load, read_transactions
from etl.loading.retry import retry
from etl.loading.streams import transaction_stream
from etl.mapping import Mapping
from graph.errors import LimitExceeded
from graph.sqlite_store import SqliteStore
from graph.store import Store

Shop = Callable[..., Mapping]
Write = Callable[..., Path]
MAPPED = {
    "restaurant_id": "place", "payment_method": "method", "city": "city", "currency": "currency", "numeric": ["tip"],
}  # fmt: skip
MISSING = {
    "amount": {"impute": "median"},
    "tip": {"impute": "median", "by": ["restaurant_id"]},
    "city": {"impute": "most_frequent"},
    "currency": {"impute": "most_frequent"},
}
Row = dict[str, str]

some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(1, 9).map(lambda day: f"2024-03-{day:02}"),
            "user": st.sampled_from(["u", "v"]),
            "place": st.sampled_from(["p", "q", ""]),
            "method": st.sampled_from(["card", "cash", ""]),
            "amount": st.sampled_from(["", "", "1", "2", "3.01", "40"]),
            "tip": st.sampled_from(["", "0.5", "2"]),
            "city": st.sampled_from(["", "Lima", "Cusco"]),
            "currency": st.sampled_from(["", "PEN", "USD"]),
        }
    ),
    max_size=25,
).map(lambda rows: [row | {"id": str(i), "device": ""} for i, row in enumerate(rows)])


def stored(store: Store) -> dict[str, tuple[Any, ...]]:
    """Amount, tip, city, currency and the marks of every transaction."""
    found = {}
    for user in ("u", "v"):
        for told in store.recent_transactions("user", user, limit=1000):
            numbers = told["numeric"]
            marks = tuple(numbers.get(f"imputed_{name}") for name in ("amount", "tip", "city", "currency"))
            found[told["transaction_id"]] = (
                told["amount"], numbers.get("tip"), told["categories"].get("city"), told["currency"], *marks,
            )  # fmt: skip
    return found


def expected(rows: list[Row]) -> dict[str, tuple[Any, ...]]:
    """The same, said row by row and without the loader's code."""
    found = {}
    for row in rows:
        earlier = [other for other in rows if other["at"] < row["at"]]

        def middle(column: str, *levels: tuple[str, ...], earlier: list[Row] = earlier, row: Row = row) -> float | None:
            for level in levels:
                if all(row[key] for key in level):
                    alike = [o for o in earlier if all(o[key] == row[key] for key in level) and o[column]]
                    if alike:
                        return statistics.median(float(o[column]) for o in alike)
            return None

        def usual(column: str, earlier: list[Row] = earlier, row: Row = row) -> str | None:
            own = [o for o in earlier if o["user"] == row["user"] and o[column]]
            if not own:
                return None
            counts = Counter(o[column] for o in own)
            most = [value for value in counts if counts[value] == max(counts.values())]
            last = {value: max(o["at"] for o in own if o[column] == value) for value in most}
            latest = [value for value in most if last[value] == max(last.values())]
            return latest[0] if len(latest) == 1 else "either"

        amount = float(row["amount"]) if row["amount"] else middle("amount", ("place", "method"), ("place",), ())
        if amount is None:
            continue
        tip = float(row["tip"]) if row["tip"] else middle("tip", ("place",), ())
        found[row["id"]] = (
            int(amount * 100 + 1e-6), tip, row["city"] or usual("city"), row["currency"] or usual("currency"),
            *(float(not row[name]) for name in ("amount", "tip", "city", "currency")),
        )  # fmt: skip
    return found


def same(one: dict[str, tuple[Any, ...]], other: dict[str, tuple[Any, ...]]) -> bool:
    """Equal, where "either" stands for any value."""
    return one.keys() == other.keys() and all(
        all(a == b or "either" in {a, b} for a, b in zip(one[id_], other[id_], strict=True)) for id_ in one
    )


@given(rows=some_rows, data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_filled_in(
    rows: list[Row],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    shop: Shop,
    write_csv: Write,
    now: int,
) -> None:
    folder = tmp_path_factory.mktemp("imputation")
    header = dict.fromkeys(("id", "at", "user", "place", "method", "amount", "tip", "city", "currency", "device"), "")
    mapping = shop(MAPPED, missing=MISSING)

    def files(names: list[str], parts: list[list[Row]]) -> list[Path]:
        return [write_csv(f"{folder.name}{name}.csv", [header, *part]) for name, part in zip(names, parts, strict=True)]

    wanted = expected(rows)
    whole = SqliteStore(f"sqlite:///{folder}/whole.db")
    size = data.draw(st.integers(1, 9))
    report = load(mapping, whole, files=files(["0"], [rows]), now=now, batch_rows=size)
    assert same(stored(whole), wanted)
    assert report.transactions.reasons.get("missing_amount", 0) == len(rows) - len(wanted)
    assert report.imputed.get("amount", 0) == sum(row[4] for row in wanted.values())
    again = load(mapping, whole, files=files(["0"], [rows]), now=now, batch_rows=data.draw(st.integers(1, 9)))
    assert (again.transactions.loaded, again.transactions.duplicates) == (0, len(wanted))

    # As after a kill: some of the rows are there, written by a load that had seen all of them.
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    other = SqliteStore(f"sqlite:///{folder}/other.db")
    written = wanted.keys() & {row["id"] for row in shuffled[:cut]}
    other.extend_schema(whole.schema())
    layout, stream = transaction_stream(mapping, files(["0"], [rows]), clock(now))
    (checked,) = stream.checked(1000, lambda _rows: None)
    imputer = Imputer(mapping, layout, other)
    imputer.observe(checked)
    imputer.resolve([checked])
    filled, _ = imputer.fill(checked)
    mask = np.array([id_ in written for id_ in filled.table.column("transaction_id").to_pylist()], dtype=np.bool_)
    other.upsert_transactions(filled.table.filter(mask))
    rest = files(["a", "b"], [shuffled[::2], shuffled[1::2]])
    load(mapping, other, files=rest, now=now, batch_rows=data.draw(st.integers(1, 9)))
    assert stored(other) == stored(whole)
    whole.close()
    other.close()


def test_the_store_counts_and_what_was_filled_in_does_not(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    row = {"id": "1", "at": "2024-03-01", "user": "u", "place": "p", "method": "card", "amount": "10", "tip": "",
           "city": "Lima", "currency": "PEN", "device": ""}  # fmt: skip
    mapping = shop(MAPPED, missing=MISSING)
    load(
        mapping,
        store,
        files=[write_csv("a.csv", [row, row | {"id": "2", "at": "2024-03-02", "amount": "30"}])],
        now=now,
    )
    gaps = {"amount": "", "city": "", "currency": ""}
    later = [row | gaps | {"id": str(i), "at": f"2024-03-{i:02}"} for i in range(3, 9)]
    report = load(mapping, store, files=[write_csv("b.csv", later)], now=now, batch_rows=2)
    assert dict(report.imputed) == {"amount": 6, "city": 6, "currency": 6}
    assert {stored(store)[str(i)][:4] for i in range(3, 9)} == {(2000, None, "Lima", "PEN")}
    other = row | gaps | {"id": "9", "at": "2024-03-20", "place": "elsewhere"}
    load(mapping, store, files=[write_csv("c.csv", [other])], now=now)
    assert stored(store)["9"][0] == 2000
    assert load(mapping, store, files=[write_csv("b.csv", later)], now=now).transactions.duplicates == 6


def test_amounts_that_stay_missing(store: Store, shop: Shop, write_csv: Write, now: int) -> None:
    rows = [{"id": "1", "at": "2024-03-01", "user": "u", "amount": "", "device": "d", "fraud": "1"},
            {"id": "2", "at": "2024-03-02", "user": "u", "amount": "5", "device": "d", "fraud": "0"},
            {"id": "3", "at": "2024-03-03", "user": "u", "amount": "", "device": "d", "fraud": "1"}]  # fmt: skip
    path = write_csv("tx.csv", rows)
    label = {"is_fraud": "fraud", "known_at": {"delay": "1d"}}
    mapping = shop(missing={"amount": {"impute": "median"}}, label=label)
    with pytest.raises(LimitExceeded, match="missing_amount 1"):
        load(shop(missing={"amount": {"impute": "median"}}, quarantine={"limit": 0.3}), store, now=now)
    assert store.status()["transactions"] == 0
    dry = load(mapping, store, dry_run=True, now=now)
    assert (dry.transactions.loaded, dry.transactions.reasons) == (2, {"missing_amount": 1})
    report = load(mapping, store, now=now)
    assert (report.transactions.loaded, report.transactions.reasons) == (2, {"missing_amount": 1})
    assert report.labels.loaded == 2
    assert store.recent_transactions("user", "u")[0]["amount"] == 500
    batches = list(read_transactions(mapping, now=now))
    assert [table.num_rows for table, _ in batches] == [1], "without a store nothing is filled in"
    load(mapping, store, files=[write_csv("before.csv", [rows[1] | {"id": "0", "at": "2024-02-01"}])], now=now)
    assert path.exists()
    assert retry(mapping, store, now=now).loaded == 1
    with Ledger(sidecar(store.url)) as ledger:
        assert ledger.counts() == {}


values = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 9), st.integers(0, 5)), max_size=60)


@given(
    told=values, asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10)), min_size=1, max_size=12),
    last=st.sampled_from([None, 1, 3]), parts=st.integers(1, 5), pruned=st.integers(0, 4),
)  # fmt: skip
def test_values_as_of_a_moment(
    told: list[tuple[int, int, int]], asked: list[tuple[int, int]], last: int | None, parts: int, pruned: int
) -> None:
    groups, moments = np.array(asked, dtype=np.int64).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(as_of, "_PRUNED_AT", pruned)
        found = AsOf(groups, moments, last)
        for part in range(parts):
            columns = np.array(told[part::parts], dtype=np.int64).reshape(-1, 3).T
            found.add(*columns)
        medians = found.answers(groups, moments, median)
        modes = found.answers(groups, moments, most_frequent)
    for (group, moment), middle, mode in zip(asked, medians.tolist(), modes.tolist(), strict=True):
        before = sorted((at, value) for g, at, value in told if g == group and at < moment)
        mine = [value for _, value in (before[-last:] if last else before)]
        if not mine:
            assert np.isnan(middle)
            assert np.isnan(mode)
        else:
            assert middle == int(statistics.median(mine))
            assert mine.count(int(mode)) == max(mine.count(value) for value in mine)
