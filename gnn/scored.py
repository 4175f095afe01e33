"""Scored transactions, checked and in arrays, for measuring."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnn.policy import APPROVE, BLOCK, REVIEW
from graph.errors import InputError, NotEnoughData
from graph.records import DAY, TIMESTAMP

COLUMNS: Final = ("transaction_id", "occurred_at", "probability", "band", "model_version", "is_fraud")
"""Columns that a table of scores has. There may be `user_id`, `amount` (in units of the currency),
`user_first_at` (when the user's first transaction occurred), `promised_share` (the share of transactions that the row's
model promised to flag) and `typology` (the kind of each fraud) too."""

KnownUsers = Mapping[date, Set[str]]
"""By day (UTC), the users who were known as compromised before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Labelled, scored transactions in order of occurrence; n rows.

    Attributes:
        transaction_id: n texts.
        occurred_at: int64[n], microseconds UTC.
        day: int64[n], days since the epoch (UTC).
        week: int64[n], from 0, weeks of seven days counted from the first day.
        probability: float64[n].
        fraud, flagged, blocked: bool[n]; flagged is reviewed or blocked.
        amount: float64[n] in units of the currency, or None.
        user: int64[n], numbers of users, or None.
        known: bool[n], the user was known as compromised before that day.
        user_age: int64[n], microseconds since the user's first transaction, or None.
        promised: float64[n], the share of transactions that the row's model promised to flag, or None.
        typology: n texts, null where genuine or not told, or None.
        models: distinct model versions.
        unlabelled: how many rows were left out for want of a label.
    """

    transaction_id: pa.ChunkedArray
    occurred_at: NDArray[np.int64]
    day: NDArray[np.int64]
    week: NDArray[np.int64]
    probability: NDArray[np.float64]
    fraud: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    amount: NDArray[np.float64] | None
    user: NDArray[np.int64] | None
    known: NDArray[np.bool_]
    user_age: NDArray[np.int64] | None
    promised: NDArray[np.float64] | None
    typology: pa.ChunkedArray | None
    models: tuple[str, ...]
    unlabelled: int

    def __len__(self) -> int:
        return len(self.probability)

    def taken(self, rows: NDArray[Any]) -> "Scored":
        """These rows only: bool[n], or ascending row numbers."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            transaction_id=self.transaction_id.take(pa.array(places)),
            occurred_at=self.occurred_at[places],
            day=self.day[places],
            week=self.week[places],
            probability=self.probability[places],
            fraud=self.fraud[places],
            flagged=self.flagged[places],
            blocked=self.blocked[places],
            amount=None if self.amount is None else self.amount[places],
            user=None if self.user is None else self.user[places],
            known=self.known[places],
            user_age=None if self.user_age is None else self.user_age[places],
            promised=None if self.promised is None else self.promised[places],
            typology=None if self.typology is None else self.typology.take(pa.array(places)),
        )


def read_scores(scores: pa.Table | pd.DataFrame, known_compromised: KnownUsers | None = None) -> Scored:
    """Checks a table of scores and takes its labelled rows.

    Raises:
        InputError: a column is missing or holds something else than it should; says which.
        NotEnoughData: no row has a label, or all have the same.
    """
    table = _from_pandas(scores) if isinstance(scores, pd.DataFrame) else scores
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(
            f"the scores have no column {', '.join(missing)}",
            hint=f"a table of scores has {', '.join(COLUMNS)}, as `quipu backtest` writes it",
        )
    label = _cast(table, "is_fraud", pa.bool_())
    labelled = pc.is_valid(label)
    table, label = table.filter(labelled), label.filter(labelled)
    unlabelled = len(labelled) - table.num_rows
    fraud = label.to_numpy().astype(bool)
    if not len(fraud):
        raise NotEnoughData(
            f"none of the {unlabelled:,} scored transactions has a label",
            hint="ingest labels, then run the backtest again",
        )
    if fraud.all() or not fraud.any():
        raise NotEnoughData(
            f"all {len(fraud):,} labelled transactions are {'fraud' if fraud.all() else 'genuine'}",
            hint="quality can be measured only where there are both; score a longer period",
        )
    occurred = _numbers(_cast(table, "occurred_at", TIMESTAMP).cast(pa.int64()), "occurred_at").astype(np.int64)
    probability = _numbers(_cast(table, "probability", pa.float64()), "probability")
    outside = ~((probability >= 0) & (probability <= 1))
    if outside.any():
        raise InputError(f"column probability has {outside.sum():,} values that are not between 0 and 1")
    band = _cast(table, "band", pa.string())
    strange = pc.unique(band.filter(pc.invert(pc.is_in(band, pa.array([APPROVE, REVIEW, BLOCK]))))).to_pylist()
    if strange:
        raise InputError(f"column band holds {strange[0]!r}", hint=f"bands are {APPROVE}, {REVIEW} and {BLOCK}")
    blocked = _flags(pc.equal(band, BLOCK))
    order = np.argsort(occurred, kind="stable")
    day = occurred // DAY
    user, known = _users(table, day, known_compromised)
    amount = None
    if "amount" in table.column_names:
        amount = np.nan_to_num(pc.fill_null(_cast(table, "amount", pa.float64()), 0.0).to_numpy())
    age = None
    if "user_first_at" in table.column_names:
        first = _cast(table, "user_first_at", TIMESTAMP).cast(pa.int64())
        age = occurred - _numbers(first, "user_first_at").astype(np.int64)
    promised = None
    if "promised_share" in table.column_names:
        promised = _numbers(_cast(table, "promised_share", pa.float64()), "promised_share")
    whole = Scored(
        transaction_id=_cast(table, "transaction_id", pa.string()),
        occurred_at=occurred,
        day=day,
        week=(day - day.min()) // 7,
        probability=probability,
        fraud=fraud,
        flagged=blocked | _flags(pc.equal(band, REVIEW)),
        blocked=blocked,
        amount=amount,
        user=user,
        known=known,
        user_age=age,
        promised=promised,
        typology=_cast(table, "typology", pa.string()) if "typology" in table.column_names else None,
        models=tuple(sorted(str(name) for name in pc.unique(table["model_version"]).to_pylist())),
        unlabelled=unlabelled,
    )
    return whole.taken(order)


def paired(a: Scored, b: Scored) -> tuple[Scored, Scored]:
    """The transactions that both have, in the same order.

    Raises:
        InputError: they have none in common, or label some differently.
        NotEnoughData: those in common are all of one kind.
    """
    place = pc.index_in(a.transaction_id, pc.unique(b.transaction_id))
    first = pc.index_in(pc.unique(b.transaction_id), b.transaction_id.combine_chunks())
    shared = pc.is_valid(place).to_numpy(zero_copy_only=False)
    if not shared.any():
        raise InputError("the two files of scores have no labelled transaction in common")
    mine = a.taken(shared)
    theirs = b.taken(first.to_numpy(zero_copy_only=False)[place.drop_null().to_numpy()])
    if (mine.fraud != theirs.fraud).any():
        raise InputError(
            f"the two files label {(mine.fraud != theirs.fraud).sum():,} transactions differently",
            hint="run both backtests on the same state of the store",
        )
    if mine.fraud.all() or not mine.fraud.any():
        raise NotEnoughData("the transactions in common are all of one kind, so nothing can be compared")
    return mine, theirs


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Times without their zone, in UTC: pyarrow takes zoned ones over in a way that pandas deprecates."""
    naive = {
        str(name): column.dt.tz_convert("UTC").dt.tz_localize(None)
        for name, column in frame.items()
        if isinstance(column.dtype, pd.DatetimeTZDtype)
    }
    return pa.Table.from_pandas(frame.assign(**naive), preserve_index=False)


def _cast(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    column = table[name]
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if kind == TIMESTAMP and pa.types.is_timestamp(column.type) and column.type.tz is None:
            return pc.assume_timezone(column.cast(pa.timestamp("us")), "UTC")
        if kind == pa.bool_() and pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {name} holds {column.type}, which cannot be read as {kind}: {error}") from error


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    if column.null_count:
        raise InputError(f"column {name} is empty in {column.null_count:,} rows")
    values: NDArray[np.float64] = column.to_numpy()
    return values


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=bool)


def _users(
    table: pa.Table, day: NDArray[np.int64], known_compromised: KnownUsers | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.bool_]]:
    known = np.zeros(len(day), dtype=bool)
    if "user_id" not in table.column_names:
        return None, known
    encoded = _cast(table, "user_id", pa.string()).combine_chunks().dictionary_encode()
    user = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    number = {key: i for i, key in enumerate(encoded.dictionary.to_pylist())}
    for when, users in (known_compromised or {}).items():
        numbers = [number[key] for key in users if key in number]
        today = day == (when - date(1970, 1, 1)).days
        known |= today & np.isin(user, numbers)
    return user, known
