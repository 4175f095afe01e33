"""Which themes are told as reasons, against a plain computation of the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnn.strongest import FEWEST_REASONS, MOST_REASONS, legible, strongest


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 25), st.integers(1, 60))
def test_the_strongest_themes_in_the_direction_of_the_score(seed: int, n: int, themes: int, features: int) -> None:
    rng = np.random.default_rng(seed)
    contributions = rng.normal(size=(n, features + 1))
    theme_of = rng.integers(0, themes, features)
    network, scale = rng.normal(size=n), float(rng.uniform(0.1, 2))
    chosen, weights = strongest(contributions, theme_of, themes, scale, network)
    for i in range(n):
        strength = np.append(np.bincount(theme_of, contributions[i, :-1], minlength=themes) * scale, network[i])
        sign = 1 if strength.sum() > 0 else -1
        order = np.argsort(-np.abs(strength), kind="stable")[:12]
        share = np.maximum(sign * strength, 0).sum() * 0.08
        wanted: list[int] = []
        for theme in order.tolist():
            moved = sign * strength[theme]
            if moved > 0 and len(wanted) < MOST_REASONS and (len(wanted) < FEWEST_REASONS or moved >= share):
                wanted.append(theme)
        told = chosen[i][chosen[i] >= 0].tolist()
        assert told == (wanted or [int(order[0])])
        assert np.allclose(weights[i, : len(told)], strength[told])


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_figures_have_the_digits_of_a_float32(values: list[float]) -> None:
    exact = np.array([values], np.float32)
    told = legible(exact)
    assert (np.isnan(told) == np.isnan(exact)).all()
    assert np.allclose(told, exact.astype(np.float64), rtol=1e-6, atol=0, equal_nan=True)


def test_figures_are_short() -> None:
    assert [repr(x) for x in legible(np.array([[0.1, 48.31333, 133, 0, 12.5]], np.float32))[0].tolist()] == [
        *("0.1", "48.31333", "133.0", "0.0", "12.5"),
    ]
