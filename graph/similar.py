"""Entities like another: by their embeddings, with what is known of each. What command line and API tell."""

from typing import Any

from graph.embedding_records import Alike, Overview, StoredEmbeddings
from graph.errors import InputError, NotFound
from graph.ring_json import iso
from graph.store import Store, embeddings_of

_LOOKED_AT = 50
_WORST = ("approve", "review", "block")


def similar_entities(store: Store, entity: str, key: str, *, limit: int = 10) -> dict[str, Any]:
    """The entities most like one of the same type, the most alike first.

    Returns:
        `type`, `key`, `as_of` (ISO 8601) and `model_version` of the embeddings, and `similar`: of each `type`, `key`,
        `similarity` (cosine, -1 to 1), `transactions`, `fraud_known`, `first_at`, `last_at` (ISO 8601), and `band`:
        the worst of its latest transactions, None where none is decided on.

    Raises:
        InputError: the store has no such type.
        NotFound: there is no such entity, no embeddings were made yet, or none of this entity.
    """
    kept = embeddings_of(store)
    types = store.schema().entities
    if entity not in types:
        raise InputError(f"there is no entity type {entity!r}", hint=f"there are: {', '.join(types)}")
    alike = kept.similar(entity, key, limit=limit)
    if alike is None:
        raise _lacking(store, kept.embeddings(), entity, key)
    made = kept.embeddings()
    known = kept.overviews(entity, [other.key for other in alike], latest=_LOOKED_AT)
    return {
        "type": entity,
        "key": key,
        "as_of": None if made is None else iso(made.at),
        "model_version": None if made is None else made.model,
        "similar": [_told(entity, other, known[other.key]) for other in alike if other.key in known],
    }


def _told(entity: str, other: Alike, known: Overview) -> dict[str, Any]:
    return {
        "type": entity,
        "key": other.key,
        "similarity": round(other.similarity, 4),
        "transactions": known.transactions,
        "fraud_known": known.fraud_known,
        "first_at": iso(known.first_at),
        "last_at": iso(known.last_at),
        "band": max((band for band in known.bands if band in _WORST), key=_WORST.index, default=None),
    }


def _lacking(store: Store, made: StoredEmbeddings | None, entity: str, key: str) -> NotFound:
    if store.entity(entity, key) is None:
        return NotFound(f"there is no {entity} {key!r} in the graph")
    if made is None:
        return NotFound("no embeddings were made yet", hint="make them: quipu graph embed")
    return NotFound(
        f"there is no embedding of {entity} {key!r}: it was not active in the time before {iso(made.at)}",
        hint="make embeddings of today, or over a longer time: quipu graph embed --days N",
    )
