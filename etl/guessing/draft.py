"""A mapping in the making: what each column of a sample was taken as, why, and how sure that is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.guessing.profile import Column

LEFT_OUT = "left out"
NEVER = "never a feature"


@dataclass(frozen=True, slots=True)
class Finding:
    """What columns were taken as.

    Attributes:
        columns: of the source; empty where something is missing.
        taken_as: the key under `transaction` or `label` (`amount`, `entities.card`, `label.is_fraud`), `LEFT_OUT`
            or `NEVER`.
        why: what spoke for it.
        doubt: what a person should decide, with the alternatives; empty where it is sure.
    """

    columns: tuple[str, ...]
    taken_as: str
    why: str
    doubt: str = ""

    @property
    def sure(self) -> bool:
        """Nobody need look at it."""
        return not self.doubt


@dataclass
class Draft:
    """What is known so far.

    Attributes:
        columns: the sample's columns by name.
        rows: how many rows the sample has.
        transaction: the mapping's block of this name, as a document.
        label: the mapping's block of this name, or None.
        findings: what was decided, in order.
        occurred: int64[n], when the sample's rows occurred (microseconds UTC), where that is known.
        fraud: bool[n], which of them are fraud, where there is a label.
        labelled: bool[n], which of them say fraud or genuine.
        made_up_clock: the time is only an order, made up of something else.
        clock_parts: columns that tell the rest of a time which stands in several.
    """

    columns: dict[str, Column]
    rows: int
    transaction: dict[str, Any] = field(default_factory=dict)
    label: dict[str, Any] | None = None
    findings: list[Finding] = field(default_factory=list)
    occurred: NDArray[np.int64] | None = None
    fraud: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None
    made_up_clock: bool = False
    clock_parts: list[str] = field(default_factory=list)
    _settled: set[str] = field(default_factory=set)

    @property
    def free(self) -> list[Column]:
        """Columns that nothing was decided about yet, in the source's order."""
        return [column for name, column in self.columns.items() if name not in self._settled]

    def settle(self, columns: Iterable[Column], taken_as: str, why: str, doubt: str = "") -> None:
        """Decides about columns."""
        names = tuple(column.name.text for column in columns)
        self._settled.update(names)
        self.findings.append(Finding(names, taken_as, why, doubt))

    @cached_property
    def different_rows(self) -> int:
        """How many rows there are, those that are wholly alike counted once."""
        return self.distinct(list(self.columns))

    def distinct(self, names: Sequence[str]) -> int:
        """How many different rows there are of these columns."""
        codes = np.zeros(self.rows, dtype=np.int64)
        count = 1 if self.rows else 0
        for name in names:
            column = self.columns[name].codes + 1
            codes = codes * (int(column.max(initial=0)) + 1) + column
            codes, uniques = pd.factorize(codes)
            count = len(uniques)
            if count == self.rows:
                break
        return count


def quoted(names: Iterable[str], most: int = 6) -> str:
    """Column names for a sentence."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
