"""What a label says."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import NULL_TEXT, WHOLE, as_text, nulls
from etl.mapping_values import Value

_TRUE = {"1", "true", "yes", "t", "y"}
_FALSE = {"0", "false", "no", "f", "n"}

FRAUD, GENUINE, UNLABELLED, UNREADABLE = 1, 0, -1, -2


def label_values(array: pa.Array, fraud: Iterable[Value] | None, genuine: Iterable[Value] | None) -> NDArray[np.int8]:
    """FRAUD, GENUINE, UNLABELLED or UNREADABLE a row.

    Without named values, 1/true/yes is fraud and 0/false/no genuine, nothing is no label, and the rest
    cannot be read. With named values, whatever is not named is no label.
    """
    text = pc.utf8_lower(pc.replace_substring_regex(as_text(array), WHOLE, r"\1"))
    named = fraud is not None
    yes = _spellings(fraud) if fraud is not None else _TRUE
    no = _spellings(genuine or ()) if named else _FALSE
    empty = pc.fill_null(pc.is_in(text, value_set=pa.array(NULL_TEXT)), True).to_numpy(zero_copy_only=False)
    empty |= nulls(text)
    result = np.where(empty | named, UNLABELLED, UNREADABLE).astype(np.int8)
    result[_among(text, no)] = GENUINE
    result[_among(text, yes)] = FRAUD
    return result


def _among(text: pa.Array, values: set[str]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = pc.is_in(text, value_set=pa.array(sorted(values), pa.string())).to_numpy(
        zero_copy_only=False
    )
    return result


def _spellings(values: Iterable[Value]) -> set[str]:
    """How named label values look as text: YAML reads `yes` as true, and a column may hold either."""
    spelled: set[str] = set()
    for value in values:
        if isinstance(value, bool):
            spelled |= (_TRUE if value else _FALSE) - {"1", "0"}
        elif isinstance(value, float) and value.is_integer():
            spelled.add(str(int(value)))
        else:
            spelled.add(str(value).strip().lower())
    return spelled
