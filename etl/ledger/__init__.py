"""The ledger beside the store: rows that were not loaded, reports of loads, and how far queries have been read."""

from etl.ledger.quarantine import KeptRow, Ledger, QuarantinedRow, sidecar

__all__ = ["KeptRow", "Ledger", "QuarantinedRow", "sidecar"]
