"""Figures of batch jobs: written as a whole, added up over runs, and told together."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from graph.job_metrics import collected, publish


def registry(*, rows: dict[str, int] | None = None, age: float | None = None) -> CollectorRegistry:
    made = CollectorRegistry()
    counter = Counter("quipu_test_rows", "Rows.", ["outcome"], registry=made)
    for outcome, number in (rows or {}).items():
        counter.labels(outcome).inc(number)
    if age is not None:
        Gauge("quipu_test_age_seconds", "Age.", registry=made).set(age)
    return made


def values(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families)
    series = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in families
        for sample in family.samples
    ]
    assert len(dict(series)) == len(series)
    return dict(series)


def rows(var: Path, outcome: str) -> float:
    return values(collected(var))["quipu_test_rows_total", (("outcome", outcome),)]


def test_nothing_is_told_before_a_job_ran(tmp_path: Path) -> None:
    assert collected(tmp_path) == b""


def test_counts_are_added_over_runs_and_gauges_replaced(tmp_path: Path) -> None:
    publish(tmp_path, "load", registry(rows={"loaded": 3, "refused": 1}, age=9))
    publish(tmp_path, "load", registry(rows={"loaded": 4}, age=2))
    assert rows(tmp_path, "loaded") == 7
    assert rows(tmp_path, "refused") == 1
    assert values(collected(tmp_path))["quipu_test_age_seconds", ()] == 2


def test_a_gauge_that_a_run_no_longer_tells_is_gone(tmp_path: Path) -> None:
    publish(tmp_path, "load", registry(rows={"loaded": 3}, age=9))
    publish(tmp_path, "load", registry(rows={"loaded": 3}))
    assert b"quipu_test_age_seconds" not in collected(tmp_path)


def test_histograms_are_added_bucket_by_bucket(tmp_path: Path) -> None:
    for seconds in (0.5, 3, 30):
        made = CollectorRegistry()
        Histogram("quipu_test_seconds", "Seconds.", buckets=(1, 10), registry=made).observe(seconds)
        publish(tmp_path, "load", made)
    told = values(collected(tmp_path))
    assert [told["quipu_test_seconds_bucket", (("le", edge),)] for edge in ("1.0", "10.0", "+Inf")] == [1, 2, 3]
    assert told["quipu_test_seconds_sum", ()] == 33.5


def test_a_family_of_several_jobs_is_told_once(tmp_path: Path) -> None:
    for place, name in enumerate(("one", "two")):
        made = CollectorRegistry()
        Gauge("quipu_test_age_seconds", "Age.", ["name"], registry=made).labels(name).set(place)
        publish(tmp_path, name, made)
    text = collected(tmp_path)
    assert text.count(b"# TYPE quipu_test_age_seconds") == 1
    told = values(text)
    assert [told["quipu_test_age_seconds", (("name", name),)] for name in ("one", "two")] == [0, 1]
    published = {labels for name, labels in told if name == "quipu_job_published_timestamp_seconds"}
    assert published == {(("name", "one"),), (("name", "two"),)}


def test_a_series_that_two_jobs_tell_is_told_once(tmp_path: Path) -> None:
    publish(tmp_path, "one", registry(age=1))
    publish(tmp_path, "two", registry(age=2))
    assert values(collected(tmp_path))["quipu_test_age_seconds", ()] == 1


def test_one_name_of_two_types_does_not_break_the_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path, "one", registry(rows={"loaded": 1}))
    made = CollectorRegistry()
    Gauge("quipu_test_rows", "Rows.", registry=made).set(5)
    Gauge("quipu_test_age_seconds", "Age.", registry=made).set(5)
    publish(tmp_path, "two", made)
    told = values(collected(tmp_path))
    assert told["quipu_test_rows_total", (("outcome", "loaded"),)] == 1
    assert told["quipu_test_age_seconds", ()] == 5
    assert ("quipu_test_rows", ()) not in told
    assert "is left out" in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(damage=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_damaged_file_does_not_hide_the_others(tmp_path: Path, damage: bytes) -> None:
    publish(tmp_path, "sound", registry(rows={"loaded": 3}))
    total = rows(tmp_path, "loaded")
    (tmp_path / "jobs" / "wrong.prom").write_bytes(damage)
    assert rows(tmp_path, "loaded") == total


def test_any_text_is_a_name(tmp_path: Path) -> None:
    names = ["a/b", "../out", ".hidden", "ä" * 100, "x" * 300, "con spacio", 'quote"\n']
    for name in names:
        publish(tmp_path, name, registry(age=1))
    assert len(list((tmp_path / "jobs").glob("*.prom"))) == len(names)
    assert collected(tmp_path).count(b"quipu_job_published_timestamp_seconds{") == len(names)
    assert not list(tmp_path.glob("*.prom"))


ADDER = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry, Counter
from graph.job_metrics import publish
for _ in range(50):
    made = CollectorRegistry()
    Counter("quipu_test_rows", "Rows.", ["outcome"], registry=made).labels("loaded").inc()
    publish(Path(sys.argv[1]), "load", made)
"""


def test_runs_at_the_same_time_lose_no_count_and_are_never_seen_half_written(tmp_path: Path) -> None:
    publish(tmp_path, "load", registry(rows={"loaded": 0}))
    runs = [subprocess.Popen([sys.executable, "-c", ADDER, str(tmp_path)]) for _ in range(3)]
    seen = [0.0]
    while any(run.poll() is None for run in runs):
        seen.append(rows(tmp_path, "loaded"))
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert seen == sorted(seen)
    assert rows(tmp_path, "loaded") == 150
