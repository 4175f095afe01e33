"""What a label says."""

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cleaning.columns import WHOLE, mask, nulls
from etl.cleaning.keys import texts
from etl.mapping.values import Value

_TRUE = {"1", "true", "yes", "t", "y"}
_FALSE = {"0", "false", "no", "f", "n"}

FRAUD, GENUINE, UNLABELLED, UNREADABLE = 1, 0, -1, -2


def label_values(array: pa.Array, fraud: Iterable[Value] | None, genuine: Iterable[Value] | None) -> NDArray[np.int8]:
    """FRAUD, GENUINE, UNLABELLED or UNREADABLE a row.

    Without named values, 1/true/yes is fraud and 0/false/no genuine, nothing is no label, and the rest
    cannot be read. With named values, whatever is not named is no label.
    """
    text = pc.utf8_lower(pc.replace_substring_regex(texts(array).values, WHOLE, r"\1"))
    if fraud is None:
        yes, no = _TRUE, _FALSE
    else:
        yes, no = _spellings(fraud), _spellings(genuine or ())
        yes, no = yes | _synonyms(yes) - no, no | _synonyms(no) - yes
    result = np.where(nulls(text) | (fraud is not None), UNLABELLED, UNREADABLE).astype(np.int8)
    result[_among(text, no)] = GENUINE
    result[_among(text, yes)] = FRAUD
    return result


def _among(text: pa.Array, values: set[str]) -> NDArray[np.bool_]:
    return mask(pc.is_in(text, value_set=pa.array(sorted(values), pa.string())))


def _spellings(values: Iterable[Value]) -> set[str]:
    """How named label values look as text."""
    return {re.sub(WHOLE, r"\1", str(value).strip().lower()) for value in values}


def _synonyms(spelled: set[str]) -> set[str]:
    """What else may stand for the same: YAML reads `yes` as true, a Boolean column writes 1 as true."""
    found: set[str] = set()
    for words in (_TRUE, _FALSE):
        if spelled & {"true", "false"} & words:
            found |= words
        if spelled & {"1", "0"} & words:
            found |= {"true", "false", "1", "0"} & words
    return found
