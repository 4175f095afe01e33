"""A made-up world keeps its promises: the same again for a seed, whole, honest about its truth, and not too easy."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from etl.contract.layout import fit
from etl.mapping import read_mapping
from etl.simulator import World, WorldSettings, fresh_ring, regular_visit, simulate, write
from etl.simulator.typologies import TYPOLOGIES
from graph.errors import InputError

SETTINGS = WorldSettings(users=5_000, days=90, seed=7)
TABLES = ("transactions", "labels", "users", "contacts", "devices", "restaurants", "truth")


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(SETTINGS)


@pytest.fixture(scope="module")
def rows(world: World) -> pd.DataFrame:
    """Transactions with their truth."""
    return world.transactions.to_pandas().merge(world.truth.to_pandas(), on="transaction_id", validate="1:1")


@pytest.fixture(scope="module")
def labels(world: World, rows: pd.DataFrame) -> pd.DataFrame:
    """Labels with the transaction's time and truth."""
    truth = rows[["transaction_id", "occurred_at", "is_fraud", "typology"]].rename(columns={"is_fraud": "truth"})
    joined = world.labels.to_pandas().merge(truth, on="transaction_id", validate="m:1")
    joined["delay"] = (joined.known_at - joined.occurred_at).dt.total_seconds() / 86_400
    return joined


def test_the_same_settings_make_the_same_world_and_another_seed_another() -> None:
    small = WorldSettings(users=300, days=30, seed=3)
    first, second, other = simulate(small), simulate(small), simulate(WorldSettings(users=300, days=30, seed=4))
    for name in TABLES:
        assert getattr(first, name).equals(getattr(second, name))
        assert not getattr(first, name).equals(getattr(other, name))
    assert first.rings == second.rings


def test_the_same_world_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(simulate(WorldSettings(users=300, days=30, seed=3)), tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 11
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_every_reference_leads_somewhere(world: World, rows: pd.DataFrame) -> None:
    assert 35_000 < len(rows) < 55_000
    assert rows.transaction_id.is_unique
    for table, key in ((world.users, "user_id"), (world.devices, "device_id"), (world.restaurants, "restaurant_id")):
        known = table.to_pandas()
        assert known[key].is_unique
        assert rows[key].dropna().isin(known[key]).all()
    users, restaurants = world.users.to_pandas(), world.restaurants.to_pandas()
    assert (rows.user_id.map(users.set_index("user_id").account_created_at) == rows.account_created_at).all()
    assert (rows.restaurant_id.map(restaurants.set_index("restaurant_id").city) == rows.city).all()


def test_rows_lie_in_the_period_in_order_and_after_the_accounts_were_made(world: World, rows: pd.DataFrame) -> None:
    begins = datetime(2025, 1, 6, 5, tzinfo=UTC)  # midnight in Lima
    assert rows.occurred_at.is_monotonic_increasing
    assert rows.occurred_at.min() >= begins
    assert rows.occurred_at.max() < begins + timedelta(days=90)
    assert (rows.occurred_at > rows.account_created_at).all()
    assert (world.users.to_pandas().account_created_at < begins + timedelta(days=90)).all()


def test_amounts_are_soles_or_dollars_with_two_decimals_and_zero_is_an_everyday_amount(rows: pd.DataFrame) -> None:
    assert np.array_equal(np.round(rows.amount, 2), rows.amount)
    assert set(rows.currency) == {"PEN", "USD"}
    assert 0.015 < (rows.currency == "USD").mean() < 0.05
    bills = rows[rows.transaction_type == "dine_in"].groupby("currency").amount.median()
    assert 2.5 < bills.PEN / bills.USD < 5
    assert 0.02 < (rows.amount == 0)[~rows.is_fraud].mean() < 0.08


def test_a_refund_is_money_back_and_most_refunds_are_genuine(rows: pd.DataFrame) -> None:
    refunds = rows[rows.transaction_type == "refund"]
    assert ((rows.amount < 0) == (rows.transaction_type == "refund")).all()
    assert 0.008 < len(refunds) / len(rows) < 0.03
    assert refunds.is_fraud.mean() < 0.3
    first = rows[rows.amount > 0].groupby("user_id").occurred_at.min()
    ordered = refunds[~refunds.is_fraud].user_id.map(first)
    assert (ordered < refunds.occurred_at[~refunds.is_fraud]).mean() > 0.95, "but for orders before the period"


def test_the_platform_does_not_see_every_device_and_address(rows: pd.DataFrame) -> None:
    for fraud in (False, True):
        mine = rows[rows.is_fraud == fraud]
        assert 0.01 < mine.device_id.isna().mean() < 0.12
        assert 0.003 < mine.ip.isna().mean() < 0.08


def test_device_ids_and_addresses_are_of_the_kinds_that_platforms_see(world: World, rows: pd.DataFrame) -> None:
    devices = world.devices.to_pandas()
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert devices.device_id.str.lower().is_unique
    assert (
        devices.device_id[devices.platform == "ios"]
        .str.fullmatch(uuid.replace("a-f", "A-F").replace("89ab", "89AB"))
        .all()
    )
    assert devices.device_id[devices.platform == "web"].str.fullmatch(uuid).all()
    android = devices.device_id[devices.platform == "android"]
    short = android.str.fullmatch("[0-9a-f]{16}")
    assert (short | android.str.fullmatch(uuid)).all()
    assert 0.3 < short.mean() < 0.5
    behind = rows.ip.dropna().drop_duplicates().map(ip_address)
    nat = behind.map(lambda ip: ip in ip_network("100.64.0.0/10"))
    assert nat.any()
    assert behind[~nat].map(lambda ip: ip.is_global).all()


def test_the_truth_names_typology_and_ring_of_fraud_and_of_nothing_else(world: World, rows: pd.DataFrame) -> None:
    assert world.truth["transaction_id"].equals(world.transactions["transaction_id"])
    assert (rows.typology.notna() == rows.is_fraud).all()
    assert (rows.ring_id.notna() == rows.is_fraud).all()
    assert 0.009 < rows.is_fraud.mean() < 0.015
    fraud = rows[rows.is_fraud]
    assert {ring["ring_id"] for ring in world.rings} == set(fraud.ring_id)
    for ring in world.rings:
        mine = fraud[fraud.ring_id == ring["ring_id"]]
        assert ring["transactions"] == len(mine)
        assert set(mine.typology) == {ring["typology"]}
        assert ring["members"] == sorted(set(mine.user_id))
        assert ring["devices"] == sorted(set(mine.device_id.dropna()))
        assert datetime.fromisoformat(ring["first_at"]) == mine.occurred_at.min()
        assert datetime.fromisoformat(ring["last_at"]) == mine.occurred_at.max()


def test_sharing_is_an_everyday_thing(rows: pd.DataFrame) -> None:
    for column in ("device_id", "ip"):
        shared = rows.groupby(column).user_id.nunique() > 1
        everyday = rows[~rows.is_fraud].groupby(column).user_id.nunique() > 1
        assert everyday.sum() >= 0.9 * shared.sum()
        assert shared.sum() > 200
    busiest = rows.groupby("ip").user_id.nunique().max()
    assert busiest > 100, "addresses of mobile carriers are shared by very many"


def test_everything_is_labelled_in_the_end_and_mostly_truly(labels: pd.DataFrame, rows: pd.DataFrame) -> None:
    assert labels.known_at.is_monotonic_increasing
    assert (labels.delay > 0).all()
    assert (labels.known_at > rows.occurred_at.max()).any(), "what becomes known after the end is told as well"
    last = labels.groupby("transaction_id").last()
    assert len(last) == len(rows)
    assert 0 < last.is_fraud[~last.truth].mean() < 0.001, "some disputes of genuine transactions are lost"
    assert 0.04 < 1 - last.is_fraud[last.truth].mean() < 0.2, "a tenth of fraud is never reported"


def test_labels_come_late_by_typology(labels: pd.DataFrame) -> None:
    silent = labels[labels.source == "no_report"]
    assert not silent.is_fraud.any()
    assert silent.delay.between(14, 14.5).all()
    reports = labels[labels.is_fraud & labels.truth]
    for typology in TYPOLOGIES:
        delays = reports.delay[reports.typology == typology.name]
        assert 0.6 * typology.reported_after < delays.median() < 1.6 * typology.reported_after


def test_some_genuine_transactions_are_disputed_and_most_disputes_are_won(labels: pd.DataFrame) -> None:
    disputed = set(labels[labels.is_fraud & ~labels.truth].transaction_id)
    won = labels[labels.source == "dispute_won"]
    assert 5 < len(disputed) < 150
    assert set(won.transaction_id) < disputed
    assert 0.3 < len(won) / len(disputed) < 0.9
    assert not won.is_fraud.any()
    before = labels[labels.transaction_id.isin(won.transaction_id)].groupby("transaction_id").source.last()
    assert (before == "dispute_won").all(), "the last word"


def test_identifiers_tell_nothing(world: World, rows: pd.DataFrame) -> None:
    for column in ("transaction_id", "user_id", "device_id", "ip"):
        there = rows[column].dropna()
        assert abs(np.corrcoef(there.rank(method="dense"), there.index)[0, 1]) < 0.05
    users = rows.groupby("user_id").is_fraud.max()
    assert abs(roc_auc_score(users, users.index.to_series().rank()) - 0.5) < 0.06
    assert rows.user_id.str.len().nunique() == 1
    of_fraud, of_others = (rows[rows.is_fraud == fraud].device_id.dropna() for fraud in (True, False))
    assert set(of_fraud.str.len()) == set(of_others.str.len())
    for table, key in ((world.users, "user_id"), (world.devices, "device_id")):
        assert table[key].to_pylist() == sorted(table[key].to_pylist())


def test_the_default_world_is_neither_trivial_nor_hopeless_without_links() -> None:
    """What a row says of itself, and of its user's own past, with no other entity looked at."""
    made = simulate(WorldSettings())
    rows = made.transactions.to_pandas().merge(made.truth.to_pandas(), on="transaction_id", validate="1:1")
    rows["amount"] = rows.amount.abs()
    clock = rows.occurred_at.dt.tz_convert("America/Lima")
    of_user = rows.groupby("user_id")
    columns = pd.DataFrame(
        {
            "amount": rows.amount,
            "hour": clock.dt.hour,
            "weekday": clock.dt.day_of_week,
            "age": (rows.occurred_at - rows.account_created_at).dt.total_seconds(),
            "method": rows.payment_method.astype("category").cat.codes,
            "kind": rows.transaction_type.astype("category").cat.codes,
            "city": rows.city.astype("category").cat.codes,
            "before": of_user.cumcount(),
            "gap_of_five": (rows.occurred_at - of_user.occurred_at.shift(5)).dt.total_seconds().fillna(1e8),
            "gap": of_user.occurred_at.diff().dt.total_seconds().fillna(1e8),
            "ratio": rows.amount / (1 + (of_user.amount.cumsum() - rows.amount) / of_user.cumcount().clip(lower=1)),
        }
    )
    columns["other_method"] = columns.method != of_user.payment_method.shift().map(
        dict(zip(rows.payment_method, columns.method, strict=True))
    )
    for name in columns:
        area = roc_auc_score(rows.is_fraud, columns[name])
        assert max(area, 1 - area) < 0.85, name
    cut = int(len(rows) * 0.6)
    features = columns.to_numpy(np.float32)
    model = lightgbm.train(
        {"objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 60, "lambda_l2": 10}
        | {"num_threads": 1, "seed": 1, "deterministic": True, "verbosity": -1},
        lightgbm.Dataset(features[:cut], rows.is_fraud[:cut].to_numpy(np.float32)),
        num_boost_round=120,
    )
    precision = average_precision_score(rows.is_fraud[cut:], model.predict(features[cut:]))
    assert 0.3 < precision < 0.7


def test_a_fresh_ring_is_unknown_to_the_world_and_follows_it(world: World) -> None:
    ring = fresh_ring(world, 5)
    assert ring == fresh_ring(world, 5)
    assert ring != fresh_ring(world, 6)
    assert set(ring[0]) == set(world.transactions.column_names)
    frame = pd.DataFrame(ring)
    assert frame.user_id.nunique() == 5
    assert frame.device_id.nunique() == 1
    assert frame[:-1].user_id.value_counts().between(2, 3).all()
    for column in ("transaction_id", "user_id", "device_id", "ip"):
        assert not frame[column].isin(world.transactions[column].to_pylist()).any()
    assert frame.restaurant_id.isin(world.restaurants["restaurant_id"].to_pylist()).all()
    times = pd.to_datetime(frame.occurred_at)
    assert times.is_monotonic_increasing
    assert times.min() > world.transactions["occurred_at"][-1].as_py()
    assert times.max() - times.min() < pd.Timedelta(hours=7)


def test_a_regular_visit_holds_nothing_new(world: World, rows: pd.DataFrame) -> None:
    visit = regular_visit(world, 5)
    assert set(visit) == set(rows.columns) - {"is_fraud", "typology", "ring_id", "generation"}
    mine = rows[rows.user_id == visit["user_id"]]
    assert len(mine) >= 5
    assert not mine.is_fraud.any()
    for column in ("device_id", "ip", "restaurant_id"):
        assert visit[column] in set(mine[column]), column
    assert visit["transaction_id"] not in set(rows.transaction_id)
    assert datetime.fromisoformat(visit["occurred_at"]) > rows.occurred_at.max()
    assert datetime.fromisoformat(visit["account_created_at"]) == mine.account_created_at.iloc[0]


def test_files_hold_the_world_and_the_mapping_fits_them(world: World, tmp_path: Path) -> None:
    write(world, tmp_path, "csv")
    files = write(world, tmp_path)
    assert not (tmp_path / "transactions.csv").exists(), "an earlier world's rows must not stay behind"
    assert all(file.is_file() for file in files)
    stored = pq.read_table(tmp_path / "transactions.parquet")
    assert stored.equals(world.transactions)
    mapping = read_mapping(tmp_path / "mapping.yaml")
    assert set(fit(mapping, stored.column_names, "transactions.parquet").entities) == {
        "user",
        "device",
        "ip",
        "restaurant",
    }
    assert set(mapping.attributes) == {"user", "device", "restaurant"}
    assert mapping.transaction.amount.negative == "refund"
    assert mapping.currencies is not None
    assert mapping.currencies.base == "PEN"
    rates = pd.read_csv(tmp_path / "rates.csv", parse_dates=["date"])
    assert rates.date.min().date() < SETTINGS.start, "the first day has a rate"
    labels = pd.read_csv(tmp_path / "labels.csv", parse_dates=["known_at"])
    assert labels.is_fraud.to_list() == world.labels["is_fraud"].to_pylist()
    assert (labels.known_at == world.labels["known_at"].to_pandas()).all()
    assert pq.read_table(tmp_path / "truth" / "fraud.parquet").equals(world.truth)
    assert json.loads((tmp_path / "truth" / "rings.json").read_text()) == world.rings
    contacts = pd.read_csv(tmp_path / "contacts.csv")
    assert contacts.user_id.to_list() == world.users["user_id"].to_pylist()
    assert contacts.email.str.fullmatch(r"[a-z0-9._]+@example\.(com|net|org)").all()
    demo = json.loads((tmp_path / "truth" / "demo.json").read_text())
    assert [*demo["history"], demo["ring"]] == fresh_ring(world, SETTINGS.seed)
    assert demo["ordinary"] == regular_visit(world, SETTINGS.seed)


def test_transactions_in_csv_say_the_same(tmp_path: Path) -> None:
    small = simulate(WorldSettings(users=200, days=14, seed=2))
    write(small, tmp_path, "csv")
    stored = pd.read_csv(tmp_path / "transactions.csv", parse_dates=["occurred_at", "account_created_at"])
    pd.testing.assert_frame_equal(
        stored, small.transactions.to_pandas(), check_dtype=False, check_index_type=False, check_column_type=False
    )
    first = (tmp_path / "transactions.csv").read_text().splitlines()[1]
    assert f",{small.transactions['amount'][0].as_py():.2f}," in first


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    users=st.integers(50, 400),
    days=st.integers(7, 60),
    seed=st.integers(0, 2**63 - 1),
    rate=st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.2]),
    drift=st.sampled_from([0.0, 0.3, 1.0]),
    start=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
)
def test_worlds_of_any_settings_are_whole(
    users: int, days: int, seed: int, rate: float, drift: float, start: date
) -> None:
    world = simulate(WorldSettings(users, days, seed, rate, start, drift))
    rows = world.transactions.to_pandas()
    assert len(rows) > 0
    assert rows.transaction_id.is_unique
    assert rows.user_id.isin(world.users["user_id"].to_pylist()).all()
    assert rows.device_id.dropna().isin(world.devices["device_id"].to_pylist()).all()
    assert (rows.occurred_at > rows.account_created_at).all()
    assert world.settings.begins <= rows.occurred_at.min().timestamp() <= rows.occurred_at.max().timestamp()
    assert rows.occurred_at.max().timestamp() < world.settings.ends
    assert world.truth.num_rows == len(rows)
    assert set(world.labels["transaction_id"].to_pylist()) == set(rows.transaction_id)
    fraud = int(np.sum(world.truth["is_fraud"].to_numpy()))
    assert fraud == sum(ring["transactions"] for ring in world.rings)
    if rate == 0 or len(rows) * rate > 2:
        assert (fraud > 0) == (rate > 0)
    assert len(fresh_ring(world, seed)) >= 11
    assert regular_visit(world, seed)["user_id"] in set(world.users["user_id"].to_pylist())


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 3},
        {"days": 0},
        {"seed": -1},
        {"fraud_rate": 0.5},
        {"fraud_rate": float("nan")},
        {"drift": 1.1},
        {"mess": -0.1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        WorldSettings(**wrong)  # type: ignore[arg-type]


def test_the_command_writes_a_world_and_says_what_is_in_it(tmp_path: Path) -> None:
    done = _quipu("simulate", str(tmp_path / "w"), "--users", "2500", "--days", "90", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 17_000 < result["transactions"] < 27_000
    assert result["transactions"] == pq.read_metadata(tmp_path / "w" / "transactions.parquet").num_rows
    assert result["fraud"] == sum(counts["transactions"] for counts in result["typologies"].values())
    assert set(result["typologies"]) <= {t.name for t in TYPOLOGIES}
    assert all(Path(file).is_file() for file in result["files"])


def test_the_command_refuses_wrong_usage_without_a_traceback(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    for arguments in (
        ["w", "--users", "1"],
        ["w", "--start", "yesterday"],
        ["w", "--drift", "2"],
        [str(occupied), "--users", "60"],
    ):
        done = _quipu("simulate", *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def _quipu(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=False)
