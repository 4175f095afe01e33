"""Tables of all kinds, from file to scores: what `quipu ingest`, `train` and `backtest` make of other people's data."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.records import entity_column, transaction_columns
from graph.store import open_store

Quipu = Callable[..., Any]
Program = Callable[..., "subprocess.Popen[str]"]
Frame = pd.DataFrame

COLUMNS = [
    *("transaction_id", "occurred_at", "probability", "band", "model_version", "is_fraud"),
    *("user_id", "amount", "user_first_at", "promised_share"),
]
DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2024-01-01")
USER, DEVICE = "user_id: user", "user_id: user, device_id: device"
IN_ROW = "label: {is_fraud: {column: fraud, fraud: [1], genuine: [0]}, known_at: {delay: 7d}}"


def shop(n: int = 1_200, *, days: int = 60, frauds: int = 18, seed: int = 0) -> Frame:
    """Transactions in order of time. Frauds share a few devices, spend much, and end a day before the others."""
    rng = np.random.default_rng(seed)
    at = START + pd.to_timedelta(np.sort(rng.integers(0, days * 86_400, n)), unit="s")
    fraud = np.zeros(n, dtype=np.int64)
    fraud[np.linspace(5, n - 5, frauds).astype(int)] = 1
    user = np.where(fraud == 1, rng.integers(900, 906, n), rng.integers(0, 150, n))
    device = np.where(fraud == 1, rng.integers(900, 903, n), user % 120)
    amount = np.where(fraud == 1, rng.lognormal(5.5, 0.5, n), rng.lognormal(3, 0.8, n)).round(2)
    return pd.DataFrame(
        {
            "id": [f"t{i}" for i in range(n)],
            "at": at,
            "user": [f"u{i}" for i in user],
            "device": [f"d{i}" for i in device],
            "amount": amount,
            "fraud": fraud,
        }
    )


def changed(table: Frame, **columns: Any) -> Frame:
    return table.assign(**columns)


class Shop:
    """A table with its mapping, loaded through the command line."""

    def __init__(self, quipu: Quipu, folder: Path) -> None:
        self.quipu, self.folder = quipu, folder

    def load(
        self, table: Frame, columns: str = DEVICE, *, label: str = IN_ROW, at: str = "at", parquet: bool = False
    ) -> Any:
        name = "tx.parquet" if parquet else "tx.csv"
        if parquet:
            table.to_parquet(self.folder / name)
        else:
            table.to_csv(self.folder / name, index=False)
        (self.folder / "m.yaml").write_text(
            f"name: shop\nsource: {{files: {name}}}\n"
            f"transaction: {{transaction_id: id, occurred_at: {at}, amount: amount, {columns}}}\n{label}\n"
        )
        report = self.quipu("ingest", "m.yaml", "--json").json()
        assert (report["read"], report["loaded"]) == (len(table), len(table))
        return report

    def backtest(self, *options: str, first: str = "2024-02-10") -> Frame:
        """Scores from `first` on, checked for what holds for any."""
        summary = self.quipu("backtest", "--train-until", first, *options, "--out", "scores.parquet", "--json").json()
        scores = pq.read_table(self.folder / "scores.parquet")
        assert scores.column_names == COLUMNS
        assert scores.schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
        assert summary["transactions"] == scores.num_rows > 0
        frame: Frame = scores.to_pandas()
        assert frame.probability.between(0, 1).all()
        assert frame.probability.nunique() > 1
        assert set(frame.band) <= {"approve", "review", "block"}
        assert frame.model_version.notna().all()
        assert frame.model_version.nunique() == summary["models"]
        assert frame.occurred_at.is_monotonic_increasing
        assert frame.transaction_id.is_unique
        assert self.quipu("evaluate", "scores.parquet", "--json").json()["summary"]["transactions"] == len(
            frame[frame.is_fraud.notna()]
        )
        return frame

    def agrees(self, scores: Frame, table: Frame, *, first: str = "2024-02-10") -> None:
        """The scores are of all the table's rows from `first` on, with their own facts."""
        times = pd.to_datetime(table["at"], utc=True)
        expected = table[times >= pd.Timestamp(first, tz="UTC")].set_index("id")
        assert set(scores.transaction_id) == set(expected.index)
        rows = expected.loc[scores.transaction_id]
        assert (scores.user_id.to_numpy() == rows["user"].astype(str).to_numpy()).all()
        assert np.allclose(scores.amount, rows["amount"].astype(float))
        known = rows["fraud"].notna().to_numpy()
        assert (scores.is_fraud.notna().to_numpy() == known).all()
        assert (scores.is_fraud[known].astype(int).to_numpy() == rows["fraud"][known].astype(int).to_numpy()).all()


@pytest.fixture
def made(quipu: Quipu, tmp_path: Path) -> Shop:
    return Shop(quipu, tmp_path)


def auc(scores: Frame) -> float:
    """Share of pairs of a fraud and a genuine row that are in the right order."""
    known = scores[scores.is_fraud.notna()]
    fraud = known.is_fraud.astype(bool)
    above = known.probability[fraud].to_numpy()[:, None] - known.probability[~fraud].to_numpy()[None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


RNG = np.random.default_rng(7)
MANY = {f"V{i}": RNG.normal(size=1_200) for i in range(100)}
MANY |= {"V3": np.full(1_200, np.nan), "V4": np.full(1_200, 1e300), "V5": np.full(1_200, np.inf), "V6": -1e39}
MANY["V7"] = np.where(np.arange(1_200) % 2, np.nan, MANY["V7"])
LATE = pd.to_timedelta(np.where(RNG.random(1_200) < 0.2, RNG.exponential(2, 1_200), 0), unit="D")

CASES: dict[str, tuple[Frame, dict[str, Any]]] = {
    "only_a_user": (shop().drop(columns="device"), {"columns": USER}),
    "one_user": (shop().assign(user="me", device="mine"), {}),
    "everyone_seen_once": (
        shop().assign(user=lambda t: "u" + t.id, device=lambda t: "d" + t.id),
        {},
    ),
    "no_device_known": (shop().assign(device=None), {}),
    "hundred_numbers": (
        pd.concat([shop(), pd.DataFrame(MANY)], axis=1),
        {"columns": f'{DEVICE}, numeric: ["V*"]', "parquet": True},
    ),
    "categories_seen_once": (
        shop().assign(text=lambda t: "x" * 200 + t.id, browser=RNG.integers(0, 600, 1_200).astype(str), none=None),
        {"columns": f"{DEVICE}, categorical: [text, browser, none]"},
    ),
    "further_entities": (
        shop().assign(**{f"e{k}": RNG.integers(0, 90, 1_200).astype(str) for k in range(6)}),
        {"columns": f"{DEVICE}, entities: {{{', '.join(f'x{k}: e{k}' for k in range(6))}}}"},
    ),
    "times_of_accounts": (
        shop().assign(
            made=lambda t: (t["at"] - pd.to_timedelta(RNG.exponential(90, 1_200), unit="D")).where(t.index % 3 > 0)
        ),
        {"columns": f"{DEVICE}, times: [made]"},
    ),
    "any_order": (shop().sample(frac=1, random_state=1), {}),
    "days_without_hours": (shop().assign(at=lambda t: t["at"].dt.normalize()), {}),
    "late_rows": (shop().assign(arrived=lambda t: t["at"] + LATE), {"columns": f"{DEVICE}, arrived_at: arrived"}),
    "nothing_to_pay": (shop().assign(amount=0.0), {}),
    "fortunes": (shop().assign(amount=lambda t: t.amount * 1e7), {}),
    "long_ids": (shop().assign(user=lambda t: t.user + "9" * 200, device=lambda t: "0" * 200 + t.device), {}),
    "ids_that_are_numbers": (shop().assign(user=lambda t: 2**62 + t.user.str[1:].astype(int)), {"parquet": True}),
    "known_within_seconds": (shop(), {"label": "label: {is_fraud: fraud, known_at: {delay: 5s}}"}),
    "known_when_a_column_says": (
        shop().assign(told=lambda t: t["at"] + pd.to_timedelta(RNG.exponential(9, 1_200), unit="D")),
        {"label": "label: {is_fraud: fraud, known_at: told}"},
    ),
    "half_without_label": (shop(frauds=30).assign(fraud=lambda t: t.fraud.where(t.index % 2 == 0).astype("Int64")), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_any_table_is_scored_whole_and_by_sense(made: Shop, case: str) -> None:
    table, how = CASES[case]
    made.load(table, **how)
    scores = made.backtest("--retrain-every", "10d")
    made.agrees(scores, table)
    assert scores.model_version.nunique() == 2
    chance = case in {"everyone_seen_once", "nothing_to_pay"}
    assert auc(scores) > (0.6 if chance else 0.8)


def test_epochs_and_composite_ids(made: Shop) -> None:
    table = shop().assign(shop=lambda t: "s" + t.user.str[1:2], number=lambda t: t.user.str[2:].replace("", None))
    counted = table.assign(at=table["at"].astype("datetime64[s]").astype("int64"))
    made.load(counted, "user_id: [shop, number], device_id: device", at="{column: at, epoch: s}")
    scores = made.backtest()
    made.agrees(scores.assign(user_id="-"), table.assign(user="-"))
    assert scores.user_id.nunique() == table.user[table["at"] >= "2024-02-10"].nunique()
    assert auc(scores) > 0.8


def test_labels_that_come_after_weeks(made: Shop) -> None:
    table = shop(days=120, frauds=36)
    made.load(table, label="label: {is_fraud: fraud, known_at: {delay: 6w}}")
    scores = made.backtest(first="2024-03-20")
    made.agrees(scores, table, first="2024-03-20")
    assert auc(scores) > 0.8


def test_a_feed_that_names_only_fraud(made: Shop) -> None:
    table = shop()
    report = made.load(
        table.assign(fraud=table.fraud.map({1: "fraud", 0: ""})),
        label="label: {is_fraud: {column: fraud, fraud: [fraud]}, known_at: {delay: 3d}, genuine_after: 10d}",
    )
    assert report["labels"]["inferred_genuine"] > 900
    newest = table["at"].max()
    silent = (table.fraud == 0) & (table["at"] > newest - 10 * DAY)
    scores = made.backtest("--retrain-every", "10d")
    made.agrees(scores, table.assign(fraud=table.fraud.mask(silent).astype("Int64")))
    assert auc(scores) > 0.8


def test_labels_in_a_file_of_their_own_that_change_their_mind(made: Shop, tmp_path: Path) -> None:
    table = shop(frauds=24)
    told = pd.DataFrame({"id": table.id, "fraud": table.fraud, "known": table["at"] + 5 * DAY})
    first = told[told.fraud == 1].iloc[:3].assign(fraud=0, known=lambda t: t.known + 5 * DAY)
    pd.concat([told, first]).to_csv(tmp_path / "labels.csv", index=False)
    made.load(
        table.drop(columns="fraud"),
        label="labels: {files: labels.csv, transaction_id: id, is_fraud: fraud, known_at: known}",
    )
    scores = made.backtest("--retrain-every", "10d")
    made.agrees(scores, table)
    assert auc(scores) > 0.8


def test_without_any_label_new_users_of_one_device_and_the_unusual_come_first(made: Shop) -> None:
    table = shop(frauds=30)
    made.load(table, label="label: {is_fraud: fraud, known_at: {delay: 400d}}")
    scores = made.backtest("--retrain-every", "10d")
    made.agrees(scores, table)
    assert auc(scores) > 0.8
    assert scores.probability.mean() < 0.03
    trained = made.quipu("train", "--until", "2024-02-20")
    assert trained.status == 0, trained.err
    assert "no labels" in trained.out
    assert made.quipu("score", "tx.csv", "--mapping", "m.yaml", "--out", "out.parquet").status == 0


@pytest.mark.parametrize(("frauds", "n"), [(3, 1_200), (4, 1_200), (12, 60)])
def test_a_handful_of_frauds_gives_cautious_probabilities(made: Shop, frauds: int, n: int) -> None:
    table = shop(n, frauds=frauds)
    made.load(table)
    scores = made.backtest()
    made.agrees(scores, table)
    assert scores.probability.mean() < 3 * frauds / n + 0.01
    train = made.quipu("train", "--json").json()
    assert train["figures"]["network"] is None
    assert train["figures"]["frauds"] == frauds


def test_mostly_fraud(made: Shop) -> None:
    table = shop(80, frauds=18).assign(fraud=lambda t: 1 - t.fraud)
    made.load(table)
    scores = made.backtest()
    made.agrees(scores, table)
    assert auc(scores) > 0.8
    assert scores.probability.mean() > 0.5


def test_a_period_after_months_of_silence(made: Shop) -> None:
    table = shop().assign(at=lambda t: t["at"].where(t.index < 900, t["at"] + 400 * DAY))
    made.load(table)
    scores = made.backtest("--retrain-every", "7d", first="2024-03-10")
    made.agrees(scores, table, first="2024-03-10")
    assert scores.model_version.nunique() <= 4  # weeks without a transaction need no model
    assert auc(scores) > 0.8


def test_a_row_that_a_wrong_clock_let_arrive_before_it_occurred_is_scored(made: Shop, tmp_path: Path) -> None:
    """The service takes transactions from a few minutes ahead; a period may begin in between."""
    table = shop()
    made.load(table)
    first = pd.Timestamp("2024-02-10", tz="UTC")
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    schema = transaction_columns(store.schema())
    row = dict.fromkeys(schema.names) | {
        "transaction_id": "ahead",
        "occurred_at": first + pd.Timedelta(minutes=2),
        "arrived_at": first - pd.Timedelta(minutes=1),
        "amount": 500,
        entity_column("user"): "u1",
    }
    store.upsert_transactions(pa.Table.from_pylist([row], schema=schema))
    store.close()
    scores = made.backtest("--retrain-every", "10d")
    assert "ahead" in set(scores.transaction_id)
    made.agrees(scores[scores.transaction_id != "ahead"], table)


def test_nothing_later_changes_a_score(made: Shop, quipu: Quipu, tmp_path: Path) -> None:
    table = shop()
    made.load(table)
    before = made.backtest("--until", "2024-02-20", "--retrain-every", "4d").set_index("transaction_id")
    cut = pd.Timestamp("2024-02-20")
    late = table["at"] + 7 * DAY >= cut  # what labels of these say is not known in the period
    other = table.assign(fraud=table.fraud.where(~late, 1 - table.fraud))
    other = other[other["at"] < cut + DAY]
    (tmp_path / "store.db").rename(tmp_path / "before.db")
    for extra in tmp_path.glob("store.db-*"):
        extra.unlink()
    made.load(other)
    after = made.backtest("--until", "2024-02-20", "--retrain-every", "4d").set_index("transaction_id")
    assert (before.probability == after.probability.loc[before.index]).all()
    assert (before.band == after.band.loc[before.index]).all()


def test_with_enough_frauds_a_network_is_trained_served_and_measured(made: Shop) -> None:
    table = shop(2_500, frauds=120)
    rng = np.random.default_rng(1)
    columns = pd.DataFrame({f"V{i}": rng.normal(size=2_500) for i in range(100)}).assign(V1=np.inf, V2=np.nan, V3=1e39)
    made.load(pd.concat([table, columns], axis=1), f'{DEVICE}, numeric: ["V*"]', parquet=True)
    result = made.quipu("train", "--until", "2024-02-20", "--json").json()
    figures = result["figures"]
    assert figures["network"]["epochs"]
    assert set(figures["validation"]["average_precision"]) == {"head", "gnn", "anomaly", "blend"}
    assert figures["validation"]["average_precision"]["blend"] > 0.5
    assert made.quipu("models", "list", "--json").json()["in_use"] == Path(result["bundle"]).name
    shown = made.quipu("evaluate", result["bundle"], "--json").json()
    assert shown["figures"]["frauds"] == figures["frauds"]
    scores = made.backtest("--until", "2024-02-15")
    made.agrees(scores, table[table["at"] < "2024-02-15"])
    assert auc(scores) > 0.8


def test_the_same_seed_gives_the_same_scores(made: Shop) -> None:
    made.load(shop())
    first, again = made.backtest("--seed", "3"), made.backtest("--seed", "3")
    assert (first.probability == again.probability).all()
    assert made.quipu("backtest", "--train-until", "2024-02-10", "--out", "s.parquet").out.startswith(
        f"{len(first):,} transactions scored by 1 models"
    )


def test_results_go_to_standard_output_alone(program: Program, made: Shop) -> None:
    made.load(shop(2_500, frauds=120))
    process = program("train", "--json")
    out, error = process.communicate()
    assert process.returncode == 0, error
    result = json.loads(out)
    assert out.count("\n") == 1
    assert Path(result["bundle"]).is_dir()
    assert result["figures"]["network"]
    assert "training the graph network" in error


def test_an_interrupted_training_leaves_nothing_behind(program: Program, made: Shop, tmp_path: Path) -> None:
    made.load(shop(2_500, frauds=120))
    process = program("train")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training the graph network"):
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert out == ""
    assert list((tmp_path / "var" / "models").iterdir()) == []
