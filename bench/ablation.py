"""What links, network and messages are worth on simulated worlds that nothing was developed on, judged by the truth.

Each world is loaded and scored as anybody's data would be (`quipu simulate | ingest | ablate`); all models are trained
once, on what was known some weeks before the world's end, and judged on the same rows after that.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml

from bench.report import Figure, Section
from bench.setup import Workspace

SEEDS = (412, 413, 414)
"""Worlds that nothing was developed on."""
FIRST, DAYS, SCORED = date(2025, 1, 6), 120, 45
WHOLE, WITHOUT_LINKS, TUNED = "whole", "tuned-no-links", "gradient-boosting-tuned"
ONLY_BY_LINKS = ("two_hop_ring", "collusive_restaurant")
RECALL = "recall_at_0.5%_fpr"

World = dict[str, Any]
"""Variants by name, as `quipu ablate` tells them; and the figures of the whole model trained on true labels."""


def run(work: Workspace, *, seeds: Sequence[int] = SEEDS) -> Section:
    """All variants on each world; figures are medians over the worlds."""
    worlds = [_world(work, seed) for seed in seeds]

    def figure(name: str, of: Callable[[World], float], **target: Any) -> Figure:
        return Figure.median(name, [of(world) for world in worlds], **target)

    figures = [
        figure("average precision", lambda w: _value(w, WHOLE)),
        figure("the same by the labels that became known", lambda w: w[WHOLE]["average_precision_by_labels"]),
        figure("the same, trained on true labels", lambda w: _value(w, "oracle")),
        figure("best tuned model without links", lambda w: _value(w, WITHOUT_LINKS)),
        figure("gain over it", lambda w: _gain(w, WITHOUT_LINKS), at_least=0.25),
        figure(
            "gain over it by the labels that became known",
            lambda w: w[WHOLE]["average_precision_by_labels"] - w[WITHOUT_LINKS]["average_precision_by_labels"],
        ),
        figure("tuned boosting on all features", lambda w: _value(w, TUNED)),
        figure("gain over it, without the network", lambda w: _gain(w, TUNED), at_least=0.03),
        figure("low end of the 95% interval of that", lambda w: _gain(w, TUNED, "high"), at_least=0),
        figure("gain by messages", lambda w: _gain(w, "no-messages")),
        figure("low end of the 95% interval of that gain", lambda w: _gain(w, "no-messages", "high"), at_least=0),
        figure("recall at 0.5% false alarms", lambda w: _value(w, WHOLE, RECALL), at_least=0.8),
    ]
    for kind in ONLY_BY_LINKS:
        above = [_found(world, WHOLE, kind) - _found(world, WITHOUT_LINKS, kind) for world in worlds]
        name = f"recall of {kind.replace('_', ' ')}s above the model without links"
        figures.append(Figure.median(name, above, at_least=0.15))
    title = f"simulated worlds of the seeds {', '.join(map(str, seeds))}, their last {SCORED} days, by the truth"
    return Section("ablation", title, figures, {str(s): w for s, w in zip(seeds, worlds, strict=True)})


def _value(world: World, variant: str, figure: str = "average_precision") -> float:
    return float(world[variant]["figures"][figure]["value"])


def _gain(world: World, variant: str, end: str = "value") -> float:
    """The whole model's average precision above a variant's; intervals are told as variant less whole."""
    return -float(world[variant]["figures"]["average_precision"]["difference"][end])


def _found(world: World, variant: str, kind: str) -> float:
    return next(float(found[RECALL]) for found in world[variant]["typologies"] if found["name"] == kind)


def _world(work: Workspace, seed: int) -> World:
    folder = work.path("ablation")
    folder.mkdir(exist_ok=True)
    files = folder / str(seed)
    if not (files / "mapping.yaml").exists():
        work.quipu(
            "simulate", str(files), "--seed", str(seed), "--days", str(DAYS), "--start", FIRST.isoformat(), "--json"
        )
    since = FIRST + timedelta(days=DAYS - SCORED)
    told = _ablated(work, files, files / "mapping.yaml", since)
    oracle = _ablated(work, files, _with_true_labels(files), since, "--only", WHOLE)
    return {**told, "oracle": oracle[WHOLE]}


def _ablated(work: Workspace, files: Path, mapping: Path, since: date, *options: str) -> World:
    """The variants by name; measured once."""
    out = files.with_name(f"{files.name}.{mapping.stem}")
    kept = out / "figures.json"
    if not kept.exists():
        url = f"sqlite:///{out}.db"
        work.quipu("ingest", str(mapping), "--store", url, "--json")
        truth = ("--truth", str(files / "truth" / "fraud.parquet"))
        out.mkdir(exist_ok=True)
        work.quipu(
            "ablate", "--train-until", since.isoformat(), *truth, *options, "--store", url, "--out", str(out), "--json"
        )
    variants = json.loads(kept.read_text(encoding="utf-8"))["variants"]
    return {variant["name"]: variant for variant in variants}


def _with_true_labels(files: Path) -> Path:
    """A mapping of the same world with labels that are true, when they came; frauds nobody reported come as late."""
    truth = pq.read_table(files / "truth" / "fraud.parquet", columns=["transaction_id", "is_fraud"]).to_pandas()
    rows = pq.read_table(files / "transactions.parquet", columns=["transaction_id", "occurred_at"]).to_pandas()
    rows["occurred_at"] = pd.to_datetime(rows.occurred_at, utc=True)
    labels = pd.read_csv(files / "labels.csv", parse_dates=["known_at"])
    told = labels.groupby("transaction_id").known_at.min().rename("known_at")
    true = truth.merge(rows, on="transaction_id").merge(told, on="transaction_id", how="left")
    delay = (true.known_at - true.occurred_at)[true.is_fraud].median()
    true["known_at"] = true.known_at.fillna((true.occurred_at + delay).where(true.is_fraud))
    true["source"] = "truth"
    true = true.dropna(subset="known_at")
    true[["transaction_id", "is_fraud", "known_at", "source"]].to_csv(files / "labels-true.csv", index=False)
    mapping = yaml.safe_load((files / "mapping.yaml").read_text(encoding="utf-8"))
    mapping["labels"]["files"] = "labels-true.csv"
    path = files / "mapping-true.yaml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return path
