"""Copies between stores: SQLite to Neo4j and back, again, after being cut off, and with rings in every state."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graph.copying import copy, differences
from graph.embedding_records import EmbeddingRefresh, TypeEmbeddings
from graph.errors import StoreUnavailable
from graph.parts import Part
from graph.ring_records import Refresh, RingEvent, RingEventKind, RingStatus, Verdict
from graph.store import Store, embeddings_of, open_store, rings_of
from tests.graph.conftest import sqlite_url
from tests.graph.ring_world import fill as fill_ring_world
from tests.graph.ring_world import keep_ring
from tests.graph.store_facts import START, facts
from tests.graph.test_bulk_import import FIRST, fill, more
from tests.graph.test_embedding_store import unit
from tests.neo4j import Neo4j


def content(store: Store) -> dict[str, Any]:
    """All that a store says but the integer ids, which a copy gives anew."""
    rings = rings_of(store)
    ids = [part.transaction_ids for part in store.transaction_changes(with_ids=True)]
    return {
        **facts(store),
        "order": ids,
        "times": [(p.arrived_at.tolist(), p.currency) for p in store.transaction_changes(with_ids=True)],
        "every label": [
            row
            for p in store.every_label()
            for row in zip(p.transaction_ids, p.known_at.tolist(), p.is_fraud.tolist(), p.source, strict=True)
        ],
        "decisions": sorted((d for part in store.every_decision() for d in part), key=lambda d: d.transaction_id),
        "attributes": {
            entity: {key: given for part in store.every_attribute(entity) for key, given in part.items()}
            for entity in store.schema().entities
        },
        "schema": store.schema(),
        "embeddings": vectors(store),
        "rings": sorted(rings.rings(limit=None), key=lambda ring: ring.ring_id),
        "events": {ring.ring_id: rings.ring_events(ring.ring_id) for ring in rings.rings(limit=None)},
        "members": sorted(m[1:] for m in rings.memberships()),
        "marks": [m[1:] for m in rings.ring_marks()],
        "refreshed": (rings.refreshed_at(), rings.ring_watermark()),
    }


def vectors(store: Store) -> Any:
    """Moment, model, and the vector of each entity by type and key."""
    refresh = embeddings_of(store).every_embedding()
    if refresh is None:
        return None
    assert embeddings_of(store).embeddings() is not None
    found = {t.entity: dict(zip(t.keys, t.vectors.tolist(), strict=True)) for t in refresh.types}
    return refresh.at, refresh.model, found


def fill_rings(store: Store) -> None:
    """A ring that grows, is judged, splits, is gone and comes back; another that stays."""
    fill_ring_world(store)
    keep_ring(store)
    rings = rings_of(store)
    (ring,) = rings.rings()
    at = ring.refreshed_at

    def refresh(step: int, *now: Any, events: tuple[RingEvent, ...] = ()) -> None:
        kept = tuple(replace(r, refreshed_at=at + step) for r in now)
        assert rings.write_refresh(Refresh(at + step, kept, events))

    def event(ring_id: str, step: int, kind: RingEventKind) -> RingEvent:
        return RingEvent(ring_id, at + step, kind, {"n": step})

    other = replace(ring, ring_id="R-other", score=0.5, found_at=at + 1, members=ring.members[:2], links=())
    watched = replace(ring, status=RingStatus.WATCHED, score=0.7)
    refresh(1, watched, other, events=(event("R-other", 1, RingEventKind.FOUND),))
    rings.write_verdict(Verdict(ring.ring_id, at + 2, RingStatus.DISMISSED, "ana", "a family"))
    refresh(3, replace(ring, members=ring.members[:3]), other, events=(event(ring.ring_id, 3, RingEventKind.SHRANK),))
    refresh(4, ring, events=(event(ring.ring_id, 4, RingEventKind.RETURNED),))
    rings.write_verdict(Verdict(ring.ring_id, at + 5, RingStatus.CONFIRMED, "eva"))
    half = replace(other, ring_id="R-half", came_from=(ring.ring_id,), found_at=at + 6)
    refresh(6, half, events=(event(ring.ring_id, 6, RingEventKind.SPLIT), event("R-half", 6, RingEventKind.FOUND)))
    refresh(7, replace(half, score=0.25, came_from=()))
    refresh(8)
    refresh(9, replace(half, score=0.75, came_from=()))
    rings.write_verdict(Verdict("R-half", at + 9, RingStatus.DISMISSED))


@pytest.mark.parametrize("filled", [fill, fill_rings], ids=["facts", "rings"])
def test_there_and_back(tmp_path: Path, neo4j_database: Neo4j, filled: Callable[[Store], None]) -> None:
    stores = [open_store(sqlite_url(tmp_path)), open_store(neo4j_database.empty()), open_store(sqlite_url(tmp_path))]
    original, between, back = stores
    filled(original)
    expected = content(original)
    copy(original, between)
    assert content(between) == expected
    done = copy(between, back)
    assert done["transactions"]["loaded"] == expected["status"]["transactions"]
    assert content(back) == expected
    assert differences(original, back) == differences(original, between) == {}
    again = copy(original, back)
    assert sum(tally.get("loaded", 0) for tally in again.values()) == 0
    assert content(back) == expected
    for store in stores:
        store.close()


def test_a_copy_onto_an_older_one_brings_what_is_new(tmp_path: Path) -> None:
    source, target = open_store(sqlite_url(tmp_path)), open_store(sqlite_url(tmp_path))
    fill(source)
    copy(source, target)
    more(source)
    assert differences(source, target)["transactions"] == (source.watermark().transaction, FIRST)
    done = copy(source, target)
    assert done["transactions"]["duplicates"] == FIRST
    after, expected = content(target), content(source)
    for said in (after, expected):  # labels that waited are numbered when their transaction comes
        said["every label"].sort()
    assert after == expected
    source.close()
    target.close()


class CutOff:
    """A store whose connection breaks after so many writes."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("upsert", "write")):
            if not self._left:
                raise StoreUnavailable("gone")
            self._left -= 1
        return getattr(self._store, name)


@pytest.mark.parametrize("filled", [fill, fill_rings], ids=["facts", "rings"])
def test_a_copy_that_was_cut_off_is_completed(tmp_path: Path, filled: Callable[[Store], None]) -> None:
    source = open_store(sqlite_url(tmp_path))
    filled(source)
    expected = content(source)
    for writes in range(100):
        target = open_store(sqlite_url(tmp_path))
        try:
            copy(source, CutOff(target, writes))  # type: ignore[arg-type]
            break
        except StoreUnavailable:
            copy(source, target)
            assert content(target) == expected
        finally:
            target.close()
    assert 4 <= writes < 99
    source.close()


def test_embeddings_are_replaced_by_later_ones_only(tmp_path: Path) -> None:
    source, target = open_store(sqlite_url(tmp_path)), open_store(sqlite_url(tmp_path))
    fill(source)
    copy(source, target)
    later = EmbeddingRefresh(START + 1, "model-2", (TypeEmbeddings("user", ["u1"], unit(1, 3)),))
    embeddings_of(target).write_embeddings(later)
    assert copy(source, target)["embeddings"] == {"loaded": 0}
    assert vectors(target) == (START + 1, "model-2", {"user": {"u1": unit(1, 3)[0].tolist()}})
    assert copy(target, source, only=Part.EMBEDDINGS) == {"embeddings": {"loaded": 1}}
    assert vectors(source) == vectors(target)
    source.close()
    target.close()


def test_only_one_part(tmp_path: Path) -> None:
    source, target = open_store(sqlite_url(tmp_path)), open_store(sqlite_url(tmp_path))
    fill_rings(source)
    assert list(copy(source, target, only=Part.RINGS)) == ["rings"]
    assert target.status()["transactions"] == 0
    assert rings_of(target).rings(limit=None) == rings_of(source).rings(limit=None)
    source.close()
    target.close()
