"""Features and ego-graphs as of each transaction: nothing later enters, and a recount by hand agrees."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gnn.catalogue import Catalogue
from gnn.replay import History, Replay
from gnn.tensors import EgoStore
from graph.ego import NODE_FEATURES, PEERS
from graph.records import DAY, GraphSchema

SCHEMA = GraphSchema(("user", "device", "restaurant"), ("city",), ("score",))
HOUR = DAY // 24

transactions = st.lists(
    st.tuples(
        st.integers(1, 400),  # occurred, hours
        st.sampled_from([0, 0, 0, 1, 30]),  # arrived so many hours later
        st.integers(0, 10_000),  # amount
        st.sampled_from([0, 1, 2, 3]),
        st.sampled_from([-1, 4, 5, 6]),
        st.sampled_from([-1, 7, 8]),
        st.sampled_from([-1, 9, 10]),
    ),
    min_size=1,
    max_size=60,
)
labels = st.lists(st.tuples(st.integers(0, 59), st.integers(1, 500), st.booleans()), max_size=40)


def history(
    rows: list[tuple[int, ...]], known: list[tuple[int, int, bool]], schema: GraphSchema = SCHEMA
) -> tuple[History, NDArray[np.int64]]:
    """The history of such rows, and each row's place in it."""
    table = np.array(rows, np.int64).reshape(-1, 7)
    order = np.argsort(table[:, 0] + table[:, 1], kind="stable")
    place = np.argsort(order)
    table = table[order]
    told = sorted((known_at * HOUR, int(place[row]), is_fraud) for row, known_at, is_fraud in known if row < len(rows))
    return History(
        schema,
        np.arange(1, len(rows) + 1),
        table[:, 0] * HOUR,
        (table[:, 0] + table[:, 1]) * HOUR,
        table[:, 2].copy(),
        np.ascontiguousarray(table[:, 3:7], np.int32),
        (table[:, 2:3] / 7.0).astype(np.float64),
        np.array([row for _, row, _ in told], np.int32),
        np.array([at for at, _, _ in told], np.int64),
        np.array([is_fraud for _, _, is_fraud in told], np.bool_),
        11,
    ), place


def looked_up(h: History) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """All features, and every row's ego-graph as one array of nodes."""
    features, egos = [], []
    for _, _, values, store in Replay(h).run(len(h), egos=np.ones(len(h), np.bool_)):
        features.append(values)
        egos += [store.nodes[store.offsets[i] : store.offsets[i + 1]] for i in range(len(store))]
    return np.concatenate(features), egos


def unchanged(
    look_up: Callable[[History], tuple[NDArray[np.float32], list[NDArray[np.float32]]]],
    rows: list[tuple[int, ...]],
    known: list[tuple[int, int, bool]],
    more: list[tuple[int, ...]],
    more_known: list[tuple[int, int, bool]],
    moment: int,
) -> None:
    """Whatever arrives, or becomes known, from some moment on leaves answers given before it to the bit."""
    later = [(max(at, moment - late) if at + late < moment else at, late, *rest) for at, late, *rest in more]
    h, place = history(rows, known)
    grown, grown_place = history(
        rows + [row for row in later if row[0] + row[1] >= moment],
        known + [(row, max(at, moment), is_fraud) for row, at, is_fraud in more_known if row < len(rows)],
    )
    features, egos = look_up(h)
    again, egos_again = look_up(grown)
    for i, (at, late, *_) in enumerate(rows):
        if at + late <= moment:
            np.testing.assert_array_equal(again[grown_place[i]], features[place[i]])
            np.testing.assert_array_equal(egos_again[grown_place[i]], egos[place[i]])


growths = st.tuples(transactions, labels, transactions, labels, st.integers(1, 440))


@settings(max_examples=150)
@given(growths)
def test_nothing_later_changes_an_earlier_answer(drawn: Any) -> None:
    unchanged(looked_up, *drawn)


def frauds_of_user(h: History) -> NDArray[np.float32]:
    """A leak: the user's frauds among earlier transactions, known yet or not."""
    told = np.zeros(len(h), np.bool_)
    told[h.label_row] = h.label_fraud
    return np.array(
        [sum(told[j] for j in range(i) if h.ids[j, 0] == h.ids[i, 0]) for i in range(len(h))], np.float32
    ).reshape(-1, 1)


def users_to_come(h: History) -> NDArray[np.float32]:
    """A leak: how often the user comes at all."""
    return np.array([(h.ids[:, 0] == user).sum() for user in h.ids[:, 0]], np.float32).reshape(-1, 1)


@pytest.mark.parametrize("leak", [frauds_of_user, users_to_come])
def test_a_planted_feature_that_is_only_known_later_is_caught(leak: Callable[[History], NDArray[np.float32]]) -> None:
    def leaking(h: History) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        features, egos = looked_up(h)
        return np.hstack([features, leak(h)]), egos

    @settings(max_examples=500, database=None, phases=[Phase.generate])
    @given(growths)
    def claim(drawn: Any) -> None:
        unchanged(leaking, *drawn)

    with pytest.raises(AssertionError):
        claim()


@given(transactions, labels)
def test_features_are_those_of_a_recount(rows: list[tuple[int, ...]], known: list[tuple[int, int, bool]]) -> None:
    h, _ = history(rows, known)
    features, _ = looked_up(h)
    names = Catalogue.of(SCHEMA).names
    at = {name: i for i, name in enumerate(names)}
    final: dict[int, list[tuple[int, bool]]] = {}
    for row, known_at, is_fraud in zip(h.label_row, h.label_known_at, h.label_fraud, strict=True):
        final.setdefault(int(row), []).append((int(known_at), bool(is_fraud)))
    for i in range(len(h)):
        t = h.occurred_at[i]
        assert features[i, at["numeric_score"]] == np.float32(h.numeric[i, 0])
        if h.ids[i, 3] >= 0:
            for measure, wanted in _usual_values(h, i, final).items():
                np.testing.assert_allclose(features[i, at[f"city_value_{measure}"]], wanted, rtol=1e-5)
        for column, name in ((0, "user"), (1, "device"), (2, "restaurant")):
            entity = h.ids[i, column]
            if entity < 0:
                assert np.isnan(features[i, at[f"{name}_tx_all"]])
                continue
            mine = [j for j in range(i) if h.ids[j, column] == entity and h.occurred_at[j] < t]
            week = [j for j in mine if h.occurred_at[j] >= t - 7 * DAY]
            assert features[i, at[f"{name}_tx_all"]] == len(mine)
            assert features[i, at[f"{name}_tx_7d"]] == len(week)
            if week:
                mean = h.amount[week].sum() / (100.0 * len(week))
                np.testing.assert_allclose(features[i, at[f"{name}_amount_mean_7d"]], mean, rtol=1e-6)
                since = (t - h.occurred_at[mine].max()) / 1e6
                np.testing.assert_allclose(features[i, at[f"{name}_since_last"]], since, rtol=1e-6)
            if mine:
                latest = sorted(mine, key=lambda j: h.occurred_at[j])[-64:]
                same, larger = h.amount[latest] == h.amount[i], h.amount[latest] >= h.amount[i]
                np.testing.assert_allclose(features[i, at[f"{name}_amount_same"]], same.mean(), rtol=1e-6)
                np.testing.assert_allclose(features[i, at[f"{name}_amount_rank"]], larger.mean(), rtol=1e-6)
                if name == "user":
                    median = np.sort(h.amount[latest])[len(latest) // 2] + 1.0
                    high = h.amount[latest] > 2.5 * median
                    np.testing.assert_allclose(
                        features[i, at["user_amount_to_median"]], h.amount[i] / median, rtol=1e-6
                    )
                    lately = h.occurred_at[latest] >= t - 7 * DAY
                    assert features[i, at["user_unusual_7d"]] == (high & lately).sum()
            month = [j for j in mine if h.occurred_at[j] >= t - 30 * DAY]
            if month:
                days = min(max((t - h.occurred_at[mine].min()) / DAY, 1.0), 30.0)
                day = sum(h.occurred_at[j] >= t - DAY for j in month)
                np.testing.assert_allclose(features[i, at[f"{name}_tx_burst"]], day * days / len(month), rtol=1e-6)
            if name != "user":
                latest = sorted(mine, key=lambda j: h.occurred_at[j])[-64:]
                others = {int(h.ids[j, 0]) for j in latest} - {int(h.ids[i, 0])}
                assert features[i, at[f"{name}_users"]] == len(others)
            arrived = [j for j in range(i) if h.ids[j, column] == entity]
            told = [[f for k, f in final.get(j, []) if k < t] for j in arrived]
            assert features[i, at[f"{name}_fraud_all"]] == sum(bool(f and f[-1]) for f in told)
            changes = [change for j in arrived for change in _changes(final.get(j, [])) if change[0] < t]
            ages = [(t - k) / 1e6 for k, _ in changes]
            lately = [age for age in ages if age <= 30 * DAY / 1e6]
            first = [min(k for k, _ in final[j]) for j in arrived if j in final]
            first = sorted(k for k in first if k < t)
            since = first[-4:][0] if first else None
            latest = [change for k, change in changes if since is not None and k >= since]
            share = sum(latest) / sum(k >= since for k in first) if since is not None else np.nan
            for measure, wanted in (
                ("fraud_age", max(ages, default=np.nan)),
                ("fraud_age_30d", max(lately, default=np.nan)),
                ("fraud_latest", share),
                *_usual_frauds(h, arrived, final, int(t), i).items(),
            ):
                np.testing.assert_allclose(features[i, at[f"{name}_{measure}"]], wanted, rtol=1e-6)


def _usual_values(h: History, i: int, final: dict[int, list[tuple[int, bool]]]) -> dict[str, float]:
    """Of the cities of the user's latest transactions: how rare they are, and how often fraud is known of them."""
    t = h.occurred_at[i]
    past = [j for j in range(i) if h.occurred_at[j] < t]
    # Of transactions at one moment the later arrived is the latest.
    mine = sorted((j for j in past if h.ids[j, 0] == h.ids[i, 0]), key=lambda j: (h.occurred_at[j], j))[-16:]
    cities = [int(h.ids[j, 3]) for j in mine if h.occurred_at[j] >= t - 30 * DAY and h.ids[j, 3] >= 0]
    if not cities:
        return {"user_rarity": np.nan, "user_risk": np.nan}
    common, risk = {}, {}
    for city in set(cities):
        common[city] = 1.0 + sum(h.ids[j, 3] == city and h.occurred_at[j] >= t - 30 * DAY for j in past)
        told = [[f for k, f in final[j] if k < t] for j in range(i) if h.ids[j, 3] == city and j in final]
        told = [labels for labels in told if labels]
        risk[city] = sum(labels[-1] for labels in told) / (len(told) + 5.0)
    rarity = [np.log(max(common.values()) / common[city]) for city in cities]
    return {"user_rarity": float(np.mean(rarity)), "user_risk": float(np.mean([risk[city] for city in cities]))}


def _usual_frauds(
    h: History, arrived: list[int], final: dict[int, list[tuple[int, bool]]], t: int, i: int
) -> dict[str, float]:
    """How usual, for their users, the amounts of an entity's known frauds were: of the latest 16, ties left out."""
    told = {j: [change for change in _changes(final.get(j, [])) if change[0] < t] for j in arrived}
    times = sorted((k for changes in told.values() for k, _ in changes if k >= t - 30 * DAY), reverse=True)
    since = times[16] + 1 if len(times) > 16 else t - 30 * DAY
    ratios = []
    for j, changes in told.items():
        past = sorted(
            (k for k in range(i) if h.ids[k, 0] == h.ids[j, 0] and h.occurred_at[k] < h.occurred_at[j]),
            key=lambda k: h.occurred_at[k],
        )[-64:]
        if changes and changes[-1][1] > 0 and changes[-1][0] >= since and past:
            ratios.append((h.amount[j] * len(past) / (h.amount[past].sum() + 1.0), (t - changes[-1][0]) / 1e6))
    usual = [seconds for ratio, seconds in ratios if ratio <= 2.5]
    return {
        "fraud_usual": float(len(usual)),
        "since_fraud_usual": min(usual, default=np.nan),
        "fraud_ratio": min((ratio for ratio, _ in ratios), default=np.nan),
    }


def _changes(told: list[tuple[int, bool]]) -> list[tuple[int, int]]:
    """When a transaction's labels, in the order of time, made it a fraud (1) or none any more (-1)."""
    states = [False, *(f for _, f in told)]
    return [(k, int(f) - int(before)) for (k, f), before in zip(told, states[:-1], strict=True) if f != before]


@given(transactions)
def test_an_ego_graph_is_made_of_neighbours(rows: list[tuple[int, ...]]) -> None:
    h, _ = history(rows, [])
    sizes = np.concatenate([np.diff(s.offsets) for s in _egos(h)])
    counts = np.concatenate([s.counts for s in _egos(h)])
    np.testing.assert_array_equal(counts.sum(axis=1), sizes)
    own = (h.ids[:, :3] >= 0).astype(np.int64)
    np.testing.assert_array_equal(counts[:, :3], own)
    for i in range(len(h)):
        for k in (1, 2):
            users = {
                int(h.ids[j, 0])
                for j in range(i)
                if h.ids[i, k] >= 0 and h.ids[j, k] == h.ids[i, k] and h.occurred_at[j] < h.occurred_at[i]
            } - {int(h.ids[i, 0])}
            assert counts[i, 3 + k - 1] == min(len(users), PEERS)


def _egos(h: History) -> list[EgoStore]:
    return [store for _, _, _, store in Replay(h).run(len(h), egos=np.ones(len(h), np.bool_))]


def test_chunks_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    rows = [
        (int(a), 0, int(b), int(c), int(d) + 4, int(e) + 7, 9)
        for a, b, c, d, e in rng.integers(0, [5000, 9999, 4, 3, 2], (20_000, 5))
    ]
    h, _ = history(rows, [(i, int(rows[i][0]) + 48, i % 9 == 0) for i in range(0, 20_000, 3)])
    whole, egos = looked_up(h)
    replay = Replay(h)
    parts = [values for stop in (1, 7, 9000, 20_000) for _, _, values, _ in replay.run(stop)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert all(ego.shape[1] == len(NODE_FEATURES) and np.isfinite(ego).all() for ego in egos)
