"""Champion and challenger: is a model that knows more also better, beyond chance, on the same recent transactions?

The champion knows what was known when it was trained. What became known since is cut in two: the challenger trains on
all before the cut, and both score what occurred after it, as of each transaction's own time. Neither has seen any of
that. Only where the challenger's lead is beyond noise is a model trained on all that is known, to be promoted.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnn.backtest import facts_of
from gnn.bundle import open_bundle
from gnn.candidates import Candidates
from gnn.champion import current_bundle, history, list_bundles
from gnn.evaluation import compare
from gnn.pipeline import train_bundle
from gnn.promise import flagged_share
from gnn.replay import History, read_history
from gnn.rolling import Period, Rolling, Served, train_served
from gnn.serving import load_predictor
from gnn.training import TrainingSettings
from graph.errors import BundleError
from graph.progress import Progress, Silent
from graph.records import DAY, GraphSchema
from graph.ring_json import iso
from graph.store import Store

FEWEST_FRAUDS: Final = 10
"""Known frauds among the transactions judged on; with fewer, any lead is chance."""

_WEEK = 7 * DAY
_SHOWN = ("average_precision", "auc", "recall", "precision", "saved", "saved_share")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model trained on all that is known should take the champion's place.

    Attributes:
        promote: whether it should.
        why: in one sentence.
        until: as of when, microseconds UTC: only what was known before counts.
        champion: name of the bundle in use, or None.
        trained_until: as of when it was trained, or None.
        judged_from: both were judged on what occurred in [judged_from, until), or None where nothing was compared.
        transactions, frauds: labelled ones among these.
        figures: by name `a` (challenger), `b` (champion), and of their difference `value`, `low`, `high` (95%).
    """

    promote: bool
    why: str
    until: int
    champion: str | None = None
    trained_until: int | None = None
    judged_from: int | None = None
    transactions: int = 0
    frauds: int = 0
    figures: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def challenge(
    store: Store,
    models: Path,
    until: int,
    *,
    weeks: int = 4,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Compares a challenger with the champion of a models folder on the most recent transactions.

    They are judged on the later half of what has happened since the champion was trained, but at most on `weeks`.

    Args:
        until: as-of time, microseconds UTC: nothing that arrived or became known at or after it enters.
        settings: how the challenger is trained.

    Raises:
        NotEnoughData: there are no transactions, or too few labels for any model.
        BundleError: the note of which bundle is in use is damaged.
    """
    watcher, chosen = progress or Silent(), settings or TrainingSettings()
    if not history(models):
        return Verdict(True, "no model is in use yet", until)
    path = current_bundle(models)
    try:
        champion, schema, trained_until = _champion(path)
    except BundleError as error:
        return Verdict(True, f"the champion cannot be used any more: {error.message}", until, path.name)
    start = max(until - weeks * _WEEK, (trained_until + until) // 2)
    kept = Verdict(False, "", until, champion.version, trained_until)
    if trained_until >= until:
        return replace(kept, why=f"the champion knows all that was known before {iso(until)}")
    known = as_known(read_history(store, until=until, progress=watcher), until)
    rows = (known.occurred_at >= start) & (known.occurred_at < until)
    label, _ = known.labels_as_of(None)
    frauds, genuine = int((label[rows] == 1).sum()), int((label[rows] == 0).sum())
    kept = replace(kept, judged_from=start, transactions=frauds + genuine, frauds=frauds)
    if frauds < FEWEST_FRAUDS or not genuine:
        return replace(
            kept,
            why=f"of what occurred from {iso(start)} on, {frauds} frauds and {genuine:,} genuine transactions are "
            f"known so far; at least {FEWEST_FRAUDS} frauds are needed to judge",
        )
    period = Period.of(known, start, until)

    def trained(features: NDArray[np.float32], candidates: Candidates, at: int) -> Served:
        return train_served(known, features, candidates, at, chosen, watcher)

    def in_use(_features: NDArray[np.float32], _candidates: Candidates, _at: int) -> Served:
        return champion

    challenger_run = Rolling(known, period, trained, chosen, watcher)
    challenger_run.run(None)
    little = replace(chosen, negatives=1)  # the champion trains on nothing
    champion_run = Rolling(known, period, in_use, little, watcher, facts=_as_schema(known, schema))
    champion_run.run(None)
    facts = facts_of(store, known, period.rows)
    compared = compare(
        _scores(facts, period.rows, challenger_run),
        _scores(facts, period.rows, champion_run),
        costs=chosen.costs,
        seed=chosen.seed,
    )
    figures = {name: compared["figures"][name] for name in _SHOWN if name in compared["figures"]}
    promote, why = decide(figures)
    return replace(kept, promote=promote, why=why, transactions=compared["transactions"], figures=figures)


def decide(figures: dict[str, dict[str, float | None]]) -> tuple[bool, str]:
    """Whether a lead is beyond noise, and why.

    It is where the whole interval of the difference in average precision lies above zero, and that of money saved does
    not lie below it.

    Args:
        figures: as `Verdict.figures`.
    """
    precision, saved = figures["average_precision"], figures.get("saved", {})
    low, high = precision["low"], precision["high"]
    told = (
        f"average precision {_number(precision['a'])} against {_number(precision['b'])}, "
        f"difference {_number(precision['value'])} ({_number(low)} to {_number(high)})"
    )
    if low is None or low <= 0:
        return False, f"the challenger is not better beyond noise: {told}"
    dearer = saved.get("high")
    if dearer is not None and dearer < 0:
        return False, f"the challenger ranks better but saves less money: {told}; {_number(saved['value'])} saved"
    return True, f"the challenger is better beyond noise: {told}"


def train_successor(
    store: Store,
    models: Path,
    until: int,
    *,
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> str:
    """Trains on all that was known before `until` (microseconds UTC); returns the bundle's name.

    A bundle of that moment that is there already is taken, so that a run that was killed does not leave two.

    Raises:
        NotEnoughData: there are too few transactions or labels.
    """
    for name in reversed(list_bundles(models)):
        try:
            bundle = open_bundle(models / name)
        except BundleError:
            continue
        if bundle.manifest.get("figures", {}).get("trained_until") == until:
            return name
    result = train_bundle(
        store, models, until=until, settings=settings or TrainingSettings(), progress=progress or Silent()
    )
    return Path(result["bundle"]).name


def as_known(whole: History, until: int) -> History:
    """A history without the labels that became known at or after `until` (microseconds UTC)."""
    upto = int(np.searchsorted(whole.label_known_at, until))
    return replace(
        whole,
        label_row=whole.label_row[:upto],
        label_known_at=whole.label_known_at[:upto],
        label_fraud=whole.label_fraud[:upto],
    )


def _champion(path: Path) -> tuple[Served, GraphSchema, int]:
    bundle = open_bundle(path)
    predictor, serving = load_predictor(bundle)
    figures = bundle.manifest.get("figures", {})
    trained_until = figures.get("trained_until")
    if not isinstance(trained_until, int):
        raise BundleError(f"the manifest of bundle {bundle.name} does not tell as of when it was trained")
    promised = flagged_share(figures.get("promised"))
    return Served(predictor, serving.policy, bundle.name, promised), serving.schema, trained_until


def _as_schema(whole: History, schema: GraphSchema) -> History:
    """The same rows with the columns of an older schema; those that the history lacks are missing values."""
    ids = np.full((len(whole), len(schema.keyed)), -1, np.int32)
    for mine, name in enumerate(schema.keyed):
        if name in whole.schema.keyed:
            ids[:, mine] = whole.ids[:, whole.schema.keyed.index(name)]
    numeric = np.full((len(whole), len(schema.numeric)), np.nan)
    for mine, name in enumerate(schema.numeric):
        if name in whole.schema.numeric:
            numeric[:, mine] = whole.numeric[:, whole.schema.numeric.index(name)]
    return replace(whole, schema=schema, ids=ids, numeric=numeric)


def _scores(facts: pa.Table, rows: NDArray[np.int64], run: Rolling[Served]) -> pa.Table:
    probability, model = run.score[rows, 0], run.models[0]
    table = facts
    for name, values in {
        "probability": pa.array(probability),
        "band": pa.array(model.policy.bands(probability).tolist(), pa.string()),
        "model_version": pa.array([model.version] * len(rows)),
    }.items():
        table = table.append_column(name, values)
    return table


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
