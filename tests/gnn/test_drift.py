"""Drift: nothing between samples of one population, something where it changed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gnn.drift import SHIFTED, Reference, cell_counts, psi
from graph.errors import BundleError


def population(seed: int, rows: int, *, mean: float = 0.0, rare: float = 0.002, missing: float = 0.3) -> np.ndarray:
    """A normal number, a rare flag, a count with ties, one that is often missing, and one that is always missing."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(mean, 1, rows),
        rng.random(rows) < rare,
        rng.poisson(0.4, rows),
        np.where(rng.random(rows) < missing, np.nan, rng.exponential(1, rows)),
        np.full(rows, np.nan),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_samples_of_one_population_show_no_drift(seed: int) -> None:
    drift = Reference.of(population(seed, 9_000)).drift(population(seed + 100, 1_200))
    assert (drift.psi < 0.05).all()
    assert not drift.shifted.any()
    assert drift.steady.all()


def test_what_changed_is_what_shifts() -> None:
    reference = Reference.of(population(1, 9_000))
    moved = reference.drift(population(2, 1_200, mean=1.0))
    assert moved.shifted.tolist() == [True, False, False, False, False]
    rarer = reference.drift(population(2, 1_200, missing=0.9))
    assert rarer.shifted.tolist() == [False, False, False, True, False]
    assert rarer.missing[3] > 0.85
    assert rarer.missing_before[3] < 0.35
    flagged = reference.drift(population(2, 1_200, rare=0.2))
    assert flagged.shifted.tolist() == [False, True, False, False, False]


def test_what_always_changes_cannot_shift() -> None:
    age = np.arange(9_000, dtype=np.float32)[:, None]
    drift = Reference.of(age).drift(age[-1_000:] + 10_000)
    assert drift.psi[0] > SHIFTED
    assert not drift.steady[0]
    assert not drift.shifted[0]


def test_a_reference_is_of_the_latest_rows() -> None:
    early, late = population(1, 20_000, mean=5.0), population(2, 20_000)
    reference = Reference.of(np.concatenate([early, late]))
    assert reference.drift(population(3, 1_500)).psi[0] < 0.05


def test_a_few_rows_are_no_proof() -> None:
    reference = Reference.of(population(1, 9_000))
    drift = reference.drift(population(2, 20))
    assert not drift.shifted.any()


def test_a_reference_is_read_as_written(tmp_path: Path) -> None:
    reference = Reference.of(population(1, 500))
    reference.save(tmp_path / "reference.npz")
    again = Reference.load(tmp_path / "reference.npz")
    for name in ("edges", "shares", "usual", "rows"):
        np.testing.assert_array_equal(getattr(again, name), getattr(reference, name))


def test_what_is_no_reference_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", quantiles=np.zeros(3))
    for name, content in {"other.npz": None, "text.npz": b"text", "empty.npz": b""}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match="no distributions"):
            Reference.load(tmp_path / name)


@given(
    values=arrays(np.float32, st.tuples(st.integers(2, 60), st.integers(1, 4)), elements=st.floats(width=32)),
    others=arrays(np.float32, st.tuples(st.integers(1, 30)), elements=st.floats(width=32)),
)
def test_every_value_has_a_cell_and_psi_is_a_distance(values: np.ndarray, others: np.ndarray) -> None:
    reference = Reference.of(values)
    assert reference.shares.sum(axis=1) == pytest.approx(1.0)
    now = np.repeat(others[:, None], values.shape[1], axis=1)
    counts = cell_counts(reference.edges, now.astype(np.float64))
    assert (counts.sum(axis=1) == len(others)).all()
    drift = reference.drift(now)
    assert np.isfinite(drift.psi).all()
    assert (drift.psi >= 0).all()


@given(counts=st.lists(st.integers(0, 1_000), min_size=11, max_size=11).filter(any))
def test_psi_of_equal_shares_is_nothing(counts: list[int]) -> None:
    one = np.array([counts], float)
    assert psi(one, one)[0] == pytest.approx(0, abs=1e-12)
