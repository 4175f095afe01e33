"""Columns of currencies."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.cleaning.columns import Text, as_written, noted, nulls
from etl.cleaning.currency_names import currency_code
from etl.cleaning.steps import Step
from graph.ids import is_missing, visible


def currencies(array: pa.Array) -> Text:
    """ISO 4217 codes of codes in any case, numbers of ISO 4217, names and signs.

    Null where there is none, where the sign stands for several currencies (`$`: a mapping's default holds), and
    where it is unknown (`bad`).
    """
    encoded = pc.dictionary_encode(as_written(array))
    codes: list[str | None] = []
    kinds: list[tuple[bool, bool, bool, bool]] = []
    for written in encoded.dictionary.to_pylist():
        text = visible(written)
        missing = is_missing(text)
        code, known = (None, True) if missing else currency_code(text)
        codes.append(code)
        renamed = code is not None and code != text.upper()
        kinds.append((not known, missing and text != "", renamed, code is not None and code != text and not renamed))
    rows = pc.fill_null(encoded.indices, len(codes)).to_numpy()
    bad, null_like, renamed_rows, folded = np.array([*kinds, (False,) * 4], dtype=np.bool_)[rows].T
    steps = {Step.NULL_LIKE: null_like, Step.CURRENCY_FORM: renamed_rows, Step.CASE: folded}
    return Text(pa.array([*codes, None], pa.string()).take(pa.array(rows)), noted(steps), bad & ~nulls(array))
