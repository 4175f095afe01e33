"""Rings as a store keeps them: each whole as JSON, whatever columns or properties it has beside for looking up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from graph.errors import InputError
from graph.ring_records import Refresh, Ring, RingStatus


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise InputError(f"a ring holds a {type(value).__name__}, which is not plain JSON")


class _Who(msgspec.Struct):
    entity: str
    key: str


class _Members(msgspec.Struct):
    members: list[_Who]


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_ring = msgspec.json.Decoder(Ring)
_members = msgspec.json.Decoder(_Members)


def as_json(value: Any) -> str:
    """A value as JSON text; numbers of NumPy become plain ones.

    Raises:
        InputError: it holds what is not plain JSON, or a text with a lone surrogate.
    """
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError as error:
        raise InputError("an id, key or note is not valid Unicode text (lone surrogate)") from error


def ring_content(ring: Ring) -> str:
    """A ring as JSON text that `ring_of` can read.

    Raises:
        InputError: a value is not plain JSON, or a figure is not a finite number.
    """
    text = as_json(ring)
    try:
        _ring.decode(text)
    except msgspec.ValidationError as error:
        raise InputError(f"a ring cannot be kept: {error}") from error
    return text


def ring_of(content: str | bytes, status: str, active: bool, became: list[str]) -> Ring:
    """A ring from its content, and from what may have changed since that was written."""
    return replace(_ring.decode(content), status=RingStatus(status), active=active, became=tuple(became))


def members_of(content: str | bytes) -> dict[tuple[str, str], None]:
    """Type and key of a ring's members, in their order."""
    return dict.fromkeys((who.entity, who.key) for who in _members.decode(content).members)


def details_of(text: str) -> Mapping[str, Any]:
    """The details of an event from their JSON text."""
    details: dict[str, Any] = msgspec.json.decode(text)
    return details


@dataclass(frozen=True, slots=True)
class RefreshContent:
    """A refresh, encoded.

    Attributes:
        refresh: the refresh.
        contents: `ring_content` of each of its rings.
        details: the details of each of its events as JSON text.
    """

    refresh: Refresh
    contents: list[str]
    details: list[str]

    @classmethod
    def of(cls, refresh: Refresh) -> "RefreshContent":
        """Encodes a refresh.

        Raises:
            InputError: two of its rings have one id, or a value is not plain JSON.
        """
        if len({ring.ring_id for ring in refresh.rings}) < len(refresh.rings):
            raise InputError("a refresh names a ring twice")
        contents = [ring_content(ring) for ring in refresh.rings]
        return cls(refresh, contents, [as_json(event.details) for event in refresh.events])
