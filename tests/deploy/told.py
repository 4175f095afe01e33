"""All metrics that Quipu tells, from the code that tells them; and those that a text of queries names."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Meters
from etl.reporting.metrics import publish_load, publish_stopped
from etl.reporting.report import LoadReport
from gnn.delayed import WEEK, Delay, Quality
from gnn.drift import FeatureDrift
from gnn.monitor_metrics import JOB, metrics_of
from gnn.monitor_report import Ages, MonitorReport, Volume
from gnn.patterns import Pattern
from graph.job_metrics import collected, publish
from graph.records import DAY
from graph.schedule_metrics import publish_refreshed, publish_run


class Told(NamedTuple):
    """A metric: its name as in queries (counters with _total), type, and what it means."""

    name: str
    kind: str
    meaning: str


def metrics(folder: Path) -> list[Told]:
    """All metrics of service and jobs, by name; `folder` is for the jobs' files."""
    load = LoadReport("shop", [], accepted=10, missing=Counter(ip=1), unreadable=Counter(ip=1), last_at=DAY)
    load.transactions.reasons["amount_unreadable"] = 1
    publish_load(folder, load)
    publish_stopped(folder, "shop")
    publish_run(folder, "graph_refresh", "success", ended_at=1.0, seconds=1.0)
    publish_refreshed(folder, DAY)
    publish(folder, JOB, metrics_of(report()))
    text = Meters().exposition().decode() + collected(folder).decode()
    found = []
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        found.append(Told(name, family.type, family.documentation))
    assert len({each.name for each in found}) == len(found)
    return sorted(found)


def report() -> MonitorReport:
    """A report of which everything is known."""
    week = Quality(0, WEEK, True, 90, 80, 4, 8, 3, 2, 1, 400.0, 300.0, 9_000.0, 400.0)
    one = np.ones(1)
    return MonitorReport(
        model_version="20260101-0123456789ab",
        source="decisions",
        since=0,
        until=WEEK,
        at=WEEK,
        transactions=100,
        decided=90,
        features=FeatureDrift(one, one, one > 0, one, one),
        feature_names=("amount",),
        gain=one,
        volume=Volume(90, 8, 1, 0.1, 0.01),
        weeks=[week],
        champion=week,
        promised={
            "rows": 100.0,
            "review_share": 0.05,
            "block_share": 0.01,
            "precision": 0.3,
            "recall": 0.8,
            "saved_share": 0.7,
            "probabilities": [1.0, *[0.0] * 10],
        },
        delays={"fraud": Delay(9, {0.5: DAY}), "genuine": Delay(0, {})},
        missing={"ip": 0.1},
        late=0.1,
        reasons={"DEVICE_SHARED": 4},
        truncated=0.1,
        patterns=[Pattern("city", "Lima", 9, 2, 1, 90.0, 10.0)],
        ages=Ages(DAY, DAY, DAY, DAY, "2026-01-01T00:00:00+00:00", DAY),
    )


_SERIES = re.compile(r"(?<![\w:])((?:quipu[_:]|up\b)[\w:]*)(\{[^{}]*\})?")


def series(query: str) -> Iterator[tuple[str, str]]:
    """What a query reads: names, and their selectors in braces (empty where there is none)."""
    unlabelled = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", query)
    yield from _SERIES.findall(unlabelled)


def family(name: str) -> str:
    """The metric that a series belongs to: histograms have three series each."""
    return re.sub(r"_(?:bucket|sum|count)$", "", name)
