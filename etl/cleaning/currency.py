"""Columns of currencies."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.cleaning.columns import Text, as_text


def currencies(array: pa.Array) -> Text:
    """ISO 4217 codes of codes, names and signs; null where there is none, or none that is known (`bad`)."""
    text = pc.utf8_upper(as_text(array))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    return Text(text, {}, np.zeros(len(text), dtype=np.bool_))
