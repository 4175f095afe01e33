"""Figures agree with scikit-learn and with counting by hand; intervals and comparisons say what they should."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score, roc_curve

from gnn.evaluation import compare, evaluate, transaction_precision, user_precision
from gnn.meanings import MEANINGS
from gnn.policy import Costs
from gnn.ranking import FALSE_POSITIVE_RATES, ranking_figures, recall_name
from gnn.report import render_report, write_report
from gnn.scored import read_scores
from graph.errors import InputError, NotEnoughData

START = int(pd.Timestamp("2018-08-08", tz="UTC").timestamp()) * 1_000_000
DAY = 86_400 * 1_000_000


def world(rows: int = 20_000, seed: int = 0, noise: float = 1.0, days: int = 28) -> pa.Table:
    """Scores whose only difference between calls of one seed is their noise."""
    rng = np.random.default_rng(seed)
    occurred = np.sort(rng.integers(0, days * DAY, rows)) + START
    truth = -4 + 2 * rng.normal(size=rows)
    fraud = rng.random(rows) < 1 / (1 + np.exp(-truth))
    labelled = rng.random(rows) < 0.95
    user, amount = rng.integers(0, 400, rows), rng.lognormal(3.5, 0.8, rows)
    p = 1 / (1 + np.exp(-(truth + noise * np.random.default_rng(seed + 99).normal(size=rows))))
    return pa.table(
        {
            "transaction_id": [f"t{i}" for i in range(rows)],
            "occurred_at": pa.array(occurred).cast(pa.timestamp("us", tz="UTC")),
            "probability": p,
            "band": np.where(p > 0.8, "block", np.where(p > 0.2, "review", "approve")),
            "model_version": ["m1"] * rows,
            "is_fraud": pa.array(fraud, mask=~labelled),
            "user_id": [f"u{i}" for i in user],
            "amount": amount,
            "promised_share": np.full(rows, 0.1),
        }
    )


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=2, max_size=60))
def test_ranking_agrees_with_scikit_learn_ties_and_all(rows: list[tuple[int, bool, int]]) -> None:
    score, fraud, weight = (np.array(column) for column in zip(*rows, strict=True))
    score = score / 7.0
    # Each row a block of its own: counting it w times must equal giving it the weight w.
    figures = ranking_figures(score, fraud, np.arange(len(score), dtype=np.int32), np.vstack([weight, weight * 0 + 1]))
    for draw, weights in ((0, weight.astype(float)), (1, np.ones(len(score)))):
        if not (weights[fraud].sum() and weights[~fraud].sum()):
            assert np.isnan(figures["auc"][draw])
            continue
        there = weights > 0
        expected = {
            "average_precision": average_precision_score(fraud[there], score[there], sample_weight=weights[there]),
            "auc": roc_auc_score(fraud[there], score[there], sample_weight=weights[there]),
        }
        false, true, _ = roc_curve(fraud[there], score[there], sample_weight=weights[there], drop_intermediate=False)
        for rate in FALSE_POSITIVE_RATES:
            expected[recall_name(rate)] = true[false <= rate + 1e-12].max()
        for name, value in expected.items():
            assert figures[name][draw] == pytest.approx(value, abs=1e-9)


def test_overall_figures_are_those_of_the_labelled_rows() -> None:
    table = world()
    result = evaluate(table)
    frame = table.to_pandas().dropna(subset="is_fraud")
    y, p = frame.is_fraud.astype(bool), frame.probability
    value = {name: figure["value"] for name, figure in result.figures.items()}
    assert value["average_precision"] == pytest.approx(average_precision_score(y, p))
    assert value["auc"] == pytest.approx(roc_auc_score(y, p))
    assert value["brier"] == pytest.approx(brier_score_loss(y, p))
    assert value["f1"] == pytest.approx(f1_score(y, frame.band != "approve"))
    assert value["flagged_share"] == pytest.approx((frame.band != "approve").mean())
    assert result.summary["transactions"] == len(frame)
    assert result.summary["unlabelled"] == table.num_rows - len(frame)
    assert set(value) == set(MEANINGS)
    assert evaluate(table.to_pandas()).figures == result.figures


def test_money_is_what_the_policy_spared() -> None:
    costs = Costs(review=4, decline=20, fraud_loss=0.5)
    frame = world().to_pandas().dropna(subset="is_fraud")
    y = frame.is_fraud.astype(bool)
    loss = 0.5 * frame.amount[y].sum()
    spent = 0.5 * frame.amount[y & (frame.band == "approve")].sum()
    spent += 4 * (frame.band == "review").sum() + 20 * (~y & (frame.band == "block")).sum()
    figures = evaluate(frame, costs=costs).figures
    assert figures["saved"]["value"] == pytest.approx(loss - spent)
    assert figures["saved_share"]["value"] == pytest.approx((loss - spent) / loss)


def test_alerts_are_held_against_what_was_promised() -> None:
    table = world()
    assert "flagged_to_promised" not in evaluate(table.drop_columns(["promised_share"])).figures
    flagged = np.mean([band != "approve" for band in table.filter(table["is_fraud"].is_valid())["band"].to_pylist()])
    half = replaced(table, "promised_share", np.full(table.num_rows, flagged / 2))
    result = evaluate(half)
    assert result.figures["flagged_to_promised"]["value"] == pytest.approx(2)
    assert all(1.7 < week["figures"]["flagged_to_promised"]["value"] < 2.3 for week in result.weeks)


def test_weeks_are_counted_from_the_first_day_and_add_up() -> None:
    result = evaluate(world(days=20))
    assert [week["from"] for week in result.weeks] == ["2018-08-08", "2018-08-15", "2018-08-22"]
    assert result.weeks[0]["until"] == "2018-08-15"
    assert sum(week["transactions"] for week in result.weeks) == result.summary["transactions"]
    frame = world(days=20).to_pandas().dropna(subset="is_fraud")
    first = frame[frame.occurred_at < pd.Timestamp("2018-08-15", tz="UTC")]
    expected = average_precision_score(first.is_fraud.astype(bool), first.probability)
    assert result.weeks[0]["figures"]["average_precision"]["value"] == pytest.approx(expected)


def test_intervals_hold_the_value_and_narrow_with_more_data() -> None:
    small, large = evaluate(world(4_000)).figures, evaluate(world(60_000)).figures
    for figures in (small, large):
        for name, figure in figures.items():
            # An absolute error summed over ranges is biased upwards by drawing anew.
            assert figure["low"] <= figure["value"] * (1 + 1e-9) or name == "calibration_error"
            assert figure["value"] <= figure["high"] * (1 + 1e-9) or name == "calibration_error"
    for name in ("average_precision", "auc", "brier"):
        assert large[name]["high"] - large[name]["low"] < 0.7 * (small[name]["high"] - small[name]["low"])
    assert evaluate(world(4_000)).figures == small


def test_calibration_error_tells_understated_risk() -> None:
    table = world(40_000, noise=0.0)
    honest = evaluate(table).figures["calibration_error"]["value"]
    halved = evaluate(replaced(table, "probability", table["probability"].to_numpy() / 2))
    assert honest < 0.01
    wrong = halved.figures["calibration_error"]["value"]
    frame = table.to_pandas().dropna(subset="is_fraud")
    assert wrong == pytest.approx(frame.is_fraud.mean() - frame.probability.mean() / 2, rel=0.2)
    assert any(r["low"] > r["said"] for r in halved.curves["reliability"])


def days_of(rows: list[tuple[int, str, float, bool]]) -> pa.Table:
    """Rows of (day, user, probability, fraud)."""
    day, user, p, fraud = zip(*rows, strict=True)
    return pa.table(
        {
            "transaction_id": [str(i) for i in range(len(rows))],
            "occurred_at": pa.array([START + d * DAY + i for i, d in enumerate(day)]).cast(pa.timestamp("us")),
            "probability": list(p),
            "band": ["review"] * len(rows),
            "model_version": ["m"] * len(rows),
            "is_fraud": list(fraud),
            "user_id": list(user),
        }
    )


WEEK = [
    (0, "ann", 0.9, False),
    (0, "ann", 0.1, True),
    (0, "bob", 0.8, False),
    (0, "cid", 0.7, True),
    (1, "ann", 0.9, True),
    (1, "bob", 0.8, True),
    (1, "dan", 0.7, False),
    (7, "ann", 0.9, True),
    (7, "bob", 0.1, False),
]
FIRST = START // DAY


def test_precision_among_users_by_hand() -> None:
    rows = read_scores(days_of(WEEK))
    assert user_precision(rows, top=2) == {FIRST: 0.5, FIRST + 1: 1.0, FIRST + 7: 0.5}
    assert user_precision(rows, top=1) == {FIRST: 1.0, FIRST + 1: 1.0, FIRST + 7: 1.0}
    # Ann, found on the first day, is out on the second, and back the week after.
    assert user_precision(rows, top=2, drop_detected=True) == {FIRST: 0.5, FIRST + 1: 0.5, FIRST + 7: 0.5}
    known = read_scores(days_of(WEEK), {date(2018, 8, 9): {"ann", "nobody"}, date(2018, 8, 15): {"ann"}})
    assert user_precision(known, top=2) == {FIRST: 0.5, FIRST + 1: 0.5, FIRST + 7: 0.0}
    assert evaluate(days_of(WEEK)).figures["user_precision_at_100"]["value"] == pytest.approx(
        (2 / 3 + 2 / 3 + 1 / 2) / 3
    )


def test_precision_among_transactions_by_hand() -> None:
    rows = read_scores(days_of(WEEK))
    assert transaction_precision(rows, top=3) == pytest.approx({FIRST: 1 / 3, FIRST + 1: 2 / 3, FIRST + 7: 1 / 2})


def test_the_better_run_is_told_from_the_worse_and_from_itself() -> None:
    good, bad = world(noise=0.5), world(noise=2.0)
    figures = compare(good, bad)["figures"]
    assert figures["average_precision"]["low"] > 0
    assert figures["brier"]["high"] < 0
    assert compare(bad, good)["figures"]["auc"]["high"] < 0
    for figure in compare(good, good)["figures"].values():
        assert figure["value"] == figure["low"] == figure["high"] == 0


def test_runs_are_compared_on_the_rows_they_share() -> None:
    a, b = world(), world(noise=2.0)
    half = b.slice(0, b.num_rows // 2)
    mixed = half.take(pa.array(np.random.default_rng(0).permutation(half.num_rows)))
    result = compare(a, mixed)
    shared = a.slice(0, half.num_rows)
    assert result["transactions"] == half.num_rows - half["is_fraud"].null_count
    assert result["figures"]["auc"]["a"] == pytest.approx(evaluate(shared).figures["auc"]["value"])
    assert result["figures"]["auc"]["b"] == pytest.approx(evaluate(half).figures["auc"]["value"])
    other = replaced(b, "transaction_id", [f"x{i}" for i in range(b.num_rows)])
    with pytest.raises(InputError, match="no labelled transaction in common"):
        compare(a, other)
    flipped = replaced(b, "is_fraud", [not v if v is not None else None for v in b["is_fraud"].to_pylist()])
    with pytest.raises(InputError, match="differently"):
        compare(a, flipped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["band", "is_fraud"]), "no column band, is_fraud"),
        (lambda t: replaced(t, "probability", [1.5] * len(t)), "not between 0 and 1"),
        (lambda t: replaced(t, "probability", [float("nan")] * len(t)), "not between 0 and 1"),
        (lambda t: replaced(t, "probability", ["high"] * len(t)), "column probability"),
        (lambda t: replaced(t, "probability", [None, *[0.5] * (len(t) - 1)]), "empty in"),
        (lambda t: replaced(t, "band", ["maybe"] * len(t)), "'maybe'"),
        (lambda t: replaced(t, "occurred_at", ["yesterday"] * len(t)), "column occurred_at"),
        (lambda t: replaced(t, "is_fraud", ["yes?"] * len(t)), "column is_fraud"),
    ],
)
def test_wrong_tables_are_refused_by_column(change: Any, message: str) -> None:
    table = replaced(world(200), "is_fraud", [i % 2 == 0 for i in range(200)])
    with pytest.raises(InputError, match=message):
        evaluate(change(table))


@pytest.mark.parametrize(
    ("labels", "message"), [([None] * 50, "none of the 50"), ([True] * 50, "are fraud"), ([False] * 50, "are genuine")]
)
def test_too_few_kinds_of_labels_are_told(labels: list[bool | None], message: str) -> None:
    table = world(50)
    with pytest.raises(NotEnoughData, match=message):
        evaluate(replaced(table, "is_fraud", pa.array(labels, pa.bool_())))


def test_tiny_and_plain_tables_are_measured() -> None:
    table = days_of([(0, "a", 0.9, True), (0, "b", 0.1, False)]).drop_columns(["user_id"])
    result = evaluate(table)
    assert result.figures["auc"]["value"] == 1.0
    assert "saved" not in result.figures
    assert "user_precision_at_100" not in result.figures
    render_report(result, title="tiny")
    json.dumps(result.to_dict(), allow_nan=False)


def test_the_report_is_one_page_with_every_figure_in_it(tmp_path: Path) -> None:
    result = evaluate(world(5_000))
    page = tmp_path / "report.html"
    write_report(result, page, title="<Quality>", against=compare(world(5_000), world(5_000, noise=2)))
    text = page.read_text()
    assert text.count("<svg") == 5
    assert "&lt;Quality&gt;" in text
    assert all(meaning.title in text for meaning in MEANINGS.values())
    assert 'class="better"' in text
    for outside in ("http://cdn", "https://cdn", "<script src", "<link", "@import", 'src="http'):
        assert outside not in text
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["figures"] == result.figures
    assert document["against"]["figures"]["auc"]["low"] > 0
