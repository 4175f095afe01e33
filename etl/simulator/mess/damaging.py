"""A mess made of clean transactions, and an account of it: which row is damaged, how, and what must become of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.contract.reasons import Reason
from etl.simulator.mess.kinds import KINDS, Fate, Kind
from etl.simulator.mess.notes import Notes
from etl.simulator.mess.spelling import Ints, Rows, Texts
from etl.simulator.settings import stream

_AGAIN, _RESENT, _CONFLICT = "exact_duplicate", "resent_duplicate", "conflicting_duplicate"
_COPIES = (_AGAIN, _RESENT, _CONFLICT)
_COPY_SHARES = (0.06, 0.04, 0.03)
_TWICE = 0.12
"""Share of damaged rows that are damaged in a second column, too."""
_LATER = 2_000
"""A row that is sent again comes at most so many rows later."""
_TOLD_TOGETHER = ({"amount", "currency"}, {"amount", "transaction_type"})
"""An amount may name its currency, and is a refund by its type: damage to one can decide what damage to the other
means."""
_MONEY = pa.decimal128(18, 2)
_CHUNK = 100_000


def damage(transactions: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Damages a share of transactions in every way that loading has to cope with.

    Most damaged rows have one damage, some two in different columns. A row that is sent twice (as it was, in another
    spelling, or with another amount) is damage as well: the first one is clean, the second comes some rows later.
    What becomes of each damaged row can be told from the row alone. Amounts below zero are refunds: where the table
    has any, only those amounts are turned negative whose transaction_type tells them from refunds.

    Args:
        transactions: clean and typed: `transaction_id`, `occurred_at`, `user_id`, `amount`, and any of `restaurant_id,
            device_id, ip, currency, payment_method, transaction_type, city, account_created_at`; distinct ids. What
            becomes of damage holds for a mapping such as the simulator's, which converts to one currency.
        share: of the rows that are damaged, 0 to 1.
        seed: of the choice; the same seed makes the same mess.

    Returns:
        The messy transactions, every column as text (times that name no zone are in UTC), and the damage (`DAMAGE`).
    """
    rng = stream(seed, "mess")
    rows = Rows(transactions, _as_texts(transactions), rng)
    victims = np.sort(rng.choice(len(rows), round(share * len(rows)), replace=False))
    is_copy = rng.random(len(victims)) < sum(_COPY_SHARES)
    copied, injured = victims[is_copy], victims[~is_copy]

    notes = Notes()
    places = np.arange(len(rows), dtype=np.float64)
    kinds = _possible(transactions)
    changes = _Changes(rows.texts)
    for start in range(0, len(injured), _CHUNK):
        part = injured[start : start + _CHUNK]
        _injure(rows.take(part), part, kinds, changes, notes)
    copies = _copy(rows, copied, kinds, notes, first=len(rows))
    later = places[copied] + rng.uniform(0.5, _LATER, len(copied)) if len(copied) else places[:0]
    messy = pa.concat_tables([changes.made(), copies]).combine_chunks()
    order = np.argsort(np.concatenate([places, later]), kind="stable")
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return messy.take(pa.array(order)), notes.table(position)


class _Changes:
    """Texts to put in the place of others."""

    def __init__(self, texts: pa.Table) -> None:
        self._texts = texts
        self._rows: dict[str, list[Ints]] = {}
        self._values: dict[str, list[Texts]] = {}

    def set(self, column: str, rows: Ints, values: Texts) -> None:
        self._rows.setdefault(column, []).append(rows)
        self._values.setdefault(column, []).append(values)

    def made(self) -> pa.Table:
        """The table with all changes."""
        table = self._texts
        for column, parts in self._rows.items():
            rows, values = np.concatenate(parts), np.concatenate(self._values[column])
            order = np.argsort(rows)
            mask = np.zeros(table.num_rows, np.bool_)
            mask[rows] = True
            changed = pc.replace_with_mask(
                table[column].combine_chunks(), pa.array(mask), pa.array(values[order], pa.string())
            )
            table = table.set_column(table.column_names.index(column), column, changed)
        return table


@dataclass(frozen=True, slots=True)
class _Choice:
    """A kind of damage to one column."""

    kind: Kind
    column: str
    weight: float


def _possible(transactions: pa.Table) -> list[_Choice]:
    """The kinds of damage that can happen to a table of these columns; a kind's weight is shared by its columns."""
    has_refunds = bool(pc.any(pc.less(transactions["amount"].cast(pa.float64()), 0)).as_py())
    untold = has_refunds and "transaction_type" not in transactions.column_names
    return [
        _Choice(kind, column, kind.weight / len(kind.columns))
        for kind in KINDS
        for column in kind.columns
        if column in transactions.column_names and not (untold and kind.reason is Reason.NEGATIVE_AMOUNT)
    ]


def _fitting(rows: Rows, choices: Sequence[_Choice]) -> NDArray[np.float64]:
    """Weights[choice, row]: 0 where a choice cannot happen to a row."""
    weights = np.zeros((len(choices), len(rows)))
    for number, choice in enumerate(choices):
        there = pc.is_valid(rows.texts[choice.column]).to_numpy()
        fits = choice.kind.fits
        weights[number] = choice.weight * (there if fits is None else there & fits(rows, choice.column))
    return weights


def _draw(rng: np.random.Generator, weights: NDArray[np.float64]) -> Ints:
    """A choice for each row; -1 where none is possible."""
    if not weights.shape[1]:
        return np.empty(0, np.int64)
    sums = np.cumsum(weights, axis=0)
    drawn = rng.random(weights.shape[1]) * sums[-1]
    result: Ints = np.minimum((sums <= drawn).sum(axis=0), len(weights) - 1)
    return np.where(sums[-1] > 0, result, -1)


def _injure(rows: Rows, numbers: Ints, choices: Sequence[_Choice], changes: _Changes, notes: Notes) -> None:
    """Damages these rows in their place; `numbers` are theirs in the whole table."""
    weights = _fitting(rows, choices)
    first = _draw(rows.rng, weights)
    pairs = np.array([[_together(a, b) for b in choices] for a in choices])
    twice = (rows.rng.random(len(rows)) < _TWICE) & (first >= 0)
    second = np.where(twice, _draw(rows.rng, weights * pairs[first].T), -1)
    refused = np.full(len(rows), None, dtype=object)
    made: list[tuple[_Choice, Ints, Texts, Texts]] = []
    for drawn in (first, second):
        for number in np.unique(drawn[drawn >= 0]).tolist():
            choice = choices[number]
            here = np.flatnonzero(drawn == number)
            some = rows.take(here)
            original, damaged = some.text(choice.column), choice.kind.spell(some, choice.column)
            differs = original != damaged  # what a kind leaves as it was is no damage
            here, original, damaged = here[differs], original[differs], damaged[differs]
            if choice.kind.reason is not None:
                refused[here] = choice.kind.reason.value
            made.append((choice, here, original, damaged))
            if choice.kind.beside is not None:
                column, spell = choice.kind.beside
                some = rows.take(here)
                made.append((replace(choice, column=column), here, some.text(column), spell(some, column)))
    ids = rows.text("transaction_id")
    for choice, here, original, damaged in made:
        changes.set(choice.column, numbers[here], damaged)
        reasons = refused[here].tolist()
        notes.add(
            ids=ids[here].tolist(), rows=numbers[here], column=choice.column, kind=choice.kind.name,
            fate=[choice.kind.fate if reason is None else Fate.QUARANTINED for reason in reasons], reason=reasons,
            original=original, damaged=damaged,
        )  # fmt: skip


def _together(one: _Choice, other: _Choice) -> bool:
    """Whether two damages can happen to one row, and its outcome can still be told."""
    columns = {one.column, other.column}
    both_refuse = one.kind.reason is not None and other.kind.reason is not None
    return len(columns) == 2 and columns not in _TOLD_TOGETHER and not both_refuse


def _copy(rows: Rows, copied: Ints, choices: Sequence[_Choice], notes: Notes, first: int) -> pa.Table:
    """Copies of rows, to be sent again; `first` is the number of the first one."""
    some = rows.take(copied)
    shares = np.array(_COPY_SHARES) / sum(_COPY_SHARES)
    how = rows.rng.choice(len(_COPIES), len(some), p=shares)
    changes, ids = _Changes(some.texts), some.text("transaction_id")

    def note(here: Ints, kind: str, column: str, original: Texts, damaged: Texts) -> None:
        refused = kind == _CONFLICT
        notes.add(
            ids=ids[here].tolist(), rows=first + here, column=column, kind=kind, original=original, damaged=damaged,
            fate=Fate.QUARANTINED if refused else Fate.DUPLICATE,
            reason=Reason.CONFLICTING_DUPLICATE if refused else None,
        )  # fmt: skip

    harmless = [choice for choice in choices if choice.kind.fate is Fate.REPAIRED and choice.kind.beside is None]
    resent = np.flatnonzero(how == _COPIES.index(_RESENT))
    drawn = _draw(rows.rng, _fitting(some.take(resent), harmless))
    for number in np.unique(drawn[drawn >= 0]).tolist():
        here, column = resent[drawn == number], harmless[number].column
        there = some.take(here)
        original, damaged = there.text(column), harmless[number].kind.spell(there, column)
        differs = original != damaged
        how[here[~differs]] = _COPIES.index(_AGAIN)
        changes.set(column, here[differs], damaged[differs])
        note(here[differs], _RESENT, column, original[differs], damaged[differs])
    conflicts = np.flatnonzero(how == _COPIES.index(_CONFLICT))
    cents = some.cents()[conflicts]
    cents += np.where(cents < 0, -1, 1) * rows.rng.integers(1, 10_000, len(cents))
    changed = pa.array(cents / 100).cast(_MONEY).cast(pa.string()).to_numpy(zero_copy_only=False)
    changes.set("amount", conflicts, changed)
    note(conflicts, _CONFLICT, "amount", some.take(conflicts).text("amount"), changed)
    again = np.flatnonzero(how == _COPIES.index(_AGAIN))
    nothing = np.full(len(again), None, dtype=object)
    note(again, _AGAIN, "", nothing, nothing)
    return changes.made()


def _as_texts(table: pa.Table) -> pa.Table:
    """Clean values as a platform would export them: ISO 8601 in UTC, amounts with two places."""
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            whole = not pc.any(pc.not_equal(pc.microsecond(column), 0)).as_py()
            whole = whole and not pc.any(pc.not_equal(pc.millisecond(column), 0)).as_py()
            column = pc.strftime(column.cast(pa.timestamp("s" if whole else "us")), format="%Y-%m-%dT%H:%M:%SZ")
        elif name == "amount":
            column = column.cast(_MONEY)
        columns[name] = column.cast(pa.string())
    return pa.table(columns)
