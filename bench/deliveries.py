"""A source that brings a simulated world a day at a time, three rows in a hundred a day late."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import yaml

from etl.simulator import WorldSettings, simulate, write

_LATE = 33
"""One row in so many is delivered a day late."""


class Deliveries:
    """A world whose files come a day at a time.

    Args:
        folder: with the simulated world; files are delivered to `<folder>/in`.
        settings: of that world.
    """

    def __init__(self, folder: Path, settings: WorldSettings) -> None:
        self.folder, self.target = folder, folder / "in"
        write(simulate(settings), folder)
        rows = pd.read_parquet(folder / "transactions.parquet").sort_values("occurred_at", kind="stable")
        number = pd.Series(range(len(rows)), index=rows.index)
        late = pd.to_timedelta((number % _LATE == 0).astype(int), unit="D")
        self.rows = rows.assign(arrived_at=rows.occurred_at + late)
        self.labels = pd.read_csv(folder / "labels.csv")
        self.label_day = pd.to_datetime(self.labels.known_at, utc=True).dt.date
        mapping = yaml.safe_load((folder / "mapping.yaml").read_text())
        mapping["source"]["files"] = "in/transactions-*.parquet"
        mapping["labels"]["files"] = "in/labels-*.csv"
        mapping["transaction"]["arrived_at"] = {"column": "arrived_at", "timezone": "UTC"}
        self.mapping = folder / "daily.yaml"
        self.mapping.write_text(yaml.safe_dump(mapping, sort_keys=False))
        self.target.mkdir()

    def bring(self, first: date, days: int) -> None:
        """Delivers what arrives in these days, as a file of transactions and one of labels."""
        end = first + timedelta(days=days)
        arrived = self.rows.arrived_at.dt.date
        here = (arrived >= first) & (arrived < end)
        known = (self.label_day >= first) & (self.label_day < end)
        self._write(self.labels[known], f"labels-{first}.csv")
        self._write(self.rows[here], f"transactions-{first}.parquet")

    def _write(self, rows: pd.DataFrame, name: str) -> None:
        """All of it or nothing: the refresh may look at any moment."""
        draft = self.folder / f".{name}"
        if name.endswith(".csv"):
            rows.to_csv(draft, index=False)
        else:
            rows.to_parquet(draft, index=False)
        draft.rename(self.target / name)

    def as_delivered(self, end: date) -> Path:
        """A mapping that finds only what was delivered before a day."""
        folder = self.folder / f"in-{end}"
        folder.mkdir()
        for file in self.target.iterdir():
            if file.stem.partition("-")[2] < str(end):
                shutil.copy(file, folder)
        mapping = self.folder / f"until-{end}.yaml"
        mapping.write_text(self.mapping.read_text().replace("in/", f"{folder.name}/"))
        return mapping

    def delivered(self, end: date) -> tuple[int, int]:
        """How many transactions occurred, and labels became known, before a day, of what has arrived before it."""
        moment = pd.Timestamp(end, tz="UTC")
        rows = (self.rows.arrived_at < moment).sum()
        return int(rows), int((self.label_day < end).sum())
