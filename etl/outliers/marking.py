"""Amounts that lie far from those of similar transactions: marked in the ledger, never dropped.

Looked for at the end of a load, in what the store's feed has brought since they were looked for last. Marks, what has
been learnt of usual amounts, and the position in the feed are written together: a load that was killed leaves nothing
half done, and the next one judges the rows of both. Nothing but the ledger knows of the marks: they are for people.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from typing import IO

import numpy as np
from numpy.typing import NDArray

from etl.contract.layout import Layout
from etl.imputation.similar import columns_of
from etl.ledger import Ledger
from etl.mapping import Mapping
from etl.mapping import Outliers as Policy
from etl.outliers.groups import BINS, AmountGroups, Usual, scaled
from etl.reporting.report import Outlier, OutlierCounts
from graph.store import Store

_SHOWN = 10
_ROW = np.dtype([("seq", np.int64), ("amount", np.int64), ("group", np.int32)])
_AT_ONCE = 262_144


def outlier_columns(mapping: Mapping, layout: Layout) -> tuple[str, ...] | None:
    """The entity types and categories by which amounts are compared; None where outliers are not looked for.

    Raises:
        MappingError: `outliers.by` names something that is not mapped.
    """
    how = mapping.outliers
    if how is False:
        return None
    return columns_of(how.by, layout, "outliers.by", named="by" in how.model_fields_set)


def mark_outliers(
    mapping: Mapping, columns: tuple[str, ...] | None, store: Store, ledger: Ledger
) -> OutlierCounts | None:
    """Marks outliers among the transactions that the store got since the last time; None where not asked for.

    Takes memory by the number of groups, not of transactions.

    Raises:
        StoreError: the store or the ledger failed.
    """
    how = mapping.outliers
    if how is False or columns is None:
        return None
    by = ",".join(columns)
    groups, since = _known(ledger, by, len(columns), store.watermark().transaction)
    with tempfile.TemporaryFile(prefix="quipu-") as rows:
        last, touched = _learn(store, columns, since, groups, rows)
        usual = groups.usual(how.least)
        judged, marked = _judge(rows, usual, how)
    named = _Names(store, columns, groups)
    found = [_outlier(row, usual, named) for row in marked]
    with ledger.writing() as connection:
        connection.executemany(
            "INSERT INTO outliers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (transaction_id) DO UPDATE SET"
            ' mapping = excluded.mapping, amount = excluded.amount, "group" = excluded."group",'
            " median = excluded.median, z = excluded.z, iqr = excluded.iqr",
            [(o.transaction_id, mapping.name, o.amount, o.group, o.median, o.z, o.iqr) for o in found],
        )
        if since == 0:
            connection.execute('DELETE FROM outlier_groups WHERE "by" = ?', (by,))
        connection.executemany(
            "INSERT OR REPLACE INTO outlier_groups VALUES (?, ?, ?, ?)", ((by, *group) for group in groups.of(touched))
        )
        connection.execute("INSERT OR REPLACE INTO outlier_positions VALUES (?, ?)", (by, last))
    return OutlierCounts(judged, len(found), _worst(found))


@dataclass(frozen=True, slots=True)
class _Marked:
    seq: int
    amount: int
    group: int
    z: float
    iqr: float


def _known(ledger: Ledger, by: str, columns: int, newest: int) -> tuple[AmountGroups, int]:
    """What earlier loads have learnt, and up to where; nothing where the store has been replaced since."""
    groups = AmountGroups(columns)
    with ledger.reading() as connection:
        row = connection.execute('SELECT seq FROM outlier_positions WHERE "by" = ?', (by,)).fetchone()
        since = row[0] if row else 0
        if since == 0 or since > newest:
            return groups, 0
        groups.put(connection.execute('SELECT ids, bins, counts FROM outlier_groups WHERE "by" = ?', (by,)))
    return groups, since


def _learn(
    store: Store, columns: tuple[str, ...], since: int, groups: AmountGroups, rows: IO[bytes]
) -> tuple[int, NDArray[np.int32]]:
    """Adds new amounts to their groups and puts them aside; returns the last position, and which groups changed."""
    keyed = store.schema().keyed
    positions = [keyed.index(name) for name in columns]
    touched = [np.empty(0, dtype=np.int32)]
    for changes in store.transaction_changes(since):
        since = int(changes.seq[-1])
        some = np.flatnonzero(changes.amount > 0)
        amounts = changes.amount[some]
        codes = groups.add(np.ascontiguousarray(changes.ids[some][:, positions]), amounts)
        aside = np.empty(len(some), dtype=_ROW)
        aside["seq"], aside["amount"], aside["group"] = changes.seq[some], amounts, codes
        rows.write(aside.tobytes())
        touched.append(np.unique(codes))
    return since, np.unique(np.concatenate(touched))


def _judge(rows: IO[bytes], usual: Usual, how: Policy) -> tuple[int, list[_Marked]]:
    judged, marked = 0, []
    for part in _parts(rows):
        group = part["group"]
        there = usual.level[group] >= 0
        judged += int(there.sum())
        x = scaled(part["amount"])
        z = (x - usual.median[group]) / usual.sigma[group]
        beyond = np.maximum(np.maximum(usual.low[group] - x, x - usual.high[group]), 0.0) / usual.iqr[group]
        far = np.flatnonzero(there & (np.abs(z) > how.z) & (beyond > how.iqr))
        columns = (part["seq"], part["amount"], group, z, beyond)
        marked += [_Marked(*row) for row in zip(*(column[far].tolist() for column in columns), strict=True)]
    return judged, marked


def _parts(rows: IO[bytes]) -> Iterator[NDArray[np.void]]:
    rows.seek(0)
    while data := rows.read(_AT_ONCE * _ROW.itemsize):
        yield np.frombuffer(data, dtype=_ROW)


class _Names:
    """What transactions and groups are called, looked up one by one: outliers are few."""

    def __init__(self, store: Store, columns: tuple[str, ...], groups: AmountGroups) -> None:
        self._store, self._columns, self._groups = store, columns, groups
        self._keys: dict[int, str] = {}

    def transaction(self, seq: int) -> str:
        changes = next(self._store.transaction_changes(seq - 1, with_ids=True, chunk=1))
        assert changes.transaction_ids is not None
        return changes.transaction_ids[0]

    def group(self, code: int, level: int) -> str:
        ids = self._groups.ids(code)[:level].tolist()
        named = (f"{column} {self._key(id_)}" for column, id_ in zip(self._columns, ids, strict=False))
        return ", ".join(named) or "all transactions"

    def _key(self, id_: int) -> str:
        if id_ not in self._keys:
            self._keys[id_] = next(self._store.entity_keys(id_, chunk=1)).keys[0]
        return self._keys[id_]


def _outlier(row: _Marked, usual: Usual, named: _Names) -> Outlier:
    return Outlier(
        named.transaction(row.seq),
        row.amount,
        round(float(np.exp(usual.median[row.group] / BINS))),
        named.group(row.group, int(usual.level[row.group])),
        round(row.z, 2),
        round(row.iqr, 2),
    )


def _worst(found: list[Outlier]) -> tuple[Outlier, ...]:
    """The farthest of each group, so that one group does not hide the others."""
    farthest: dict[str, Outlier] = {}
    for outlier in found:
        known = farthest.get(outlier.group)
        if known is None or abs(outlier.z) > abs(known.z):
            farthest[outlier.group] = outlier
    return tuple(nlargest(_SHOWN, farthest.values(), key=lambda o: (abs(o.z), o.transaction_id)))
