"""Amounts that lie far from those of similar transactions: marked, never dropped."""

from etl.mapping import Mapping
from etl.quarantine import Ledger
from etl.report import OutlierCounts
from graph.store import Store


def mark_outliers(mapping: Mapping, store: Store, ledger: Ledger) -> OutlierCounts | None:
    return None
