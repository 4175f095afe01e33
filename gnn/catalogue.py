"""The feature catalogue: what stands at each place of a feature row, for any schema.

The catalogue is data for the model (order, hash) and for people (titles, reasons).
"""

import hashlib
import json
from dataclasses import dataclass

from graph.records import USER, GraphSchema

_ENTITY = (
    ("tx_1h", "transactions in the last hour"),
    ("tx_1d", "transactions in the last day"),
    ("tx_7d", "transactions in the last 7 days"),
    ("tx_30d", "transactions in the last 30 days"),
    ("tx_all", "transactions ever"),
    ("amount_1d", "amount in the last day"),
    ("amount_mean_7d", "mean amount over 7 days"),
    ("amount_mean_30d", "mean amount over 30 days"),
    ("amount_ratio_30d", "amount relative to the mean over 30 days"),
    ("amount_z", "amount's deviation from the latest ones, in standard deviations"),
    ("amount_to_max", "amount relative to the largest of the latest ones"),
    ("since_last", "seconds since the last transaction"),
    ("age", "seconds since the first transaction"),
    ("known_30d", "labels that became known in the last 30 days"),
    ("fraud_1d", "frauds that became known in the last day"),
    ("fraud_7d", "frauds that became known in the last 7 days"),
    ("fraud_30d", "frauds that became known in the last 30 days"),
    ("fraud_all", "frauds known"),
    ("risk_7d", "share of fraud among labels of the last 7 days, smoothed"),
    ("risk_30d", "share of fraud among labels of the last 30 days, smoothed"),
    ("risk_all", "share of fraud among all known labels, smoothed"),
    ("since_fraud", "seconds since a fraud became known"),
    ("fraud_age", "seconds since the first fraud became known"),
    ("fraud_age_30d", "seconds since the first fraud of the last 30 days became known"),
    ("fraud_latest", "frauds among the labels since the fourth latest became known, as a share"),
    ("tx_burst", "transactions in the last day relative to a day of the last 30"),
    ("amount_burst", "amount in the last day relative to a day of the last 30"),
    ("gap_ratio", "time since the last transaction relative to the mean time between two"),
    ("amount_rank", "share of the latest transactions with at least this amount"),
    ("amount_same", "share of the latest transactions with just this amount"),
    ("amount_recent_ratio", "mean amount of the latest few relative to that of the latest ones"),
    ("fraud_usual", "frauds that became known in the last 30 days with an amount usual for their user"),
    ("since_fraud_usual", "seconds since such a fraud became known"),
    ("fraud_ratio", "least amount of the frauds of the last 30 days, relative to its user's mean before"),
    ("ring_score", "score of the fraud ring it is in, 0 for none"),
    ("ring_confirmed", "whether an investigator had confirmed that ring"),
    ("ring_since", "seconds since it was first seen in that ring"),
)
_USER_ONLY = (
    ("hour_share", "share of the latest transactions within two hours of this time of day"),
    ("amount_to_median", "amount relative to the median of the latest ones"),
    ("unusual_7d", "transactions of the last 7 days far above that median"),
)
_LINK = (
    ("users", "other users among the latest transactions"),
    ("users_1d", "other users in the last day, among the latest transactions"),
    ("user_share", "this user's share of the latest transactions"),
    ("user_tx", "this user's latest transactions with it"),
    ("user_since", "seconds since this user last used it"),
    ("user_others", "others of its type among the user's latest transactions"),
    ("peer_fraud", "known frauds of its latest other users"),
    ("peers_with_fraud", "latest other users with a known fraud"),
    ("peers_new", "latest other users first seen within 7 days"),
    ("peer_tx_mean", "mean transactions of its latest other users"),
    ("other_fraud", "known frauds on the user's other ones of its type"),
    ("other_users", "most other users on one of the user's other ones of its type"),
)
_CATEGORY = (
    ("risk_30d", "share of fraud among labels of the last 30 days, smoothed"),
    ("risk_all", "share of fraud among all known labels, smoothed"),
    ("tx_30d", "transactions in the last 30 days"),
    ("user_share", "share of the user's latest transactions with this value"),
    ("amount_ratio_30d", "amount relative to the mean over 30 days"),
    ("user_amount_ratio", "amount relative to the mean of the user's latest ones with this value"),
    ("user_since", "seconds since the user's last with this value"),
    ("user_rarity", "how rare the values of the user's latest transactions are, beside the commonest of them"),
    ("user_risk", "share of fraud among known labels of the values of the user's latest transactions, smoothed"),
)
_TRANSACTION = (
    ("amount", "amount"),
    ("amount_fraction", "part of the amount behind the point"),
    ("hour", "hour of the day, UTC"),
    ("weekday", "day of the week, Monday 0"),
    ("ring_score", "score of the most telling fraud ring that one of its entities is in, 0 for none"),
    ("ring_members", "members of that ring"),
    ("ring_entities", "how many of its entities are in that ring"),
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        name: `<subject>_<measure>`, unique.
        subject: an entity type, a category, or `transaction`.
        measure: what is measured of it (`tx_1h`, `risk_30d`, …; for extra numbers the column's name).
        title: for people.
    """

    name: str
    subject: str
    measure: str
    title: str


class Catalogue(tuple[Feature, ...]):
    """The features of a schema in the order in which `gnn.lookup.fill` writes them."""

    __slots__ = ()

    @classmethod
    def of(cls, schema: GraphSchema) -> "Catalogue":
        """The catalogue of a schema."""
        rows = [("transaction", measure, title, measure) for measure, title in _TRANSACTION]
        rows += [(USER, m, f"user: {title}", f"{USER}_{m}") for m, title in _ENTITY + _USER_ONLY]
        for name in schema.entities[1:]:
            rows += [(name, m, f"{name}: {title}", f"{name}_{m}") for m, title in _ENTITY + _LINK]
        for name in schema.categories:
            rows += [(name, m, f"{name}: {title}", f"{name}_value_{m}") for m, title in _CATEGORY]
        rows += [("transaction", name, name, f"numeric_{name}") for name in schema.numeric]
        return cls(Feature(full, subject, measure, title) for subject, measure, title, full in rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self)

    @property
    def digest(self) -> str:
        """SHA-256 over names and order: what a bundle must agree on with the code that fills the features."""
        return hashlib.sha256(json.dumps(self.names).encode()).hexdigest()
