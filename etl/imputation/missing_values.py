"""The missing values of one column: where they are missing, what is similar to them, and what they become."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.contract.checked import CheckedRows
from etl.imputation.as_of import AsOf, Ints, Values, median, most_frequent
from graph.records import USER, category_column, entity_column

LAST = 101
"""Values of which a median is taken: the latest ones."""


@dataclass
class MissingValues:
    """The values of one column that are to be filled in.

    Attributes:
        name: as in the mapping; `column`: as in a table of transactions.
        by: the entity types and categories in which similar transactions agree; `columns`: these in a table.
        numeric: whether the median is wanted, and not the most frequent value.
    """

    name: str
    column: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    numeric: bool
    ids: list[str] = field(default_factory=list)
    stored: dict[int, Any] = field(default_factory=dict)
    _times: list[Ints] = field(default_factory=list)
    _keys: list[list[list[str | None]]] = field(default_factory=list)
    _texts: dict[int, str] = field(default_factory=dict)
    _answers: list[Any] = field(default_factory=list)
    _given: int = 0

    @classmethod
    def of(
        cls, name: str, column: str, by: tuple[str, ...], *, numeric: bool, entities: Sequence[str]
    ) -> "MissingValues":
        """Of a column, by these entity types and categories."""
        columns = tuple(entity_column(b) if b in entities else category_column(b) for b in by)
        return cls(name, column, by, columns, numeric)

    def note(self, checked: CheckedRows) -> None:
        """Notes where the value is missing in a batch."""
        mask = checked.imputable.get(self.name)
        if mask is None or not mask.any():
            return
        rows = checked.table.take(pa.array(np.flatnonzero(mask)))
        self.ids += rows.column("transaction_id").to_pylist()
        self._times.append(times_of(rows))
        self._keys.append([rows.column(column).to_pylist() for column in self.columns])

    def prepare(self) -> None:
        """Ends noting: from now on, values of similar transactions are told."""
        self._moments = np.concatenate(self._times) if self._times else np.empty(0, np.int64)
        self.vocabularies: list[dict[str, int]] = []
        codes = np.full((len(self._moments), len(self.by)), -1, dtype=np.int64)
        for place in range(len(self.by)):
            keys = [key for part in self._keys for key in part[place]]
            known = {key: i for i, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
            self.vocabularies.append(known)
            codes[:, place] = [-1 if key is None else known[key] for key in keys]
        # A group of `place + 1` columns is a group of one less, and a key: numbered as they occur among the missing.
        self._pairs: list[Ints] = []
        self._groups = [np.zeros(len(codes), dtype=np.int64)]
        for place, known in enumerate(self.vocabularies):
            pair = _paired(self._groups[-1], codes[:, place], len(known))
            self._pairs.append(np.unique(pair[pair >= 0]))
            self._groups.append(_number(self._pairs[-1], pair))
        last = LAST if self.numeric else None
        self._as_of = [AsOf(groups[groups >= 0], self._moments[groups >= 0], last) for groups in self._groups]
        self._times, self._keys = [], []

    def tell(self, codes: Ints, times: Ints, values: Values) -> None:
        """Tells values of n transactions: the codes (n rows) of their keys in `vocabularies`, -1 for any other."""
        groups = np.zeros(len(codes), dtype=np.int64)
        for place, as_of in enumerate(self._as_of):
            if place:
                pair = _paired(groups, codes[:, place - 1], len(self.vocabularies[place - 1]))
                groups = _number(self._pairs[place - 1], pair)
            if place or self.numeric:  # what is most frequent among strangers says nothing of a user
                as_of.add(groups, times, values)

    def tell_rows(self, table: pa.Table, given: NDArray[np.bool_]) -> None:
        """Tells the values that these rows of a batch have themselves."""
        rows = table.filter(pa.array(given)).filter(pc.field(self.column).is_valid())
        codes = np.full((rows.num_rows, len(self.by)), -1, dtype=np.int64)
        for place, (column, known) in enumerate(zip(self.columns, self.vocabularies, strict=True)):
            if known:
                found = pc.index_in(rows.column(column), value_set=pa.array(list(known), pa.string()))
                codes[:, place] = found.combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
        values = rows.column(self.column).combine_chunks()
        if self.numeric:
            self.tell(codes, times_of(rows), values.to_numpy(zero_copy_only=False))
            return
        encoded = values.dictionary_encode()
        named = np.array([self.code(text) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
        self.tell(codes, times_of(rows), named[encoded.indices.to_numpy(zero_copy_only=False)])

    def code(self, text: str) -> int:
        """A number for a text that does not depend on what was seen before."""
        code = int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:6], "big")
        self._texts[code] = text
        return code

    def text(self, code: int) -> str:
        """The text of a number that `code` gave."""
        return self._texts[code]

    def decide(self) -> int:
        """Ends telling; returns how many values stay missing. A row that is stored has what is stored."""
        found = np.full(len(self._moments), np.nan)
        of = median if self.numeric else most_frequent
        for groups, as_of in zip(reversed(self._groups), reversed(self._as_of), strict=True):
            open_ = np.flatnonzero(np.isnan(found) & (groups >= 0))
            found[open_] = as_of.answers(groups[open_], self._moments[open_], of)
        self._answers = [None if np.isnan(value) else value for value in found.tolist()]
        if not self.numeric:
            self._answers = [None if value is None else self.text(int(value)) for value in self._answers]
        for row, value in self.stored.items():
            self._answers[row] = value
        return sum(answer is None for answer in self._answers)

    def next(self, count: int) -> list[Any]:
        """What the next so many of the missing values become, None where they stay missing."""
        self._given += count
        return self._answers[self._given - count : self._given]


def usual_by(*, numeric: bool) -> tuple[str, ...]:
    """What similar transactions agree in where the mapping does not say, as names of a mapping."""
    return ("restaurant_id", "payment_method") if numeric else (f"{USER}_id",)


def times_of(table: pa.Table) -> Ints:
    """Event times, microseconds UTC."""
    times: Ints = table.column("occurred_at").combine_chunks().view(pa.int64()).to_numpy(zero_copy_only=False)
    return times


def _paired(groups: Ints, codes: Ints, size: int) -> Ints:
    return np.where((groups >= 0) & (codes >= 0), groups * size + codes, -1)


def _number(known: Ints, pair: Ints) -> Ints:
    """The places of pairs among the known ones, -1 for any other."""
    if not len(known):
        return np.full(len(pair), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, pair), len(known) - 1)
    return np.where(known[place] == pair, place, -1)
