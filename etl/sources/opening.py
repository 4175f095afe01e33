"""From a part of a mapping to the rows that it names."""

from pathlib import Path

from etl.mapping import AttributeFiles, LabelFiles, Source
from etl.sources.files import open_file
from etl.sources.paths import expand
from etl.sources.rows import Rows
from etl.sources.sql import SqlRows

Part = Source | LabelFiles | AttributeFiles
"""A part of a mapping that says where rows are."""


def open_rows(source: Part, folder: Path, since: str | None = None) -> list[Rows]:
    """Opens whatever a part of a mapping names: its files in order, or its query.

    Args:
        folder: where relative patterns hold.
        since: of a query with a watermark: where the last load ended (a `Chunk.watermark`); from the beginning
            where None.

    Raises:
        InputError: a file is missing or damaged, or the database's URL, query or watermark is wrong.
        SourceUnavailable: the database cannot be reached.
    """
    if source.sql is not None:
        return [SqlRows(source.sql, since)]
    return [open_file(path, source.csv) for path in expand(source.files or (), folder)]
