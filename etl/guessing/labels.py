"""Which column is the label, which ones give it away, and when labels became known."""

import math
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl import cleaning
from etl.guessing.draft import NEVER, Draft
from etl.guessing.profile import Column
from graph.records import DAY

_FRAUD = {"1", "true", "yes", "y", "t", "si", "sí", "s", "bad", "positive", "confirmed", "stolen", "malicious"}
_GENUINE = {"0", "false", "no", "n", "f", "ok", "good", "normal", "valid", "clean", "genuine", "negative", "legal"}
_FRAUD_WORD = re.compile(r"fraud|scam|chargeback|contracargo|estafa")
_GENUINE_WORD = re.compile(r"^(non|not|no|un)[\s_-]?(fraud|scam)|legit|genuin|benign|settled")
_WHOLE = re.compile(r"(?<=\d)\.0+$")
_MEASURED = frozenset({"score", "prob", "probability", "risk", "count", "cnt", "rate", "ratio", "avg", "mean", "rank"})
_LEAK_AUC = 0.99
_LEAST_EACH = 20
_UNSURE = 0.75


def find_label(draft: Draft) -> None:
    """Decides which column says fraud or genuine."""
    scored = sorted(((_label_score(c), -i, c) for i, c in enumerate(draft.free)), key=lambda s: s[:2], reverse=True)
    if not scored or scored[0][0] < 0.5:
        return
    score, _, column = scored[0]
    fraud, genuine, doubt = _values(column)
    others = [c.name.text for s, _, c in scored[1:] if s >= max(0.5, score - 0.25)]
    if others:
        doubt = doubt or f"{', '.join(others)} could be the label as well"
    if score < _UNSURE:
        doubt = doubt or "only its values and a name that could mean it say so; if it is not the label, take it out"
    draft.label = {"is_fraud": {"column": column.name.text, "fraud": fraud, "genuine": genuine}}
    value = cleaning.label_values(column.array, fraud, genuine)
    draft.fraud = value == cleaning.FRAUD
    draft.labelled = value >= 0
    rate = float(draft.fraud.sum()) / max(1, int(draft.labelled.sum()))
    draft.settle([column], "label.is_fraud", f"{_label_why(column)}; {rate:.2%} fraud in the sample", doubt)


def find_known_at(draft: Draft, delay: str | None) -> None:
    """Decides when labels became known: by a column, or so long after the transaction (`delay`, where given)."""
    if draft.label is None or draft.fraud is None or draft.labelled is None:
        return
    if delay is None:
        for column in draft.free:
            if _is_known_at(column, draft):
                _take_known_at(draft, column)
                return
    made = "6h" if draft.made_up_clock else "7d"
    draft.label["known_at"] = {"delay": delay or made}
    doubt = (
        ""
        if delay
        else f"the table does not say when a fraud became known; {made} after the transaction is assumed. What a model "
        "learns and how it is judged hang on it: say what is true of you (chargebacks: 30d to 90d), or name a column"
    )
    draft.settle([], "label.known_at", "as asked for" if delay else "no column of times belongs to the label", doubt)


def _is_known_at(column: Column, draft: Draft) -> bool:
    time, name = column.time, column.name
    if time is None or draft.fraud is None or time.relative or not name.any("known", "dispute", "fraud", "outcome"):
        return False
    if name.any("began", "ends", "past"):
        return False
    known = time.ok & draft.fraud
    if draft.fraud.any() and known.sum() < 0.5 * draft.fraud.sum():
        return False
    if draft.occurred is None or not time.ok.any():
        return not draft.fraud.any()
    return float((time.micros >= draft.occurred)[time.ok].mean()) >= 0.9


def _take_known_at(draft: Draft, column: Column) -> None:
    time, label = column.time, draft.label
    if time is None or label is None or draft.fraud is None or draft.labelled is None:
        raise ValueError("a column of times beside a label is needed")
    label["known_at"] = {"column": column.name.text, **time.how}
    genuine = draft.labelled & ~draft.fraud
    if float(time.ok[genuine].mean() if genuine.any() else 0.0) >= 0.5:
        draft.settle([column], "label.known_at", f"times after the transaction, by the name; {time.why}", time.doubt)
        return
    del label["is_fraud"]["genuine"]
    days = 30
    if draft.occurred is not None and (draft.fraud & time.ok).any():
        delays = (time.micros - draft.occurred)[draft.fraud & time.ok]
        days = max(1, math.ceil(float(np.quantile(delays, 0.99)) / DAY))
    label["genuine_after"] = f"{days}d"
    draft.settle(
        [column],
        "label.known_at",
        "it is filled in where there is fraud",
        f"genuine transactions have no such date, so a transaction counts as genuine where nothing was reported within "
        f"genuine_after: {days}d (99% of the sample's reports came by then); say how long your reports take",
    )


def set_apart_leaks(draft: Draft) -> None:
    """Decides which columns say what became known only later; they must never be features."""
    for column in draft.free:
        name = column.name
        if name.any("fraud", "scenario") and not _history(column):
            if draft.label is not None or not _could_be_feature(column):
                draft.settle([column], NEVER, "by its name it tells of the fraud itself")
        elif name.has("dispute") and not _history(column):
            draft.settle([column], NEVER, "it becomes known only after the transaction")
        elif name.has("known") and not _history(column):
            draft.settle(
                [column], NEVER, "by its name it tells of a decision or report that comes after the transaction",
                "if it is known when the transaction is made, name it under numeric, categorical or times",
            )  # fmt: skip
        elif name.has("changed") and column.time is not None:
            draft.settle([column], NEVER, "when a row was last changed tells that something became known later")
        elif draft.fraud is not None and (auc := leak_auc(column, draft)) >= _LEAK_AUC:
            draft.settle(
                [column], NEVER, f"it tells the label almost alone (AUC {auc:.3f} in the sample)",
                "if it is known before the outcome of the transaction, name it under numeric or categorical",
            )  # fmt: skip


def _history(column: Column) -> bool:
    """It counts what happened before, such as earlier frauds of a device."""
    return column.name.has("past") or bool({"count", "cnt"} & set(column.name.words))


def _could_be_feature(column: Column) -> bool:
    return bool(_MEASURED & set(column.name.words))


def leak_auc(column: Column, draft: Draft) -> float:
    """How well the column alone ranks frauds (0.5 to 1); 0.5 where too few are labelled to say."""
    if draft.fraud is None or draft.labelled is None or column.nested or column.name.any("id", "index"):
        return 0.5
    fraud = draft.fraud[draft.labelled]
    if min(fraud.sum(), (~fraud).sum()) < _LEAST_EACH:
        return 0.5
    there = column.there[draft.labelled]
    if column.numeric:
        values = np.nan_to_num(column.numbers[draft.labelled], nan=0.0)
        best = max(_auc(values, fraud), _auc(np.abs(values), fraud))
    elif column.distinct <= 50:
        codes = column.codes[draft.labelled] + 1
        rates = pd.Series(fraud).groupby(codes).mean()
        best = _auc(rates.reindex(codes).to_numpy(), fraud)
    else:
        best = 0.5
    return max(best, _auc(there.astype(np.float64), fraud))


def _auc(values: NDArray[np.float64], fraud: NDArray[np.bool_]) -> float:
    ranks = pd.Series(values).rank().to_numpy()
    positives, negatives = int(fraud.sum()), int((~fraud).sum())
    area = (ranks[fraud].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))


def _label_score(column: Column) -> float:
    name, words = column.name, set(column.name.words)
    if column.nested or column.time is not None or not 1 <= column.distinct <= 10:
        return 0.0
    if name.any("scenario", "past", "time", "amount", "id") or words & _MEASURED:
        return 0.0
    two = column.distinct <= 2
    worded = {_meaning(value) for value in column.counts if _FRAUD_WORD.search(value.lower())} == {True}
    if name.has("fraud"):
        if name.any("known", "kind", "dispute") and not worded:
            return 0.3
        return (1.0 if two else 0.8 if worded else 0.3) - 0.05 * len(name.unknown)
    rare = column.top_share >= 0.5
    if name.has("outcome"):
        alone = not name.concepts - {"outcome", "transaction", "filler", "derived"} and not name.unknown
        return (0.9 if alone else 0.5) if two and rare else 0.4 if worded else 0.0
    if name.has("dispute") and two:
        return 0.8 if rare else 0.4
    if worded and name.any("kind", "known"):
        return 0.7
    return 0.6 if worded and two else 0.0


def _label_why(column: Column) -> str:
    shown = ", ".join(list(column.counts)[:4])
    return f"the name says label, and its values are {shown}"


def _meaning(value: str) -> bool | None:
    """Whether a value says fraud (True) or genuine (False)."""
    text = _WHOLE.sub("", value.strip().lower())
    if text in _GENUINE or _GENUINE_WORD.search(text):
        return False
    return True if text in _FRAUD or _FRAUD_WORD.search(text) else None


def _values(column: Column) -> tuple[list[int | str], list[int | str], str]:
    """The values that say fraud, those that say genuine, and what is doubtful about it."""
    counts = list(dict.fromkeys(_WHOLE.sub("", value) for value in column.counts))
    fraud = [value for value in counts if _meaning(value) is True]
    genuine = [value for value in counts if _meaning(value) is False]
    rest = [value for value in counts if _meaning(value) is None]
    doubt = ""
    if rest and len(counts) == 2:
        rarer = fraud or counts[-1:] if not genuine else rest
        fraud, genuine = rarer, [value for value in counts if value not in rarer]
        doubt = (
            f"{', '.join(fraud)} is the rarer value and taken as fraud; swap fraud and genuine if it is the other way"
        )
    elif rest:
        doubt = f"no label is taken from the values {', '.join(rest)}; name them under fraud or genuine if they tell"
    if not fraud and not rest:
        fraud = [_OPPOSITE.get(value.lower(), "1") for value in genuine[:1]] or ["1"]
    if not genuine and not rest:
        genuine = [_OPPOSITE.get(value.lower(), "0") for value in fraud[:1]]
    return [_plain(v) for v in fraud], [_plain(v) for v in genuine], doubt


_OPPOSITE = {"0": "1", "1": "0", "false": "true", "true": "false", "no": "yes", "yes": "no", "n": "y", "y": "n"}


def _plain(value: str) -> int | str:
    return int(value) if value.lstrip("-").isdigit() and len(value) < 10 and str(int(value)) == value else value
