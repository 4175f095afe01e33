"""Loading: rows of a mapped source into a store, each with one outcome, as often as one likes."""

from etl.loading.load import clock, load, read_transactions

__all__ = ["clock", "load", "read_transactions"]
