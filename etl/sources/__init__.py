"""Where rows come from: files of any common kind, and databases."""

from etl.sources.files import SourceFile, open_file
from etl.sources.opening import Part, open_rows
from etl.sources.paths import expand
from etl.sources.rows import CHUNK_ROWS, BrokenLine, Chunk, Rows
from etl.sources.sampling import SAMPLE_ROWS, sample

__all__ = [
    "CHUNK_ROWS",
    "SAMPLE_ROWS",
    "BrokenLine",
    "Chunk",
    "Part",
    "Rows",
    "SourceFile",
    "expand",
    "open_file",
    "open_rows",
    "sample",
]
