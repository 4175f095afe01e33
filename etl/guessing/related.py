"""What tables beside the transactions are: labels that came later, and attributes of users, devices and merchants."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from etl import cleaning
from etl.guessing.draft import Draft, Finding
from etl.guessing.guess import Guess
from etl.guessing.labels import find_label
from etl.guessing.profile import Column, profile_columns
from etl.mapping import ENTITY_FIELDS

_OVERLAP = 0.3


@dataclass(frozen=True, slots=True)
class Related:
    """A table beside the transactions.

    Attributes:
        block: `labels`, or the entity type that it describes.
        content: that part of the mapping, without its files.
        finding: what spoke for it.
    """

    block: str
    content: dict[str, Any]
    finding: Finding


def relate(main: Guess, transactions: pa.Table, other: pa.Table, now: int) -> Related | None:
    """What another table says of the transactions; None where nothing does.

    Args:
        main: what the transactions were taken for.
        transactions, other: samples.
        now: the present, microseconds UTC.
    """
    if not other.num_rows:
        return None
    draft = Draft(profile_columns(other, now), other.num_rows)
    key = main.transaction["transaction_id"]
    columns = [key] if isinstance(key, str) else list(key)
    if main.label is None and (found := _labels(draft, transactions, columns)):
        return found
    return _attributes(main, draft, transactions)


def _labels(draft: Draft, transactions: pa.Table, key: list[str]) -> Related | None:
    named = [_same_thing(draft, transactions, column) for column in key]
    if not all(named):
        return None
    ids = [column for column in named if column is not None]
    draft.settle(ids, "labels.transaction_id", "")
    find_label(draft)
    if draft.label is None:
        return None
    times = [c for c in draft.free if c.time is not None and not c.time.relative and c.filled > 0.95]
    if not times:
        return None
    time_column = max(times, key=lambda c: c.name.any("known", "dispute", "fraud", "outcome"))
    assert time_column.time is not None
    known: dict[str, Any] = {"column": time_column.name.text, **time_column.time.how}
    names = [column.name.text for column in ids]
    content: dict[str, Any] = {
        "transaction_id": names[0] if len(names) == 1 else names,
        "is_fraud": draft.label["is_fraud"],
        "known_at": known if len(known) > 1 else time_column.name.text,
    }
    origin = [
        c for c in draft.free
        if c is not time_column and {"source", "origin", "fuente", "origen", "reporter", "channel"} & set(c.name.words)
        and 0 < c.distinct <= 20 and not c.numeric
    ]  # fmt: skip
    if origin:
        content["source"] = {"column": origin[0].name.text}
    told = draft.findings[-1]
    doubts = [told.doubt, time_column.time.doubt]
    if len(times) > 1:
        doubts.append(f"other columns of times could say when a label became known: {_others(times, time_column)}")
    doubt = ". ".join(filter(None, doubts))
    return Related(
        "labels", content, Finding(tuple(draft.columns), "labels", "labels, by their transaction's id", doubt)
    )


def _others(times: list[Column], chosen: Column) -> str:
    return ", ".join(c.name.text for c in times if c is not chosen)


def _same_thing(draft: Draft, transactions: pa.Table, name: str) -> Column | None:
    """The column that holds what a column of the transactions holds: the same name, or the same values."""
    if name in draft.columns:
        return draft.columns[name]
    theirs = cleaning.ids(cleaning.column_of(transactions, name)).drop_null().unique()
    best: tuple[float, Column | None] = (0.0, None)
    for column in draft.columns.values():
        if column.time is not None or column.nested or column.distinct < 3:
            continue
        mine = cleaning.ids(column.array).drop_null().unique()
        among = pc.mean(pc.is_in(mine, value_set=theirs)).as_py() or 0.0
        if among > best[0] and column.name.any("id", "transaction", "user", "device", "merchant", "account", "card"):
            best = (among, column)
    return best[1] if best[0] >= _OVERLAP else None


def _attributes(main: Guess, draft: Draft, transactions: pa.Table) -> Related | None:
    if len(draft.columns) < 2 or any(c.name.any("fraud", "scenario", "dispute") for c in draft.columns.values()):
        return None
    kinds = {kind: main.transaction.get(key) for kind, key in ENTITY_FIELDS.items()} | main.transaction.get(
        "entities", {}
    )
    for kind, name in kinds.items():
        if not isinstance(name, str) or (kind == "ip"):
            continue
        column = _same_thing(draft, transactions, name)
        if column is not None and column.uniqueness == 1 and column.filled > 0.99 and column.distinct >= 2:
            why = f"one row for each {kind}, by {column.name.text}"
            content = {"key": column.name.text}
            return Related(kind, content, Finding(tuple(draft.columns), f"attributes.{kind}", why))
    return None
