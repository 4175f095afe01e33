"""An evaluation as one page that needs nothing else: figures, what they mean, and plots."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from gnn.evaluation import Evaluation
from gnn.meanings import MEANINGS


def write_report(
    evaluation: Evaluation, path: Path, *, title: str = "Quality of scores", against: dict[str, Any] | None = None
) -> None:
    """Writes the page (HTML with plots inside), and beside it the same figures as JSON (`.json`).

    Args:
        evaluation: what to show.
        path: of the page.
        title: of the page.
        against: what `gnn.evaluation.compare` gave, where another run is compared with.
    """
    document = {**evaluation.to_dict(), **({"against": against} if against else {})}
    page = render_report(evaluation, title=title, against=against)
    path.write_text(page, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def render_report(evaluation: Evaluation, *, title: str, against: dict[str, Any] | None = None) -> str:
    """The page's text."""
    from gnn import plots

    figures, curves, summary = evaluation.figures, evaluation.curves, evaluation.summary
    weekly = {"auc": "AUC", "average_precision": "average precision"}
    if "user_precision_at_100" in figures:
        weekly["user_precision_at_100"] = "precision at 100 users"
    drawn = {
        "precision_recall": plots.precision_recall(curves["precision_recall"], summary["fraud_share"]),
        "weeks": plots.by_week(evaluation.weeks, weekly),
        "scores": plots.score_distribution(curves["scores"]),
        "reliability": plots.reliability(curves["reliability"]),
        "money": plots.money(curves["money"], figures["saved"]["value"]) if curves["money"] else None,
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("gnn").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        summary=summary,
        figures=figures,
        weeks=evaluation.weeks,
        weekly=[name for name in (*weekly, "recall_at_1%_fpr", "flagged_to_promised", "saved") if name in figures],
        groups={
            "By kind of fraud": evaluation.typologies,
            "By how long the user has been known": evaluation.histories,
        },
        by_group={name: MEANINGS[name] for name in _BY_GROUP},
        tiles=[name for name in _TILES if name in figures],
        meanings={name: meaning for name, meaning in MEANINGS.items() if name in figures},
        against=against,
        plots=drawn,
        verdict=_verdict,
    )


_TILES = ("average_precision", "auc", "recall_at_1%_fpr", "user_precision_at_100", "saved_share", "calibration_error")


_BY_GROUP = ("average_precision", "auc", "recall_at_0.5%_fpr", "recall")


def _verdict(name: str, difference: dict[str, Any]) -> str:
    """better, worse, unclear where the interval holds zero; nothing to say where neither way is better."""
    better, low, high = MEANINGS[name].higher_is_better, difference["low"], difference["high"]
    if better is None:
        return ""
    if low is None or high is None or low <= 0 <= high:
        return "unclear"
    return "better" if (low > 0) == better else "worse"
