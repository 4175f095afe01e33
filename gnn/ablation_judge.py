"""Scores of the same rows by several models, measured on the same draws, so that their differences can be told."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gnn.evaluation import ranking_draws
from gnn.groups import typologies
from gnn.intervals import Draws, differences, number, resamplings, with_intervals
from gnn.ranking import ranking_figures, recall_name
from gnn.scored import read_scores

WHOLE: Final = "whole"
"""The variant that all others are compared with."""

_FEW_ALARMS: Final = 0.005
"""Share of genuine transactions that may be stopped, where kinds of fraud are told apart."""

FIGURES: Final = (
    "average_precision",
    "auc",
    "recall_at_0.1%_fpr",
    "recall_at_0.5%_fpr",
    "recall_at_1%_fpr",
    "precision_at_100",
    "user_precision_at_100",
)


def by_labels(score: NDArray[np.float64], facts: pa.Table) -> dict[str, Any]:
    """Average precision by the labels that became known, where there are both kinds."""
    labelled = ~np.asarray(facts["is_fraud"].is_null())
    fraud = facts["is_fraud"].fill_null(False).to_numpy()[labelled]
    told = bool(fraud.any()) and not bool(fraud.all())
    value = number(ranking_figures(score[labelled], fraud)["average_precision"][0]) if told else None
    return {"average_precision_by_labels": value}


class Judge:
    """Measures scores of the same rows on the same draws.

    Attributes:
        summary: of the rows judged.
    """

    def __init__(self, facts: pa.Table, seed: int) -> None:
        nothing = pa.array(np.zeros(facts.num_rows))
        table = facts.append_column("probability", nothing)
        for name, value in (("band", "approve"), ("model_version", "")):
            table = table.append_column(name, pa.array([value]).take(pa.array(np.zeros(facts.num_rows, np.int64))))
        self._labelled = ~np.asarray(facts["is_fraud"].is_null())
        self._rows = read_scores(table)
        self._ways = resamplings(self._rows, np.random.default_rng(seed))
        self._whole: list[Draws] | None = None
        self.summary: dict[str, Any] = {
            "transactions": len(self._rows),
            "unlabelled": self._rows.unlabelled,
            "frauds": int(self._rows.fraud.sum()),
            "fraud_share": float(self._rows.fraud.mean()),
            "from": iso(int(self._rows.occurred_at[0])),
            "until": iso(int(self._rows.occurred_at[-1])),
        }

    def _draws(self, score: NDArray[np.float64]) -> list[Draws]:
        rows = replace(self._rows, probability=np.ascontiguousarray(score[self._labelled]))
        return [ranking_draws(rows, way) for way in self._ways]

    def by_kind(self, score: NDArray[np.float64]) -> dict[str, Any]:
        """How much of each kind of fraud one variant finds among all genuine transactions."""
        measured = score[self._labelled]
        found = []
        for kind in typologies(self._rows):
            rows, name = kind.rows, recall_name(_FEW_ALARMS)
            recall = ranking_figures(measured[rows], self._rows.fraud[rows])[name]
            frauds = int(self._rows.fraud[rows].sum())
            found.append({"name": kind.name, "title": kind.title, "frauds": frauds, name: number(recall[0])})
        return {"typologies": found}

    def __call__(self, score: NDArray[np.float64], scores: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
        """Figures of one variant, and their differences to the whole model's."""
        if self._whole is None:
            self._whole = self._draws(scores[WHOLE])
        is_whole = score is scores[WHOLE]
        mine = self._whole if is_whole else self._draws(score)
        values = with_intervals(mine)
        apart = {} if is_whole else with_intervals(differences(mine, self._whole))
        return {name: {**values[name], "difference": apart.get(name)} for name in FIGURES if name in values}


def iso(at: int) -> str:
    return f"{np.datetime64(at, 'us').astype('datetime64[s]')}+00:00"
