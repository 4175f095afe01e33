"""Monitoring: whether what is scored, and how it turns out, is still what the model in use was made for.

Labels count as known at one moment, so that a run for a past interval says today what it said then.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gnn.bundle import Bundle, open_bundle
from gnn.catalogue import Catalogue
from gnn.champion import current_bundle
from gnn.decided import DECISIONS, Decided, kept_decisions, replayed_decisions
from gnn.delayed import RIPE, WEEK, Delay, Quality, quality, week_of
from gnn.drift import FeatureDrift, Reference, noise, psi
from gnn.monitor_report import Ages, MonitorReport, Volume
from gnn.patterns import Pattern, patterns
from gnn.policy import BLOCK, REVIEW, Costs
from gnn.promise import PROBABILITY_EDGES
from gnn.replay import History, read_history
from gnn.serving import schema_of
from graph.errors import BundleError, InputError, NotEnoughData
from graph.progress import Progress, Silent
from graph.records import DAY
from graph.store import RingStore, Store

WEEKS: Final = 8
_LABEL_DAYS: Final = 56
_SHORTEST: Final = WEEK


def monitor(
    store: Store,
    models: Path,
    *,
    since: int | None = None,
    until: int | None = None,
    weeks: int = WEEKS,
    progress: Progress | None = None,
) -> MonitorReport:
    """Looks at what occurred in [since, until) and at the weeks before, for the model in use.

    Decisions are those that the service left in the store; where there are none, transactions since the model was
    trained are scored by it here, each as of its own time.

    Args:
        models: the folder of bundles.
        since: microseconds UTC; by default, and at the latest, seven days before `until`: weekdays differ.
        until: microseconds UTC; only labels known before it are used. By default all that is there.
        weeks: how many weeks to tell the quality of.

    Raises:
        BundleError: no model is in use, or it cannot be used.
        NotEnoughData: there are no transactions in the period.
        InputError: the period is empty.
    """
    watcher = progress or Silent()
    bundle = open_bundle(current_bundle(models))
    history = read_history(store, progress=watcher)
    if not len(history):
        raise NotEnoughData("there are no transactions to look at", hint="load some first: quipu ingest MAPPING")
    end = int(history.occurred_at.max()) + 1 if until is None else until
    # When rows arrived does not count: a platform's history may have been sent long after it occurred.
    at = max(end, int(history.label_known_at.max(initial=0)) + 1) if until is None else until
    if since is not None and since >= end:
        raise InputError("the period to look at is empty", hint="choose --since before --until")
    start = min(end - _SHORTEST, end if since is None else since)
    occurred = history.occurred_at
    recent = (occurred >= start) & (occurred < end)
    if not recent.any():
        raise NotEnoughData(
            "no transaction occurred in the period to look at", hint="choose --since and --until inside the data"
        )
    first = min(start, int(week_of(end)) - weeks * WEEK)
    wanted = (occurred >= first) & (occurred < end)
    decided = _decided(store, history, bundle, wanted, recent, watcher)
    label, known_at = history.labels_as_of(at)
    delays = _delays(history, label, known_at, at)
    costs = Costs(**bundle.manifest["policy"]["costs"])
    judged = _weeks(history, decided, label, delays["fraud"], costs, (first, end, at)) if decided else []
    return MonitorReport(
        model_version=bundle.name,
        source=decided.source if decided else DECISIONS,
        since=start,
        until=end,
        at=at,
        transactions=int(recent.sum()),
        decided=int(recent[decided.rows].sum()) if decided else 0,
        features=_feature_drift(bundle, decided),
        feature_names=Catalogue.of(history.schema).names,
        gain=_gain(bundle, Catalogue.of(history.schema).names),
        volume=_volume(bundle, decided, recent),
        weeks=judged,
        champion=_of_model(history, decided, label, delays["fraud"], costs, (first, at), bundle.name),
        promised=bundle.manifest["figures"].get("promised"),
        delays=delays,
        missing=_missing(history, recent),
        late=float(np.mean(history.arrived_at[recent] - occurred[recent] > DAY)),
        reasons=dict(decided.reasons.most_common()) if decided else {},
        truncated=decided.truncated if decided else None,
        patterns=_patterns(store, history, decided, label),
        ages=_ages(store, history, bundle),
    )


def _decided(
    store: Store,
    history: History,
    bundle: Bundle,
    wanted: NDArray[np.bool_],
    recent: NDArray[np.bool_],
    progress: Progress,
) -> Decided | None:
    found = kept_decisions(store, history, wanted, recent, progress)
    if found is not None and recent[found.rows].any():
        return found
    if schema_of(bundle) != history.schema:
        raise BundleError(
            f"bundle {bundle.name} knows other columns than the store has",
            hint="train again: quipu train",
        )
    # What the model has learnt from, it knows: only what came later tells anything.
    unseen = history.occurred_at >= int(bundle.manifest["figures"]["trained_until"])
    return replayed_decisions(history, bundle, wanted & unseen, recent & unseen, progress)


def _feature_drift(bundle: Bundle, decided: Decided | None) -> FeatureDrift | None:
    if decided is None or not len(decided.features):
        return None
    reference = Reference.load(bundle.file("reference.npz"))
    if len(reference.usual) != decided.features.shape[1]:
        return None
    return reference.drift(decided.features)


def _gain(bundle: Bundle, names: Sequence[str]) -> NDArray[np.float64]:
    """Share of the head's gain by feature; equal shares where the bundle doesn't tell."""
    told = bundle.manifest["figures"].get("gain") or {}
    gain = np.array([float(told.get(name) or 0.0) for name in names])
    return gain / gain.sum() if gain.sum() > 0 else np.full(len(names), 1 / max(len(names), 1))


def _volume(bundle: Bundle, decided: Decided | None, recent: NDArray[np.bool_]) -> Volume | None:
    """Alerts and probabilities of the period, for decisions of the model in use."""
    if decided is None:
        return None
    mine = recent[decided.rows] & (decided.version == bundle.name)
    n = int(mine.sum())
    if not n:
        return None
    promised = bundle.manifest["figures"].get("promised")
    ranges = np.bincount(
        np.searchsorted(PROBABILITY_EDGES, decided.probability[mine], side="left"), minlength=len(PROBABILITY_EDGES) + 1
    )
    distance = limit = None
    if promised:
        before = np.array(promised["probabilities"]) * promised["rows"]
        distance = float(psi(before, ranges))
        limit = float(noise(int((before > 0).sum()), promised["rows"], n))
    band = decided.band[mine]
    return Volume(n, int((band == REVIEW).sum()), int((band == BLOCK).sum()), distance, limit)


def _delays(history: History, label: NDArray[np.int8], known_at: NDArray[np.int64], at: int) -> dict[str, Delay]:
    """Of labels that became known lately: asking by when they did leaves none out for being slow."""
    lately = (label >= 0) & (known_at >= at - _LABEL_DAYS * DAY)
    delay = np.maximum(known_at - history.occurred_at, 0)
    return {name: Delay.of(delay[lately & (label == value)]) for name, value in (("fraud", 1), ("genuine", 0))}


def _ripe_before(delay: Delay, at: int) -> int:
    """What occurred before this has most of its frauds known at time `at`."""
    return at - delay.quantiles.get(RIPE, 14 * DAY)


def _weeks(
    history: History,
    decided: Decided,
    label: NDArray[np.int8],
    delay: Delay,
    costs: Costs,
    times: tuple[int, int, int],
) -> list[Quality]:
    """Complete weeks with decisions, in order."""
    first, end, at = times
    occurred, amount = history.occurred_at[decided.rows], history.amount[decided.rows] / 100
    week = week_of(occurred)
    found = []
    for start in np.unique(week).tolist():
        if start < first or start + WEEK > end:
            continue
        mine = week == start
        found.append(
            quality(
                start=start,
                end=start + WEEK,
                ripe=start + WEEK <= _ripe_before(delay, at),
                label=label[decided.rows[mine]],
                band=decided.band[mine],
                amount=amount[mine],
                costs=costs,
            )
        )
    return found


def _of_model(
    history: History,
    decided: Decided | None,
    label: NDArray[np.int8],
    delay: Delay,
    costs: Costs,
    times: tuple[int, int],
    version: str,
) -> Quality | None:
    """What the model in use itself decided, as far as it is ripe."""
    if decided is None:
        return None
    first, at = times
    occurred = history.occurred_at[decided.rows]
    mine = (decided.version == version) & (occurred < _ripe_before(delay, at))
    if not mine.any():
        return None
    return quality(
        start=max(first, int(occurred[mine].min())),
        end=int(occurred[mine].max()) + 1,
        ripe=True,
        label=label[decided.rows[mine]],
        band=decided.band[mine],
        amount=history.amount[decided.rows[mine]] / 100,
        costs=costs,
    )


def _missing(history: History, recent: NDArray[np.bool_]) -> dict[str, float]:
    """Share of the period's transactions without a value, by column."""
    shares = {name: float((history.ids[recent, k] < 0).mean()) for k, name in enumerate(history.schema.keyed)}
    return shares | {
        name: float(np.isnan(history.numeric[recent, k]).mean()) for k, name in enumerate(history.schema.numeric)
    }


def _patterns(store: Store, history: History, decided: Decided | None, label: NDArray[np.int8]) -> list[Pattern]:
    return patterns(store, history, decided, label) if decided else []


def _ages(store: Store, history: History, bundle: Bundle) -> Ages:
    figures = bundle.manifest["figures"]
    return Ages(
        newest_event=int(history.occurred_at.max()),
        newest_arrival=int(history.arrived_at[-1]),
        newest_label=int(history.label_known_at[-1]) if len(history.label_known_at) else None,
        rings_refreshed=store.refreshed_at() if isinstance(store, RingStore) else None,
        model_created=bundle.manifest["created_at"],
        model_trained_until=int(figures["trained_until"]),
    )
