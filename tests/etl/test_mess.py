"""A messy world: every damage is known, cleaning repairs or refuses each as it must, and leaves the rest alone."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from etl.ledger import Ledger, sidecar
from etl.loading import load
from etl.mapping import read_mapping
from etl.reporting.report import LoadReport
from etl.simulator import World, WorldSettings, simulate, write
from etl.simulator.mess import DAMAGE, damage
from etl.simulator.mess.kinds import KINDS, Fate
from graph.records import TIMESTAMP
from graph.sqlite_store import SqliteStore
from graph.store import Store

FORMATS = ("parquet", "csv")
ENTITY_COLUMNS = {"user_id": "user", "device_id": "device", "ip": "ip", "restaurant_id": "restaurant"}
WITHOUT_ADDRESS = {"ip", "ip_range"}


@dataclass(frozen=True)
class Loaded:
    """A world as it was written, and what a load made of it."""

    folder: Path
    store: Store
    report: LoadReport

    def damage(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "truth" / "damage.parquet").to_pylist()
        return rows

    def quarantined(self) -> dict[int, tuple[str, str]]:
        """Reason and columns by row, from 0."""
        with Ledger(sidecar(self.store.url)) as ledger:
            kept = [entry.row for entry in ledger.rows(kind="transaction")]
        found = {row.row - 1: (row.reason, row.column) for row in kept}
        assert len(found) == len(kept), "a row is in quarantine once"
        return found

    def facts(self) -> dict[str, dict[str, Any]]:
        """Everything that the store's change feed tells of each transaction, by the names of the schema."""
        schema = self.store.schema()
        names = np.array([None, *(key for keys in self.store.entity_keys() for key in keys.keys)], dtype=object)
        found: dict[str, dict[str, Any]] = {}
        for part in self.store.transaction_changes(with_ids=True):
            assert part.transaction_ids is not None
            columns = {
                "occurred_at": part.occurred_at.tolist(),
                "arrived_at": part.arrived_at.tolist(),
                "amount": part.amount.tolist(),
                **{name: names[part.ids[:, i] + 1].tolist() for i, name in enumerate(schema.keyed)},
                **{name: _nullable(part.numeric[:, i]) for i, name in enumerate(schema.numeric)},
            }
            for id_, *values in zip(part.transaction_ids, *columns.values(), strict=True):
                found[id_] = dict(zip(columns, values, strict=True))
        return found


def _nullable(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(WorldSettings(users=1500, days=60, seed=17, mess=0.1))


@pytest.fixture(scope="module")
def loaded(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Loaded]]:
    """The clean world, and the messy one in each format."""
    clean = dataclasses.replace(world, settings=dataclasses.replace(world.settings, mess=0.0))
    results: dict[str, Loaded] = {}
    for name, made, file_format in (("clean", clean, "parquet"), *((f, world, f) for f in FORMATS)):
        folder = tmp_path_factory.mktemp(name)
        write(made, folder / "world", "csv" if file_format == "csv" else "parquet")
        store = SqliteStore(f"sqlite:///{folder}/graph.db")
        results[name] = Loaded(folder / "world", store, load(read_mapping(folder / "world" / "mapping.yaml"), store))
    yield results
    for result in results.values():
        result.store.close()


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_damaged_row_is_quarantined_under_the_right_reason_or_not_at_all(
    loaded: dict[str, Loaded], file_format: str
) -> None:
    messy = loaded[file_format]
    expected = {d["row"]: d["reason"] for d in messy.damage() if d["expected"] == Fate.QUARANTINED}
    found = {row: reason for row, (reason, _) in messy.quarantined().items()}
    right = len(expected.items() & found.items())
    kinds = {d["row"]: (d["kind"], d["column"], d["damaged"], d["reason"]) for d in messy.damage()}
    wrong = [(row, found.get(row), kinds.get(row)) for row, _ in expected.items() ^ found.items()]
    assert right >= 0.99 * len(expected), f"recall: {wrong[:10]}"
    assert right >= 0.99 * len(found), f"precision: {wrong[:10]}"
    assert len(expected) > 150


@pytest.mark.parametrize("file_format", FORMATS)
def test_quarantine_names_the_damaged_column(loaded: dict[str, Loaded], file_format: str) -> None:
    messy = loaded[file_format]
    refusing = {(kind.name, column) for kind in KINDS if kind.reason for column in kind.columns}
    blamed = {d["row"]: d["column"] for d in messy.damage() if (d["kind"], d["column"]) in refusing}
    found = messy.quarantined()
    wrong = [(row, column, found[row]) for row, column in blamed.items() if row in found and found[row][1] != column]
    assert not wrong


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_row_has_the_outcome_that_the_damage_file_says(
    loaded: dict[str, Loaded], file_format: str, world: World
) -> None:
    messy = loaded[file_format]
    fates = {d["row"]: (d["expected"], d["kind"]) for d in messy.damage()}
    outcomes = Counter(fate for fate, _ in fates.values())
    copies = sum(kind.endswith("_duplicate") for _, kind in fates.values())
    tally = messy.report.transactions
    assert tally.read == world.transactions.num_rows + copies
    assert tally.duplicates == outcomes[Fate.DUPLICATE]
    assert tally.quarantined == tally.newly_quarantined == outcomes[Fate.QUARANTINED]
    assert tally.loaded == tally.read - tally.duplicates - tally.quarantined


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_graph_is_the_clean_one_but_for_what_the_damage_took_away(
    loaded: dict[str, Loaded], file_format: str
) -> None:
    clean, messy = loaded["clean"], loaded[file_format]
    assert messy.store.schema() == clean.store.schema()
    wanted = clean.facts()
    kinds: dict[str, list[Any]] = {}
    for hurt in messy.damage():
        id_, column = hurt["transaction_id"], hurt["column"]
        if hurt["expected"] == Fate.QUARANTINED and hurt["kind"] != "conflicting_duplicate":
            wanted.pop(id_, None)
        elif hurt["expected"] == Fate.LOST:
            wanted[id_] |= dict.fromkeys(_told_by(column))
        kinds.setdefault(id_, []).append((hurt["kind"], hurt["column"], hurt["damaged"]))
    found = messy.facts()
    assert found.keys() == wanted.keys()
    wrong = [
        (id_, name, wanted[id_][name], value, kinds.get(id_))
        for id_, facts in found.items()
        for name, value in facts.items()
        if value != wanted[id_][name]
    ]
    assert not wrong, f"{len(wrong)} values differ: {wrong[:10]}"
    assert messy.store.labels_of(list(wanted)) == clean.store.labels_of(list(wanted))


def _told_by(column: str) -> set[str]:
    """What the graph knows from a column."""
    if column == "ip":
        return WITHOUT_ADDRESS
    if column == "account_created_at":
        return {f"seconds_since_{column}"}
    return {ENTITY_COLUMNS.get(column, column)}


def test_every_kind_of_damage_happens(loaded: dict[str, Loaded]) -> None:
    copies = {"exact_duplicate", "resent_duplicate", "conflicting_duplicate"}
    wanted = {kind.name for kind in KINDS} | copies
    assert {d["kind"] for d in loaded["parquet"].damage()} == wanted
    assert {d["kind"] for d in loaded["csv"].damage()} == wanted | {"broken_line"}


def test_damage_is_where_the_damage_file_says_and_nowhere_else(loaded: dict[str, Loaded]) -> None:
    for messy in (loaded["parquet"], loaded["csv"]):
        told = {(d["row"], d["column"]): d for d in messy.damage()}
        if messy is loaded["csv"]:
            lines = (messy.folder / "transactions.csv").read_text("utf-8").splitlines()[1:]
            for (row, column), hurt in told.items():
                if hurt["kind"] == "broken_line":
                    assert not column
                    assert lines[row] == hurt["damaged"] != hurt["original"]
            continue
        table = pq.read_table(messy.folder / "transactions.parquet").to_pylist()
        for (row, column), hurt in told.items():
            assert not column or table[row][column] == hurt["damaged"] != hurt["original"], hurt
        clean = {row["transaction_id"]: row for row in _texts(loaded["clean"].folder / "transactions.parquet")}
        whole = sorted(set(range(len(table))) - {row for row, _ in told})
        assert len(whole) > 0.85 * len(table)
        assert all(table[row] == clean[table[row]["transaction_id"]] for row in whole)


def _texts(path: Path) -> list[dict[str, str | None]]:
    table = pq.read_table(path)
    for name in ("occurred_at", "account_created_at"):
        times = pc.strftime(table[name].cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(table.column_names.index(name), name, times)
    amounts = pa.array([f"{amount:.2f}" for amount in table["amount"].to_pylist()])
    rows: list[dict[str, str | None]] = table.set_column(
        table.column_names.index("amount"), "amount", amounts
    ).to_pylist()
    return rows


def plain(count: int, **columns: Any) -> pa.Table:
    """Transactions of a platform without refunds."""
    number = np.arange(count)
    table = {
        "transaction_id": [f"t{i}" for i in range(count)],
        "occurred_at": pa.array(1_736_175_845_000_000 + number * 61_000_000).view(TIMESTAMP),
        "user_id": [f"u{i % 97}" for i in range(count)],
        "amount": number * 37 % 250_000 / 100,
    }
    return pa.table(table | columns)


def test_the_same_seed_makes_the_same_mess_and_another_another() -> None:
    one, again, other = (damage(plain(3_000), 0.2, seed) for seed in (1, 1, 2))
    assert one[0].equals(again[0])
    assert one[1].equals(again[1])
    assert not one[0].equals(other[0])


def test_the_share_says_how_many_rows_are_damaged() -> None:
    for share in (0.0, 0.1, 1.0):
        messy, damaged = damage(plain(3_000), share, 5)
        copies = pc.sum(pc.ends_with(damaged["kind"], "_duplicate")).as_py() or 0
        assert messy.num_rows == 3_000 + copies
        assert len(set(damaged["row"].to_pylist())) == pytest.approx(3_000 * share, abs=3_000 * share * 0.05)
        assert damaged.schema == DAMAGE
    assert damage(plain(0), 1.0, 5)[0].num_rows == 0


def test_amounts_turn_negative_only_where_that_is_no_refund() -> None:
    bought = damage(plain(4_000), 0.5, 5)[1]["kind"].to_pylist()
    with_refund = plain(4_000, amount=np.where(np.arange(4_000) % 50 == 0, -1.5, 20.0))
    refunded = damage(with_refund, 0.5, 5)[1]["kind"].to_pylist()
    assert "amount_negative" in bought
    assert "amount_accounting" not in bought
    assert "amount_negative" not in refunded
    assert "amount_accounting" in refunded
    types = np.where(np.arange(4_000) % 50 == 0, "refund", "dine_in")
    typed = damage(with_refund.append_column("transaction_type", pa.array(types)), 0.5, 5)[1]["kind"].to_pylist()
    assert "amount_negative" in typed, "the type tells it from a refund"
