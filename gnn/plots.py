"""Plots of an evaluation as SVG text, to be put into a page."""

import io
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

INK: Final = "#1f2937"
MUTED: Final = "#6b7280"
BLUE: Final = "#2563eb"
RED: Final = "#dc2626"
TEAL: Final = "#0d9488"
AMBER: Final = "#d97706"

_STYLE: Final[dict[str, Any]] = {
    "font.size": 10,
    "axes.edgecolor": "#d1d5db",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef0f3",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "svg.hashsalt": "quipu",
    "text.color": INK,
}


def precision_recall(curve: dict[str, Any], share: float) -> str:
    """Precision over recall, with the share of fraud as the level that guessing reaches."""

    def draw(ax: Axes) -> None:
        ax.plot(curve["recall"], curve["precision"], color=BLUE, lw=2)
        ax.fill_between(curve["recall"], curve["precision"], color=BLUE, alpha=0.07)
        ax.axhline(share, color=MUTED, lw=1, ls="--")
        ax.text(0.01, share + 0.015, "guessing", color=MUTED, fontsize=9)
        ax.set(xlabel="share of frauds caught (recall)", ylabel="share of alarms that are fraud (precision)")
        ax.set(xlim=(0, 1), ylim=(0, 1.02))
        _percent(ax.xaxis, ax.yaxis)

    return _svg(draw)


def by_week(weeks: list[dict[str, Any]], names: dict[str, str]) -> str:
    """Figures by week with their intervals; `names` gives the label of each figure drawn."""

    def draw(ax: Axes) -> None:
        at = np.arange(len(weeks))
        colours = (BLUE, TEAL, AMBER)
        for i, (name, label) in enumerate(names.items()):
            figures = [week["figures"].get(name, {}) for week in weeks]
            value, low, high = (
                np.array([f.get(key) if f.get(key) is not None else np.nan for f in figures], dtype=float)
                for key in ("value", "low", "high")
            )
            ends = np.nan_to_num(np.vstack([value - low, high - value]).clip(min=0))
            x = at + (i - (len(names) - 1) / 2) * 0.08
            ax.errorbar(x, value, yerr=ends, color=colours[i], marker="o", ms=4.5, lw=1.5, capsize=3, label=label)
        step = max(1, len(weeks) // 8)
        ax.set_xticks(at[::step], [week["from"][5:] for week in weeks[::step]])
        ax.set(ylim=(0, 1.02), xlabel="week from", xlim=(-0.5, len(weeks) - 0.5))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(names))

    return _svg(draw)


def score_distribution(scores: dict[str, Any]) -> str:
    """Where genuine transactions and frauds lie on the scale of probability."""

    def draw(ax: Axes) -> None:
        edges = np.array(scores["log_odds"])
        for name, colour in (("genuine", BLUE), ("fraud", RED)):
            ax.stairs(scores[name], edges, color=colour, fill=True, alpha=0.18)
            ax.stairs(scores[name], edges, color=colour, lw=1.6, label=name)
        marks = np.array([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
        ax.set_xticks(np.log(marks / (1 - marks)), [f"{100 * p:g}%" for p in marks])
        ax.set(xlabel="probability of fraud", ylabel="share of the kind's transactions", xlim=(edges[0], edges[-1]))
        ax.legend(loc="upper right")
        _percent(ax.yaxis)

    return _svg(draw)


def reliability(ranges: list[dict[str, float]]) -> str:
    """What was said against what happened, both on logarithmic scales."""

    def draw(ax: Axes) -> None:
        floor = 1e-4
        said, happened, low, high = (
            np.array([r[key] for r in ranges]).clip(floor, 1) for key in ("said", "happened", "low", "high")
        )
        ax.plot([floor, 1], [floor, 1], color=MUTED, lw=1, ls="--")
        # An area that touches the floor is one where no fraud happened.
        ends = np.vstack([happened - low, high - happened]).clip(min=0)
        ax.errorbar(said, happened, yerr=ends, color=BLUE, marker="o", ms=5, lw=1.5, capsize=3)
        ax.set(xscale="log", yscale="log", xlim=(floor, 1.3), ylim=(floor * 0.9, 1.3))
        ax.set(xlabel="probability that was said", ylabel="share that turned out fraud")
        plain = FuncFormatter(lambda value, _place: f"{100 * value:g}%")
        ax.xaxis.set_major_formatter(plain)
        ax.yaxis.set_major_formatter(plain)
        ax.minorticks_off()

    return _svg(draw)


def money(curve: dict[str, Any], saved: float | None) -> str:
    """What one threshold alone would save, by reviewing or by blocking from there on; the policy's as a line."""

    def draw(ax: Axes) -> None:
        p = np.array(curve["threshold"]).clip(1e-5, 1 - 1e-5)
        x = np.log(p / (1 - p))
        highest = max(*curve["review"], *curve["block"], saved or 0.0, 1.0)
        for name, colour in (("review", TEAL), ("block", RED)):
            ax.plot(x, np.array(curve[name]), color=colour, lw=2, label=f"{name} from this probability on")
        if saved is not None:
            ax.axhline(saved, color=INK, lw=1.2, ls="--", label="the policy, with both")
        ax.axhline(0, color="#9ca3af", lw=1)
        marks = np.array([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99])
        ax.set_xticks(np.log(marks / (1 - marks)), [f"{100 * m:g}%" for m in marks])
        # Far below its best, a curve says no more than that it doesn't pay.
        ax.set(ylim=(-0.6 * highest, 1.1 * highest), xlim=(np.log(1e-4), np.log(99)))
        ax.set(xlabel="threshold", ylabel="saved against approving everything")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.24), ncols=2)

    return _svg(draw)


def variants(entries: list[dict[str, Any]], name: str, title: str) -> str:
    """Differences of a figure to the first entry's, with their intervals: a line an entry, from top to bottom."""

    def draw(ax: Axes) -> None:
        others = [entry for entry in entries[1:] if name in entry["figures"]]
        at = np.arange(len(others))[::-1]
        value, low, high = (
            np.array([_known(entry["figures"][name]["difference"][key]) for entry in others])
            for key in ("value", "low", "high")
        )
        ax.axvline(0, color=INK, lw=1.2)
        for kind, colour in (("quipu", BLUE), ("standard", AMBER)):
            mine = np.array([entry["kind"] == kind for entry in others], dtype=bool)
            ends = np.nan_to_num(np.vstack([value - low, high - value]).clip(min=0))
            ax.errorbar(value[mine], at[mine], xerr=ends[:, mine], color=colour, fmt="o", ms=4.5, lw=1.5, capsize=3)
        ax.set_yticks(at, [entry["title"] for entry in others])
        ax.set(xlabel=f"{title}: difference to the whole", ylim=(-0.7, len(others) - 0.3))

    return _svg(draw, height=1.2 + 0.27 * len(entries))


def _known(value: float | None) -> float:
    return np.nan if value is None else value


def _percent(*axes: Any) -> None:
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))


def _svg(draw: Any, height: float = 3.7) -> str:
    """Draws on a figure of its own (no global state of pyplot); returns the SVG element."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.2, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
