"""The simulator's world with its default settings: hard in the right way, and quickly made.

Three guards against a world that one column solves, each on several seeds: how far a model without links comes, how
much a single feature says, and how much of all sharing is everyday sharing. Labels are what was known at the split;
the truth judges.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.report import Figure, Section
from bench.setup import Workspace
from gnn.catalogue import Catalogue
from gnn.replay import History, Replay, read_history
from graph.records import USER
from graph.store import open_store

SEEDS = (1, 2, 3)
TRAINED_ON = 0.6
"""Share of the transactions, the earliest ones, that models are fitted on."""
RIPENS = 15 * 86_400_000_000
"""Microseconds after which a transaction's label is known, as long as nobody reports it later still."""
_MILLION = ("--users", "125000", "--days", "90")
_TREES = 200
_MODEL = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "lambda_l2": 10,
    "feature_fraction": 0.5,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Hardness:
    """What was measured of one world.

    Attributes:
        rows, frauds: transactions, and how many of them are fraud.
        without_links, with_links: average precision on the later transactions, on true labels.
        recall_without_links, recall_with_links: at 0.5% false positives, there.
        feature, feature_auc: the single feature that says most about fraud, whichever way it points, on all rows.
        everyday: share of the devices and addresses of two or more users that no fraud touches.
        typologies: transactions by typology.
    """

    rows: int
    frauds: int
    without_links: float
    with_links: float
    recall_without_links: float
    recall_with_links: float
    feature: str
    feature_auc: float
    everyday: dict[str, float]
    typologies: dict[str, int]


def run(work: Workspace) -> Section:
    """Makes, loads and replays a world for each seed, and times one of a million transactions."""
    folder = work.emptied("world")
    worlds = []
    for seed in SEEDS:
        made = work.quipu("simulate", str(folder / f"{seed}"), "--seed", str(seed), "--json").result
        url = f"sqlite:///{folder}/{seed}.db"
        work.quipu("ingest", made["mapping"], "--store", url, "--json")
        with work.progress.stage(f"measuring the world of seed {seed}"):
            worlds.append(hardness(url, folder / f"{seed}" / "truth" / "fraud.parquet"))
    large = work.quipu("simulate", str(folder / "large"), *_MILLION, "--json")
    rows = large.result["transactions"]
    without = [w.without_links for w in worlds]
    title = f"{len(SEEDS)} simulated worlds with default settings, {sum(w.rows for w in worlds):,} transactions"
    figures = [
        Figure("average precision without links, lowest", min(without), at_least=0.3, runs=tuple(without)),
        Figure("average precision without links, highest", max(without), at_most=0.7, runs=tuple(without)),
        Figure.median("average precision with links", [w.with_links for w in worlds]),
        Figure.median("recall without links", [w.recall_without_links for w in worlds], note="0.5% false positives"),
        Figure.median("recall with links", [w.recall_with_links for w in worlds], note="0.5% false positives"),
        _highest("largest AUC of a single feature", worlds),
        *(
            Figure(
                f"everyday among shared {name}s, lowest",
                min(w.everyday[name] for w in worlds),
                at_least=0.9,
                runs=tuple(w.everyday[name] for w in worlds),
                note="of two or more users, with no fraud on it",
            )
            for name in ("device", "ip")
        ),
        Figure.median("share of fraud", [w.frauds / w.rows for w in worlds]),
        *(
            Figure.median(f"rows of {name}", [w.typologies.get(name, 0) for w in worlds])
            for name in sorted({name for w in worlds for name in w.typologies})
        ),
        Figure(
            "a million transactions simulated and written",
            large.seconds / rows * 1e6,
            "s",
            at_most=60,
            note=f"{rows:,} in one run",
        ),
        Figure("peak memory of that run", large.peak_bytes / 2**30, "GiB"),
    ]
    return Section("world", title, figures, {str(seed): asdict(w) for seed, w in zip(SEEDS, worlds, strict=True)})


def hardness(url: str, truth: Path) -> Hardness:
    """Measures a loaded world against its truth file."""
    store = open_store(url)
    try:
        history = read_history(store)
        ids = [i for chunk in store.transaction_changes(with_ids=True) for i in chunk.transaction_ids or ()]
        seq = np.concatenate([chunk.seq for chunk in store.transaction_changes()])
    finally:
        store.close()
    told = pq.read_table(truth)
    typology = dict(zip(told["transaction_id"].to_pylist(), told["typology"].to_pylist(), strict=True))
    # The history is in order of arrival, the store in order of writing.
    of_seq = dict(zip(seq.tolist(), ids, strict=True))
    kinds = [typology[of_seq[number]] for number in history.seq.tolist()]
    is_fraud = np.array([kind is not None for kind in kinds])
    replay = Replay(history)
    features = np.concatenate([rows.copy() for _, _, rows, _ in replay.run(len(history))])
    catalogue = replay.catalogue

    cut = int(len(history) * TRAINED_ON)
    label, _ = history.labels_as_of(int(history.arrived_at[cut]))
    # Of later ones only frauds are known, and whoever learns from those takes anything recent for fraud.
    ripe = history.arrived_at[:cut] < history.arrived_at[cut] - RIPENS
    known = np.flatnonzero((label[:cut] >= 0) & ripe)
    plain = own_features(catalogue, history)
    scores = {
        name: _fitted(features[:, columns], known, label[known] == 1, cut)
        for name, columns in (("plain", plain), ("linked", np.arange(len(catalogue))))
    }
    areas = [_area(is_fraud, features[:, column]) for column in range(len(catalogue))]
    best = int(np.argmax(areas))
    later = is_fraud[cut:]
    return Hardness(
        rows=len(history),
        frauds=int(is_fraud.sum()),
        without_links=float(average_precision_score(later, scores["plain"])),
        with_links=float(average_precision_score(later, scores["linked"])),
        recall_without_links=_recall(later, scores["plain"]),
        recall_with_links=_recall(later, scores["linked"]),
        feature=catalogue[best].name,
        feature_auc=areas[best],
        everyday={name: everyday_share(history, is_fraud, name) for name in ("device", "ip")},
        typologies={kind: kinds.count(kind) for kind in sorted({kind for kind in kinds if kind is not None})},
    )


def own_features(catalogue: Catalogue, history: History) -> NDArray[np.int64]:
    """Columns that know of no link: the transaction itself, the user's own past, and categories."""
    own = {"transaction", USER, *history.schema.categories}
    return np.array([column for column, feature in enumerate(catalogue) if feature.subject in own])


def everyday_share(history: History, is_fraud: NDArray[np.bool_], entity: str) -> float:
    """Of the entities that two or more users share, the share on which there is no fraud at all."""
    column = history.ids[:, history.schema.entities.index(entity)]
    there = column >= 0
    pairs = np.unique(np.stack([column[there], history.ids[there, 0]]), axis=1)
    entities, users = np.unique(pairs[0], return_counts=True)
    shared = entities[users > 1]
    return float(1 - np.isin(shared, column[there & is_fraud]).mean())


def _fitted(features: NDArray[np.float32], rows: NDArray[np.int64], fraud: NDArray[np.bool_], cut: int) -> Any:
    data = lightgbm.Dataset(features[rows], fraud.astype(np.float32))
    return lightgbm.train(_MODEL, data, num_boost_round=_TREES).predict(features[cut:])


def _area(is_fraud: NDArray[np.bool_], feature: NDArray[np.float32]) -> float:
    """Area under the ROC curve of one feature, whichever way it points; what is missing counts as least."""
    values = np.where(np.isnan(feature), -np.finfo(np.float32).max, feature)
    area = float(roc_auc_score(is_fraud, values))
    return max(area, 1 - area)


def _recall(is_fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    return float((score[is_fraud] > np.quantile(score[~is_fraud], 0.995)).mean())


def _highest(name: str, worlds: list[Hardness]) -> Figure:
    worst = max(worlds, key=lambda w: w.feature_auc)
    runs = tuple(w.feature_auc for w in worlds)
    return Figure(name, worst.feature_auc, at_most=0.85, runs=runs, note=worst.feature)
