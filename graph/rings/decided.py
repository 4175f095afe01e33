"""What the model said of transactions before a moment: decisions that the store keeps, and scores from elsewhere."""

import pyarrow as pa
import pyarrow.compute as pc

from graph.progress import Progress
from graph.store import Store, whole

_COLUMNS = pa.schema([("transaction_id", pa.string()), ("probability", pa.float64()), ("band", pa.string())])


def scores_before(store: Store, at: int, scores: pa.Table | None, progress: Progress) -> pa.Table | None:
    """Columns transaction_id, probability and band, a row a transaction; None where nobody scored any.

    Args:
        store: decisions in it that were made before `at` count.
        at: microseconds UTC.
        scores: columns transaction_id and probability, and band where known; they go before the store's decisions.
        progress: who watches.
    """
    decided = _decisions(store, at, progress)
    if scores is None or not scores.num_rows:
        return decided if decided.num_rows else None
    given = pa.table(
        {name: scores[name] if name in scores.column_names else pa.nulls(scores.num_rows) for name in _COLUMNS.names}
    ).cast(_COLUMNS)
    others = decided.filter(pc.invert(pc.is_in(decided["transaction_id"], value_set=given["transaction_id"])))
    return pa.concat_tables([given, others])


def _decisions(store: Store, at: int, progress: Progress) -> pa.Table:
    count = store.status()["decisions"]
    if not count:
        return _COLUMNS.empty_table()
    ids: list[str] = []
    probabilities: list[float] = []
    bands: list[str] = []
    with progress.stage("reading decisions", total=count) as advance:
        for chunk in whole(store).every_decision():
            before = [decision for decision in chunk if decision.decided_at < at]
            ids += [decision.transaction_id for decision in before]
            probabilities += [decision.probability for decision in before]
            bands += [decision.band for decision in before]
            advance(len(chunk))
    return pa.table([ids, probabilities, bands], schema=_COLUMNS)
