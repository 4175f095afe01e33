"""Intervals hold what they promise where users' frauds hang together, and comparisons are the same from both sides."""

import numpy as np
import pyarrow as pa
import pytest

from gnn.evaluation import compare, ranking_draws
from gnn.intervals import Resampling, differences, resamplings, with_intervals
from gnn.ranking import ranking_figures
from gnn.scored import Scored, read_scores
from graph.records import DAY

DAYS = 28


def world(seed: int, *, users: bool = True) -> Scored:
    """Four weeks with a few users whose cards were stolen: their frauds come together, and are all as easily seen."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(4_000)
    day, user = [rng.integers(0, DAYS, n)], [rng.integers(0, 500, n)]
    score, fraud = [rng.normal(size=n)], [np.zeros(n, bool)]
    for _ in range(rng.poisson(22)):
        days = rng.integers(0, DAYS) + rng.integers(0, 6, 1 + rng.poisson(4))
        days = days[days < DAYS]
        day.append(days)
        user.append(np.full(len(days), rng.integers(0, 500)))
        score.append(rng.normal(2.2, 1.2) + 0.8 * rng.normal(size=len(days)))
        fraud.append(np.ones(len(days), bool))
    p = 1 / (1 + np.exp(-np.concatenate(score)))
    table = pa.table(
        {
            "transaction_id": [str(i) for i in range(len(p))],
            "occurred_at": pa.array(np.concatenate(day) * DAY).cast(pa.timestamp("us", tz="UTC")),
            "probability": p,
            "band": ["approve"] * len(p),
            "model_version": ["m"] * len(p),
            "is_fraud": np.concatenate(fraud),
            "user_id": np.concatenate(user).astype(str),
        }
    )
    return read_scores(table if users else table.drop_columns(["user_id"]))


def precision(rows: Scored) -> float:
    return float(ranking_figures(rows.probability, rows.fraud)["average_precision"][0])


def test_intervals_hold_the_true_figure_as_often_as_they_say() -> None:
    """Nominal coverage is .95. Time alone covers about .8 here: then this test would fail."""
    worlds = [world(seed) for seed in range(60)]
    true = float(np.mean([precision(world(seed)) for seed in range(1_000, 1_200)]))
    held = alone = 0
    for seed, rows in enumerate(worlds):
        ways = resamplings(rows, np.random.default_rng(seed))
        assert [way.of_time for way in ways] == [True, False]
        draws = [ranking_draws(rows, way) for way in ways]
        both, time = (with_intervals(some)["average_precision"] for some in (draws, draws[:1]))
        assert both["low"] is not None and both["high"] is not None and time["low"] is not None
        held += both["low"] <= true <= both["high"]
        alone += time["low"] <= true <= (time["high"] or 0)
    assert held >= 54
    assert alone < held


def test_draws_count_each_block_as_often_as_drawn() -> None:
    rows = world(0)
    for way in resamplings(rows, np.random.default_rng(0)):
        blocks = int(way.block.max()) + 1
        assert way.counts.shape == (201, blocks)
        assert (way.counts[0] == 1).all()
        assert (way.counts.sum(axis=1) == blocks).all()
        assert way.counts[1:].mean() == pytest.approx(1)
    assert len(resamplings(world(0, users=False), np.random.default_rng(0))) == 1


def test_a_draw_is_measured_as_the_rows_repeated() -> None:
    rows = world(1)
    way = resamplings(rows, np.random.default_rng(0))[1]
    figures = ranking_draws(rows, Resampling(way.block, way.counts[:4], False))
    for draw in range(4):
        times = way.counts[draw, way.block].astype(int)
        expected = ranking_figures(np.repeat(rows.probability, times), np.repeat(rows.fraud, times))
        for name, value in expected.items():
            assert figures[name][draw] == pytest.approx(value[0])


def test_the_widest_interval_holds_and_gaps_are_left_out() -> None:
    one = {"x": np.array([1.0, *np.linspace(0, 2, 101), np.nan]), "y": np.array([np.nan, np.nan])}
    two = {"x": np.array([1.0, *np.linspace(0.9, 3, 101)])}
    figures = with_intervals([one, two])
    assert figures["x"] == {
        "value": 1.0, "low": pytest.approx(0.05), "high": pytest.approx(np.percentile(np.linspace(0.9, 3, 101), 97.5))
    }  # fmt: skip
    assert figures["y"] == {"value": None, "low": None, "high": None}
    apart = differences([one, two], [{"x": one["x"]}, {"x": two["x"], "z": two["x"]}])
    assert [list(some) for some in apart] == [["x"], ["x"]]


def test_a_comparison_is_the_same_from_both_sides() -> None:
    rng = np.random.default_rng(0)
    n = 2_000
    table = pa.table(
        {
            "transaction_id": [str(i) for i in range(n)],
            "occurred_at": pa.array(np.sort(rng.integers(0, 60 * DAY, n))).cast(pa.timestamp("us", tz="UTC")),
            "probability": rng.random(n),
            "band": rng.choice(["approve", "review", "block"], n),
            "model_version": ["m"] * n,
            "is_fraud": rng.random(n) < 0.1,
            "user_id": rng.integers(0, 90, n).astype(str),
            "amount": rng.lognormal(3, 1, n),
        }
    )
    other = table.set_column(2, "probability", pa.array(rng.random(n)))
    there, back = compare(table, other)["figures"], compare(other, table)["figures"]
    assert there.keys() == back.keys()
    for name, figure in there.items():
        assert figure["a"] == back[name]["b"]
        assert figure["value"] == pytest.approx(-back[name]["value"])
        assert figure["low"] == pytest.approx(-back[name]["high"])
