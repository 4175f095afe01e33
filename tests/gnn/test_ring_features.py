"""Rings as features: replay and live agree to the bit, nothing said later counts, reasons name the ring."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gnn.catalogue import Catalogue
from gnn.explain import Explainer
from gnn.habits import WALK
from gnn.lookup import fill
from gnn.replay import Replay, read_history
from gnn.sentences import RingReached
from graph.index import AsOfIndex
from graph.records import DAY, TIMESTAMP, GraphSchema
from graph.ring_records import Refresh, Ring, RingEvent, RingEventKind, RingMember, RingStatus, Verdict
from graph.store import Store, open_store, rings_of

SCHEMA = GraphSchema(("user", "device", "ip"))
NAMES = Catalogue.of(SCHEMA).names
OF_RINGS = [i for i, name in enumerate(NAMES) if "ring_" in name]
HOUR = DAY // 24


class Row(NamedTuple):
    """A transaction; times in hours."""

    at: int
    late: int
    user: str
    device: str | None
    ip: str | None


class Told(NamedTuple):
    """A refresh (users of each ring, score, whether it returned) or a verdict; the time in hours."""

    at: int
    rings: dict[str, tuple[frozenset[str], float, bool]] | None = None
    verdict: tuple[str, RingStatus] | None = None


USERS, DEVICES = ("u1", "u2", "u3", "u4"), ("d1", "d2", None)
rows = st.lists(
    st.builds(
        Row,
        st.integers(1, 60),
        st.sampled_from([0, 0, 0, 5, 30]),
        st.sampled_from(USERS),
        st.sampled_from(DEVICES),
        st.sampled_from(["i1", None]),
    ),
    min_size=1,
    max_size=15,
)
in_ring = st.frozensets(st.sampled_from(["u1", "u2", "u3", "d1", "d2"]), min_size=1)
said = st.lists(
    st.one_of(
        st.builds(
            Told,
            st.integers(1, 70),
            st.dictionaries(st.sampled_from("ab"), st.tuples(in_ring, st.sampled_from([0.3, 0.7]), st.booleans())),
        ),
        st.builds(
            Told,
            st.integers(1, 70),
            st.none(),
            st.tuples(st.sampled_from("ab"), st.sampled_from([RingStatus.CONFIRMED, RingStatus.DISMISSED])),
        ),
    ),
    max_size=6,
    unique_by=lambda told: told.at,
).map(lambda all_told: sorted(all_told, key=lambda told: told.at))


def _table(some: list[tuple[str, Row]]) -> pa.Table:
    return pa.table(
        {
            "transaction_id": pa.array([name for name, _ in some], pa.string()),
            "occurred_at": pa.array([row.at * HOUR for _, row in some], pa.int64()).cast(TIMESTAMP),
            "arrived_at": pa.array([(row.at + row.late) * HOUR for _, row in some], pa.int64()).cast(TIMESTAMP),
            "amount": pa.array([100 * row.at for _, row in some], pa.int64()),
            "entity:user": pa.array([row.user for _, row in some], pa.string()),
            "entity:device": pa.array([row.device for _, row in some], pa.string()),
            "entity:ip": pa.array([row.ip for _, row in some], pa.string()),
        }
    )


def tell(store: Store, told: Told) -> None:
    """Writes a refresh, or a verdict if there is such a ring."""
    kept, at = rings_of(store), told.at * HOUR
    if told.verdict is not None:
        ring_id, verdict = told.verdict
        if kept.ring(ring_id) is not None:
            kept.write_verdict(Verdict(ring_id, at, verdict))
        return
    rings = [
        Ring(ring_id, RingStatus.NEW, score, at, at, _members(who, at), (), 1, 1, 0, at, at)
        for ring_id, (who, score, _) in (told.rings or {}).items()
    ]
    returned = [ring_id for ring_id, (_, _, back) in (told.rings or {}).items() if back]
    kept.write_refresh(
        Refresh(at, tuple(rings), tuple(RingEvent(name, at, RingEventKind.RETURNED) for name in returned))
    )


def _members(who: frozenset[str], at: int) -> tuple[RingMember, ...]:
    return tuple(RingMember("user" if key[0] == "u" else "device", key, at, 1) for key in sorted(who))


def replayed(store: Store) -> NDArray[np.float32]:
    history = read_history(store)
    parts = [features for _, _, features, _ in Replay(history).run(len(history))]
    return np.concatenate(parts)


def live(store: Store, some: list[Row], all_told: list[Told], folder: Path, snapshot_at: int) -> NDArray[np.float32]:
    """Features as a service would give them: each row scored, then kept; rings told as their time comes."""
    index = AsOfIndex.open(store, schema=SCHEMA)
    scratch, numeric = np.empty((3, 2 * WALK), np.int32), np.empty(0)
    todo, unsent = list(all_told), list[tuple[str, Row]]()
    features = np.empty((len(some), len(NAMES)), np.float32)
    for i, row in enumerate(some):
        while todo and todo[0].at < row.at + row.late:
            tell(store, todo.pop(0))
        if i == snapshot_at:
            store.upsert_transactions(_table(unsent[: i // 2]))  # the others are in the snapshot alone
            unsent = unsent[i // 2 :]
            index.snapshot(folder / "snapshots")
            index = AsOfIndex.open(store, folder / "snapshots", schema=SCHEMA)
        index.catch_up(store)
        ids = [
            index.id_for(0, row.user),
            -1 if row.device is None else index.id_for(1, row.device),
            -1 if row.ip is None else index.id_for(2, row.ip),
        ]
        amount = 100 * row.at
        fill(index.state, row.at * HOUR, amount, np.array(ids, np.int32), numeric, 3, scratch, features[i])
        index.append(f"t{i}", row.at * HOUR, amount, ids)
        unsent.append((f"t{i}", row))
    store.upsert_transactions(_table(unsent))
    for told in todo:
        tell(store, told)
    return features


def in_order(some: list[Row]) -> list[Row]:
    return sorted(some, key=lambda row: row.at + row.late)


def new_store(folder: Path, name: str) -> Store:
    path = folder / f"{name}.db"
    for old in folder.glob(f"{name}*"):
        old.unlink()
    store = open_store(f"sqlite:///{path}")
    store.extend_schema(SCHEMA)
    return store


slow = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


@slow
@given(some=rows, all_told=said, snapshot_at=st.integers(0, 15))
def test_replay_and_live_agree_to_the_bit(
    tmp_path: Path, some: list[Row], all_told: list[Told], snapshot_at: int
) -> None:
    store = new_store(tmp_path, "live")
    for old in (tmp_path / "snapshots").glob("index-*/*"):
        old.unlink()
    served = live(store, in_order(some), all_told, tmp_path, snapshot_at)
    again = replayed(store)
    store.close()
    assert served.view(np.uint32).tolist() == again.view(np.uint32).tolist()


@slow
@given(some=rows, all_told=said, moment=st.integers(1, 60))
def test_what_is_said_of_rings_later_changes_nothing(
    tmp_path: Path, some: list[Row], all_told: list[Told], moment: int
) -> None:
    """Whatever a refresh or an investigator says at or after some moment, answers up to it stay as they are."""
    store = new_store(tmp_path, "later")
    ordered = in_order(some)
    store.upsert_transactions(_table([(f"t{i}", row) for i, row in enumerate(ordered)]))
    for told in all_told:
        if told.at < moment:
            tell(store, told)
    before = replayed(store)
    for told in all_told:
        if told.at >= moment:
            tell(store, told)
    after = replayed(store)
    store.close()
    early = [i for i, row in enumerate(ordered) if row.at <= moment]
    np.testing.assert_array_equal(after[early], before[early])


@pytest.fixture
def judged(tmp_path: Path) -> Store:
    """A ring of u1, u2 and d1 from hour 10 on, confirmed at hour 20, without d1 from hour 30, gone at hour 40."""
    store = new_store(tmp_path, "judged")
    moments = [(at, 0, "u1", "d1", None) for at in (10, 11, 20, 21, 31, 41)] + [(12, 0, "u9", "d1", "i1")]
    some = in_order([Row(*moment) for moment in moments])
    store.upsert_transactions(_table([(f"t{i}", row) for i, row in enumerate(some)]))
    three, two = frozenset({"u1", "u2", "d1"}), frozenset({"u1", "u2"})
    tell(store, Told(10, {"a": (three, 0.3, False)}))
    tell(store, Told(20, verdict=("a", RingStatus.CONFIRMED)))
    tell(store, Told(30, {"a": (two, 0.7, False)}))
    tell(store, Told(40, {}))
    return store


def test_the_features_say_what_was_known_before(judged: Store) -> None:
    history = read_history(judged)
    told = [dict(zip(NAMES, row.tolist(), strict=True)) for row in replayed(judged)]
    by_hour = {int(at // HOUR): row for at, row in zip(history.occurred_at, told, strict=True)}
    chosen = ("ring_score", "ring_members", "ring_entities", "user_ring_score", "user_ring_confirmed")
    expected = {
        10: (0, 0, 0, 0, 0),
        11: (0.3, 3, 2, 0.3, 0),
        12: (0.3, 3, 1, 0, 0),  # somebody else on the ring's device
        20: (0.3, 3, 2, 0.3, 0),
        21: (0.3, 3, 2, 0.3, 1),
        31: (0.7, 2, 1, 0.7, 1),
        41: (0, 0, 0, 0, 0),
    }
    for hour, values in expected.items():
        assert [by_hour[hour][name] for name in chosen] == pytest.approx(list(values)), hour
    since = {hour: row["user_ring_since"] for hour, row in by_hour.items() if not np.isnan(row["user_ring_since"])}
    assert since == {hour: (hour - 10) * 3600.0 for hour in (11, 20, 21, 31)}
    assert by_hour[12]["device_ring_since"] == 7200.0
    assert by_hour[12]["ip_ring_score"] == by_hour[31]["device_ring_score"] == 0
    assert np.isnan(by_hour[11]["ip_ring_score"])  # it had no address


def test_a_replica_sees_a_refresh_and_a_verdict_with_its_next_look(judged: Store) -> None:
    index = AsOfIndex.open(judged)
    user = index.id_of(0, "u2")
    assert index.ring_of([user], 45 * HOUR) is None
    tell(judged, Told(50, {"a": (frozenset({"u2"}), 0.3, False)}))
    assert index.catch_up(judged) == 0  # no transactions or labels
    touch = index.ring_of([user, -1], 51 * HOUR)
    assert touch == ("a", pytest.approx(0.3), 1, True, (0,), 50 * HOUR)
    tell(judged, Told(52, verdict=("a", RingStatus.DISMISSED)))
    index.catch_up(judged)
    assert index.ring_of([user], 52 * HOUR) == touch
    assert index.ring_of([user], 53 * HOUR) is None


def test_a_snapshot_of_rings_that_the_store_does_not_have_is_passed_over(judged: Store, tmp_path: Path) -> None:
    AsOfIndex.open(judged).snapshot(tmp_path / "snapshots")
    other = new_store(tmp_path, "other")
    history = read_history(judged)
    some = [Row(int(at // HOUR), 0, "u1", "d1", None) for at in history.occurred_at]
    other.upsert_transactions(_table([(f"t{i}", row) for i, row in enumerate(some)]))
    index = AsOfIndex.open(other, tmp_path / "snapshots")
    assert index.transactions == len(history)
    assert (index.rings.names, index.ring_of([index.id_of(0, "u1")], 15 * HOUR)) == ([], None)


def test_an_index_without_the_members_type_passes_them_over(judged: Store) -> None:
    index = AsOfIndex.open(judged, schema=GraphSchema(("user", "ip")))
    touch = index.ring_of([index.id_of(0, "u1")], 15 * HOUR)
    assert touch is not None
    assert (touch.ring_id, touch.members) == ("a", 3)


def _reason(ring: RingReached | None, values: dict[str, float]) -> tuple[str, str, dict[str, object]]:
    features = np.full((1, len(NAMES)), np.nan, np.float32)
    contributions = np.zeros((1, len(NAMES) + 1))
    for name, value in values.items():
        features[0, NAMES.index(name)] = value
        contributions[0, NAMES.index(name)] = 0.5
    explainer = Explainer(Catalogue.of(SCHEMA), (), 1.0, 0.0, 0.0)
    keys = [{"user": "u1", "device": "d1", "ip": "192.0.2.7"}]
    (reasons,) = explainer.reasons(
        contributions, np.zeros(1), features, keys, [{"nodes": {}}], lambda _: [], lambda _: ring
    )
    return reasons[0].code, reasons[0].text, dict(reasons[0].evidence)


def test_a_reason_names_the_ring_with_all_its_features_in_one() -> None:
    ring = RingReached("ring_abc", 0.8312, 7, True, ("user", "ip"), 12.5 * 86_400)
    values = {"ring_score": 0.8312, "ring_members": 7.0, "user_ring_score": 0.8312, "user_ring_confirmed": 1.0}
    code, text, evidence = _reason(ring, values)
    assert code == "RING"
    assert text == (
        "User u1 and IP address 192.0.2.7 are in the ring ring_abc "
        "(7 members, score 0.83, confirmed by an investigator), for 12 days"
    )
    assert evidence["figures"] == pytest.approx(values)
    assert evidence["log_odds"] == 2.0
    assert evidence["ring"] == {
        "ring_id": "ring_abc",
        "status": "confirmed",
        "score": 0.8312,
        "members": 7,
        "through": ["user", "ip"],
        "seconds": 12.5 * 86_400,
    }
    _, text, _ = _reason(RingReached("r", 0.5, 1, False, ("device",), 90.0), values)
    assert text == "Device d1 is in the ring r (1 member, score 0.50, not judged yet), for 1 minute"


def test_a_reason_may_be_that_there_is_no_ring() -> None:
    code, text, evidence = _reason(None, {"ring_score": 0.0})
    assert (code, text) == ("RING", "Neither its user nor anything it used is in a fraud ring")
    assert "ring" not in evidence
