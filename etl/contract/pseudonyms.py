"""Identifiers replaced by a keyed hash, so that raw values never reach the graph."""

import hashlib
import hmac
import os

import pyarrow as pa

from etl.mapping import Mapping
from graph.errors import InputError

KEY_VARIABLE = "QUIPU_PSEUDONYM_KEY"
_LEAST = 16


class Pseudonyms:
    """HMAC-SHA256 of the identifiers that a mapping names, 128 bits in hexadecimal.

    The same value under the same key gives the same pseudonym wherever it stands for the same
    type of entity, and another one for another type.

    Raises:
        InputError: the mapping pseudonymises, and the environment holds no key.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        key = os.environ.get(KEY_VARIABLE, "")
        if mapping.pseudonymise and len(key) < _LEAST:
            raise InputError(
                f"the mapping {mapping.name!r} pseudonymises {', '.join(mapping.pseudonymise)}, but {KEY_VARIABLE} "
                f"holds no key of at least {_LEAST} characters",
                hint="set it to a secret, the same for every load; without it, pseudonyms cannot be matched",
            )
        self._key = key.encode()

    def __call__(self, entity: str, keys: pa.Array) -> pa.Array:
        """The pseudonyms of these keys (text, null where null), or the keys where none are wanted."""
        if not self._mapping.pseudonymised(entity):
            return keys
        encoded = keys.dictionary_encode()
        hashed = [self._hash(entity, value) for value in encoded.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(hashed, pa.string())).dictionary_decode()

    def _hash(self, entity: str, value: str) -> str:
        return hmac.new(self._key, f"{entity}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]
