"""Exports for reports made elsewhere: decisions with what became of them, rings, their members, and daily sums.

Rows are read and written in chunks. Each file is replaced as a whole, so whoever reads it sees the old one or the new
one; exporting the same again writes the same.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from graph.progress import Progress, Silent
from graph.records import DAY, TIMESTAMP, Decision, GraphSchema
from graph.ring_records import Ring
from graph.store import RingStore, Store, TransactionChanges

Format = Literal["parquet", "csv", "both"]

_CHUNK: Final = 10_000
_BANDS: Final = ("approve", "review", "block")
_RINGS: Final = pa.schema(
    [
        ("ring_id", pa.string()),
        ("status", pa.string()),
        ("active", pa.bool_()),
        ("score", pa.float64()),
        ("found_at", TIMESTAMP),
        ("refreshed_at", TIMESTAMP),
        ("members", pa.int64()),
        ("users", pa.int64()),
        ("transactions", pa.int64()),
        ("amount", pa.float64()),
        ("fraud_known", pa.int64()),
        ("first_at", TIMESTAMP),
        ("last_at", TIMESTAMP),
        ("reasons", pa.string()),
    ]
)
_MEMBERS: Final = pa.schema(
    [
        ("ring_id", pa.string()),
        ("entity", pa.string()),
        ("key", pa.string()),
        ("since", TIMESTAMP),
        ("transactions", pa.int64()),
        ("band", pa.string()),
    ]
)
_DAILY: Final = pa.schema(
    [
        ("date", pa.date32()),
        ("band", pa.string()),
        ("decisions", pa.int64()),
        ("amount", pa.float64()),
        ("labelled", pa.int64()),
        ("frauds", pa.int64()),
        ("fraud_amount", pa.float64()),
    ]
)


def decision_columns(schema: GraphSchema) -> pa.Schema:
    """Columns of the exported decisions: a column for each entity type and category that the store knows.

    `amount` is in units of the currency; `is_fraud` by the last label that became known, null where there is none.
    """
    return pa.schema(
        [
            ("transaction_id", pa.string()),
            ("occurred_at", TIMESTAMP),
            ("decided_at", TIMESTAMP),
            ("amount", pa.float64()),
            ("currency", pa.string()),
            *((name, pa.string()) for name in schema.keyed),
            ("probability", pa.float64()),
            ("band", pa.string()),
            ("model_version", pa.string()),
            ("first_reason", pa.string()),
            ("reasons", pa.string()),
            ("truncated", pa.bool_()),
            ("is_fraud", pa.bool_()),
            ("label_known_at", TIMESTAMP),
        ]
    )


def export(
    store: Store,
    folder: Path,
    *,
    since: int | None = None,
    until: int | None = None,
    form: Format = "both",
    progress: Progress | None = None,
) -> dict[str, int]:
    """Writes decisions, rings, ring_members and daily to files of these names in a folder.

    Args:
        since, until: microseconds UTC, of the decisions and daily sums to export, by when transactions occurred:
            since <= t < until. Rings are always all.
        form: which files to write of each.

    Returns:
        Rows by name.

    Raises:
        StoreError: the store cannot be read. OSError: a file cannot be written.
    """
    watcher = progress or Silent()
    schema = store.schema()
    written = {}
    daily = _Daily()
    with _Sink(folder, "decisions", decision_columns(schema), form) as sink:
        total = store.watermark().transaction or None
        with watcher.stage("exporting decisions", total=total) as advance:
            names = _Names(store)
            for chunk in store.transaction_changes(0, with_ids=True, chunk=_CHUNK):
                table = _decisions(store, schema, names, chunk, since, until)
                sink.write(table)
                daily.add(table)
                advance(len(chunk.seq))
        written["decisions"] = sink.rows
    rings = list(store.rings(limit=None)) if isinstance(store, RingStore) else []
    rings.sort(key=lambda ring: ring.ring_id)
    for name, table in (("rings", _rings(rings)), ("ring_members", _members(rings)), ("daily", daily.table())):
        with _Sink(folder, name, table.schema, form) as sink:
            sink.write(table)
            written[name] = sink.rows
    return written


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class _Sink:
    """The files of one table; they take their places only when all of it is written."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, form: Format) -> None:
        self.rows = 0
        self._schema = schema
        self._kinds = ("parquet", "csv") if form == "both" else (form,)
        self._folder, self._name = folder, name
        self._files: list[tuple[Path, Path]] = []
        self._writers: list[_Writer] = []
        self._open = ExitStack()

    def __enter__(self) -> "_Sink":
        scratch = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix=".export-", dir=self._folder)))
        for kind in self._kinds:
            file = scratch / f"{self._name}.{kind}"
            self._files.append((file, self._folder / file.name))
            self._writers.append(
                pq.ParquetWriter(file, self._schema) if kind == "parquet" else pa_csv.CSVWriter(file, self._schema)
            )
        return self

    def write(self, table: pa.Table) -> None:
        """Adds rows."""
        self.rows += table.num_rows
        if table.num_rows:
            for writer in self._writers:
                writer.write_table(table)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._open:
            for writer in self._writers:
                writer.close()
            if error is None:
                for file, place in self._files:
                    file.replace(place)


class _Names:
    """Keys of integer ids, read on as they are needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[str] = []

    def of(self, ids: "np.ndarray[Any, np.dtype[np.int32]]") -> list[str | None]:
        if ids.size and int(ids.max()) >= len(self._keys):
            for chunk in self._store.entity_keys(len(self._keys)):
                self._keys.extend(chunk.keys)
        return [self._keys[number] if number >= 0 else None for number in ids.tolist()]


def _decisions(
    store: Store, schema: GraphSchema, names: _Names, chunk: TransactionChanges, since: int | None, until: int | None
) -> pa.Table:
    """The decisions on a chunk's transactions."""
    inside = np.ones(len(chunk.seq), np.bool_)
    if since is not None:
        inside &= chunk.occurred_at >= since
    if until is not None:
        inside &= chunk.occurred_at < until
    all_ids, currencies = chunk.transaction_ids or [], chunk.currency or []
    wanted = [all_ids[place] for place in np.flatnonzero(inside).tolist()]
    kept = store.decisions(wanted) if wanted else {}
    places = np.array([place for place in np.flatnonzero(inside).tolist() if all_ids[place] in kept], np.int64)
    found = [kept[all_ids[place]] for place in places.tolist()]
    labels = store.labels_of([decision.transaction_id for decision in found]) if found else {}
    last = [labels.get(decision.transaction_id, [None])[-1] for decision in found]
    told = [_told(decision) for decision in found]
    columns: dict[str, Any] = {
        "transaction_id": [decision.transaction_id for decision in found],
        "occurred_at": chunk.occurred_at[places],
        "decided_at": [decision.decided_at for decision in found],
        "amount": chunk.amount[places] / 100,
        "currency": [currencies[place] for place in places.tolist()],
        **{name: names.of(chunk.ids[places, k]) for k, name in enumerate(schema.keyed)},
        "probability": [decision.probability for decision in found],
        "band": [decision.band for decision in found],
        "model_version": [decision.model_version for decision in found],
        "first_reason": [codes[0] if codes else None for codes, _ in told],
        "reasons": [" ".join(codes) for codes, _ in told],
        "truncated": [cut for _, cut in told],
        "is_fraud": [None if label is None else label[1] for label in last],
        "label_known_at": [None if label is None else label[0] for label in last],
    }
    wanted_schema = decision_columns(schema)
    return pa.table(
        [_array(columns[one.name], one.type) for one in wanted_schema],
        schema=wanted_schema,
    )


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    # Times are integers here, which Arrow takes as such only.
    return pa.array(values, pa.int64()).cast(kind) if kind == TIMESTAMP else pa.array(values, kind)


def _told(decision: Decision) -> tuple[list[str], bool | None]:
    """The codes of a decision's reasons, and whether its neighbourhood was cut."""
    try:
        answer = json.loads(decision.response)
        codes = [str(reason["code"]) for reason in answer.get("reasons", ())]
        return codes, answer.get("neighbourhood", {}).get("truncated")
    except (ValueError, TypeError, KeyError, AttributeError):
        return [], None


@dataclass(slots=True)
class _Daily:
    """Sums by day (UTC) and band."""

    sums: dict[tuple[int, str], list[float]] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        day = table["occurred_at"].cast(pa.int64()).to_numpy() // DAY
        band = np.array(table["band"].to_pylist(), object)
        amount = table["amount"].to_numpy()
        label = np.array([-1 if known is None else int(known) for known in table["is_fraud"].to_pylist()], np.int8)
        for one in np.unique(day).tolist():
            for name in _BANDS:
                mine = (day == one) & (band == name)
                if mine.any():
                    sums = self.sums.setdefault((one, name), [0.0] * 5)
                    fraud = mine & (label == 1)
                    numbers = (mine.sum(), amount[mine].sum(), (mine & (label >= 0)).sum(), fraud.sum())
                    for place, number in enumerate((*numbers, amount[fraud].sum())):
                        sums[place] += float(number)

    def table(self) -> pa.Table:
        order = sorted(self.sums, key=lambda key: (key[0], _BANDS.index(key[1])))
        columns = list(zip(*(self.sums[key] for key in order), strict=True)) or [()] * 5
        decisions, amount, labelled, frauds, fraud_amount = columns
        return pa.table(
            [
                pa.array([day for day, _ in order], pa.int32()).cast(pa.date32()),
                pa.array([band for _, band in order], pa.string()),
                pa.array(map(int, decisions), pa.int64()),
                pa.array(np.round(amount, 2), pa.float64()),
                pa.array(map(int, labelled), pa.int64()),
                pa.array(map(int, frauds), pa.int64()),
                pa.array(np.round(fraud_amount, 2), pa.float64()),
            ],
            schema=_DAILY,
        )


def _rings(rings: list[Ring]) -> pa.Table:
    rows = [
        {
            "ring_id": ring.ring_id,
            "status": str(ring.status),
            "active": ring.active,
            "score": ring.score,
            "found_at": ring.found_at,
            "refreshed_at": ring.refreshed_at,
            "members": len(ring.members),
            "users": sum(member.entity == "user" for member in ring.members),
            "transactions": ring.transactions,
            "amount": ring.amount / 100,
            "fraud_known": ring.fraud_known,
            "first_at": ring.first_at,
            "last_at": ring.last_at,
            "reasons": " ".join(reason.code for reason in ring.reasons),
        }
        for ring in rings
    ]
    return _table(rows, _RINGS)


def _members(rings: list[Ring]) -> pa.Table:
    return _table(list(_member_rows(rings)), _MEMBERS)


def _member_rows(rings: list[Ring]) -> Iterator[dict[str, Any]]:
    for ring in rings:
        for member in ring.members:
            yield {
                "ring_id": ring.ring_id,
                "entity": member.entity,
                "key": member.key,
                "since": member.since,
                "transactions": member.transactions,
                "band": member.band,
            }


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.table([_array([row[one.name] for row in rows], one.type) for one in schema], schema=schema)
