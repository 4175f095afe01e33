"""Monitoring of a real store with a real bundle: as known at a moment, by decisions or by replay."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gnn.bundle import open_bundle
from gnn.catalogue import Catalogue
from gnn.champion import current_bundle, promote
from gnn.delayed import WEEK, quality, week_of, wilson
from gnn.drift import Reference
from gnn.monitor_metrics import metrics_of
from gnn.monitor_report import MonitorReport
from gnn.monitoring import monitor
from gnn.pipeline import train_bundle
from gnn.policy import Costs, Policy
from gnn.promise import promised, volume
from gnn.replay import read_history
from gnn.training import TrainingSettings
from graph.errors import InputError, NotEnoughData
from graph.progress import Silent
from graph.records import DAY, Decision
from graph.store import Store, open_store


@pytest.fixture(scope="module")
def world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small world with a model of its first 57 days in use: fewer frauds might promise to find none."""
    folder = tmp_path_factory.mktemp("monitored")
    shutil.copy(small_world / "store.db", folder / "store.db")
    store = open_store(f"sqlite:///{folder}/store.db")
    until = int(read_history(store).occurred_at[0]) // DAY * DAY + 57 * DAY
    made = train_bundle(
        store, folder / "models", until=until, settings=TrainingSettings(network=False), progress=Silent()
    )
    promote(folder / "models", Path(made["bundle"]).name)
    store.close()
    return folder


@pytest.fixture
def store(world: Path, tmp_path: Path) -> Store:
    shutil.copy(world / "store.db", tmp_path / "store.db")
    return open_store(f"sqlite:///{tmp_path}/store.db")


def decide(store: Store, models: Path, *, shift: float = 0.0) -> int:
    """Decisions on all transactions after the training, as the service would leave them; returns how many."""
    report = monitor(store, models)
    assert report.source == "replay"
    bundle = open_bundle(current_bundle(models))
    history = read_history(store)
    rows = np.flatnonzero(history.occurred_at >= bundle.manifest["figures"]["trained_until"])
    names = {seq: name for chunk in store.transaction_changes(with_ids=True)
             for seq, name in zip(chunk.seq.tolist(), chunk.transaction_ids or [], strict=True)}  # fmt: skip
    width = len(Catalogue.of(history.schema))
    rng = np.random.default_rng(1)
    answer = {"neighbourhood": {"truncated": True}, "reasons": [{"code": "DEVICE_SHARED", "text": "…"}]}
    written = [
        Decision(
            names[int(history.seq[row])],
            b"digest",
            0,
            0.4,
            "review" if rng.random() < 0.5 else "approve",
            bundle.name,
            json.dumps(answer).encode(),
            (rng.normal(shift, 1, width)).astype(np.float32).tobytes(),
        )
        for row in rows
    ]
    store.write_decisions(written)
    return len(written)


def test_without_decisions_the_model_is_asked_about_what_came_after_its_training(world: Path, store: Store) -> None:
    report = monitor(store, world / "models")
    trained_until = open_bundle(current_bundle(world / "models")).manifest["figures"]["trained_until"]
    assert report.source == "replay"
    assert report.decided == report.transactions > 100
    assert report.until - report.since == WEEK
    assert report.features is not None
    assert len(report.features.psi) == len(report.feature_names)
    assert all(week.start >= week_of(trained_until) for week in report.weeks)
    assert report.promised is not None
    assert 0 < report.promised["recall"] <= 1
    assert report.delays["fraud"].quantiles[0.5] > 0
    json.dumps(report.as_dict(), allow_nan=False)


def test_a_past_run_says_what_it_said_then(world: Path, store: Store) -> None:
    until = int(read_history(store).occurred_at.max()) - 10 * DAY
    then = monitor(store, world / "models", until=until)
    history = read_history(store)
    assert then.at == then.until == until
    known = history.label_known_at < until
    assert then.delays["fraud"].labels <= int((known & history.label_fraud).sum())
    for week in then.weeks:
        assert week.end <= until
    assert monitor(store, world / "models", until=until).as_dict() == then.as_dict()


def test_decisions_of_the_service_go_before_a_replay(world: Path, store: Store) -> None:
    written = decide(store, world / "models", shift=9.0)
    report = monitor(store, world / "models")
    assert report.source == "decisions"
    assert 0 < report.decided <= written
    assert report.volume is not None
    assert report.volume.review + report.volume.block == sum(report.reasons.values())
    assert set(report.reasons) == {"DEVICE_SHARED"}
    assert report.truncated == 1.0
    assert report.shifted_gain > 0.5
    assert report.drifted
    assert any("distributed differently" in reason for reason in report.why)
    assert any("promised" in reason for reason in report.why)


def test_a_period_is_at_least_a_week(world: Path, store: Store) -> None:
    until = int(read_history(store).occurred_at.max())
    assert monitor(store, world / "models", since=until - DAY, until=until).since == until - WEEK
    assert monitor(store, world / "models", since=until - 9 * DAY, until=until).since == until - 9 * DAY


def test_periods_without_transactions_are_refused(world: Path, store: Store, tmp_path: Path) -> None:
    newest = int(read_history(store).occurred_at.max())
    with pytest.raises(InputError, match="empty"):
        monitor(store, world / "models", since=newest - DAY, until=newest - 2 * DAY)
    with pytest.raises(NotEnoughData):
        monitor(open_store(f"sqlite:///{tmp_path}/none.db"), world / "models")
    with pytest.raises(NotEnoughData, match="no transaction occurred"):
        monitor(store, world / "models", until=newest + 100 * DAY)


def report_of(world: Path, store: Store) -> MonitorReport:
    return monitor(store, world / "models")


def test_lost_recall_speaks_for_a_new_training(world: Path, store: Store) -> None:
    report = report_of(world, store)
    assert report.champion is not None
    assert report.promised is not None
    report = dataclasses.replace(report, promised={**report.promised, "recall": 0.8})
    missed = dataclasses.replace(report.champion, frauds=100, caught=20)
    assert any("it finds 20% of the frauds" in why for why in dataclasses.replace(report, champion=missed).why)
    few = dataclasses.replace(report.champion, frauds=3, caught=0)
    assert not any("it finds" in why for why in dataclasses.replace(report, champion=few).why)


def test_many_more_alerts_than_promised_speak_for_a_new_training(world: Path, store: Store) -> None:
    report = report_of(world, store)
    assert report.volume is not None
    assert report.promised is not None
    promise = {**report.promised, "rows": 10_000, "review_share": 0.04, "block_share": 0.01}
    report = dataclasses.replace(report, promised=promise)
    flood = dataclasses.replace(report.volume, decided=1_000, review=120, block=0)
    assert any("it flags 12.00%" in why for why in dataclasses.replace(report, volume=flood).why)
    calm = dataclasses.replace(report.volume, decided=1_000, review=0, block=0)
    assert not any("it flags" in why for why in dataclasses.replace(report, volume=calm).why)


def test_every_figure_of_a_report_has_a_metric(world: Path, store: Store) -> None:
    report = report_of(world, store)
    registry = metrics_of(report)
    values = {(s.name, *sorted(s.labels.items())): s.value for f in registry.collect() for s in f.samples}
    assert values["quipu_monitor_transactions",] == report.transactions
    assert values["quipu_monitor_drifted",] == report.drifted
    told = sum(name == "quipu_monitor_feature_psi" for name, *_ in values)
    assert told == len(report.feature_names)
    assert sum(name == "quipu_monitor_week_recall_ratio" for name, *_ in values) == sum(
        week.recall is not None for week in report.weeks
    )
    by_city = [value for (name, *labels), value in values.items()
               if name == "quipu_monitor_pattern_decided_transactions" and ("column", "city") in labels]  # fmt: skip
    assert sum(by_city) == sum(pattern.decided for pattern in report.patterns if pattern.column == "city")
    assert 0 < len(by_city) <= 22


def test_quality_counts_what_is_labelled() -> None:
    label = np.array([1, 1, 0, 0, -1, 0], np.int8)
    band = np.array(["block", "approve", "review", "approve", "block", "block"])
    found = quality(
        start=0, end=WEEK, ripe=True, label=label, band=band, amount=np.full(6, 100.0), costs=Costs(5.0, 30.0, 1.0)
    )
    assert (found.decided, found.labelled, found.frauds, found.flagged, found.caught) == (6, 5, 2, 3, 1)
    assert (found.blocked, found.blocked_genuine) == (2, 1)
    assert found.precision == 1 / 3
    assert found.recall == 1 / 2
    assert found.at_stake == 200.0
    assert found.saved == 200.0 - 100.0 - 5.0 - 30.0


def test_weeks_begin_on_mondays() -> None:
    monday = int(np.datetime64("2025-06-02", "us").astype(np.int64))
    assert week_of(monday) == monday
    assert week_of(monday - 1) == monday - WEEK
    assert week_of(monday + WEEK - 1) == monday


def test_an_interval_of_a_share_holds_it() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    for hits, of in ((0, 5), (5, 5), (3, 10), (300, 1_000)):
        low, high = wilson(hits, of)
        assert 0 <= low <= hits / of <= high <= 1


def test_a_promise_counts_rows_by_their_weight() -> None:
    policy = Policy(0.2, 0.8, Costs(5.0, 30.0, 1.0))
    made = promised(
        policy,
        np.array([0.9, 0.5, 0.1, 0.1]),
        np.array([True, False, False, True]),
        np.full(4, 100.0),
        np.array([1.0, 3.0, 5.0, 1.0]),
    )
    assert (made["review_share"], made["block_share"]) == (0.3, 0.1)
    assert made["precision"] == 0.25
    assert made["recall"] == 0.5
    assert made["saved_share"] == pytest.approx((200 - 100 - 15) / 200)
    assert sum(made["probabilities"]) == pytest.approx(1)
    latest = volume(policy, np.array([0.1, 0.1, 0.1, 0.5]), np.ones(4))
    assert (latest["rows"], latest["review_share"], latest["block_share"]) == (4, 0.25, 0)


def test_a_bundle_has_its_reference_and_its_promise(small_bundle_of: Path) -> None:
    bundle = open_bundle(small_bundle_of)
    reference = Reference.load(bundle.file("reference.npz"))
    assert len(reference.usual) == len(bundle.manifest["catalogue"])
    assert bundle.manifest["figures"]["promised"]["rows"] > 0


@pytest.fixture
def small_bundle_of(small_world: Path) -> Path:
    return current_bundle(small_world / "models")
