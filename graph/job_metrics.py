"""Figures of batch jobs for Prometheus: each job leaves a text file, and the service's `/metrics` tells them all.

A job ends before anybody could ask it. So it writes `<var>/jobs/<name>.prom`, and whatever serves metrics from the
same folder passes it on.
"""

import fcntl
import hashlib
import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

log = logging.getLogger(__name__)

FOLDER = "jobs"
_SUFFIX = ".prom"
_LONGEST_NAME = 100
_ADDED = frozenset({"counter", "histogram", "summary"})
"""Types whose samples count events, so that a later run's are added to those of earlier runs."""


class _Families(Collector):
    """Metric families that are there already, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def publish(var: Path, name: str, registry: CollectorRegistry) -> None:
    """Writes a job's figures to `<var>/jobs/<name>.prom`, as a whole; runs of the same name wait for each other.

    What counts (counters, histograms) is that of this run alone, and is added to what runs of this name wrote before;
    gauges replace what was written before.

    Args:
        name: of the job; any text, for it is made fit for a file's name.
        registry: the run's metrics, on a registry of their own.

    Raises:
        OSError: the file cannot be written.
    """
    folder = var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_file_name(name)}{_SUFFIX}"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        families = _added(_read(path), registry.collect())
        write_to_textfile(str(path), _Families(families))


def collected(var: Path) -> bytes:
    """The figures of all jobs in Prometheus' text format, each family once; empty where no job wrote any.

    It adds `quipu_job_published_timestamp_seconds` for every file. A file that cannot be read is left out and logged.
    """
    found = []
    for path in sorted((var / FOLDER).glob(f"[!.]*{_SUFFIX}")):
        try:
            state = path.stat()
        except OSError:
            continue
        found.append((path, state.st_mtime_ns, state.st_size))
    return _exposition(tuple(found))


@lru_cache(maxsize=8)
def _exposition(files: tuple[tuple[Path, int, int], ...]) -> bytes:
    """The text of these files (path, time of the last change in nanoseconds, size)."""
    if not files:
        return b""
    published = Metric(
        "quipu_job_published_timestamp_seconds", "When a batch job last wrote its figures, by its name.", "gauge"
    )
    families: dict[str, Metric] = {published.name: published}
    series: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for path, changed_at, _ in files:
        published.add_sample(published.name, {"name": path.name.removesuffix(_SUFFIX)}, changed_at / 1e9)
        for family in _read(path):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            if known.type != family.type:
                log.warning("%s: %s is a %s elsewhere, and is left out", path, family.name, known.type)
                continue
            for sample in family.samples:
                if (key := _key(sample)) not in series:
                    series.add(key)
                    known.samples.append(sample)
    return generate_latest(_Families(families.values()))


def _read(path: Path) -> list[Metric]:
    try:
        return list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read, and is left out: %s", path, error)
        return []


def _added(before: Iterable[Metric], now: Iterable[Metric]) -> Iterator[Metric]:
    """The families of a run, with the counts of those before added, and what only they counted kept."""
    rest = {family.name: family for family in before if family.type in _ADDED}
    for family in now:
        old = rest.pop(family.name, None)
        if old is None or family.type != old.type:
            yield family
            continue
        values = {_key(sample): sample for sample in old.samples}
        merged = Metric(family.name, family.documentation, family.type)
        for sample in family.samples:
            earlier = values.pop(_key(sample), None)
            merged.add_sample(sample.name, sample.labels, sample.value + (earlier.value if earlier else 0.0))
        merged.samples.extend(values.values())
        yield merged
    yield from rest.values()


def _key(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))


def _file_name(name: str) -> str:
    quoted = quote(name, safe=" ").replace(".", "%2E")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return f"{quoted[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
