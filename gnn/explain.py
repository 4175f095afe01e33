"""Reasons: which facts moved a probability, in words that name them.

The head's log-odds are split exactly over its features (path attribution, Saabas 2014: each split's
change of the expected value goes to its feature), features are grouped into themes an investigator
thinks in ("other users of the device", "known fraud at the restaurant"), and the graph network's
part is one theme of its own. The strongest themes are told, with the figures behind them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnn.catalogue import Catalogue
from gnn.scoring import Reason
from gnn.sentences import TEXTS, Facts, RingReached, Subject, network_text, ring_text
from gnn.strongest import legible, strongest

_THEMES = {
    "VELOCITY": ("tx_1h", "tx_1d", "tx_7d", "tx_30d", "tx_burst"),
    "HISTORY": ("tx_all", "age", "since_last", "gap_ratio"),
    "AMOUNT": (
        "amount",
        "amount_fraction",
        "amount_1d",
        "amount_mean_7d",
        "amount_mean_30d",
        "amount_ratio_30d",
        "amount_z",
        "amount_to_max",
        "amount_burst",
        "amount_rank",
        "amount_same",
        "amount_recent_ratio",
        "amount_to_median",
        "unusual_7d",
    ),
    "KNOWN_FRAUD": (
        "known_30d",
        "fraud_1d",
        "fraud_7d",
        "fraud_30d",
        "fraud_all",
        "risk_7d",
        "risk_30d",
        "risk_all",
        "since_fraud",
        "fraud_age",
        "fraud_age_30d",
        "fraud_latest",
        "fraud_usual",
        "since_fraud_usual",
        "fraud_ratio",
    ),
    "SHARED": ("users", "users_1d", "user_share"),
    "FAMILIARITY": ("user_tx", "user_since", "user_others"),
    "LINKED_USERS": ("peer_fraud", "peers_with_fraud", "peers_new", "peer_tx_mean"),
    "OTHER_LINKS": ("other_fraud", "other_users"),
    "TIME": ("hour", "weekday", "hour_share"),
    "RING": ("ring_score", "ring_confirmed", "ring_since", "ring_members", "ring_entities"),
}
_THEME_OF = {measure: theme for theme, measures in _THEMES.items() for measure in measures}
NETWORK_CODE = "NEIGHBOURHOOD"


class _Group:
    """Features that make one reason: those of one theme about one subject; name and place of each."""

    __slots__ = ("about", "code", "members", "text", "theme")

    def __init__(self, subject: str, theme: str, members: list[tuple[str, int]], places: dict[str, int]) -> None:
        self.about, self.theme, self.members = Subject(subject, places), theme, members
        self.code = theme if subject == "transaction" else f"{subject.upper()}_{theme}"
        self.text = TEXTS[theme]


class Explainer:
    """Writes reasons for transactions scored with one bundle.

    Args:
        catalogue: of the bundle.
        categories: names of the categorical columns.
        head_weight, gnn_weight: of the blend, so that contributions are in the log-odds of the answer.
        gnn_base: the network's usual log-odds, above which it counts as a reason.
    """

    def __init__(
        self, catalogue: Catalogue, categories: Sequence[str], head_weight: float, gnn_weight: float, gnn_base: float
    ) -> None:
        self._head_weight, self._gnn_weight, self._gnn_base = head_weight, gnn_weight, gnn_base
        numbers: dict[tuple[str, str], int] = {}
        of_feature = np.empty(len(catalogue), np.int64)
        places: dict[str, dict[str, int]] = {}
        for i, feature in enumerate(catalogue):
            theme = "VALUE" if feature.subject in categories else _THEME_OF.get(feature.measure, "NUMBER")
            subject, measure = feature.subject, feature.measure
            if theme == "NUMBER":
                subject, measure = measure, "value"
            elif theme == "RING":  # one reason, whichever of its entities are in the ring
                subject, measure = "transaction", feature.name
            of_feature[i] = numbers.setdefault((subject, theme), len(numbers))
            places.setdefault(subject, {})[measure] = i
        names = catalogue.names
        groups = [
            _Group(subject, theme, [(names[m], int(m)) for m in np.flatnonzero(of_feature == g)], places[subject])
            for (subject, theme), g in numbers.items()
        ]
        self._groups = tuple(groups)
        self._theme_of = of_feature

    def reasons(
        self,
        contributions: NDArray[np.float64],
        gnn: NDArray[np.float64],
        features: NDArray[np.float32],
        keys: Sequence[dict[str, str]],
        neighbourhoods: Sequence[dict[str, Any]],
        users_with_fraud: Callable[[int], list[str]],
        ring_of: Callable[[int], RingReached | None],
    ) -> list[list[Reason]]:
        """Reasons for n transactions, strongest first, one at least and five at most.

        Args:
            contributions: float64[n, P + 1], the head's log-odds by feature; the last column is its bias.
            gnn: float64[n], the network's log-odds.
            features: float32[n, P].
            keys: each transaction's entity keys and category values by type.
            neighbourhoods: each ego-graph's counts.
            users_with_fraud: gives the linked users with known fraud of the i-th transaction.
            ring_of: gives the ring that entities of the i-th transaction were in as of its time.
        """
        network = (gnn - self._gnn_base) * self._gnn_weight
        chosen, weights = strongest(contributions, self._theme_of, len(self._groups), self._head_weight, network)
        rows = zip(chosen.tolist(), weights.tolist(), legible(features).tolist(), keys, neighbourhoods, strict=True)
        return [
            [
                self._reason(group, weight, values, named, neighbourhood, i, users_with_fraud, ring_of)
                for group, weight in zip(groups, moved, strict=True)
                if group >= 0
            ]
            for i, (groups, moved, values, named, neighbourhood) in enumerate(rows)
        ]

    def _reason(
        self,
        group: int,
        weight: float,
        values: list[float],
        keys: dict[str, str],
        neighbourhood: dict[str, Any],
        i: int,
        users_with_fraud: Callable[[int], list[str]],
        ring_of: Callable[[int], RingReached | None],
    ) -> Reason:
        evidence: dict[str, Any] = {"effect": "raises" if weight > 0 else "lowers", "log_odds": round(weight, 4)}
        if group == len(self._groups):
            linked = users_with_fraud(i)
            evidence |= {"nodes": neighbourhood["nodes"], "users_with_fraud": linked}
            return Reason(NETWORK_CODE, network_text(weight, neighbourhood["nodes"], linked), evidence)
        chosen = self._groups[group]
        # NaN differs from itself.
        evidence["figures"] = {name: v for name, m in chosen.members if (v := values[m]) == v}
        if chosen.theme == "RING":
            ring = ring_of(i)
            if ring is not None:
                evidence["ring"] = ring.evidence()
                return Reason(chosen.code, ring_text(ring, keys), evidence)
        key = keys.get(chosen.about.name, "")
        if key:
            evidence[chosen.about.name] = key
        if chosen.theme == "LINKED_USERS" and (linked := users_with_fraud(i)):
            evidence["users_with_fraud"] = linked
        return Reason(chosen.code, chosen.text(Facts(chosen.about, key, values)), evidence)
