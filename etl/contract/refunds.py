"""Which types of transactions say that money goes back."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

REFUND = "refund"
"""The transaction type that a refund is loaded under."""
_ANYWHERE = frozenset(
    {"refund", "refunds", "refunded", "reversal", "reversed", "return", "returned", "chargeback"}
    | {"devolucion", "devuelto", "reembolso", "reverso", "extorno", "anulacion", "contracargo"}
)
_ALONE = frozenset({"credit", "credit note", "void", "credito", "nota de credito", "abono"})
_WORD = re.compile(r"[^\W_]+")


def says_refund(kind: str) -> bool:
    """Whether a transaction type names a refund: by a word anywhere (`PARTIAL_REFUND`), or as a whole (`credit`)."""
    plain = unicodedata.normalize("NFKD", kind).encode("ascii", "ignore").decode().casefold()
    words = _WORD.findall(plain.replace("_", " "))
    return bool(_ANYWHERE.intersection(words)) or " ".join(words) in _ALONE


def contradict_refund(types: pa.Array) -> NDArray[np.bool_]:
    """Where transaction types say something else than a refund; a missing one says nothing."""
    encoded = pc.dictionary_encode(types)
    other = pa.array([not says_refund(kind) for kind in encoded.dictionary.to_pylist()], pa.bool_())
    result: NDArray[np.bool_] = pc.fill_null(other.take(encoded.indices), False).to_numpy(zero_copy_only=False)
    return result
