"""Fraud rings: found as of a moment, scored, explained, and followed from refresh to refresh.

`Evidence.read(store, at)` -> `find(evidence)` -> `identify(found, previous, at)` -> `store.write_refresh(refresh)`.
"""

from graph.rings.evidence import Evidence
from graph.rings.find import find
from graph.rings.found import Found
from graph.rings.identity import identify
from graph.rings.settings import RingSettings
from graph.rings.verdicts import verdict_labels

__all__ = ["Evidence", "Found", "RingSettings", "find", "identify", "verdict_labels"]
