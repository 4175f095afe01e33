"""What the tests of loading share: a small mapping, files of rows, and the whole content of a store."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from etl.mapping import Mapping, parse_mapping
from graph.sqlite_store import SqliteStore
from graph.store import Store

NOW = 1_750_000_000_000_000
"""The present of these tests: 2025-06-15."""


@pytest.fixture
def now() -> int:
    return NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = SqliteStore(f"sqlite:///{tmp_path}/store/graph.db")
    yield opened
    opened.close()


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Mapping]:
    """A mapping of `*.csv` under the test's folder; keyword arguments replace or add parts of it."""

    def build(transaction: dict[str, Any] | None = None, **parts: Any) -> Mapping:
        columns = {
            "transaction_id": "id", "occurred_at": "at", "user_id": "user", "amount": "amount", "device_id": "device",
        }  # fmt: skip
        document = {
            "name": "shop",
            "source": {"files": "tx*.csv"},
            "transaction": columns | (transaction or {}),
            "quarantine": {"limit": "100%"},
        }
        return parse_mapping(document | parts, folder=tmp_path)

    return build


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows (dicts) as a CSV file under the test's folder; missing columns are empty."""

    def write(name: str, rows: Sequence[dict[str, Any]]) -> Path:
        path = tmp_path / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def content() -> Callable[[Store], dict[str, Any]]:
    """Everything that a store's change feed tells, in plain values, so that two stores can be compared."""

    def read(store: Store) -> dict[str, Any]:
        schema = store.schema()
        keys = {keys.first + i: key for keys in store.entity_keys() for i, key in enumerate(keys.keys)}
        transactions = {}
        for part in store.transaction_changes(with_ids=True):
            assert part.transaction_ids is not None
            for i, id_ in enumerate(part.transaction_ids):
                transactions[id_] = (
                    int(part.occurred_at[i]),
                    int(part.arrived_at[i]),
                    int(part.amount[i]),
                    tuple(keys.get(int(entity)) for entity in part.ids[i]),
                    tuple(map(str, part.numeric[i])),
                )
        return {
            "schema": schema,
            "transactions": transactions,
            "labels": store.labels_of(list(transactions)),
            "users": [store.entity("user", key) for key in sorted(set(keys.values()))],
        }

    return read
