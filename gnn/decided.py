"""What was decided on the transactions of a period: by the service where it did, else by a replay with a bundle."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.bundle import Bundle
from gnn.catalogue import Catalogue
from gnn.policy import APPROVE
from gnn.replay import History, Replay
from gnn.serving import load_predictor
from graph.progress import Progress
from graph.records import Decision
from graph.store import Store

DECISIONS, REPLAY = "decisions", "replay"
_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions on m transactions of a history, in order of its rows.

    Attributes:
        source: `decisions`, kept by the service, or `replay`, what the bundle would have said as of each one's time.
        rows: int64[m], rows of the history.
        probability: float64[m].
        band: m texts.
        version: m model versions.
        features: float32[f, P], of those of the period's last part; f at most m.
        feature_rows: int64[f], the rows they are of.
        reasons: how often each reason came first, for transactions of the last part that were not approved.
        truncated: share of the last part's neighbourhoods that a cap cut; None where not told.
    """

    source: str
    rows: NDArray[np.int64]
    probability: NDArray[np.float64]
    band: NDArray[np.str_]
    version: NDArray[np.str_]
    features: NDArray[np.float32]
    feature_rows: NDArray[np.int64]
    reasons: Counter[str]
    truncated: float | None

    def __len__(self) -> int:
        return len(self.rows)


def kept_decisions(
    store: Store, history: History, wanted: NDArray[np.bool_], recent: NDArray[np.bool_], progress: Progress
) -> Decided | None:
    """The decisions that the store has on rows of a history; None where it has none.

    Args:
        wanted: bool[n], the rows; recent: bool[n], those of the last part, whose features and reasons are read too.
    """
    width = len(Catalogue.of(history.schema))
    order = np.argsort(history.seq)
    seqs = history.seq[order]
    found: list[tuple[int, float, str, str]] = []
    features: list[NDArray[np.float32]] = []
    feature_rows: list[int] = []
    reasons: Counter[str] = Counter()
    cut = told = 0
    first = int(history.seq[wanted].min(initial=len(history) + 1))
    with progress.stage("reading decisions", total=int(wanted.sum())) as advance:
        for chunk in store.transaction_changes(first - 1, with_ids=True, chunk=_CHUNK):
            names = chunk.transaction_ids or []
            place = np.minimum(np.searchsorted(seqs, chunk.seq), len(seqs) - 1)
            mine = np.flatnonzero((seqs[place] == chunk.seq) & wanted[order[place]])
            row_of = {names[i]: int(order[place[i]]) for i in mine.tolist()}
            for name, decision in (store.decisions(list(row_of)) if row_of else {}).items():
                row = row_of[name]
                found.append((row, decision.probability, decision.band, decision.model_version))
                if recent[row]:
                    values = np.frombuffer(decision.features, np.float32)
                    if len(values) == width:
                        features.append(values)
                        feature_rows.append(row)
                    answer = _answer(decision)
                    told += 1
                    cut += bool(answer.get("neighbourhood", {}).get("truncated"))
                    if decision.band != APPROVE and answer.get("reasons"):
                        reasons[answer["reasons"][0]["code"]] += 1
            advance(len(mine))
    if not found:
        return None
    found.sort()
    rows, probability, band, version = zip(*found, strict=True)
    return Decided(
        DECISIONS,
        np.array(rows, np.int64),
        np.array(probability, np.float64),
        np.array(band),
        np.array(version),
        np.array(features, np.float32).reshape(-1, width),
        np.array(feature_rows, np.int64),
        reasons,
        cut / told if told else None,
    )


def _answer(decision: Decision) -> dict[str, Any]:
    try:
        answer = json.loads(decision.response)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def replayed_decisions(
    history: History, bundle: Bundle, wanted: NDArray[np.bool_], recent: NDArray[np.bool_], progress: Progress
) -> Decided | None:
    """What a bundle says of rows of a history, each as of its own time; None where there are no rows.

    Args:
        wanted, recent: as in `kept_decisions`.

    Raises:
        BundleError: the bundle cannot be used with these features.
    """
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return None
    predictor, serving = load_predictor(bundle)
    replay = Replay(history)
    until = int(rows[-1]) + 1
    probability = np.empty(len(history))
    features, feature_rows = [np.empty((0, len(replay.catalogue)), np.float32)], [np.empty(0, np.int64)]
    with progress.stage("scoring as of each transaction", total=until) as advance:
        for first, end, values, egos in replay.run(until, egos=wanted):
            places = np.flatnonzero(wanted[first:end])
            if len(places):
                probability[first + places] = predictor.predict(values[places], egos).probability
            late = np.flatnonzero((wanted & recent)[first:end])
            features.append(values[late].copy())
            feature_rows.append(first + late)
            advance(end - first)
    return Decided(
        REPLAY,
        rows,
        probability[rows],
        serving.policy.bands(probability[rows]),
        np.full(len(rows), bundle.name),
        np.concatenate(features),
        np.concatenate(feature_rows),
        Counter(),
        None,
    )
