"""Simple models beside the real one: they say what the model does, and how well they say it."""

import csv

import numpy as np
import pytest

from gnn.companions import FEWEST_ROWS, Companions

NAMES = ("amount", "device_users", "hour")
TITLES = ("amount", "other users of the device", "hour of the day")


def model(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A model's view of transactions: devices with many users are risky, the more so for large amounts."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [rng.gamma(2, 30, rows), rng.integers(0, 6, rows), rng.integers(0, 24, rows)],
    ).astype(np.float32)
    X[: rows // 5, 1] = np.nan
    logit = -6 + 3.0 * (X[:, 1] >= 4) + 1.5 * (X[:, 0] > 100)
    return X, 1 / (1 + np.exp(-logit))


def test_both_do_what_the_model_does_and_say_by_what() -> None:
    X, p = model(6_000)
    made = Companions.of(X, p, NAMES, TITLES)
    assert made is not None
    assert made.tree.explained > 0.95
    assert made.card.auc > 0.95
    first = made.rules.splitlines()[0]
    assert "`device_users`" in first
    assert "`amount`" in first
    assert "18.2%" in first  # log-odds of -1.5
    rows = list(csv.DictReader(made.scorecard.splitlines()))
    points = {row["range"]: int(row["points"]) for row in rows if row["feature"] == "device_users"}
    assert max(points, key=lambda r: points[r]).startswith("above 3")
    assert "missing" in points
    assert {row["meaning"] for row in rows if row["feature"] == "amount"} == {"amount"}


def test_points_add_up_to_the_models_log_odds() -> None:
    X, p = model(6_000)
    made = Companions.of(X, p, NAMES, TITLES)
    assert made is not None
    rows = list(csv.DictReader(made.scorecard.splitlines()))
    base = next(int(row["points"]) for row in rows if row["meaning"] == "every transaction")
    best = {n: max(int(r["points"]) for r in rows if r["feature"] == n) for n in ("amount", "device_users", "hour")}
    # Twenty points double the odds.
    assert (base + sum(best.values())) / 20 * np.log(2) == pytest.approx(-1.5, abs=0.5)


@pytest.mark.parametrize("case", ["few", "flat"])
def test_too_little_to_learn_from(case: str) -> None:
    X, p = model(FEWEST_ROWS - 1 if case == "few" else 1_000)
    assert Companions.of(X, p if case == "few" else np.full(1_000, 0.01), NAMES, TITLES) is None
