"""Fraud in a made-up world: typologies have their shapes; rings are blocked, come back changed, follow the drift."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.simulator import World, WorldSettings, simulate
from etl.simulator.labels import NEVER
from etl.simulator.rings import refused
from etl.simulator.typologies import TYPOLOGIES

SETTINGS = WorldSettings(users=8_000, days=120, seed=7)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(SETTINGS)


@pytest.fixture(scope="module")
def rows(world: World) -> pd.DataFrame:
    """Transactions with their truth."""
    return _told(world)


def _told(world: World) -> pd.DataFrame:
    return world.transactions.to_pandas().merge(world.truth.to_pandas(), on="transaction_id", validate="1:1")


def test_every_typology_is_there_and_rings_start_all_the_time(world: World) -> None:
    assert {ring["typology"] for ring in world.rings} == {t.name for t in TYPOLOGIES}
    starts = sorted(datetime.fromisoformat(ring["first_at"]) for ring in world.rings)
    edges = [datetime(2025, 1, 6, 5, tzinfo=UTC) + timedelta(days=24 * i) for i in range(6)]
    assert all(any(low <= start < high for start in starts) for low, high in pairwise(edges))


def test_typologies_have_their_shapes(world: World, rows: pd.DataFrame) -> None:
    genuine = rows[~rows.is_fraud]
    for ring in world.rings:
        mine = rows[rows.ring_id == ring["ring_id"]]
        generations = ring["came_back"] + 1
        match ring["typology"]:
            case "account_takeover":
                assert (mine.occurred_at - mine.account_created_at > pd.Timedelta(days=29)).all()
                assert not mine.device_id.dropna().isin(genuine.device_id).any()
            case "device_ring":
                assert len(ring["devices"]) < len(ring["members"]) + generations
                assert not set(ring["members"]) & set(genuine.user_id)
            case "card_testing":
                assert len(ring["devices"]) <= generations
                assert (mine.amount <= 40).mean() > 0.5
            case "collusive_restaurant":
                assert len(ring["restaurants"]) <= generations
            case "two_hop_ring":
                # A member's device has at most two intermediaries on it, and no other member, until they are blocked.
                first = mine[mine.generation == 0]
                assert first.empty or first.groupby("device_id").user_id.nunique().max() <= 3
                assert first.empty or first.groupby("user_id").device_id.nunique().max() <= 3
            case "rotating_ring":
                by_device = mine.groupby("device_id").occurred_at
                assert (by_device.max() - by_device.min()).max() < pd.Timedelta(days=3)
                assert set(ring["addresses"]) & set(genuine.ip)


def test_refunds_are_abused_again_and_again(rows: pd.DataFrame) -> None:
    abuse = rows[rows.typology == "refund_abuse"]
    refunds = abuse.transaction_type == "refund"
    assert 0.25 < refunds.mean() < 0.65
    assert refunds.groupby(abuse.user_id).sum().mean() >= 1.5


def test_synthetic_identities_ripen_before_they_are_harvested(world: World, rows: pd.DataFrame) -> None:
    waits = []
    for ring in world.rings:
        if ring["typology"] == "synthetic_identity":
            mine = rows[rows.user_id.isin(ring["members"])]
            harvest = mine.occurred_at[mine.is_fraud].min()
            honest = mine[~mine.is_fraud]
            assert honest.occurred_at.max() < harvest + timedelta(days=10)
            waits.append(len(honest) / len(ring["members"]))
    assert np.mean(waits) > 1, "most bought something honestly first"


def test_rings_that_come_back_use_what_was_not_blocked(world: World, rows: pd.DataFrame) -> None:
    kept: Counter[bool] = Counter()
    for ring in world.rings:
        mine = rows[rows.ring_id == ring["ring_id"]]
        assert mine.generation.max() == ring["came_back"]
        for before, after in pairwise(sorted(set(mine.generation))):
            old, new = mine[mine.generation <= before], mine[mine.generation == after]
            common = [set(old[key].dropna()) & set(new[key].dropna()) for key in ("user_id", "device_id", "ip")]
            kept[any(common)] += 1
            # The most of it is new all the same.
            assert len(common[0]) <= 0.75 * new.user_id.nunique() + 1
    assert kept[True] > 3 * kept[False] > 0


def test_rings_that_are_blocked_come_back_with_other_accounts_and_devices(world: World, rows: pd.DataFrame) -> None:
    back = [ring for ring in world.rings if ring["came_back"]]
    assert 0.08 * len(world.rings) < len(back) < 0.7 * len(world.rings)
    fraud = world.labels.to_pandas().merge(rows, on="transaction_id", suffixes=("_label", ""))
    reports = fraud[fraud.is_fraud_label & fraud.is_fraud]
    known = reports.groupby("user_id").known_at.min()
    late = rows[rows.is_fraud].copy()
    late["known_at"] = late.user_id.map(known)
    after = late[late.occurred_at > late.known_at + timedelta(hours=37)]
    # The accounts of a real guest may fall into another ring's hands, but none is used again by its own.
    again = after.merge(
        reports[["ring_id", "user_id", "known_at"]], on=["ring_id", "user_id"], suffixes=("", "_of_ring")
    )
    assert not (again.occurred_at > again.known_at_of_ring + timedelta(hours=37)).any()


times = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 2), st.integers(0, 50), st.one_of(st.none(), st.integers(1, 30))),
    min_size=1,
    max_size=12,
)


@given(times)
def test_what_is_refused_was_blocked_by_what_happened_and_nothing_else(
    drawn: list[tuple[int, int, int, int | None]],
) -> None:
    user, device, time = (np.array([row[i] for row in drawn], np.int64) for i in range(3))
    blocked_at = np.array([NEVER if wait is None else at + wait for _, _, at, wait in drawn], np.int64)
    gone = refused(user, device, time, blocked_at)
    for row in range(len(drawn)):
        earlier = ~gone & (blocked_at != NEVER) & (blocked_at <= time[row])
        of_user = bool((earlier & (user == user[row])).any())
        of_device = device[row] >= 0 and int((earlier & (device == device[row])).sum()) >= 2
        assert gone[row] == (of_user or of_device)


def test_a_drifting_world_changes_and_a_steady_one_does_not() -> None:
    steady, drifting = (simulate(WorldSettings(users=5_000, days=120, seed=5, drift=d)) for d in (0.0, 1.0))
    for world, drifts in ((steady, False), (drifting, True)):
        rows = _told(world)
        late = rows.occurred_at > rows.occurred_at.min() + timedelta(days=90)
        early = rows.occurred_at < rows.occurred_at.min() + timedelta(days=30)
        new = rows.payment_method == "qr_wallet"
        assert (new[late].mean() > 0.15) == drifts
        assert (new.sum() > 0) == drifts
        delivered = rows.transaction_type == "delivery"
        assert (delivered[late].mean() > delivered[early].mean() + 0.05) == drifts
        first = rows[rows.typology == "refund_abuse"].occurred_at.min()
        assert (first > rows.occurred_at.min() + timedelta(days=55)) == drifts
    counts = Counter(ring["typology"] for ring in drifting.rings)
    assert set(counts) == {t.name for t in TYPOLOGIES}
