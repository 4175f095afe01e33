"""Which ring a transaction touches, at hand for the scoring path."""

from collections.abc import Mapping
from typing import Any

from graph.ring_records import Ring, RingStatus
from graph.store import RingStore, Store

_TELLING = ("user", "device", "ip")
"""Types by which a transaction touches a ring. A restaurant in a ring has other guests."""


class ActiveRings:
    """Members of rings that the latest refresh found and nobody dismissed.

    Looked up in the engine's turns, refreshed on another thread: what is looked up is replaced as a whole.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], Ring] = {}
        self._seen = 0

    def of(self, entities: Mapping[str, str]) -> dict[str, Any] | None:
        """The ring that these entities (key by type) are in, as decisions tell it; None where they are in none.

        Of several: the one that most of them are in, then the most suspicious one.
        """
        rings = self._of
        if not rings:
            return None
        through: dict[str, list[str]] = {}
        found: dict[str, Ring] = {}
        for kind in _TELLING:
            ring = rings.get((kind, entities.get(kind, "")))
            if ring is not None:
                found[ring.ring_id] = ring
                through.setdefault(ring.ring_id, []).append(kind)
        if not found:
            return None
        ring = max(found.values(), key=lambda r: (len(through[r.ring_id]), r.score, r.ring_id))
        return {
            "ring_id": ring.ring_id,
            "status": str(ring.status),
            "score": ring.score,
            "members": len(ring.members),
            "through": through[ring.ring_id],
        }

    def refresh(self, store: Store) -> None:
        """Reads the rings again, if there was a refresh or a verdict since.

        Raises:
            StoreError: the store is away; what was known before stays.
        """
        if not isinstance(store, RingStore):
            return
        mark = store.ring_watermark()
        if mark == self._seen:
            return
        of: dict[tuple[str, str], Ring] = {}
        for ring in store.rings(active=True, limit=None):  # the most suspicious first
            if ring.status is not RingStatus.DISMISSED:
                for member in ring.members:
                    of.setdefault((member.entity, member.key), ring)
        self._of, self._seen = of, mark
