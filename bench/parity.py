"""Parity: the end of a history replayed through the HTTP service, one transaction at a time, with labels arriving
when they become known; every feature and probability beside the offline ones.

Offline is what training and the backtest compute: one replay of the whole history, then the bundle's models.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.deployment import Deployment
from bench.report import Figure, Section
from bench.setup import Workspace
from gnn.bundle import open_bundle
from gnn.replay import History, Replay, read_history
from gnn.serving import load_predictor
from graph.records import (
    LABEL_COLUMNS,
    TIMESTAMP,
    category_column,
    entity_column,
    numeric_column,
    transaction_columns,
)
from graph.store import Store, open_store

LAST = 10_000
_BATCH = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CATEGORIES = ("payment_method", "transaction_type", "city")
_FIELDS = {"user": "user_id", "restaurant": "restaurant_id", "device": "device_id", "ip": "ip"}


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison came to.

    Attributes:
        transactions, labels: how many were sent.
        features: feature values compared; different: how many were not equal to the bit.
        names: which features differed.
        worst: the largest difference between two probabilities.
    """

    transactions: int
    labels: int
    features: int
    different: int
    names: tuple[str, ...]
    worst: float


def run(work: Workspace) -> Section:
    """Replays the last transactions of the Handbook, with the labels that become known meanwhile."""
    whole = open_store(work.store())
    history = read_history(whole, progress=work.progress)
    cut = len(history) - LAST
    while history.arrived_at[cut] == history.arrived_at[cut - 1]:
        cut -= 1
    ids = _transaction_ids(whole, history)
    keys = [key for chunk in whole.entity_keys() for key in chunk.keys]

    def fill(folder: Path) -> str:
        url = f"sqlite:///{folder / 'quipu.db'}"
        with work.progress.stage("a store that ends where the replay begins"):
            _copy_before(history, cut, ids, keys, url)
        return url

    deployment = Deployment(work, "parity", fill)
    first = request(history, cut, ids[cut], keys)
    with deployment.service() as service, work.progress.stage("replaying through HTTP"):
        service.answered("/v1/score", json.dumps(first).encode())
        parity = compare(service.url, service.key, whole, deployment.bundle, len(history) - cut)
    whole.close()
    figures = [
        Figure("transactions replayed, one by one", parity.transactions),
        Figure("labels sent when they became known", parity.labels),
        Figure("feature values compared", parity.features),
        Figure("of them not equal to the bit", parity.different, at_most=0, note=", ".join(parity.names)),
        Figure("largest difference of two probabilities", parity.worst, at_most=1e-6),
    ]
    return Section("parity", "the end of the history through the HTTP service, beside the offline replay", figures)


def _copy_before(history: History, cut: int, ids: list[str], keys: list[str], url: str) -> None:
    """A store with the first `cut` rows of a history and the labels that were known when the next one arrived."""
    store = open_store(url)
    store.extend_schema(history.schema)
    names, texts = pa.array(ids), pa.array(keys)
    columns = transaction_columns(history.schema)
    for first in range(0, cut, _BATCH):
        part = slice(first, min(first + _BATCH, cut))
        numbers = history.ids[part]
        table = {
            "transaction_id": names[part],
            "occurred_at": pa.array(history.occurred_at[part]).cast(TIMESTAMP),
            "arrived_at": pa.array(history.arrived_at[part]).cast(TIMESTAMP),
            "amount": pa.array(history.amount[part]),
            "currency": pa.nulls(len(numbers), pa.string()),
        }
        for k, name in enumerate(history.schema.keyed):
            column = entity_column(name) if name in history.schema.entities else category_column(name)
            table[column] = texts.take(pa.array(numbers[:, k], mask=numbers[:, k] < 0))
        for j, name in enumerate(history.schema.numeric):
            table[numeric_column(name)] = pa.array(history.numeric[part, j], from_pandas=True)
        store.upsert_transactions(pa.table(table, schema=columns))
    known = int(np.searchsorted(history.label_known_at, history.arrived_at[cut]))
    for first in range(0, known, _BATCH):
        part = slice(first, min(first + _BATCH, known))
        rows = pa.array(history.label_row[part])
        labels = {
            "transaction_id": names.take(rows),
            "is_fraud": pa.array(history.label_fraud[part]),
            "known_at": pa.array(history.label_known_at[part]).cast(TIMESTAMP),
            "source": pa.array(["history"] * len(rows)),
        }
        store.upsert_labels(pa.table(labels, schema=LABEL_COLUMNS))
    store.close()


class Client:
    """One keep-alive connection to the service."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Sends JSON, returns JSON; fails on any status but success."""
        self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path} answered {response.status}: {content.decode()}")
        answer: dict[str, Any] = json.loads(content)
        return answer


def compare(
    url: str, key: str, store: Store, bundle: Path, last: int, *, meanwhile: Callable[[int], None] = lambda _: None
) -> Parity:
    """Replays the last `last` transactions of `store` through a service that has been given all before them.

    The service must have neither these transactions nor the labels that became known after they began.

    Args:
        meanwhile: is told each transaction's row in the history, before it is sent.
    """
    history = read_history(store)
    first = len(history) - last
    features, probability, names = _offline(history, bundle, first)
    with closing(Client(url, key)) as client:
        return _compare(client, store, history, first, features, probability, names, meanwhile)


def _compare(
    client: Client,
    store: Store,
    history: History,
    first: int,
    features: NDArray[np.float32],
    probability: NDArray[np.float64],
    names: tuple[str, ...],
    meanwhile: Callable[[int], None],
) -> Parity:
    ids = _transaction_ids(store, history)
    keys = [key for chunk in store.entity_keys() for key in chunk.keys]
    begin = int(history.arrived_at[first])
    due = int(np.searchsorted(history.label_known_at, begin))
    sent = different = 0
    wrong: set[str] = set()
    worst = 0.0
    for row in range(first, len(history)):
        meanwhile(row)
        batch = []
        while due < len(history.label_row) and history.label_known_at[due] < history.arrived_at[row]:
            batch.append(_label(history, ids, due))
            due += 1
        for at in range(0, len(batch), 1000):
            client.call("POST", "/v1/labels", batch[at : at + 1000])
        sent += len(batch)
        answer = client.call("POST", "/v1/score", request(history, row, ids[row], keys))
        worst = max(worst, abs(answer["probability"] - probability[row - first]))
        kept = client.call("GET", f"/v1/decisions/{ids[row]}?features=true")["features"]
        live = np.array([np.nan if kept[name] is None else kept[name] for name in names], np.float32)
        unequal = live.view(np.uint32) != features[row - first].view(np.uint32)
        unequal &= ~(np.isnan(live) & np.isnan(features[row - first]))
        different += int(unequal.sum())
        wrong |= {names[i] for i in np.flatnonzero(unequal)}
    last = len(history) - first
    return Parity(last, sent, last * len(names), different, tuple(sorted(wrong)), worst)


def _offline(
    history: History, bundle: Path, first: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    predictor, _ = load_predictor(open_bundle(bundle))
    wanted = np.arange(len(history)) >= first
    features, probability = [], []
    replay = Replay(history)
    for begin, end, values, egos in replay.run(len(history), egos=wanted):
        if end > first:
            mine = values[max(first - begin, 0) :]
            features.append(mine)
            probability.append(predictor.predict(mine, egos).probability)
    return np.concatenate(features), np.concatenate(probability), replay.catalogue.names


def request(history: History, row: int, transaction_id: str, keys: list[str]) -> dict[str, Any]:
    """The body of `POST /v1/score` for one row of a history."""
    body: dict[str, Any] = {
        "transaction_id": transaction_id,
        "occurred_at": _iso(int(history.occurred_at[row])),
        "amount": int(history.amount[row]) / 100,
        "entities": {},
        "categories": {},
        "numeric": {},
    }
    for name, number in zip(history.schema.keyed, history.ids[row].tolist(), strict=True):
        if number < 0:
            continue
        if name in _FIELDS:
            body[_FIELDS[name]] = keys[number]
        elif name in _CATEGORIES:
            body[name] = keys[number]
        else:
            body["entities" if name in history.schema.entities else "categories"][name] = keys[number]
    for name, value in zip(history.schema.numeric, history.numeric[row].tolist(), strict=True):
        if not np.isnan(value):
            body["numeric"][name] = value
    return body


def _label(history: History, ids: list[str], entry: int) -> dict[str, Any]:
    return {
        "transaction_id": ids[history.label_row[entry]],
        "is_fraud": bool(history.label_fraud[entry]),
        "known_at": _iso(int(history.label_known_at[entry])),
        "source": f"replay-{entry}",
    }


def _iso(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).isoformat()


def _transaction_ids(store: Store, history: History) -> list[str]:
    return [by_seq for _, by_seq in sorted(_ids_by_row(store, history))]


def _ids_by_row(store: Store, history: History) -> Iterator[tuple[int, str]]:
    row_of_seq = {seq: row for row, seq in enumerate(history.seq.tolist())}
    for chunk in store.transaction_changes(0, with_ids=True):
        for seq, name in zip(chunk.seq.tolist(), chunk.transaction_ids or [], strict=True):
            yield row_of_seq[seq], name
