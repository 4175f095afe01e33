"""Plots of a load as SVG text, to be put into a page.

Colours are of the Okabe-Ito palette, which people with any kind of colour blindness tell apart; what they
mean is written beside them as well.
"""

import io
from collections.abc import Callable
from datetime import date, timedelta
from html import escape
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
MUTED: Final = "#59636f"

_STYLE: Final[dict[str, Any]] = {
    "font.size": 10.5,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "axes.edgecolor": "#c3c9d1",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e8ebef",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "text.color": "#1f2937",
    "svg.hashsalt": "quipu",
    "svg.fonttype": "none",
}
_DAYS_DRAWN = 400
_DATES = 6
_WIDE: Final = (5.6, 2.7)


def rows_per_day(days: dict[str, int], gaps: list[tuple[date, date]], description: str) -> str:
    """Rows by day, or by week where there are many days; days without any are shaded."""

    def draw(ax: Axes) -> None:
        there = [date.fromisoformat(day) for day in days]
        width = 1 if (there[-1] - there[0]).days < _DAYS_DRAWN else 7
        bins = np.array([(day - there[0]).days // width for day in there])
        rows = np.bincount(bins, weights=list(days.values()))
        starts = date2num(there[0]) + width * np.arange(len(rows))
        ax.bar(starts, rows, width=width * 0.9, align="edge", color=BLUE, lw=0)
        for place, (first, last) in enumerate(gaps):
            ax.axvspan(
                date2num(first), date2num(last + timedelta(days=1)), facecolor=(*to_rgb(ORANGE), 0.15), hatch="///",
                edgecolor=ORANGE, lw=0, label=None if place else "no rows",
            )  # fmt: skip
        step = max(1, -(-len(rows) // _DATES))
        ticks = [there[0] + timedelta(days=width * place) for place in range(0, len(rows), step)]
        ax.set_xticks(date2num(ticks), [f"{tick.day} {tick:%b}\n{tick.year}" for tick in ticks])
        ax.set_ylabel("transactions a day" if width == 1 else "transactions a week")
        ax.set_ylim(bottom=0)
        _counts(ax)
        if gaps:
            ax.legend(loc="upper left", bbox_to_anchor=(0, 1.16))

    return _svg(draw, description, size=_WIDE)


def shared_by(buckets: list[dict[str, Any]], entity: str, counts: str, description: str) -> str:
    """How many entities have how many users (or transactions), in ranges that double, on a logarithmic scale."""

    def draw(ax: Axes) -> None:
        names = [_range(b["from"], b["to"]) for b in buckets]
        values = np.array([b["entities"] for b in buckets], dtype=float)
        at = np.arange(len(values))
        bars = ax.bar(at, values, color=BLUE, width=0.8)
        ax.bar_label(bars, [f"{v:,.0f}" if v else "" for v in values], fontsize=8, padding=1, color=MUTED)
        ax.set(yscale="log", xlabel=counts, ylabel=entity, ylim=(0.6, max(values.max(), 1) * 3))
        ax.set_xticks(at, names, rotation=40 if len(names) > 6 else 0, ha="right" if len(names) > 6 else "center")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        ax.yaxis.set_major_formatter(FuncFormatter(_short))

    return _svg(draw, description)


def amounts(bars: list[dict[str, Any]], median: float, p99: float, currency: str, description: str) -> str:
    """How often which amounts occur, on a logarithmic scale, with the median and the 99th percentile."""

    def draw(ax: Axes) -> None:
        low = np.array([b["from"] for b in bars])
        high = np.array([b["to"] for b in bars])
        ax.bar(low, [b["rows"] for b in bars], width=(high - low) * 0.94, align="edge", color=BLUE, lw=0)
        ax.set_xscale("log")
        for value, name, style in ((median, "median", "-"), (p99, "99 of 100 below", "--")):
            if value > 0:
                ax.axvline(value, color=ORANGE, ls=style, lw=1.6, label=f"{name}: {value:,.2f}")
        ax.set(xlabel=f"amount{', ' + currency if currency else ''}", ylabel="transactions")
        ax.xaxis.set_major_formatter(FuncFormatter(_short))
        ax.xaxis.set_minor_locator(NullLocator())
        _counts(ax)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, fontsize=9)

    return _svg(draw, description)


def label_delays(delays: dict[str, Any], names: list[str], description: str) -> str:
    """How long labels took to become known, as shares of the labels of each kind."""

    def draw(ax: Axes) -> None:
        at = np.arange(len(names))
        for place, (kind, colour, hatch) in enumerate((("fraud", ORANGE, ""), ("genuine", BLUE, "//"))):
            if kind in delays:
                shares = np.array([r["labels"] for r in delays[kind]["ranges"]]) / delays[kind]["labels"]
                ax.bar(
                    at + (place - 0.5) * 0.42, shares, width=0.42, color=colour, hatch=hatch, edgecolor="white", lw=0,
                    label=kind,
                )  # fmt: skip
        ax.set_xticks(at, names, rotation=40, ha="right")
        ax.set(ylabel="share of labels of the kind", xlabel="time from transaction to label")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{100 * value:.0f}%"))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=2)

    return _svg(draw, description, size=_WIDE)


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _short(value: float, _place: int | None) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _counts(ax: Axes) -> None:
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(_short))


def _svg(draw: Callable[[Axes], None], description: str, *, size: tuple[float, float] = (4.8, 2.9)) -> str:
    """Draws on a figure of its own (no global state of pyplot); returns the SVG element, described for readers of
    the screen."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    return f'<svg role="img" aria-label="{escape(description)}"' + text[text.index("<svg") + 4 :]
