"""Samples to guess from, made of random columns, and what becomes of them under the mapping that is guessed."""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from etl.guessing.guess import Guess, Trial, try_out
from etl.guessing.text import mapping_text
from etl.loading import clock
from etl.mapping import parse_mapping

ROWS = 3_000
NOW = time.time_ns() // 1_000
Columns = dict[str, Any]


def table(columns: Columns, *, text: bool = True) -> pa.Table:
    """A table as a CSV file gives it (text), or typed."""
    if not text:
        return pa.table(columns)
    return pa.table({name: pa.array([_written(v) for v in values], pa.string()) for name, values in columns.items()})


def _written(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value)


class Maker:
    """Makes columns of random values."""

    def __init__(self, seed: int = 7, rows: int = ROWS) -> None:
        self.rng = np.random.default_rng(seed)
        self.n = rows
        self.fraud = self.rng.random(rows) < 0.03

    def ids(self, prefix: str, many: int) -> list[str]:
        return [f"{prefix}{value}" for value in self.rng.integers(1, many, self.n)]

    def numbers(self, low: int, high: int) -> Any:
        return self.rng.integers(low, high, self.n)

    def money(self) -> Any:
        return np.round(self.rng.lognormal(3, 1, self.n), 2)

    def floats(self) -> Any:
        return self.rng.normal(size=self.n)

    def choice(self, *values: Any) -> list[Any]:
        return list(self.rng.choice(np.array(values, dtype=object), self.n))

    def moments(self, first: str = "2023-01-01", days: int = 60) -> list[Any]:
        seconds = np.sort(self.rng.integers(0, days * 86_400, self.n))
        return list(np.datetime64(first, "s") + seconds)

    def times(self, form: str = "%Y-%m-%d %H:%M:%S", first: str = "2023-01-01", days: int = 60) -> list[str]:
        return [moment.item().strftime(form) for moment in self.moments(first, days)]

    def hashes(self, many: int | None = None, digits: int = 32) -> list[str]:
        pool = [self.rng.bytes(digits // 2).hex() for _ in range(many or self.n)]
        return pool if many is None else list(self.rng.choice(pool, self.n))

    def addresses(self, many: int) -> list[str]:
        pool = [".".join(map(str, self.rng.integers(1, 255, 4))) for _ in range(many)]
        return list(self.rng.choice(pool, self.n))


def loaded(found: Guess, sample: pa.Table) -> Trial:
    """What becomes of the sample under the mapping file that is written."""
    text = mapping_text(found, {"name": "x", "source": {"files": "x.csv"}}, "x.csv")
    mapping = parse_mapping(yaml.safe_load(text))
    return try_out(mapping, sample, clock())
