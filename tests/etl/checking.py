"""Rows under the contract without a load: mappings of a shop, chunks of rows, and what becomes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from etl.contract.checked import CheckedRows, Clock, Window
from etl.contract.layout import fit
from etl.contract.pseudonyms import Pseudonyms
from etl.contract.transactions import TransactionContract
from etl.mapping import Mapping, parse_mapping
from etl.sources import BrokenLine, Chunk

NOW = 1_750_000_000_000_000  # 2025-06-15
Row = dict[str, Any]
RATES = "date,currency,rate\n2024-01-01,USD,3.75\n2024-03-02,USD,4\n"
FULL: Row = {"ip": "ip", "city": "city", "currency": {"column": "cur"}, "arrived_at": "seen", "numeric": "age"}
REFUNDS: Row = {"amount": {"column": "amount", "negative": "refund"}}
POLICIES = {
    "device_id": "quarantine", "city": {"impute": "most_frequent"}, "amount": {"impute": "median", "by": "city"},
    "age": {"impute": "median"}, "V*": "quarantine", "V2": "leave",
}  # fmt: skip


def mapping(transaction: Row | None = None, *, folder: Path = Path(), **parts: Any) -> Mapping:
    columns = {
        "transaction_id": "id", "occurred_at": "at", "user_id": "user", "amount": "amount", "device_id": "device",
    }  # fmt: skip
    document = {"name": "shop", "source": {"files": "tx.csv"}, "transaction": columns | (transaction or {})}
    return parse_mapping(document | parts, folder=folder)


def chunk(rows: Sequence[Row], broken: Sequence[BrokenLine] = ()) -> Chunk:
    """Rows as text, as a CSV file gives them; what is no text keeps its type, as in Parquet."""
    names = dict.fromkeys(column for row in rows for column in row)
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    typed = {name for name, values in columns.items() if values and not isinstance(values[0], str)}
    table = pa.table({name: pa.array(v, None if name in typed else pa.string()) for name, v in columns.items()})
    return Chunk("tx.csv", table, np.arange(1, len(rows) + 1), list(broken))


def contract(how: Mapping, columns: Sequence[str], window: Window | None = None) -> TransactionContract:
    return TransactionContract(how, fit(how, columns, "tx.csv"), Pseudonyms(how), Clock(NOW), window or Window())


def check(how: Mapping, *rows: Row, window: Window | None = None) -> CheckedRows:
    part = chunk(rows)
    return contract(how, part.table.column_names, window).check(part)


def refused(checked: CheckedRows) -> list[tuple[int, str, str, str]]:
    return [(row.row, row.reason, row.column, row.value) for row in checked.refusals.rows()]


def facts(checked: CheckedRows) -> list[Row]:
    return checked.table.to_pylist()
