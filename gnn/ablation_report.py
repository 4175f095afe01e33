"""An ablation as one page that needs nothing else: a table of all variants, and plots of what each is worth."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from gnn.ablation import Ablation
from gnn.ablation_judge import WHOLE
from gnn.meanings import MEANINGS

SHOWN: Final = ("average_precision", "auc", "recall_at_0.5%_fpr", "user_precision_at_100")
"""The figures in tables for people."""


def write_ablation(ablation: Ablation, path: Path) -> None:
    """Writes the page (HTML with plots inside), and beside it the same figures as JSON (`.json`)."""
    path.write_text(render_ablation(ablation), encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(ablation.to_dict(), indent=1) + "\n", encoding="utf-8")


def render_ablation(ablation: Ablation) -> str:
    """The page's text."""
    from gnn import plots

    variants = ablation.variants
    shown = [name for name in SHOWN if name in variants[0]["figures"]]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("gnn").joinpath("ablation.html").read_text(encoding="utf-8"))
    return template.render(
        summary=ablation.summary,
        variants=variants,
        whole=variants[0],
        better=beaten_by(variants),
        shown={name: MEANINGS[name] for name in shown},
        by_kind=MEANINGS["recall_at_0.5%_fpr"],
        plots={name: plots.variants(variants, name, MEANINGS[name].title) for name in shown},
    )


def beaten_by(variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The variants whose average precision is above the whole model's, the best first.

    Whether beyond chance is for their interval to say.
    """

    def ahead(variant: dict[str, Any]) -> float:
        difference = variant["figures"]["average_precision"]["difference"]
        return float(difference["value"]) if difference is not None and difference["value"] is not None else 0.0

    return sorted((v for v in variants if v["name"] != WHOLE and ahead(v) > 0), key=ahead, reverse=True)
