"""What monitoring says: figures, and whether they mean that the model should be trained anew, and why."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gnn.delayed import Delay, Quality, wilson
from gnn.drift import SHIFTED, FeatureDrift
from gnn.patterns import Pattern

SHIFTED_GAIN: Final = 0.1
"""Share of what the model goes by that may shift before it counts as drift."""
_LOST_RECALL: Final = 0.8
_FEWEST_FRAUDS: Final = 20
_VOLUME: Final = 2.0
_DEVIATIONS: Final = 3.0
_TOP: Final = 10


@dataclass(frozen=True, slots=True)
class Volume:
    """Decisions of the model in use in the period.

    Attributes:
        decided, review, block: numbers.
        psi: of their probabilities against those on the model's held-out rows; None where the bundle has none.
        chance: what that hardly exceeds by chance.
    """

    decided: int
    review: int
    block: int
    psi: float | None
    chance: float | None

    @property
    def flagged_share(self) -> float:
        return (self.review + self.block) / self.decided


@dataclass(frozen=True, slots=True)
class Ages:
    """When things last changed; microseconds UTC, None where they never did.

    Attributes:
        newest_event, newest_arrival: of transactions.
        newest_label: known_at of the newest label.
        rings_refreshed: as-of time of the latest refresh of rings.
        model_created: ISO 8601.
        model_trained_until: as-of time of the training.
    """

    newest_event: int
    newest_arrival: int
    newest_label: int | None
    rings_refreshed: int | None
    model_created: str
    model_trained_until: int


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What monitoring found for the model in use.

    Attributes:
        model_version: the bundle's name.
        source: where decisions are from: `decisions` of the service, or a `replay`.
        since, until: the period, by when transactions occurred; at: labels known before this are used.
        transactions, decided: of the period.
        features: drift by feature, None where there is nothing to compare; feature_names and gain (share of what the
            model's head goes by) in the same order.
        volume: alerts and probabilities, None without decisions of the model in use.
        weeks: quality of complete weeks, oldest first. champion: of the model in use over all its ripe decisions.
        promised: what the policy promised (see `gnn.promise`), None in bundles of earlier versions.
        delays: of labels by kind, `fraud` and `genuine`.
        missing: share of missing values by column; late: share that arrived more than a day after it occurred.
        reasons: first reasons of what was not approved; truncated: share of cut neighbourhoods.
        patterns: decisions and frauds by reason, category and restaurant.
        ages: when things last changed.
    """

    model_version: str
    source: str
    since: int
    until: int
    at: int
    transactions: int
    decided: int
    features: FeatureDrift | None
    feature_names: tuple[str, ...]
    gain: NDArray[np.float64]
    volume: Volume | None
    weeks: list[Quality]
    champion: Quality | None
    promised: dict[str, Any] | None
    delays: dict[str, Delay]
    missing: dict[str, float]
    late: float
    reasons: dict[str, int]
    truncated: float | None
    patterns: list[Pattern]
    ages: Ages

    @property
    def why(self) -> list[str]:
        """Why the model should be trained anew; empty where nothing speaks for it."""
        found = (self._shifted_features(), self._shifted_probabilities(), self._lost_recall(), self._alert_volume())
        return [reason for reason in found if reason]

    @property
    def drifted(self) -> bool:
        """Whether anything speaks for a new training."""
        return bool(self.why)

    @property
    def shifted_gain(self) -> float:
        """Of what the model's head gains by steady features, the share of those that shifted, 0 to 1."""
        if self.features is None:
            return 0.0
        steady = float(self.gain[self.features.steady].sum())
        return float(self.gain[self.features.shifted].sum()) / steady if steady else 0.0

    @property
    def latest_ripe(self) -> Quality | None:
        """The latest week whose labels are ripe."""
        return next((week for week in reversed(self.weeks) if week.ripe), None)

    def strongest(self, count: int = _TOP) -> list[dict[str, Any]]:
        """The features that lie farthest from the reference, the steady ones first."""
        drift = self.features
        if drift is None:
            return []
        order = np.lexsort((-drift.psi, ~drift.steady))[:count]
        return [
            {
                "feature": self.feature_names[j],
                "psi": float(drift.psi[j]),
                "limit": float(drift.limit[j]),
                "steady": bool(drift.steady[j]),
                "shifted": bool(drift.shifted[j]),
                "gain": float(self.gain[j]),
                "missing": float(drift.missing[j]),
                "missing_before": float(drift.missing_before[j]),
            }
            for j in order.tolist()
        ]

    def as_dict(self) -> dict[str, Any]:
        """For machines; times in ISO 8601."""
        volume, ages, champion = self.volume, self.ages, self.champion
        return {
            "model_version": self.model_version,
            "source": self.source,
            "since": iso(self.since),
            "until": iso(self.until),
            "at": iso(self.at),
            "drifted": self.drifted,
            "why": self.why,
            "transactions": self.transactions,
            "decided": self.decided,
            "features": self.strongest(len(self.feature_names)),
            "shifted_gain": self.shifted_gain,
            "probabilities_psi": volume.psi if volume else None,
            "alerts": None
            if volume is None
            else {
                "decided": volume.decided,
                "review": volume.review,
                "block": volume.block,
                "flagged_share": volume.flagged_share,
            },
            "promised": self.promised,
            "model_quality": _quality(champion) if champion else None,
            "weeks": [_quality(week) for week in self.weeks],
            "label_delay": {
                kind: {
                    "labels": delay.labels,
                    "days": {str(q): value / 86_400e6 for q, value in delay.quantiles.items()},
                }
                for kind, delay in self.delays.items()
            },
            "missing": self.missing,
            "late_share": self.late,
            "reasons": self.reasons,
            "truncated_share": self.truncated,
            "patterns": [pattern.as_dict() for pattern in self.patterns],
            "ages": {
                "newest_event": iso(ages.newest_event),
                "newest_arrival": iso(ages.newest_arrival),
                "newest_label": iso(ages.newest_label),
                "rings_refreshed": iso(ages.rings_refreshed),
                "model_created": ages.model_created,
                "model_trained_until": iso(ages.model_trained_until),
            },
        }

    def _shifted_features(self) -> str | None:
        if self.features is None or self.shifted_gain < SHIFTED_GAIN:
            return None
        most = [one["feature"] for one in self.strongest(len(self.feature_names)) if one["shifted"]][:3]
        return (
            f"features that make {self.shifted_gain:.0%} of what the model goes by are distributed differently, "
            f"most of all {', '.join(most)}"
        )

    def _shifted_probabilities(self) -> str | None:
        volume = self.volume
        if volume is None or volume.psi is None or volume.chance is None or volume.psi <= SHIFTED + volume.chance:
            return None
        return (
            f"probabilities are distributed differently: PSI {volume.psi:.2f}, of which {volume.chance:.2f} by chance"
        )

    def _lost_recall(self) -> str | None:
        found, promised = self.champion, (self.promised or {}).get("recall")
        if found is None or promised is None or found.frauds < _FEWEST_FRAUDS:
            return None
        if wilson(found.caught, found.frauds)[1] >= _LOST_RECALL * promised:
            return None
        return f"it finds {found.recall or 0.0:.0%} of the frauds, where its policy promised {promised:.0%}"

    def _alert_volume(self) -> str | None:
        volume, promised = self.volume, self.promised
        if volume is None or not promised:
            return None
        share = promised["review_share"] + promised["block_share"]
        expected, got = share * volume.decided, volume.review + volume.block
        # Both are counts with errors of their own.
        deviation = np.sqrt(max(expected, 1.0) * (1 + volume.decided / max(promised["rows"], 1)))
        if got - expected <= _DEVIATIONS * deviation or got <= expected * _VOLUME:
            return None
        return f"it flags {volume.flagged_share:.2%} of the transactions, where its policy promised {share:.2%}"


def _quality(found: Quality) -> dict[str, Any]:
    return {
        "from": iso(found.start),
        "until": iso(found.end),
        "ripe": found.ripe,
        "decided": found.decided,
        "labelled": found.labelled,
        "frauds": found.frauds,
        "flagged": found.flagged,
        "caught": found.caught,
        "blocked_genuine": found.blocked_genuine,
        "precision": found.precision,
        "recall": found.recall,
        "at_stake": found.at_stake,
        "saved": found.saved,
    }


def iso(at: int | None) -> str | None:
    """A time in microseconds UTC as ISO 8601."""
    return None if at is None else datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="seconds")
