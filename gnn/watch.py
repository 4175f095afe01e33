"""The monitor as a scheduled job: figures for Prometheus, and whether to call for a new training."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from gnn.champion import history
from gnn.monitor_metrics import JOB, metrics_of
from gnn.monitor_report import iso
from gnn.monitoring import monitor
from graph.job_metrics import publish
from graph.progress import Progress
from graph.records import DAY
from graph.store import Store

_NOTE = "drift-announced.json"


def watch(
    store: Store, models: Path, var: Path, *, since: int, until: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Looks at the model in use as of `until`, and publishes the figures below `var`.

    Args:
        since, until: the period, microseconds UTC (see `gnn.monitoring.monitor`).

    Returns:
        `model` (None before the first), `drifted`, `why`, `since`, `until` (ISO 8601), `champion` (its delayed-label
        quality, where it has any), and `call`: whether drift is to be announced, which it is once a day of data and
        model.

    Raises:
        BundleError: the model in use cannot be used.
        NotEnoughData: there are no transactions in the period.
        OSError: the figures cannot be written.
    """
    if not history(models):
        return {"model": None, "drifted": False, "why": ["no model is in use yet"], "call": False}
    report = monitor(store, models, since=since, until=until, progress=progress)
    publish(var, JOB, metrics_of(report))
    said = report.as_dict()
    return {
        "model": report.model_version,
        "drifted": report.drifted,
        "why": report.why,
        "since": iso(report.since),
        "until": iso(report.until),
        "champion": said["model_quality"],
        "call": report.drifted and not _announced(var, report.model_version, until),
    }


def note_drift(var: Path, model: str, until: int) -> None:
    """Keeps that drift of a model as of `until` (microseconds UTC) was announced."""
    handle, temporary = tempfile.mkstemp(prefix=f".{_NOTE}-", dir=var)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"model": model, "until": until}, file)
        Path(temporary).replace(var / _NOTE)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _announced(var: Path, model: str, until: int) -> bool:
    """Whether drift of this model was announced less than a day before `until`; a damaged note says nothing."""
    try:
        note = json.loads((var / _NOTE).read_text(encoding="utf-8"))
        return bool(note["model"] == model and 0 < until - int(note["until"]) < DAY)
    except (OSError, ValueError, KeyError, TypeError):
        return False
