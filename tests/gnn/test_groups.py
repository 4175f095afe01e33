"""Kinds of fraud and new users are told apart; the truth judges in place of labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from gnn.evaluation import evaluate
from gnn.truth import judged_by, read_truth
from graph.errors import InputError
from graph.records import DAY

START = 1_533_686_400_000_000
ROWS = 3_000


def scores(seed: int = 0) -> pa.Table:
    """Scores of four weeks; every tenth user came earlier than the others."""
    rng = np.random.default_rng(seed)
    occurred = np.sort(rng.integers(0, 28 * DAY, ROWS)) + START
    user = rng.integers(0, 200, ROWS)
    p = rng.random(ROWS) ** 3
    first = np.minimum(occurred, np.where(user % 10 == 0, START - 90 * DAY, START + user % 7 * DAY))
    return pa.table(
        {
            "transaction_id": [f"t{i}" for i in range(ROWS)],
            "occurred_at": pa.array(occurred).cast(pa.timestamp("us", tz="UTC")),
            "probability": p,
            "band": np.where(p > 0.5, "block", "approve"),
            "model_version": ["m"] * ROWS,
            "is_fraud": pa.array(rng.random(ROWS) < p, mask=rng.random(ROWS) < 0.1),
            "user_id": [f"u{i}" for i in user],
            "user_first_at": pa.array(first).cast(pa.timestamp("us", tz="UTC")),
        }
    )


def truth_of(table: pa.Table, seed: int = 0) -> pa.Table:
    """A truth that calls other rows fraud than the labels do, and knows nothing of the last hundred."""
    rng = np.random.default_rng(seed)
    p = table["probability"].to_numpy()
    fraud = rng.random(ROWS) < p**2
    kind = np.where(rng.random(ROWS) < 0.3, "card_testing", "two_hop_ring")
    whole = pa.table(
        {
            "transaction_id": table["transaction_id"],
            "is_fraud": fraud,
            "typology": pa.array(kind.tolist(), mask=~fraud),
        }
    )
    return whole.slice(0, ROWS - 100).take(pa.array(rng.permutation(ROWS - 100)))


def test_kinds_are_measured_against_all_genuine_rows(tmp_path: Path) -> None:
    table = scores()
    truth = truth_of(table)
    pq.write_table(truth, tmp_path / "truth.parquet")
    result = evaluate(judged_by(table, read_truth(tmp_path / "truth.parquet")))
    assert result.summary["unlabelled"] == 100
    frame = table.to_pandas().merge(truth.to_pandas(), on="transaction_id", suffixes=("_label", ""))
    assert [kind["name"] for kind in result.typologies] == ["two_hop_ring", "card_testing"]
    assert sum(kind["frauds"] for kind in result.typologies) == result.summary["frauds"] == frame.is_fraud.sum()
    for kind in result.typologies:
        part = frame[~frame.is_fraud | (frame.typology == kind["name"])]
        assert kind["title"] == kind["name"].replace("_", " ")
        assert kind["transactions"] == len(part)
        expected = {
            "average_precision": average_precision_score(part.is_fraud, part.probability),
            "auc": roc_auc_score(part.is_fraud, part.probability),
            "recall": (part[part.is_fraud].band == "block").mean(),
        }
        for name, value in expected.items():
            assert kind["figures"][name]["value"] == pytest.approx(value)
            assert kind["figures"][name]["low"] <= value <= kind["figures"][name]["high"]


def test_users_are_told_apart_by_how_long_they_are_known() -> None:
    table = scores()
    result = evaluate(table)
    frame = table.to_pandas().dropna(subset="is_fraud")
    days = (frame.occurred_at - frame.user_first_at).dt.total_seconds() / 86_400
    counts = {"first": (days <= 0).sum(), "new": ((days > 0) & (days < 30)).sum(), "known": (days >= 30).sum()}
    assert {group["name"]: group["transactions"] for group in result.histories} == counts
    known = frame[days >= 30]
    figure = result.histories[-1]["figures"]["auc"]["value"]
    assert figure == pytest.approx(roc_auc_score(known.is_fraud.astype(bool), known.probability))
    assert evaluate(table.drop_columns(["user_first_at"])).histories == []
    assert result.typologies == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_typology_alone_tells_what_is_fraud(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"transaction_id": ["1", "2", "3"], "typology": ["ring", None, "theft"]})
    path = tmp_path / f"truth{suffix}"
    (pa_csv.write_csv if suffix == ".csv" else pq.write_table)(table, path)
    told = read_truth(path)
    assert told.to_pydict() == {
        "transaction_id": ["1", "2", "3"],
        "is_fraud": [True, False, True],
        "typology": ["ring", None, "theft"],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ({"id": ["1"]}, "has the columns id"),
        ({"transaction_id": ["1"]}, "has the columns transaction_id"),
        ({"transaction_id": ["1"], "is_fraud": ["perhaps"]}, "cannot be used"),
        ({"transaction_id": ["1", "1"], "is_fraud": [True, False]}, "names 1 transactions more than once"),
    ],
)
def test_a_truth_that_is_none_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "truth.parquet"
    if content is not None:
        pq.write_table(pa.table(content), path)
    with pytest.raises(InputError, match=message):
        read_truth(path)


def test_a_file_that_is_no_table_and_a_truth_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    path.write_text("no table")
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(path)
    other = pa.table({"transaction_id": ["x"], "is_fraud": [True], "typology": ["ring"]})
    with pytest.raises(InputError, match="none of the scored"):
        judged_by(scores(), other)
    with pytest.raises(InputError, match="no column transaction_id"):
        judged_by(scores().drop_columns(["transaction_id"]), other)
