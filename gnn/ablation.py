"""What each part of Quipu is worth, and how standard models do: all trained at one time, judged on the same rows.

What a part is worth is measured by taking it out of what the models may know, not by hiding columns: the history is
replayed without labels, without links or without extra columns, and the whole recipe is trained on that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnn.ablation_judge import WHOLE, Judge, by_labels, iso
from gnn.backtest import facts_of
from gnn.candidates import Candidates
from gnn.labelled import split_labelled
from gnn.replay import History, read_history
from gnn.rolling import Period, Rolling, Scorer, Served, train_served
from gnn.standard_models import STANDARD_MODELS, TUNED, Known, Scores, StandardModel
from gnn.tensors import EgoStore
from gnn.training import TrainingSettings
from gnn.truth import judged_by
from graph.errors import InputError, NotFound
from graph.progress import Progress, Silent
from graph.ring_log import no_rings
from graph.store import Store


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to score the rows.

    Attributes:
        name: for options, columns and JSON.
        title: for people.
        kind: "quipu" or "standard".
        knows: what its features are made of: "everything", or a name in `_WITHOUT`.
        settings: from the settings given to its own, for variants of Quipu.
        standard: the standard model that it is, if it is one.
    """

    name: str
    title: str
    kind: str = "quipu"
    knows: str = "everything"
    settings: Callable[[TrainingSettings], TrainingSettings] = lambda given: given
    standard: StandardModel | None = None


def _without_links(history: History) -> History:
    ids = history.ids.copy()
    ids[:, 1 : len(history.schema.entities)] = -1
    return replace(history, ids=ids, rings=no_rings())


def _without_labels(history: History) -> History:
    return replace(
        history,
        label_row=history.label_row[:0],
        label_known_at=history.label_known_at[:0],
        label_fraud=history.label_fraud[:0],
        rings=no_rings(),  # they are found by what was known as fraud
    )


def _without_extras(history: History) -> History:
    ids = history.ids.copy()
    ids[:, len(history.schema.entities) :] = -1
    return replace(history, ids=ids, numeric=np.full_like(history.numeric, np.nan))


_WITHOUT: Final[dict[str, Callable[[History], History]]] = {
    "everything": lambda history: history,
    "no links": _without_links,
    "no labels": _without_labels,
    "no extras": _without_extras,
}

VARIANTS: Final = (
    Variant(WHOLE, "Quipu, whole"),
    Variant("no-network", "without the graph network", settings=lambda given: replace(given, network=False)),
    Variant("no-messages", "graph network without messages", settings=lambda given: replace(given, messages=False)),
    Variant("no-links", "without links", knows="no links"),
    Variant("no-labels", "without labels in features", knows="no labels"),
    Variant("no-extras", "without extra columns", knows="no extras"),
    *(Variant(model.name, model.title, "standard", standard=model) for model in STANDARD_MODELS),
    Variant("tuned-no-links", "Gradient boosting, tuned, without links", "standard", "no links", standard=TUNED),
)
"""In the order in which they are shown. `no-links` knows of nothing but the transaction and its user's own past."""

_PARTS: Final = {"head-alone": "boosted head of the whole", "network-alone": "graph network of the whole"}
"""Scores of the whole model's parts, which cost nothing more."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What was measured; JSON values but for the scores.

    Attributes:
        summary: transactions, unlabelled, frauds, fraud_share, from, until, train_until, trainings, judged_by
            (labels or truth), shuffled_labels.
        variants: for each its name, title, kind, what it knows, and `figures`: by name `value`, `low`, `high` and
            `difference` (`value`, `low`, `high` of the variant less the whole; None for the whole). Where the truth
            judges, also `typologies` (for each kind of fraud its name, title, frauds and recall_at_0.5%_fpr, against
            all genuine transactions) and `average_precision_by_labels`, as the labels that became known tell it.
        scores: a table of the rows judged: transaction_id, occurred_at, is_fraud, user_id, amount, and a column a
            variant.
    """

    summary: dict[str, Any]
    variants: list[dict[str, Any]]
    scores: pa.Table

    def to_dict(self) -> dict[str, Any]:
        return {"summary": self.summary, "variants": self.variants}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The whole model, with the scores of its parts beside its own."""

    served: Served

    def score(self, features: NDArray[np.float32], egos: EgoStore) -> NDArray[np.float64]:
        prediction = self.served.predictor.predict(features, egos)
        return np.column_stack([prediction.probability, prediction.head, prediction.gnn])


@dataclass(frozen=True, slots=True)
class _Standard:
    scores: Scores

    def score(self, features: NDArray[np.float32], _egos: EgoStore) -> NDArray[np.float64]:
        return self.scores(features)[:, None]


@dataclass(frozen=True, slots=True)
class _Panel:
    """Several models that score the same rows, side by side."""

    models: Sequence[Scorer]

    def score(self, features: NDArray[np.float32], egos: EgoStore) -> NDArray[np.float64]:
        return np.concatenate([model.score(features, egos) for model in self.models], axis=1)


def chosen_variants(history: History, only: Sequence[str] | None = None) -> list[Variant]:
    """The variants that say something about a history, the whole model first.

    Args:
        only: names to choose; the whole model is there anyhow.

    Raises:
        InputError: a name is of no variant.
    """
    known = [variant.name for variant in VARIANTS]
    strange = [name for name in only or () if name not in known]
    if strange:
        raise InputError(f"there is no variant {strange[0]!r}", hint=f"variants are {', '.join(known)}")
    absent = set()
    if len(history.schema.entities) == 1:
        absent.add("no links")
    if not history.schema.categories and not history.schema.numeric:
        absent.add("no extras")
    return [
        variant
        for variant in VARIANTS
        if variant.knows not in absent and (not only or variant.name in only or variant.name == WHOLE)
    ]


def ablate(
    store: Store,
    *,
    train_until: int,
    until: int | None = None,
    retrain_every: int | None = None,
    only: Sequence[str] | None = None,
    truth: pa.Table | None = None,
    shuffle_labels: bool = False,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> Ablation:
    """Trains every variant as of `train_until`, scores all in [train_until, until), and compares them.

    Args:
        train_until, until: microseconds UTC; without `until`, up to the end of history.
        retrain_every: microseconds between trainings; without it the first models score all.
        only: names of variants; by default all that say something about this store.
        truth: what `gnn.truth.read_truth` gave, to judge by instead of by the labels that became known. Models
            learn from labels all the same.
        shuffle_labels: give the labels to other transactions at random before anything else. Then nothing is left
            to learn, and an AUC that is not about 0.5 tells of a leak.

    Raises:
        InputError: the period is empty, or a variant is not known.
        NotEnoughData: too little was known at the first training, or there is nothing to judge by.
        NotFound: the libraries for training are not installed.
    """
    absent = [name for name in ("lightgbm", "sklearn", "tensorflow", "tensorflow_gnn") if find_spec(name) is None]
    if absent:
        raise NotFound(
            f"the libraries for training are not installed ({', '.join(absent)})",
            hint="install them beside Quipu: uv sync --group training",
        )
    watcher, given = progress or Silent(), settings or TrainingSettings()
    history = read_history(store, progress=watcher)
    period = Period.of(history, train_until, until)
    variants = chosen_variants(history, only)
    rows = period.rows[np.argsort(history.occurred_at[period.rows], kind="stable")]
    if shuffle_labels:
        order = np.random.default_rng(given.seed).permutation(len(history.label_fraud))
        history = replace(history, label_fraud=history.label_fraud[order])
    facts = facts_of(store, history, rows)
    table = facts if truth is None else judged_by(facts, truth)
    judge = Judge(table, given.seed)  # tells at once where there is nothing to judge by
    scores: dict[str, NDArray[np.float64]] = {}
    for knows in dict.fromkeys(variant.knows for variant in variants):
        group = [variant for variant in variants if variant.knows == knows]
        scores |= _scores(history, knows, group, period, rows, retrain_every, given, watcher)
    judged = [
        {"name": v.name, "title": v.title, "kind": v.kind, "knows": v.knows, "figures": judge(scores[v.name], scores)}
        | ({} if truth is None else judge.by_kind(scores[v.name]) | by_labels(scores[v.name], facts))
        for v in _with_parts(variants, scores)
    ]
    for name in (entry["name"] for entry in judged):
        table = table.append_column(name, pa.array(scores[str(name)]))
    summary = {
        **judge.summary,
        "train_until": iso(train_until),
        "trainings": len(period.trainings(history.arrived_at, retrain_every)),
        "judged_by": "labels" if truth is None else "truth",
        "shuffled_labels": shuffle_labels,
    }
    return Ablation(summary, judged, table)


def _with_parts(variants: Sequence[Variant], scores: dict[str, NDArray[np.float64]]) -> list[Variant]:
    parts = [Variant(name, title) for name, title in _PARTS.items() if name in scores]
    return [variants[0], *parts, *variants[1:]]


def _scores(
    history: History,
    knows: str,
    group: Sequence[Variant],
    period: Period,
    rows: NDArray[np.int64],
    retrain_every: int | None,
    settings: TrainingSettings,
    progress: Progress,
) -> dict[str, NDArray[np.float64]]:
    """One replay of what a group of variants knows: trains them all, scores with them all."""

    def trained(features: NDArray[np.float32], candidates: Candidates, at: int) -> _Panel:
        models: list[Scorer] = []
        for variant in group:
            with progress.stage(f"training: {variant.title} ({variant.knows})"):
                pass
            if variant.standard is not None:
                known = _known(history, features, at)
                models.append(_Standard(variant.standard.train(known, settings.seed)))
                continue
            served = train_served(history, features, candidates, at, variant.settings(settings), progress)
            models.append(_Parts(served) if variant.name == WHOLE else served)
        return _Panel(models)

    names = []
    for variant in group:
        names += [variant.name, *(_PARTS if variant.name == WHOLE else ())]
    run = Rolling(history, period, trained, settings, progress, facts=_WITHOUT[knows](history), columns=len(names))
    run.run(retrain_every)
    columns = dict(zip(names, run.score[rows].T.copy(), strict=True))
    # Where no network was trained, all its scores are zero, and say nothing.
    return {name: values for name, values in columns.items() if name != "network-alone" or values.any()}


def _known(history: History, features: NDArray[np.float32], at: int) -> Known:
    """The labelled rows that training learns from at a time, in order of time."""
    split = split_labelled(history, int(np.searchsorted(history.arrived_at[: len(features)], at)), at)
    held_back = split.early is not split.late
    places = split.both if held_back else split.early
    return Known(features[places], split.y[places], len(split.early))
