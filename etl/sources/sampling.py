"""A look at the beginning of a source."""

from pathlib import Path

import pyarrow as pa

from etl.mapping import Source
from etl.sources.opening import Part, open_rows

SAMPLE_ROWS = 2_000


def sample(source: Path | Part, rows: int = SAMPLE_ROWS, folder: Path = Path()) -> pa.Table:
    """The first rows of a file, or of the first file (or the query) that a part of a mapping names.

    Returns:
        At most `rows` rows: text as it was written where the source is CSV, else in the source's types.

    Raises:
        InputError: it is missing, empty, damaged, or cannot be reached.
    """
    part = Source(files=(str(source),)) if isinstance(source, Path) else source
    first = open_rows(part, folder)[0]
    taken: list[pa.Table] = []
    for chunk in first.chunks(rows):
        taken.append(chunk.table)
        if sum(table.num_rows for table in taken) >= rows:
            break
    if not taken:
        return pa.table({name: pa.array([], pa.string()) for name in first.columns})
    return pa.concat_tables(taken).slice(0, rows)
