"""Rings as of one moment, found and kept: a refresh that can be run again."""

from collections import Counter
from dataclasses import dataclass

from graph.progress import Progress
from graph.rings.evidence import Evidence
from graph.rings.find import find
from graph.rings.identity import identify
from graph.rings.settings import RingSettings
from graph.store import Store, rings_of


@dataclass(frozen=True, slots=True)
class RingsRefreshed:
    """What a refresh came to.

    Attributes:
        at: as-of time, microseconds UTC.
        written: whether anything was kept; False where a refresh as of this time or a later one was kept before.
        transactions: how many were looked at; 0 where nothing was looked for.
        rings: how many are active now.
        events: what happened to rings, counted by kind.
    """

    at: int
    written: bool
    transactions: int
    rings: int
    events: dict[str, int]


def refresh_rings(
    store: Store, at: int, *, settings: RingSettings | None = None, progress: Progress | None = None
) -> RingsRefreshed:
    """Looks for rings by what was known before `at` (microseconds UTC) and keeps what is found.

    Rings go forward in time: as of a moment at or before that of the latest refresh, nothing is looked for and
    nothing changes.

    Raises:
        StoreError: the store fails, or keeps no rings.
    """
    kept = rings_of(store)
    latest = kept.refreshed_at()
    if latest is not None and latest >= at:
        return RingsRefreshed(at, False, 0, len(kept.rings(active=True, limit=None)), {})
    evidence = Evidence.read(store, at, progress=progress)
    refresh = identify(find(evidence, settings), kept.rings(limit=None), at)
    written = kept.write_refresh(refresh)
    events = Counter(str(event.kind) for event in refresh.events) if written else Counter()
    return RingsRefreshed(at, written, len(evidence), len(refresh.rings), dict(events))
