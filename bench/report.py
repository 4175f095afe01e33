"""What a benchmark says: figures with their targets, for people and for machines."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured.
        value: the median where there were several runs.
        unit: what it is counted in; empty for a ratio or a share.
        at_least, at_most: the target, where there is one.
        runs: what each run gave, where there were several.
        note: how it was measured, where the name does not say it.
    """

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""

    @classmethod
    def median(
        cls,
        name: str,
        runs: Sequence[float],
        unit: str = "",
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        note: str = "",
    ) -> "Figure":
        """The median of several runs."""
        return cls(name, statistics.median(runs), unit, at_least, at_most, tuple(runs), note)

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where there is none. A value that is not a number meets no target."""
        if self.at_least is None and self.at_most is None:
            return None
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return bool(above and below)


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one benchmark.

    Attributes:
        name: as it is called on the command line.
        title: what was done, on how much.
        figures: in order.
        details: whatever else is worth keeping (figures by week, times by stage); JSON values.
    """

    name: str
    title: str
    figures: list[Figure]
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every target is met."""
        return all(figure.holds is not False for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        figures = [{**asdict(figure), "holds": figure.holds} for figure in self.figures]
        return {"name": self.name, "title": self.title, "figures": figures, "details": self.details}


def machine() -> dict[str, Any]:
    """The machine that was measured, and what else ran on it."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def show(console: Console, section: Section) -> None:
    """Prints a section for people."""
    if not console.is_terminal:
        console = Console(file=console.file, width=max(console.width, 140), highlight=False)
    table = Table(title=f"{section.name}: {section.title}", title_justify="left", title_style="bold")
    table.add_column("figure")
    table.add_column("target", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("runs", justify="right")
    table.add_column("holds")
    for figure in section.figures:
        spread = f"{number(min(figure.runs))} – {number(max(figure.runs))}" if len(figure.runs) > 1 else ""
        holds = {None: "", True: "yes", False: "[bold red]NO[/]"}[figure.holds]
        name = f"{figure.name}\n[dim]{figure.note}[/]" if figure.note else figure.name
        measured = f"{number(figure.value)} {figure.unit}".rstrip()
        table.add_row(name, _target(figure), measured, spread, holds)
    console.print(table)


def number(value: float) -> str:
    """A value with four significant digits, or whole with separators where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _target(figure: Figure) -> str:
    if figure.at_least is not None:
        return f"≥ {number(figure.at_least)}"
    return "" if figure.at_most is None else f"≤ {number(figure.at_most)}"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
