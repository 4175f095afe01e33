"""The pages of an evaluation and an ablation in a real browser, wide and on a phone."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gnn.ablation import VARIANTS, Ablation
from gnn.ablation_judge import FIGURES
from gnn.ablation_report import write_ablation
from gnn.evaluation import evaluate
from gnn.report import write_report
from graph.records import DAY


def ablation() -> Ablation:
    """Figures of all variants, the third of them ahead beyond chance."""
    variants = []
    for i, variant in enumerate(VARIANTS):
        apart = 0.1 if i == 2 else -0.02 * i
        difference = {"value": apart, "low": apart - 0.03, "high": apart + 0.03} if i else None
        figure = {"value": 0.5 + apart, "low": 0.4, "high": 0.6, "difference": difference}
        variants.append({
            "name": variant.name, "title": variant.title, "kind": variant.kind, "knows": variant.knows,
            "figures": dict.fromkeys(FIGURES, figure),
        })  # fmt: skip
    summary = {
        "transactions": 12_345, "unlabelled": 7, "frauds": 99, "fraud_share": 0.008, "from": "2024-02-05T00:00:00",
        "until": "2024-03-05T00:00:00", "train_until": "2024-02-05T00:00:00", "trainings": 1, "judged_by": "truth",
        "shuffled_labels": False,
    }  # fmt: skip
    return Ablation(summary, variants, pa.table({}))


def scores() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 2_000
    p = rng.random(n) ** 3
    fraud = rng.random(n) < p
    at = pa.array(np.sort(rng.integers(0, 28 * DAY, n)))
    return pa.table({
        "transaction_id": [str(i) for i in range(n)], "occurred_at": at.cast(pa.timestamp("us", tz="UTC")),
        "probability": p, "band": np.where(p > 0.5, "block", "approve"), "model_version": ["m"] * n,
        "is_fraud": fraud, "user_id": rng.integers(0, 90, n).astype(str), "amount": rng.lognormal(3, 1, n),
        "typology": pa.array(rng.choice(["card_testing", "two_hop_ring"], n).tolist(), mask=~fraud),
        "user_first_at": pa.array(np.zeros(n, np.int64)).cast(pa.timestamp("us", tz="UTC")),
    })  # fmt: skip


@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_fit_and_tell_what_matters(browser: Any, tmp_path: Path, width: int) -> None:
    write_ablation(ablation(), tmp_path / "ablation.html")
    write_report(evaluate(scores()), tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
    told = {
        "ablation": [
            "What each part is worth", "graph network without messages (by 0.100, beyond chance)", "12,345",
            "Random forest", "what truly happened",
        ],
        "report": ["By kind of fraud", "two hop ring", "By how long the user has been known", "new within 30 days"],
    }  # fmt: skip
    for name, texts in told.items():
        page.goto((tmp_path / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        shown = " ".join(page.inner_text("body").split())
        assert all(text in shown for text in texts), [text for text in texts if text not in shown]
        boxes = [svg.bounding_box() for svg in page.query_selector_all(".card > svg")]
        assert len(boxes) == (4 if name == "ablation" else 5)
        assert all(box["width"] > 250 and box["x"] + box["width"] <= width for box in boxes)
    page.close()
    assert not wrong
