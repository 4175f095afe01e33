"""Backtest: each transaction of a period scored as of its own time, by models trained only on what was known before.

Labels that become known during the period enter features then, and later trainings; never before.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnn.candidates import Candidates
from gnn.replay import History, read_history
from gnn.rolling import Period, Rolling, Served, train_served
from gnn.training import TrainingSettings
from graph.progress import Progress, Silent
from graph.records import TIMESTAMP
from graph.store import Store

_COLUMNS = [
    "transaction_id",
    "occurred_at",
    "probability",
    "band",
    "model_version",
    "is_fraud",
    "user_id",
    "amount",
    "user_first_at",
    "promised_share",
]


def backtest(
    store: Store,
    *,
    train_until: int,
    until: int | None = None,
    retrain_every: int | None = None,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """Scores every transaction that occurred in [train_until, until), in order of occurrence.

    Args:
        train_until, until: microseconds UTC; without `until`, up to the end of history.
        retrain_every: microseconds between trainings; without it the first model scores all. A training whose
            model would score nothing before the next one is left out; one for which too little is known leaves
            the model in use.

    Returns:
        A table: transaction_id, occurred_at, probability, band, model_version, is_fraud (by the last label that ever
        became known; null where there is none), and for reports user_id, amount, user_first_at (when the user's
        first transaction occurred) and promised_share (the share of transactions that the row's model, at its
        training, promised to flag).

    Raises:
        InputError: the period is empty, or `retrain_every` means more than 1,000 trainings.
        NotEnoughData: too little was known at the first training.
    """
    watcher, chosen = progress or Silent(), settings or TrainingSettings()
    history = read_history(store, progress=watcher)
    period = Period.of(history, train_until, until)

    def trained(features: NDArray[np.float32], candidates: Candidates, at: int) -> Served:
        return train_served(history, features, candidates, at, chosen, watcher)

    run = Rolling(history, period, trained, chosen, watcher)
    run.run(retrain_every)
    return _table(store, history, period.rows, run)


def facts_of(store: Store, history: History, rows: NDArray[np.int64]) -> pa.Table:
    """What is known of rows of a history that does not come from a model.

    Returns:
        A table, a row each in the order given: transaction_id, occurred_at, is_fraud (by the last label that ever
        became known; null where there is none), user_id, amount (in units of the currency), user_first_at (when the
        user's first transaction occurred; never after the row's own).
    """
    label, _ = history.labels_as_of(None)
    user = history.ids[:, 0]
    first_at = np.full(history.entities, np.iinfo(np.int64).max)
    np.minimum.at(first_at, user, history.occurred_at)
    return pa.table(
        {
            "transaction_id": pa.array(_transaction_ids(store, history.seq[rows])),
            "occurred_at": pa.array(history.occurred_at[rows]).cast(TIMESTAMP),
            "is_fraud": pa.array(label[rows] == 1, mask=label[rows] < 0),
            "user_id": pa.array(_keys(store, history.ids[rows, 0])),
            "amount": history.amount[rows] / 100.0,
            "user_first_at": pa.array(first_at[user[rows]]).cast(TIMESTAMP),
        }
    )


def _table(store: Store, history: History, rows: NDArray[np.int64], run: Rolling[Served]) -> pa.Table:
    rows = rows[np.argsort(history.occurred_at[rows], kind="stable")]
    probability, version = run.score[rows, 0], run.version[rows]
    bands = np.empty(len(rows), object)
    for i, model in enumerate(run.models):
        mine = version == i
        bands[mine] = model.policy.bands(probability[mine])
    names = np.array([model.version for model in run.models], object)
    promised = np.array([model.promised_share for model in run.models])
    table = facts_of(store, history, rows)
    for name, values in {
        "probability": pa.array(probability),
        "band": pa.array(bands.tolist(), pa.string()),
        "model_version": pa.array(names[version].tolist(), pa.string()),
        "promised_share": pa.array(promised[version]),
    }.items():
        table = table.append_column(name, values)
    return table.select(_COLUMNS)


def _transaction_ids(store: Store, seq: NDArray[np.int64]) -> Sequence[str]:
    ids = np.empty(int(seq.max()) + 1, object)
    for chunk in store.transaction_changes(int(seq.min()) - 1, with_ids=True):
        inside = chunk.seq < len(ids)
        ids[chunk.seq[inside]] = np.array(chunk.transaction_ids, object)[inside]
        if not inside.all():
            break
    return list(ids[seq])


def _keys(store: Store, numbers: NDArray[np.int32]) -> Sequence[str]:
    keys = [key for chunk in store.entity_keys() for key in chunk.keys]
    return [keys[number] for number in numbers.tolist()]
